// SPDX-License-Identifier: GPL-2.0-only
// Operations of a program, one by one, on a kernel without a policy.
#include "sim/workload/workload.h"

#include <gtest/gtest.h>

#include "tests/sim/fake_kernel.h"
#include "tests/support/allocation_counter.h"

namespace reprise::sim {
namespace {

using test::FakeKernel;

struct Played {
  Program program;
  FakeKernel kernel;
  Workload workload;
  explicit Played(ProgramBuilder& builder, u32 cpus = 1, u64 slice_ns = 0)
      : program(builder.finish()), kernel(cpus, slice_ns), workload(program) {
    const auto ok = check(program);
    EXPECT_TRUE(ok) << (ok ? "" : ok.error().what);
    workload.begin(kernel);
    kernel.run(workload);
  }
};

TEST(WorkloadTest, TaskRunsForWhatItsProgramSays) {
  ProgramBuilder b;
  b.begin(b.declare({}));
  b.run(300);
  b.run(200);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 500u);
  EXPECT_EQ(run.kernel.tasks()[0].ran_ns, 500u);
}

TEST(WorkloadTest, TakeBlocksUntilEnoughIsPosted) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens);
  b.begin(b.declare({}));
  b.op(OpCode::kTake, pipe, 10);
  b.end();
  b.begin(b.declare({}));
  b.run(100);
  b.op(OpCode::kPost, pipe, 4);
  b.run(100);
  b.op(OpCode::kPost, pipe, 6);
  b.run(100);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.tasks()[0].slept, 1u);
  EXPECT_EQ(run.workload.stats().wakes, 1u);
}

TEST(WorkloadTest, WriterDoesNotWaitForLowWaterThatNobodyWillReach) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens, 0, 10, 2);
  b.begin(b.declare({}));
  b.op(OpCode::kPost, pipe, 6);
  b.op(OpCode::kPost, pipe, 6);
  b.end();
  b.begin(b.declare({}));
  b.run(100);
  b.op(OpCode::kTake, pipe, 3);
  b.op(OpCode::kLeave);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.workload.stats().posts_blocked, 1u);
}

TEST(WorkloadTest, TakeOfWhatIsThereDoesNotBlock) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens);
  b.begin(b.declare({}));
  b.op(OpCode::kPost, pipe, 4);
  b.run(1);
  b.end();
  b.begin(b.declare({}));
  b.op(OpCode::kTake, pipe, 4);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.workload.stats().takes_blocked, 0u);
  EXPECT_EQ(run.workload.stats().wakes, 0u);
}

TEST(WorkloadTest, ReadGoesOnWithWhatIsThereAndOwesTheRest) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens);
  b.begin(b.declare({}));
  b.op(OpCode::kTakeSome, pipe, 10);
  b.run(5);
  b.op(OpCode::kTakeSome, pipe, 2);
  b.end();
  b.begin(b.declare({}));
  for (int i = 0; i < 3; ++i) {
    b.run(100);
    b.op(OpCode::kPost, pipe, 4);  // at 100: goes on, 6 owed; at 300: those are paid, 2 are left
  }
  b.run(100);
  b.end();
  Played run(b, 2);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.workload.stats().takes_blocked, 2u);
  EXPECT_EQ(run.workload.stats().wakes, 2u);
}

TEST(WorkloadTest, WriterOfAFullPipeBlocksUntilItsLowWater) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens, 0, 10, 2);
  b.begin(b.declare({}));
  for (int i = 0; i < 11; ++i) b.op(OpCode::kPost, pipe, 1);
  b.end();
  b.begin(b.declare({}));
  b.run(50);
  for (int i = 0; i < 11; ++i) {
    b.op(OpCode::kTake, pipe, 1);
    b.run(10);
  }
  b.end();
  Played run(b, 2);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.workload.stats().posts_blocked, 1u);
  // Two are left after the eighth take, at 50 + 7 * 10.
  EXPECT_EQ(run.kernel.tasks()[0].slept, 1u);
  EXPECT_EQ(run.kernel.now(), 160u);
}

TEST(WorkloadTest, PagesOfAPipeBecomeFreeAsWholesAndLetOneWriterGoOn) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens, 0, 8, 4);
  b.at(pipe).page = 4;
  b.begin(b.declare({}));
  for (int i = 0; i < 9; ++i) b.op(OpCode::kPost, pipe, 1);
  b.end();
  b.begin(b.declare({}));
  b.run(65);
  b.op(OpCode::kPost, pipe, 1);  // two have been read, but the first page is still there
  b.run(1000);
  b.end();
  b.begin(b.declare({}));
  b.run(50);
  for (int i = 0; i < 10; ++i) {
    b.op(OpCode::kTake, pipe, 1);
    b.run(10);
  }
  b.end();
  Played run(b, 3);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.workload.stats().posts_blocked, 2u);
  // The fourth take, at 80, is the first one's; it fills a page again, so that the second goes on with the eighth, at
  // 120.
  EXPECT_EQ(run.kernel.tasks()[0].slept, 1u);
  EXPECT_EQ(run.kernel.tasks()[1].slept, 1u);
  EXPECT_EQ(run.kernel.now(), 1120u);
}

TEST(WorkloadTest, MoreThanFitsGoesThroughInPieces) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens, 0, 10);
  b.begin(b.declare({}));
  b.op(OpCode::kPost, pipe, 95);
  b.end();
  b.begin(b.declare({}));
  b.op(OpCode::kTake, pipe, 50);
  b.op(OpCode::kTake, pipe, 45);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
}

TEST(WorkloadTest, ReaderOfMoreThanFitsBesideASmallWriterGoesOn) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens, 0, 10);
  b.begin(b.declare({}));
  for (int i = 0; i < 4; ++i) b.op(OpCode::kPost, pipe, 7);
  b.end();
  b.begin(b.declare({}));
  b.op(OpCode::kTake, pipe, 28);
  b.end();
  Played run(b, 2);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
}

TEST(WorkloadTest, LockIsHandedOnAndBargedFor) {
  ProgramBuilder b;
  const u32 lock = b.object(ObjectType::kTokens, 1);
  for (int i = 0; i < 3; ++i) {
    b.begin(b.declare({}));
    b.loop(10);
    b.op(OpCode::kTake, lock, 1);
    b.run(100);
    b.op(OpCode::kPost, lock, 1);
    b.run(10);
    b.end_loop();
    b.end();
  }
  Played run(b, 3);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_GE(run.kernel.now(), 3000u);
  EXPECT_EQ(run.workload.stats().takes, 30u);
}

TEST(WorkloadTest, SignalWithoutAWaiterIsLostAndBroadcastWakesAll) {
  ProgramBuilder b;
  const u32 condition = b.object(ObjectType::kCondition);
  for (int i = 0; i < 3; ++i) {
    b.begin(b.declare({}));
    b.run(100);
    b.op(OpCode::kAwait, condition);
    b.end();
  }
  b.begin(b.declare({}));
  b.op(OpCode::kSignal, condition, kEverybody);
  b.run(1000);
  b.op(OpCode::kSignal, condition, kEverybody);
  b.end();
  Played run(b, 4);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 1000u);
  EXPECT_EQ(run.workload.stats().wakes, 3u);
}

TEST(WorkloadTest, BarrierLetsAllGoWithTheLast) {
  ProgramBuilder b;
  const u32 barrier = b.object(ObjectType::kBarrier, 0, 3);
  for (u64 i = 1; i <= 3; ++i) {
    b.begin(b.declare({}));
    b.loop(2);
    b.run(i * 100);
    b.op(OpCode::kBarrier, barrier);
    b.end_loop();
    b.end();
  }
  Played run(b, 3);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 600u);
}

TEST(WorkloadTest, SetIsReadyWhenOneMemberIs) {
  ProgramBuilder b;
  const u32 one = b.object(ObjectType::kTokens), two = b.object(ObjectType::kTokens);
  const u32 set = b.set({one, two});
  b.begin(b.declare({}));
  b.op(OpCode::kReady, set);
  b.op(OpCode::kTake, two, 1);
  b.run(5);
  b.op(OpCode::kReady, set);
  b.op(OpCode::kTake, one, 1);
  b.end();
  b.begin(b.declare({}));
  b.run(100);
  b.op(OpCode::kPost, two, 1);
  b.op(OpCode::kPost, one, 1);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.workload.stats().takes_blocked, 1u);
}

TEST(WorkloadTest, WhoPolledLastIsWokenFirst) {
  // add_wait_queue puts a poll before those that wait already.
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens);
  for (u32 i = 0; i < 3; ++i) {
    b.begin(b.declare({}));
    b.run(1);
    b.op(OpCode::kReady, pipe);
    b.op(OpCode::kTake, pipe, 1);
    b.run(100);
    b.end();
  }
  b.begin(b.declare({}));
  b.run(50);
  b.op(OpCode::kPost, pipe, 1);  // all three are woken, the first to run gets it
  b.end();
  Played run(b);
  EXPECT_EQ(run.kernel.tasks()[2].ran_ns, 101u);
  EXPECT_EQ(run.kernel.tasks()[0].ran_ns, 1u);
  EXPECT_EQ(run.kernel.tasks()[1].ran_ns, 1u);
}

TEST(WorkloadTest, ASleepOfTicksEndsWithThem) {
  ProgramBuilder b;
  b.begin(b.declare({}));
  b.run(kNsPerMs / 2);
  b.op(OpCode::kSleepTicks, 0, 3);  // the kernel here has a tick a millisecond
  b.run(100);
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 3 * kNsPerMs + 100);
}

TEST(WorkloadTest, SleepsAreRelativeAbsoluteAndPeriodic) {
  ProgramBuilder b;
  const u32 timer = b.object(ObjectType::kTimer, kWhenUsed);
  b.begin(b.declare({}));
  b.run(100);
  b.op(OpCode::kSleep, 0, 400);  // to 500
  b.op(OpCode::kSleepUntil, 0, 1000);
  b.op(OpCode::kSleepUntil, 0, 900);  // has passed
  b.loop(3);
  b.run(10);
  b.op(OpCode::kTimer, timer, 100);  // the first period begins at 1010
  b.end_loop();
  b.run(250);
  b.op(OpCode::kTimer, timer, 100);  // late
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 1560u);
  EXPECT_EQ(run.workload.stats().sleeps_late, 2u);
}

TEST(WorkloadTest, ForkMakesChildrenAndTheirEndIsWaitedFor) {
  ProgramBuilder b;
  const u32 ended = b.object(ObjectType::kTokens);
  const u32 parent = b.declare({.tid = 7, .tgid = 7});
  const u32 child = b.declare({.tid = 8, .tgid = 8, .parent = 0, .ended = ended, .start = TaskStart::kByFork});
  b.begin(parent);
  b.run(10);
  b.op(OpCode::kFork, child);
  b.op(OpCode::kFork, child);
  b.op(OpCode::kTake, ended, 2);
  b.end();
  b.begin(child);
  b.run(50);
  b.end();
  b.program().max_instances = 3;
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 110u);
  ASSERT_EQ(run.kernel.tasks().size(), 3u);
  EXPECT_EQ(run.kernel.tasks()[1].info.tid, 8);
  EXPECT_EQ(run.kernel.tasks()[2].info.tid, 1001);
  EXPECT_EQ(run.kernel.tasks()[1].info.parent, 0u);
}

TEST(WorkloadTest, MoreChildrenThanAnnouncedAreRefused) {
  ProgramBuilder b;
  const u32 parent = b.declare({});
  const u32 child = b.declare({.start = TaskStart::kByFork});
  b.begin(parent);
  b.op(OpCode::kFork, child);
  b.op(OpCode::kFork, child);
  b.end();
  b.begin(child);
  b.end();
  Played run(b);
  EXPECT_EQ(run.workload.stats().forks_refused, 1u);
}

TEST(WorkloadTest, OutsideEventsComeAtTheirTime) {
  ProgramBuilder b;
  const u32 socket = b.object(ObjectType::kTokens);
  b.begin(b.declare({.start = TaskStart::kWaiting}));
  b.op(OpCode::kTake, socket, 5);
  b.run(10);
  b.end();
  b.program().outside.push_back({.at_ns = 700, .value = 3, .target = socket});
  b.program().outside.push_back({.at_ns = 500, .value = 2, .target = socket});
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 710u);
  EXPECT_EQ(run.kernel.tasks()[0].switches, 1u);
}

TEST(WorkloadTest, TasksStartAtTheirTime) {
  ProgramBuilder b;
  for (u64 at : {300u, 100u}) {
    b.begin(b.declare({.start_ns = at, .start = TaskStart::kAtTime}));
    b.run(50);
    b.end();
  }
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 350u);
  EXPECT_EQ(run.workload.program_of(0), 1u);
}

TEST(WorkloadTest, BlockingAndWakingCostExtra) {
  ProgramBuilder b;
  const u32 pipe = b.object(ObjectType::kTokens);
  b.begin(b.declare({}));
  b.op(OpCode::kTake, pipe, 1, 2);
  b.op(OpCode::kTake, pipe, 1, 2);
  b.end();
  b.begin(b.declare({}));
  b.op(OpCode::kPost, pipe, 2, 3);
  b.op(OpCode::kPost, pipe, 2, 3);
  b.end();
  Played run(b);
  EXPECT_EQ(run.kernel.tasks()[0].ran_ns, 2 * kExtraUnitNs);
  EXPECT_EQ(run.kernel.tasks()[1].ran_ns, 3 * kExtraUnitNs);
}

TEST(WorkloadTest, LoopsNestAndEndAtATime) {
  ProgramBuilder b;
  b.begin(b.declare({}));
  b.loop(kForever);
  b.op(OpCode::kUntil, 0, 1000);
  const u32 until = static_cast<u32>(b.program().ops.size() - 1);
  b.loop(3);
  b.run(100);
  b.end_loop();
  b.end_loop();
  b.program().ops[until].target = static_cast<u32>(b.program().ops.size());
  b.loop(0);
  b.run(5000);
  b.end_loop();
  b.end();
  Played run(b);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 1200u);
}

TEST(WorkloadTest, AffinityAndWeightReachTheKernel) {
  ProgramBuilder b;
  CpuMask one;
  one.set(1);
  const u32 set = b.cpu_set(one);
  const u32 first = b.declare({});
  const u32 second = b.declare({});
  b.begin(first);
  b.op(OpCode::kAffinity, set, kSelf);
  b.op(OpCode::kWeight, 200, second);
  b.end();
  b.begin(second);
  b.run(10);
  b.end();
  Played run(b);
  EXPECT_EQ(run.kernel.tasks()[0].info.allowed, one);
  EXPECT_EQ(run.kernel.tasks()[1].info.weight, 200u);
}

TEST(WorkloadTest, StuckTaskIsNamedAndRelieved) {
  ProgramBuilder b;
  const u32 never = b.object(ObjectType::kTokens);
  b.begin(b.declare({.tid = 42}));
  b.op(OpCode::kTake, never, 3);
  b.run(10);
  b.end();
  Played run(b);
  EXPECT_FALSE(run.workload.finished());
  EXPECT_NE(run.workload.waiting().find("42"), std::string::npos);
  run.kernel.run(run.workload, ~u64{0}, true);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.workload.stats().relieved, 1u);
}

TEST(WorkloadTest, LoopWithoutRunningDoesNotHang) {
  ProgramBuilder b;
  b.begin(b.declare({}));
  b.loop(kForever);
  b.end_loop();
  b.end();
  const Program program = b.finish();
  FakeKernel kernel(1);
  Workload workload(program);
  workload.begin(kernel);
  kernel.run(workload, 10 * kNsPerUs);
  EXPECT_GT(workload.stats().empty_turns, 5u);
}

TEST(ProgramTest, ChecksIndicesAndTypes) {
  ProgramBuilder b;
  const u32 barrier = b.object(ObjectType::kBarrier, 0, 2);
  b.begin(b.declare({}));
  b.op(OpCode::kTake, barrier, 1);
  b.end();
  Program program = b.finish();
  EXPECT_FALSE(check(program));
  program.ops[0] = {.code = OpCode::kTake, .target = 9};
  EXPECT_FALSE(check(program));
  program.ops[0] = {.code = OpCode::kLoop, .target = 1};
  EXPECT_FALSE(check(program));
  program.ops[0] = {.code = OpCode::kFork, .target = 5};
  EXPECT_FALSE(check(program));
  program.ops[0] = {.code = OpCode::kYield};
  EXPECT_TRUE(check(program));
  program.tasks[0].ops = 100;
  EXPECT_FALSE(check(program));
}

}  // namespace
}  // namespace reprise::sim
