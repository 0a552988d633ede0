// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/topology.h"

#include <gtest/gtest.h>

namespace reprise::sim {
namespace {

TEST(TopologyTest, ParsesNodesCachesCoresThreads) {
  const auto made = Topology::parse("2n3l4c2t");
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->size(), 48u);
  EXPECT_EQ(made->cpus[0], (CpuPlace{0, 0, 0}));
  EXPECT_EQ(made->cpus[4], (CpuPlace{4, 1, 0}));
  EXPECT_EQ(made->cpus[23], (CpuPlace{23, 5, 1}));
  EXPECT_EQ(made->cpus[24], (CpuPlace{0, 0, 0}));  // the sibling of CPU 0
  EXPECT_EQ(made->text(), "2n3l4c2t");
}

TEST(TopologyTest, WhatIsLeftOutIsOneAndAPlainNumberCountsCores) {
  EXPECT_EQ(Topology::parse("4c2t")->text(), "1n1l4c2t");
  EXPECT_EQ(Topology::parse("2l4c")->size(), 8u);
  EXPECT_EQ(Topology::parse("6")->cpus, Topology::flat(6).cpus);
  EXPECT_EQ(Topology::parse("1024")->size(), kMaxCpus);
}

TEST(TopologyTest, SaysWhyATopologyIsImpossible) {
  const auto why = [](std::string_view text) {
    const auto made = Topology::parse(text);
    EXPECT_FALSE(made.has_value()) << text;
    if (made) return std::string();
    EXPECT_EQ(made.error().code, ExitCode::kUsage);
    EXPECT_NE(made.error().what.find("impossible topology"), std::string::npos);
    EXPECT_FALSE(made.error().hint.empty());
    return made.error().what;
  };
  EXPECT_NE(why("").find("empty"), std::string::npos);
  EXPECT_NE(why("0n4c").find("0 nodes"), std::string::npos);
  EXPECT_NE(why("2n0l").find("0 caches per node"), std::string::npos);
  EXPECT_NE(why("4c0t").find("0 threads per core"), std::string::npos);
  EXPECT_NE(why("2n1024c").find("more than 1024 CPUs"), std::string::npos);
  EXPECT_NE(why("65536n65536l65536c65536t").find("more than 1024 CPUs"), std::string::npos);
  EXPECT_NE(why("99999999999c").find("larger than 1024"), std::string::npos);
  EXPECT_NE(why("4c2n").find("too late"), std::string::npos);
  EXPECT_NE(why("4c4c").find("twice"), std::string::npos);
  EXPECT_NE(why("4x").find("none of n, l, c, t"), std::string::npos);
  EXPECT_NE(why("c").find("no number"), std::string::npos);
  EXPECT_NE(why("-4c").find("no number"), std::string::npos);
  EXPECT_NE(why("2n4").find("no letter"), std::string::npos);
}

TEST(TopologyTest, TakesATracesPlacesWithTheirNamesByLowestCpu) {
  // Two caches of two cores of two threads, numbered thread by thread.
  std::vector<trace::CpuPlace> places;
  for (u32 cpu = 0; cpu < 8; ++cpu) places.push_back({.cpu = cpu, .core = cpu / 2 * 2, .llc = cpu / 4 * 4, .node = 3});
  const auto made = Topology::from_places(places, 8);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->cpus[5], (CpuPlace{2, 1, 0}));
  EXPECT_EQ(made->text(), "8 CPUs, 4 cores, 2 caches, 1 nodes");

  places.pop_back();  // off line when the trace was made
  EXPECT_EQ(Topology::from_places(places, 8)->cpus[7], (CpuPlace{4, 0, 0}));
  EXPECT_EQ(Topology::from_places({}, 3)->cpus, Topology::flat(3).cpus);
}

TEST(TopologyTest, RefusesPlacesThatContradictThemselves) {
  using Places = std::vector<trace::CpuPlace>;
  EXPECT_FALSE(Topology::from_places(Places{{.cpu = 4}}, 4).has_value());
  EXPECT_FALSE(Topology::from_places(Places{{.cpu = 0}, {.cpu = 0}}, 4).has_value());
  EXPECT_FALSE(Topology::from_places(Places{{.cpu = 0, .llc = 0}, {.cpu = 1, .llc = 1}}, 2).has_value());
  EXPECT_FALSE(
      Topology::from_places(Places{{.cpu = 0, .core = 0, .node = 0}, {.cpu = 1, .core = 1, .node = 1}}, 2).has_value());
  EXPECT_FALSE(Topology::from_places({}, 0).has_value());
}

}  // namespace
}  // namespace reprise::sim
