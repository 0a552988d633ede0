// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "sim/workload/workload.h"
#include "tests/sim/event_trace.h"
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

/// A task with a period of 10 ms that is late for some of them.
test::EventTrace with_periods(const std::vector<u64>& until_ms) {
  using test::EventTrace;
  EventTrace trace;
  trace.task(10, 10);
  u64 now = 1'000'000, slept = 0;
  for (const u64 ms : until_ms) {
    const u64 work = 1'000'000 * (ms - slept) / 10;
    trace.at(now).run(0, 10);
    trace.at(now + work).enter(10, EventTrace::kClockNanosleepCall, trace::kCallSleep);
    trace.at(now + work).timer(10, ms * 1'000'000, trace::kTimerArmed | trace::kTimerAbsolute);
    trace.at(now + work + 1'000).sleep(0);
    now = std::max(ms * 1'000'000, now + work + 2'000);
    trace.at(now).timer(10, ms * 1'000'000, 0);
    trace.at(now).wake(10, 0, trace::kWakeHardirq);
    trace.at(now + 500).run(0, 10);
    trace.at(now + 600).leave(10, 0);
    now += 700;
    slept = ms;
  }
  trace.at(now).run(0, 0, 0);
  return trace;
}

TEST(ExtractTest, PeriodsBegunLateGetTheirSleepBack) {
  const Extracted extracted = with_periods({10, 20, 30, 40, 70, 80, 90, 100, 110, 120, 140, 150}).extract();
  EXPECT_EQ(extracted.report.periods_late, 3u);
  std::vector<u64> sleeps;
  for (const Op& op : extracted.program.ops)
    if (op.code == OpCode::kSleepUntil) sleeps.push_back(op.value / 1'000'000);
  EXPECT_EQ(sleeps, (std::vector<u64>{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150}));
}

TEST(ExtractTest, SleepsWithoutAGridStayAsTheyWere) {
  const Extracted extracted = with_periods({10, 23, 31, 47, 60, 78, 81, 99, 114, 120, 140, 153}).extract();
  EXPECT_EQ(extracted.report.periods_late, 0u);
}

TEST(ExtractTest, ASleepKeepsTheCpuTimeItsCallTookBeforeItBlocked) {
  // What blocking costs goes into Op::extra of waits that may not have to block; a sleep always does.
  using test::EventTrace;
  EventTrace trace;
  trace.task(10, 10).at(1'000).run(0, 10);
  trace.at(21'000).enter(10, EventTrace::kNanosleepCall, trace::kCallSleep);
  trace.at(22'000).timer(10, 100'000, trace::kTimerArmed);
  trace.at(26'000).sleep(0);
  trace.at(100'000).timer(10, 100'000, 0).wake(10, 0, trace::kWakeHardirq);
  trace.at(101'000).run(0, 10).at(102'000).leave(10, 0).at(110'000).exit(10).at(130'000).die(0);
  ExtractOptions options;
  options.overheads.block_ns = 3'000;
  const Extracted extracted = trace.extract(options);
  const std::string ops = test::ops_of(extracted, 10);
  EXPECT_EQ(extracted.report.overhead_ns, 0u) << ops;
  EXPECT_TRUE(std::ranges::any_of(extracted.program.ops, [](const Op& op) { return op.code == OpCode::kExitBegins; }));
}

}  // namespace
}  // namespace reprise::sim
