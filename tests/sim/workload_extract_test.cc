// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "sim/workload/workload.h"
#include "tests/sim/fake_kernel.h"

namespace reprise::sim {
namespace {

using test::FakeKernel;

/// Plays `program` on many idle CPUs and on one: every task has to get its CPU time, and nobody gets stuck.
void play(const Extracted& extracted, const std::string& name) {
  for (const u32 cpus : {1024u, 1u}) {
    SCOPED_TRACE(name + " on " + std::to_string(cpus));
    FakeKernel kernel(cpus, cpus == 1 ? 3 * kNsPerMs : 0);
    Workload workload(extracted.program);
    workload.begin(kernel);
    kernel.run(workload);
    EXPECT_TRUE(workload.finished()) << workload.waiting();
    EXPECT_EQ(workload.stats().relieved, 0u);
    std::vector<u64> ran(extracted.program.tasks.size(), 0);
    for (TaskId id = 0; id < kernel.tasks().size(); ++id) ran[workload.program_of(id)] += kernel.tasks()[id].ran_ns;
    for (const ExtractedTask& task : extracted.report.by_task)
      EXPECT_EQ(ran[task.index], task.cpu_ns) << "tid " << task.tid;
    if (std::getenv("REPRISE_TEST_PRINT")) {
      const WorkloadStats& s = workload.stats();
      std::printf(
          "%s on %u: end %.6f s of %.6f, takes %lu blocked %lu, posts %lu blocked %lu, wakes %lu, late sleeps %lu of "
          "%lu\n",
          name.c_str(), cpus, static_cast<double>(kernel.now()) / 1e9,
          static_cast<double>(extracted.report.span_ns) / 1e9, s.takes, s.takes_blocked, s.posts, s.posts_blocked,
          s.wakes, s.sleeps_late, s.sleeps);
    }
  }
}

/// REPRISE_TEST_TRACES names a folder with other traces, for trying by hand.
TEST(ExtractTest, SamplesArePlayedToTheirEnd) {
  std::vector<std::filesystem::path> traces;
  if (const char* folder = std::getenv("REPRISE_TEST_TRACES")) {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".rtrace") traces.push_back(entry.path());
  } else {
    for (const char* name : {"compile", "hackbench", "hackbench-2cpu", "periodic"})
      traces.push_back(std::string(REPRISE_SOURCE_DIR "/traces/samples/") + name + ".rtrace");
  }
  for (const auto& path : traces) {
    auto reader = trace::Reader::open(path);
    ASSERT_TRUE(reader) << path;
    const auto extracted = extract(*reader);
    ASSERT_TRUE(extracted) << extracted.error().what;
    play(*extracted, path);
  }
}

}  // namespace
}  // namespace reprise::sim
