// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "scheduler/policies/table.h"
#include "sim/suite/suite.h"
#include "tests/support/temporary.h"

namespace reprise::sim {
namespace {

Expected<SuitePolicy> find(std::string_view text) {
  SuitePolicy found;
  found.text = text;
  if (text == "eevdf") return found;
  auto spec = parse_policy(text);
  if (!spec) return std::unexpected(spec.error());
  found.info = spec->info, found.options = spec->options;
  return found;
}

std::string write(const std::string& text) {
  const std::string path = test::temporary("suite.toml");
  std::ofstream(path) << text;
  return path;
}

Expected<Suite> read(const std::string& text) { return read_suite(write(text), find); }

// What is wrong, and in which line.
void refuses(const std::string& text, const std::string& what, const std::string& line) {
  auto suite = read(text);
  ASSERT_FALSE(suite.has_value()) << text;
  EXPECT_EQ(suite.error().code, ExitCode::kBadInput);
  EXPECT_NE(suite.error().what.find(what), std::string::npos) << suite.error().what;
  EXPECT_TRUE(suite.error().where.ends_with(line.empty() ? std::string() : ":" + line)) << suite.error().where;
}

constexpr char kCase[] = "[[case]]\nname = \"a\"\nload = \"spinners:4\"\npolicy = \"fifo\"\n";

TEST(SuiteFileTest, UnknownKeyNamesTheNearestOne) {
  refuses(std::string(kCase) + "topolgy = \"4\"\n", "did you mean topology?", "5");
  refuses("[defualts]\n" + std::string(kCase), "did you mean defaults?", "1");
  refuses(std::string(kCase) + "expect = { max_p99_run_dely_us = 1 }\n", "did you mean max_p99_run_delay_us?", "5");
  refuses(std::string(kCase) + "faults = { lsot = 1 }\n", "did you mean lost?", "5");
  refuses("[[case]]\nname = \"a\"\nload = \"spinner:4\"\npolicy = \"fifo\"\n", "did you mean spinners?", "3");
  refuses("[[case]]\nname = \"a\"\nload = \"spinners:4\"\npolicy = \"fifi\"\n", "unknown policy 'fifi'", "4");
}

TEST(SuiteFileTest, AnEmptySuiteIsAFailure) {
  refuses("name = \"nothing\"\n", "no cases", "");
  refuses("case = []\n", "no cases", "");
}

TEST(SuiteFileTest, ContradictoryBoundsNameBothLines) {
  refuses(std::string(kCase) + "[case.expect]\nmax_p99_run_delay_us = 10\nmin_p99_run_delay_ms = 1\n",
          "contradict each other", "7");
  refuses(std::string(kCase) + "[case.expect]\nmax_gap_ms = 10\nmax_max_wait_us = 5\n", "say the same thing twice", "");
}

TEST(SuiteFileTest, AMissingTraceIsNamedWithItsLine) {
  refuses("[[case]]\nname = \"a\"\npolicy = \"fifo\"\ntrace = \"nowhere.rtrace\"\n", "nowhere.rtrace cannot be read",
          "4");
}

TEST(SuiteFileTest, ValuesOfAnotherTypeOrOutOfRangeAreRefused) {
  refuses(std::string(kCase) + "seeds = 0\n", "seeds must be", "5");
  refuses(std::string(kCase) + "seeds = [1, 1]\n", "seeds must be", "5");
  refuses(std::string(kCase) + "hz = \"many\"\n", "hz must be a whole number", "5");
  refuses(std::string(kCase) + "cpus = 0\n", "", "5");
  refuses(std::string(kCase) + "expect = { max_p99_run_delay = 1 }\n", "has no unit", "5");
  refuses(std::string(kCase) + "gate = { p99_run_delay = \"10 bananas\" }\n", "", "5");
  refuses("[[case]\n", "no TOML", "1");
}

TEST(SuiteFileTest, TwoCasesOfOneNameAreRefused) {
  refuses(std::string(kCase) + kCase, "two cases are called 'a'", "5");
}

TEST(SuiteFileTest, TheNearestLayerDecides) {
  auto suite = read(
      "[defaults]\npolicy = \"fifo\"\nseeds = 3\nhz = 250\nexpect = { max_gap_ms = 1, min_throughput = 0.5 }\n"
      "[profiles.slow]\nhz = 100\nexpect = { max_gap_ms = 2 }\n"
      "[[case]]\nname = \"a\"\nload = \"spinners:4\"\nuse = \"slow\"\nseeds = [7]\n"
      "[[case]]\nname = \"b\"\nload = \"spinners:4\"\n");
  ASSERT_TRUE(suite.has_value()) << suite.error().what;
  ASSERT_EQ(suite->cases.size(), 2u);
  const sim::Setup &a = suite->setups[suite->cases[0].setup], &b = suite->setups[suite->cases[1].setup];
  EXPECT_EQ(a.hz, 100u);
  EXPECT_EQ(b.hz, 250u);
  EXPECT_EQ(a.seeds, std::vector<u64>{7});
  EXPECT_EQ(b.seeds.size(), 3u);
  ASSERT_EQ(suite->cases[0].bounds.size(), 2u);
  EXPECT_EQ(suite->cases[0].bounds[0].value, 2e6);
  EXPECT_EQ(suite->cases[1].bounds[0].value, 1e6);
}

TEST(SuiteFileTest, PoliciesAndMachinesMultiplyAndEqualSetupsAreOne) {
  auto suite = read(
      "[[case]]\nname = \"a\"\nload = \"spinners:4\"\npolicy = [\"fifo\", \"vruntime\"]\ncpus = [1, 2]\n"
      "[case.versus.fifo]\nmax_p99_run_delay = 1.2\n[case.versus.eevdf]\nmax_gap = 2.0\n");
  ASSERT_TRUE(suite.has_value()) << suite.error().what;
  ASSERT_EQ(suite->cases.size(), 4u);
  EXPECT_EQ(suite->cases[0].name, "a/fifo@1c");
  EXPECT_EQ(suite->cases[3].name, "a/vruntime@2c");
  EXPECT_EQ(suite->setups.size(), 6u);           // and eevdf on both machines
  EXPECT_EQ(suite->cases[0].versus.size(), 1u);  // fifo is not held against itself
  EXPECT_EQ(suite->cases[3].versus.size(), 2u);
  EXPECT_EQ(suite->cases[3].versus[1].setup, suite->cases[1].setup);
}

TEST(SuiteFileTest, SeedOffsetMovesAllSeeds) {
  auto suite = read_suite(write(std::string(kCase) + "seeds = 2\n"), find, {.seed_offset = 10});
  ASSERT_TRUE(suite.has_value());
  EXPECT_EQ(suite->setups[0].seeds, (std::vector<u64>{11, 12}));
}

TEST(SuiteFileTest, GatesStartFromTheDefaultsAndChange) {
  auto suite = read(std::string(kCase) + "gate = { all = \"off\", p99_run_delay = \"7 %, 3us\" }\n");
  ASSERT_TRUE(suite.has_value()) << suite.error().what;
  ASSERT_EQ(suite->cases[0].gates.size(), 1u);
  EXPECT_DOUBLE_EQ(suite->cases[0].gates[0].relative, 0.07);
  EXPECT_DOUBLE_EQ(suite->cases[0].gates[0].absolute, 3000);
  auto without = read(std::string(kCase) + "gate = { migrations = \"off\" }\n");
  auto all = read(kCase);
  ASSERT_TRUE(without.has_value() && all.has_value());
  EXPECT_EQ(without->cases[0].gates.size() + 1, all->cases[0].gates.size());
}

}  // namespace
}  // namespace reprise::sim
