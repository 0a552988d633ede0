// SPDX-License-Identifier: GPL-2.0-only
// How waits on futexes, and what is begun before or ends after the recording, become operations: hand-made events.
#include <gtest/gtest.h>

#include "sim/workload/workload.h"
#include "tests/sim/event_trace.h"
#include "tests/sim/fake_kernel.h"

namespace reprise::sim {
namespace {

using test::EventTrace;
using test::FakeKernel;
using test::ops_of;

constexpr i64 kAgain = -11, kTimedOut = -110;

/// Every task comes to its end with its CPU time, in whatever order they run.
void play(const Extracted& extracted) {
  struct Machine {
    u32 cpus;
    u64 slice_ns;
    bool woken_first;
  };
  for (const Machine m : {Machine{64, 0, false}, Machine{1, 0, false}, Machine{1, 7, false}, Machine{1, 0, true}}) {
    FakeKernel kernel(m.cpus, m.slice_ns, m.woken_first);
    Workload workload(extracted.program);
    workload.begin(kernel);
    kernel.run(workload);
    EXPECT_TRUE(workload.finished()) << workload.waiting();
    std::vector<u64> ran(extracted.program.tasks.size(), 0);
    for (TaskId id = 0; id < kernel.tasks().size(); ++id) ran[workload.program_of(id)] += kernel.tasks()[id].ran_ns;
    for (const ExtractedTask& task : extracted.report.by_task) EXPECT_EQ(ran[task.index], task.cpu_ns) << task.tid;
  }
}

/// Tasks 1, 2... of process 1, all at their start; CPU 0 is idle.
EventTrace threads(i32 count, u32 cpus = 1) {
  EventTrace t(cpus);
  for (i32 tid = 1; tid <= count; ++tid) t.task(tid, 1);
  return t;
}

TEST(FutexTest, WaitIsForTheTaskThatEndsIt) {
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(100).futex_wait(1, 7).sleep(0, 2);
  t.at(300).futex_wake(2, 7).wake(1, 2).leave(2, 1);
  t.at(400).sleep(0, 1);
  t.at(450).leave(1, 0);
  t.at(500).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 100; take 0 x1; run 100; exit");
  EXPECT_EQ(ops_of(x, 2), "run 200; post 0 x1; run 100; leave");
  EXPECT_EQ(x.report.sleeps_futex, 1u);
  play(x);
}

TEST(FutexTest, WakerThatComesFirstLeavesNoWait) {
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(100).futex_wait(1, 7).sleep(0, 2);
  t.at(300).futex_wake(2, 7).wake(1, 2).leave(2, 1);
  t.at(400).die(0, 1);
  t.at(450).leave(1, 0);
  t.at(500).die(0);
  const Extracted x = t.extract();
  FakeKernel kernel(1);
  Program program = x.program;
  std::swap(program.tasks[0], program.tasks[1]);  // the other one runs first
  Workload workload(program);
  workload.begin(kernel);
  kernel.run(workload);
  EXPECT_TRUE(workload.finished());
  EXPECT_EQ(workload.stats().takes_blocked, 0u);
}

TEST(FutexTest, ChainOfWaitersOfWhomEachWakesTheNextDoesNotBreak) {
  // Task 4 wakes 1, who wakes 2, who wakes 3: with one object for all, 3 could take what 4 gives to 1. No wake finds
  // nobody, so it is no lock as far as can be told.
  EventTrace t = threads(4);
  t.at(0).run(0, 1);
  t.at(10).futex_wait(1, 7).sleep(0, 2);
  t.at(20).futex_wait(2, 7).sleep(0, 3);
  t.at(30).futex_wait(3, 7).sleep(0, 4);
  t.at(40).futex_wake(4, 7).wake(1, 4).leave(4, 1);
  t.at(50).die(0, 1);
  t.at(60).leave(1, 0).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(70).die(0, 2);
  t.at(80).leave(2, 0).futex_wake(2, 7).wake(3, 2).leave(2, 1);
  t.at(90).die(0, 3);
  t.at(100).leave(3, 0);
  t.at(110).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(x.report.sleeps_futex, 3u);
  play(x);
}

TEST(FutexTest, ValueThatHasChangedIsNoWait) {
  EventTrace t = threads(1);
  t.at(0).run(0, 1);
  t.at(100).futex_wait(1, 7).at(110).leave(1, kAgain);
  t.at(200).die(0);
  EXPECT_EQ(ops_of(t.extract(), 1), "run 200; exit");
}

TEST(FutexTest, WakeThatFindsNobodyGivesNothing) {
  EventTrace t = threads(2);
  t.at(0).run(0, 2);
  t.at(50).futex_wake(2, 7).leave(2, 0);
  t.at(100).die(0, 1);
  t.at(200).futex_wait(1, 7).sleep(0);
  t.at(250).timer(1, 250, trace::kTimerSleep).wake(1, 0, trace::kWakeHardirq).run(0, 1);
  t.at(260).leave(1, kTimedOut);
  t.at(300).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 2), "run 100; exit");
  EXPECT_EQ(ops_of(x, 1), "run 100; sleep 50; run 50; exit");
  play(x);
}

TEST(FutexTest, TimeoutIsASleepAsLongAsItWasAskedFor) {
  EventTrace t = threads(1);
  t.at(0).run(0, 1);
  t.at(100).futex_wait(1, 7).timer(1, 400, trace::kTimerArmed | trace::kTimerAbsolute);
  t.at(110).sleep(0);
  t.at(430).timer(1, 400, trace::kTimerSleep).wake(1, 0, trace::kWakeHardirq).run(0, 1);
  t.at(440).leave(1, kTimedOut);
  t.at(500).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 110; sleep 290; run 70; exit");
  EXPECT_EQ(x.report.sleeps_relative, 1u);
  play(x);
}

TEST(FutexTest, WakeOfAllLetsEachGo) {
  EventTrace t = threads(4);
  t.at(0).run(0, 1);
  t.at(10).futex_wait(1, 7).sleep(0, 2);
  t.at(20).futex_wait(2, 7).sleep(0, 3);
  t.at(30).futex_wait(3, 7).sleep(0, 4);
  t.at(40).futex_wake(4, 7).wake(1, 4).at(41).wake(2, 4).at(42).wake(3, 4).at(45).leave(4, 3);
  t.at(50).die(0, 1);
  t.at(60).leave(1, 0).die(0, 2);
  t.at(70).leave(2, 0).die(0, 3);
  t.at(80).leave(3, 0).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 4), "run 10; post 0 x1; run 1; post 1 x1; run 1; post 2 x1; run 8; exit");
  play(x);
}

TEST(FutexTest, WaiterThatWasMovedToAnotherFutexIsWokenThere) {
  // FUTEX_CMP_REQUEUE: task 3 wakes 1 and moves 2 to futex 8, where 1 wakes it later on.
  EventTrace t = threads(3);
  t.at(0).run(0, 1);
  t.at(10).futex_wait(1, 7).sleep(0, 2);
  t.at(20).futex_wait(2, 7).sleep(0, 3);
  t.at(30).futex_wake(3, 7).wake(1, 3).leave(3, 2);
  t.at(40).die(0, 1);
  t.at(50).leave(1, 0).futex_wake(1, 8).wake(2, 1).leave(1, 1);
  t.at(60).die(0, 2);
  t.at(70).leave(2, 0).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 2), "run 10; take 1 x1; run 10; exit");
  play(x);
}

TEST(FutexTest, EndOfAThreadWakesWhoJoinsIt) {
  // The kernel wakes clear_child_tid; the thread is in no call then.
  EventTrace t = threads(1);
  t.at(0).run(0, 1);
  t.at(10).fork(1, 2, 1);
  t.at(20).futex_wait(1, 9).sleep(0, 2);
  t.at(100).exit(2).at(105).wake(1, 2);
  t.at(110).die(0, 1);
  t.at(120).leave(1, 0);
  t.at(130).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 10; fork; run 10; take 0 x1; run 20; exit");
  EXPECT_EQ(ops_of(x, 2), "run 85; post 0 x1; run 5; exit");
  play(x);
}

TEST(FutexTest, WaiterWokenOnItsWayToSleepWaitsForItsWakerAllTheSame) {
  EventTrace t = threads(2, 2);
  t.at(0).run(0, 1).run(1, 2);
  t.at(100).futex_wait(1, 7);
  t.at(102).futex_wake(2, 7).at(104).wake(1, 2, trace::kWakeRunnable).leave(2, 1);
  t.at(110).leave(1, 0);
  t.at(200).die(0).die(1);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 104; take 0 x1; run 96; exit");
  EXPECT_EQ(ops_of(x, 2), "run 104; post 0 x1; run 96; exit");
  play(x);
}

/// Task 1 is preempted while it holds the lock 7, which nobody sees; 2 comes, waits and has it then.
EventTrace lock_turn() {
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(100).run(0, 2);
  t.at(120).futex_wait(2, 7).sleep(0, 1);
  t.at(170).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(180).die(0, 2);
  t.at(190).leave(2, 0);
  t.at(200).futex_wake(2, 7).leave(2, 0);
  t.at(210).die(0);
  return t;
}

TEST(LockTest, HolderHasTakenItWhenTheFirstWaiterComes) {
  const Extracted x = lock_turn().extract();
  EXPECT_EQ(ops_of(x, 1), "run 100; take 0 x1; run 50; post 0 x1; run 10; exit");
  EXPECT_EQ(ops_of(x, 2), "run 20; take 0 x1; run 20; post 0 x1; run 10; exit");
  EXPECT_EQ(x.program.objects[0].tokens, 1u);
  EXPECT_EQ(x.report.locks, 1u);
  EXPECT_EQ(x.report.sleeps_lock, 1u);
  play(x);
}

TEST(LockTest, WhoComesToAFreeLockHasItWhateverTheRecordedTurnsWere) {
  const Extracted x = lock_turn().extract();
  Program program = x.program;
  std::swap(program.tasks[0], program.tasks[1]);  // who waited runs first
  FakeKernel kernel(1);
  Workload workload(program);
  workload.begin(kernel);
  kernel.run(workload);
  EXPECT_TRUE(workload.finished());
  EXPECT_EQ(workload.stats().takes_blocked, 0u);
}

TEST(LockTest, HolderThatSleptMeanwhileHeldItAllTheTime) {
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(50).enter(1, EventTrace::kNanosleepCall, trace::kCallSleep).sleep(0, 2);
  t.at(70).futex_wait(2, 7).sleep(0);
  t.at(150).timer(1, 150, trace::kTimerSleep).wake(1, 0, trace::kWakeHardirq).run(0, 1);
  t.at(160).leave(1, 0);
  t.at(170).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(180).die(0, 2);
  t.at(190).leave(2, 0).futex_wake(2, 7).leave(2, 0);
  t.at(200).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 50; take 0 x1; sleep 100; run 20; post 0 x1; run 10; exit");
  play(x);
}

TEST(LockTest, WaiterWhomAnotherOvertakesHasWaitedOnce) {
  EventTrace t = threads(2, 2);
  t.at(0).run(0, 1).run(1, 2);
  t.at(10).futex_wait(2, 7).sleep(1);
  t.at(20).futex_wake(1, 7).wake(2, 1).leave(1, 1);  // and takes it again at once
  t.at(30).run(1, 2).at(40).leave(2, 0).futex_wait(2, 7).sleep(1);
  t.at(60).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(70).run(1, 2).at(80).leave(2, 0).futex_wake(2, 7).leave(2, 0);
  t.at(90).die(0).die(1);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "run 10; take 0 x1; run 10; post 0 x1; run 20; take 0 x1; run 20; post 0 x1; run 30; exit");
  EXPECT_EQ(ops_of(x, 2), "run 10; take 0 x1; run 20; post 0 x1; run 10; exit");
  EXPECT_EQ(x.report.sleeps_lock, 2u);
  play(x);
}

TEST(LockTest, LockUnderWhichSomebodyWaitsForATaskKeepsItsRecordedTurns) {
  // 2 waits under the lock for 1, which has the lock in its turn before: in another order neither could go on.
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(100).run(0, 2);
  t.at(120).futex_wait(2, 7).sleep(0, 1);
  t.at(170).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(180).run(0, 2);
  t.at(190).leave(2, 0).futex_wait(2, 8).sleep(0, 1);
  t.at(200).futex_wake(1, 8).wake(2, 1).leave(1, 1);
  t.at(210).die(0, 2);
  t.at(220).leave(2, 0).futex_wake(2, 7).leave(2, 0);
  t.at(230).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(x.report.locks, 0u);
  EXPECT_EQ(x.report.sleeps_futex, 2u);
  EXPECT_EQ(x.report.sleeps, 2u);  // counted once, though read twice
  play(x);
}

TEST(LockTest, ConditionThatTwoTasksPassOnIsNoLock) {
  // Each wakes the other and then waits: as a lock, who gave it back could take it again at once.
  EventTrace t = threads(2);
  t.at(0).run(0, 1);
  t.at(10).futex_wait(1, 7).sleep(0, 2);
  t.at(20).futex_wake(2, 7).wake(1, 2).leave(2, 1);
  t.at(30).futex_wait(2, 7).sleep(0, 1);
  t.at(40).leave(1, 0).futex_wake(1, 7).wake(2, 1).leave(1, 1);
  t.at(50).die(0, 2);
  t.at(60).leave(2, 0).die(0);
  const Extracted x = t.extract();
  EXPECT_EQ(x.report.locks, 0u);
  play(x);
}

TEST(ExtractTest, PipeThatWasNeverSeenEmptyHeldWhatItsWritersDidNotGive) {
  EventTrace t = threads(2);
  const auto call = [&](i32 tid, u32 number, u8 role) {
    t.enter(tid, number, role, EventTrace::pipe(3)).leave(tid, 100);
  };
  t.at(0).run(0, 1);
  t.at(10);
  call(1, EventTrace::kWriteCall, trace::kCallGive);
  t.at(20).die(0, 2);
  for (u64 ns = 30; ns < 60; ns += 10) {
    t.at(ns);
    call(2, EventTrace::kReadCall, trace::kCallTake);
  }
  t.at(60).die(0);
  const Extracted x = t.extract();
  ASSERT_EQ(x.program.objects.size(), 1u);
  EXPECT_EQ(x.program.objects[0].tokens, 200u);
  EXPECT_TRUE(x.program.outside.empty());
  EXPECT_EQ(x.report.tokens_at_start, 1u);
  play(x);
}

TEST(ExtractTest, TasksThatAreCutAtBothEndsKeepWhatIsKnown) {
  EventTrace t = threads(3);
  t.at(0).run(0, 2);
  t.at(50).wake(1, 2).at(60).run(0, 1);  // 1 has slept since before; 2 is preempted
  t.at(100).sleep(0, 3);
  t.at(200).futex_wait(3, 7).sleep(0, 2);
  t.at(300).run(0, 2);
  const Extracted x = t.extract();
  EXPECT_EQ(ops_of(x, 1), "take 0 x1; run 40; leave");
  EXPECT_EQ(ops_of(x, 2), "run 50; post 0 x1; run 110; leave");
  EXPECT_EQ(ops_of(x, 3), "run 100; leave");
  EXPECT_EQ(x.report.tasks_begun_before, 3u);
  EXPECT_EQ(x.report.tasks_cut, 3u);
  EXPECT_EQ(x.report.sleeps_open, 2u);
  play(x);
}

TEST(ExtractTest, AProgramThatBeginsLaterKnowsHowFarEverybodyWas) {
  const auto record = [](u64 from_ns) {
    EventTrace t = threads(3);
    t.at(0).run(0, 1);
    t.at(10).enter(1, EventTrace::kWriteCall, trace::kCallGive, EventTrace::pipe(3)).leave(1, 100);
    t.at(20).run(0, 2);  // 1 is preempted
    t.at(30).enter(2, EventTrace::kReadCall, trace::kCallTake, EventTrace::pipe(3)).leave(2, 60);
    t.at(40).enter(2, EventTrace::kReadCall, trace::kCallTake, EventTrace::pipe(4)).sleep(0, 3);
    t.at(50).die(0, 1);
    t.at(70).enter(1, EventTrace::kWriteCall, trace::kCallGive, EventTrace::pipe(4)).wake(2, 1).leave(1, 5);
    t.at(80).die(0, 2);
    t.at(90).leave(2, 5);
    t.at(100).enter(2, EventTrace::kReadCall, trace::kCallTake, EventTrace::pipe(3)).leave(2, 40);
    t.at(110).die(0);
    ExtractOptions options;
    options.from_ns = from_ns;
    return t.extract(options);
  };
  const Extracted whole = record(0);
  ASSERT_EQ(whole.program.tasks.size(), 3u);
  EXPECT_EQ(whole.program.duration_ns, 110u);

  const Extracted late = record(EventTrace::kBaseNs + 60);
  ASSERT_EQ(late.program.tasks.size(), 2u);  // 3 has ended
  EXPECT_EQ(late.base_ns, EventTrace::kBaseNs + 60);
  EXPECT_EQ(late.program.duration_ns, 50u);
  EXPECT_EQ(ops_of(late, 1), "run 10; post 1 x5; run 10; exit");
  EXPECT_EQ(ops_of(late, 2), "take_some 1 x5; run 20; take_some 0 x40; run 10; exit");
  EXPECT_EQ(late.program.tasks[0].start, TaskStart::kAtStart);
  EXPECT_EQ(late.program.tasks[1].start, TaskStart::kWaiting);
  EXPECT_EQ(late.program.objects[0].tokens, 40u);  // what had been written and not read
  EXPECT_EQ(late.program.objects[1].tokens, 0u);
  play(late);
}

TEST(ExtractTest, ATimerThatIsOverdueWhenTheProgramBeginsEndsItsSleepAtOnce) {
  EventTrace t = threads(1);
  t.at(0).run(0, 1);
  t.at(100).enter(1, EventTrace::kNanosleepCall, trace::kCallSleep).timer(1, 145, trace::kTimerArmed);
  t.at(110).sleep(0);
  t.at(150).timer(1, 145, 0).wake(1, 0, trace::kWakeHardirq).run(0, 1);
  t.at(160).leave(1, 0);
  t.at(200).die(0);
  ExtractOptions options;
  options.from_ns = EventTrace::kBaseNs + 148;
  const Extracted x = t.extract(options);
  EXPECT_EQ(ops_of(x, 1), "sleep_until; run 50; exit");  // until 0
  play(x);

  options.from_ns = EventTrace::kBaseNs + 1000;
  EXPECT_TRUE(t.extract(options).program.tasks.empty());  // all has ended
}

TEST(ExtractTest, ATaskBeginsWithTheWeightThatItHadThen) {
  EventTrace t = threads(1);
  t.at(0).run(0, 1);
  t.at(10).fork(1, 2).run(0, 2);
  t.at(20).weight(2, 335);
  t.at(30).die(0);
  const Extracted x = t.extract();
  ASSERT_EQ(x.program.tasks.size(), 2u);
  EXPECT_EQ(x.program.tasks[1].weight, kWeightDefault);
  EXPECT_TRUE(ops_of(x, 2).starts_with("run 10; weight "));
}

// The writer fills the pipe with `messages`, and has to wait with the next one until `reads` have been read, eight
// times.
Extracted filled_pipe(u32 bytes, u32 messages, u32 reads) {
  EventTrace t(2);
  t.task(1, 1).task(2, 2).at(0).run(0, 1).run(1, 2);
  const auto call = [&t](i32 tid, u32 number, u8 role) -> EventTrace& {
    return t.enter(tid, number, role, EventTrace::pipe(3));
  };
  u64 ns = 0;
  for (u32 i = 0; i < messages; ++i) {
    t.at(ns += 10);
    call(1, EventTrace::kWriteCall, trace::kCallGive).leave(1, bytes);
  }
  for (u32 round = 0; round < 8; ++round) {
    t.at(ns += 10);
    call(1, EventTrace::kWriteCall, trace::kCallGive).sleep(0);
    for (u32 i = 0; i + 1 < reads; ++i) {
      t.at(ns += 10);
      call(2, EventTrace::kReadCall, trace::kCallTake).leave(2, bytes);
    }
    t.at(ns += 10);
    call(2, EventTrace::kReadCall, trace::kCallTake).wake(1, 2);
    t.at(ns += 10).run(0, 1).leave(2, bytes).leave(1, bytes);
    for (u32 i = 0; i + 1 < reads; ++i) {
      t.at(ns += 10);
      call(1, EventTrace::kWriteCall, trace::kCallGive).leave(1, bytes);
    }
  }
  return t.extract();
}

TEST(ExtractTest, HowMuchFitsIntoAPipeIsSeenFromWhenItsWritersGoOn) {
  const Extracted pages = filled_pipe(1000, 64, 4);  // four to a page
  ASSERT_EQ(pages.program.objects.size(), 1u);
  EXPECT_EQ(pages.program.objects[0].capacity, 64'000u);
  EXPECT_EQ(pages.program.objects[0].low_water, 60'000u);
  EXPECT_EQ(pages.program.objects[0].page, 4000u);
  const Extracted packets = filled_pipe(512, 16, 1);  // O_DIRECT
  ASSERT_EQ(packets.program.objects.size(), 1u);
  EXPECT_EQ(packets.program.objects[0].capacity, 8192u);
  EXPECT_EQ(packets.program.objects[0].low_water, 7680u);
  EXPECT_EQ(packets.program.objects[0].page, 512u);
  const Extracted small = filled_pipe(1024, 8, 4);  // F_SETPIPE_SZ
  ASSERT_EQ(small.program.objects.size(), 1u);
  EXPECT_EQ(small.program.objects[0].capacity, 8192u);
  EXPECT_EQ(small.program.objects[0].page, 4096u);
}

TEST(ExtractTest, RecordingProcessIsMarkedEvenBeforeItIsNamed) {
  EventTrace t;
  t.at(0).run(0, 5);
  t.at(10).run(0, 1);
  t.at(20).task(1, 1).task(5, 5, trace::kMarkOwn);
  t.at(30).die(0);
  const Extracted x = t.extract();
  ASSERT_EQ(x.program.tasks.size(), 2u);
  EXPECT_EQ(x.program.tasks[0].tid, 5);
  EXPECT_TRUE(x.program.tasks[0].own);
  EXPECT_FALSE(x.program.tasks[1].own);
}

}  // namespace
}  // namespace reprise::sim
