// SPDX-License-Identifier: GPL-2.0-only
// Threads that go on until another one of their process tells them to stop (sim/workload/extract_stop.cc).
#include <gtest/gtest.h>

#include "sim/workload/extract.h"
#include "sim/workload/workload.h"
#include "tests/sim/event_trace.h"
#include "tests/sim/fake_kernel.h"

namespace reprise::sim {
namespace {

using test::EventTrace;
using test::FakeKernel;

constexpr i32 kMain = 10, kAwake = 11, kSpinner = 12;
constexpr u64 kRound = 5 * kNsPerMs, kWork = kNsPerMs;

struct Case {
  u64 rounds = 40;
  u64 main_sleeps_ns = 0;  // 0: up to the middle of the last round
  i32 other_process = kMain;
};

/// On one CPU: a main thread sleeps and then joins two others. One of these runs for 1 ms in every 5, the other one
/// takes what is left.
EventTrace recorded(const Case& c) {
  EventTrace trace;
  const u64 until = c.main_sleeps_ns ? c.main_sleeps_ns : c.rounds * kRound - kRound / 2;
  trace.task(kMain, kMain).task(kAwake, c.other_process).task(kSpinner, c.other_process).at(1'000).run(0, kMain);
  const auto nap = [&](i32 tid, u64 expiry, i32 next) {
    trace.enter(tid, EventTrace::kClockNanosleepCall, trace::kCallSleep).timer(tid, expiry, trace::kTimerArmed);
    trace.sleep(0, next);
  };
  const auto wake = [&](i32 tid, u64 expiry) {
    trace.at(expiry).timer(tid, expiry, 0).wake(tid, 0, trace::kWakeHardirq).run(0, tid).leave(tid, 0);
  };
  trace.at(10'000);
  nap(kMain, until, kAwake);
  bool slept = true;
  for (u64 round = 1; round <= c.rounds; ++round) {
    const u64 next = round * kRound;
    trace.at(next - kRound + kWork);
    nap(kAwake, next, kSpinner);
    if (slept && until < next) {
      wake(kMain, until);
      trace.at(until + 1'000).futex_wait(kMain, kSpinner).sleep(0, kSpinner);
      slept = false;
    }
    wake(kAwake, next);
  }
  const u64 end = c.rounds * kRound;
  trace.at(end + 10'000).exit(kAwake).at(end + 20'000).die(0, kSpinner);
  trace.at(end + 3 * kNsPerMs).exit(kSpinner).futex_wake(kSpinner, kSpinner).wake(kMain, kSpinner);
  trace.at(end + 3 * kNsPerMs + 10'000).die(0, kMain);
  trace.at(end + 4 * kNsPerMs).leave(kMain, 0).exit(kMain).at(end + 4 * kNsPerMs + 10'000).die(0, 0);
  return trace;
}

struct Share {
  u64 rounds, spun_ns;
};

/// What becomes of it on so many CPUs, if the main thread sleeps for so long (0: as recorded).
Share played(Extracted extracted, u32 cpus, u64 main_sleeps_ns = 0) {
  for (const TaskProgram& task : extracted.program.tasks)
    for (u32 i = task.first_op; i < task.first_op + task.ops; ++i)
      if (Op& op = extracted.program.ops[i]; task.tid == kMain && op.code == OpCode::kSleep && main_sleeps_ns != 0)
        op.value = main_sleeps_ns;
  FakeKernel kernel(cpus, cpus == 1 ? kNsPerMs / 4 : 0);
  Workload workload(extracted.program);
  workload.begin(kernel);
  kernel.run(workload);
  EXPECT_TRUE(workload.finished()) << workload.waiting();
  Share share{};
  for (TaskId id = 0; id < kernel.tasks().size(); ++id) {
    const i32 tid = extracted.program.tasks[workload.program_of(id)].tid;
    if (tid == kAwake) share.rounds = kernel.tasks()[id].ran_ns / kWork;
    if (tid == kSpinner) share.spun_ns = kernel.tasks()[id].ran_ns;
  }
  return share;
}

TEST(ExtractStopTest, WhoIsToldGoesOnForAsLongAsTheTellerSleeps) {
  const Extracted extracted = recorded({}).extract();
  EXPECT_EQ(extracted.report.tasks_stopped, 2u) << extracted.report.text();
  EXPECT_NE(test::ops_of(extracted, kAwake).find("stopped"), std::string::npos) << test::ops_of(extracted, kAwake);
  // Alone on a CPU of its own, the spinner spins all the time.
  const Share alone = played(extracted, 8);
  EXPECT_NEAR(static_cast<double>(alone.rounds), 40, 1);
  EXPECT_NEAR(static_cast<double>(alone.spun_ns), 40.0 * kRound, 2.0 * kRound);
  // Together on one, as recorded.
  const Share shared = played(extracted, 1);
  EXPECT_NEAR(static_cast<double>(shared.spun_ns), 40.0 * (kRound - kWork), 3.0 * kRound);
  // A teller that sleeps for half as long, nearly as long, and twice as long: then they make more rounds than recorded.
  for (const u64 rounds : {20u, 39u, 80u})
    EXPECT_NEAR(static_cast<double>(played(extracted, 8, rounds * kRound).rounds), static_cast<double>(rounds), 1);
}

TEST(ExtractStopTest, RoundsThatGoOnAfterTheTellerWokeAreCounted) {
  const Extracted extracted = recorded({.main_sleeps_ns = 37 * kRound + kRound / 2}).extract();
  EXPECT_EQ(extracted.report.tasks_stopped, 0u) << "nobody stopped when it woke up";
  EXPECT_EQ(test::ops_of(extracted, kAwake).find("stopped"), std::string::npos);
}

TEST(ExtractStopTest, ATellerOfAnotherProcessTellsNobody) {
  EXPECT_EQ(recorded({.other_process = kAwake}).extract().report.tasks_stopped, 0u);
}

TEST(ExtractStopTest, AFewRoundsMayBeANumber) {
  EXPECT_EQ(recorded({.rounds = 6}).extract().report.tasks_stopped, 0u);
  EXPECT_EQ(recorded({.rounds = 25}).extract().report.tasks_stopped, 2u);
}

}  // namespace
}  // namespace reprise::sim
