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

/// Plays `program` on many idle CPUs and on one: every task has to get its CPU time (but for those that run until they
/// are told to stop), and nobody gets stuck.
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
      EXPECT_TRUE(task.told || ran[task.index] == task.cpu_ns)
          << "tid " << task.tid << ": " << ran[task.index] << " ns instead of " << task.cpu_ns;
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
    for (const auto& entry : std::filesystem::directory_iterator(REPRISE_SOURCE_DIR "/traces/samples"))
      if (entry.path().extension() == ".rtrace") traces.push_back(entry.path());
    ASSERT_GE(traces.size(), 4u);
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
    if (slept == 0) trace.at(now).run(0, 10);
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

TEST(ExtractTest, WhoBeginsItsPeriodsAnewWhenLateDoesSoInTheProgram) {
  // Gaps of 10 ms but where it was late; then the next period began when it was.
  const Extracted extracted = with_periods({10, 20, 30, 40, 50, 73, 83, 93, 103, 127, 137, 147}).extract();
  EXPECT_EQ(extracted.report.periods_late, 2u);
  u32 timers = 0;
  for (const Op& op : extracted.program.ops) {
    if (op.code == OpCode::kSleepUntil) {
      EXPECT_EQ(op.value, 10u * kNsPerMs) << "only the first";
    }
    if (op.code != OpCode::kTimer) continue;
    EXPECT_EQ(op.value, 10u * kNsPerMs);
    EXPECT_EQ(extracted.program.objects[op.target].tokens, 10u * kNsPerMs);
    EXPECT_EQ(extracted.program.objects[op.target].capacity, 0u);
    ++timers;
  }
  EXPECT_EQ(timers, 11u + 2u);
}

TEST(ExtractTest, WhoWasNeverLateIsTakenToBeginItsPeriodsAnew) {
  const Extracted extracted = with_periods({10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120}).extract();
  EXPECT_EQ(extracted.report.periods_late, 0u);
  u32 timers = 0;
  for (const Op& op : extracted.program.ops) {
    if (op.code != OpCode::kTimer) continue;
    EXPECT_EQ(op.value, 10u * kNsPerMs);
    EXPECT_EQ(extracted.program.objects[op.target].capacity, kTimerBeginsAnew);
    ++timers;
  }
  EXPECT_EQ(timers, 11u);
}

TEST(ExtractTest, WhoIsSeldomLateKeepsItsPhaseFromThenOn) {
  std::vector<u64> until;
  for (u64 ms = 10; ms <= 100; ms += 10) until.push_back(ms);
  for (u64 ms = 123; ms <= 223; ms += 10) until.push_back(ms);
  const Extracted extracted = with_periods(until).extract();
  std::vector<u64> anchors, firsts;
  for (const Op& op : extracted.program.ops) {
    if (op.code == OpCode::kSleepUntil) anchors.push_back(op.value / kNsPerMs);
    if (op.code == OpCode::kTimer) firsts.push_back(extracted.program.objects[op.target].tokens / kNsPerMs);
  }
  EXPECT_EQ(anchors, (std::vector<u64>{10, 123}));
  EXPECT_EQ(firsts.front(), 10u);
  EXPECT_EQ(firsts.back(), 123u);
}

TEST(ExtractTest, AShellInSigsuspendWaitsForWhicheverChildEndsFirst) {
  using test::EventTrace;
  constexpr u32 kSigsuspend = 130, kWait4 = 61;
  constexpr u64 kSignals = u64{trace::kObjectSignal} << 56 | 10, kAnyChild = u64{trace::kObjectChild} << 56;
  EventTrace trace;
  u64 now = 0;
  const auto then = [&]() -> EventTrace& { return trace.at(now += 1'000); };
  trace.task(10, 10);
  then().run(0, 10);
  for (const i32 child : {20, 21}) then().fork(10, child);
  for (const i32 child : {21, 20}) {
    then().enter(10, kWait4, trace::kCallTake, kAnyChild);
    then().leave(10, 0);
    then().enter(10, kSigsuspend, trace::kCallTake, kSignals);
    then().sleep(0, child);
    then().exit(child);
    then().wake(10, child);
    then().die(0, 10);
    then().leave(10, -514);
    then().enter(10, kWait4, trace::kCallTake, kAnyChild);
    then().leave(10, child);
  }
  then().exit(10);
  then().die(0);
  const Extracted extracted = trace.extract();
  std::vector<u32> from;
  for (const TaskProgram& task : extracted.program.tasks)
    for (u32 i = task.first_op; i < task.first_op + task.ops; ++i)
      if (task.tid == 10 && extracted.program.ops[i].code == OpCode::kTake)
        from.push_back(extracted.program.ops[i].target);
  ASSERT_EQ(from.size(), 2u) << test::ops_of(extracted, 10);
  EXPECT_EQ(from[0], from[1]) << test::ops_of(extracted, 10);
  EXPECT_EQ(extracted.report.gifts, 0u);
  play(extracted, "sigsuspend");
}

TEST(ExtractTest, WhoWasThereAtTheAttachIsNoNewcomerInTheSimulationEither) {
  using test::EventTrace;
  EventTrace trace;
  trace.task(10, 10).at(1'000).run(0, 10).at(2'000).fork(10, 20).at(3'000).sleep(0, 20).at(4'000).exit(20).die(0);
  const Extracted extracted = trace.extract();
  ASSERT_EQ(extracted.program.tasks.size(), 2u);
  for (const TaskProgram& task : extracted.program.tasks) EXPECT_EQ(task.at_attach, task.tid == 10) << task.tid;
  Workload workload(extracted.program);
  test::FakeKernel kernel(1);
  workload.begin(kernel);
  kernel.run(workload, ~u64{0}, true);
  ASSERT_EQ(kernel.tasks().size(), 2u);
  for (const auto& task : kernel.tasks()) EXPECT_EQ(task.info.at_attach, task.info.tid == 10) << task.info.tid;
}

TEST(ExtractTest, WhatATicksSoftirqWakesSleepsForSoManyTicks) {
  using test::EventTrace;
  EventTrace trace;
  trace.task(15, 15, trace::kMarkKernelThread).at(500'000).run(0, 15).at(1'000'000).sleep(0);
  trace.at(8'010'000).wake(15, 0, trace::kWakeSoftirq).at(8'020'000).run(0, 15).at(8'030'000).sleep(0);
  trace.at(13'000'000).wake(15, 0, trace::kWakeSoftirq).at(13'010'000).run(0, 15).at(13'020'000).sleep(0);
  trace.at(20'000'000).run(0, 0);
  ExtractOptions options;
  options.tick_ns = 4 * kNsPerMs;
  const Extracted extracted = trace.extract(options);
  EXPECT_NE(test::ops_of(extracted, 15).find("sleep_ticks"), std::string::npos);
  std::vector<std::pair<OpCode, u64>> sleeps;
  for (const Op& op : extracted.program.ops)
    if (op.code == OpCode::kSleep || op.code == OpCode::kSleepTicks) sleeps.emplace_back(op.code, op.value);
  ASSERT_EQ(sleeps.size(), 2u);
  EXPECT_EQ(sleeps[0], std::pair(OpCode::kSleepTicks, u64{2}));
  EXPECT_EQ(sleeps[1], std::pair(OpCode::kSleep, u64{4'970'000})) << "that was not the tick's";
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
