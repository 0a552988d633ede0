// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/policies/virtual_time.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>

namespace reprise {
namespace {

constexpr u64 kMs = kNsPerMs;

Task weighing(u32 weight) {
  Task task{};
  task.weight = weight;
  return task;
}

class VirtualTimeTest : public testing::Test {
 protected:
  static constexpr u32 kTasks = 200;
  static constexpr VirtualTime::Config kConfig = {
      .slice_ns = 20 * kMs, .slice_min_ns = kMs, .credit_ns = 20 * kMs, .lag_ns = 500 * kMs};

  VirtualTimeTest() { start(kConfig); }

  void start(const VirtualTime::Config& config, u32 cpus = 1) {
    const std::size_t size = VirtualTime::bytes(kTasks);
    block_.reset(static_cast<std::byte*>(::operator new(size, std::align_val_t{Arena::kAlignment})));
    arena_ = std::make_unique<Arena>(std::span(block_.get(), size), kTasks);
    time_ = std::make_unique<VirtualTime>(*arena_, config, cpus);
    time_->advance(now_ns_);
    for (Task& task : tasks_) task = weighing(kWeightDefault);
  }

  /// The task ran for so long and is enqueued again.
  void ran(TaskSlot slot, u64 exec_ns, u32 flags = kEnqueueSliceEnd) {
    Task& task = tasks_[slot];
    task.exec_delta_ns = exec_ns;
    task.exec_total_ns += exec_ns;
    task.enqueue_flags = flags;
    task.enqueues += 1;
    time_->enqueue(slot, task);
  }
  u64 vruntime(TaskSlot slot) const { return time_->vruntime(slot); }
  u64 deadline(TaskSlot slot) const { return time_->deadline(slot, tasks_[slot], time_->burst_ns(slot)); }

  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{Arena::kAlignment}); }
  };
  std::unique_ptr<std::byte, Free> block_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<VirtualTime> time_;
  std::array<Task, kTasks> tasks_;
  u64 now_ns_ = kNsPerSec;
};

TEST_F(VirtualTimeTest, NewTasksStartAtTheClock) {
  ran(0, 0);
  EXPECT_EQ(vruntime(0), time_->clock());
  for (int i = 0; i < 5; ++i) ran(0, 20 * kMs);
  ran(1, 0);
  EXPECT_EQ(vruntime(1), time_->clock());
  EXPECT_EQ(time_->clock(), VirtualTime::kClockStart + 80 * kMs) << "where the last one began to run";
}

TEST_F(VirtualTimeTest, ChargesWhatRanByWeight) {
  tasks_[0].weight = 50;
  tasks_[1].weight = 200;
  ran(0, 0);
  ran(1, 0);
  ran(0, 10 * kMs);
  ran(1, 10 * kMs);
  EXPECT_EQ(vruntime(0), VirtualTime::kClockStart + 20 * kMs);
  EXPECT_EQ(vruntime(1), VirtualTime::kClockStart + 5 * kMs);
}

TEST_F(VirtualTimeTest, ChargesNothingWhenNothingRan) {
  ran(0, 0);
  ran(0, 10 * kMs);
  const u64 before_again = vruntime(0);
  ran(0, 0);
  ran(0, 0, kEnqueueReenqueued);
  EXPECT_EQ(vruntime(0), before_again);
}

TEST_F(VirtualTimeTest, DeadlineIsNeverFoldedIntoTheVruntime) {
  ran(0, 0);
  for (u64 round = 1; round <= 100; ++round) {
    ran(0, 5 * kMs);
    ASSERT_EQ(vruntime(0), VirtualTime::kClockStart + round * 5 * kMs);
    ASSERT_GT(deadline(0), vruntime(0));
  }
}

TEST_F(VirtualTimeTest, ClockDoesNotGrowWithTheSumOfAllTasks) {
  // 100 tasks share one CPU for 10 rounds of 1 ms: 1 s of CPU time in all, 10 ms each.
  for (TaskSlot slot = 0; slot < 100; ++slot) ran(slot, 0);
  for (int round = 0; round < 10; ++round) {
    for (TaskSlot slot = 0; slot < 100; ++slot) {
      time_->advance(now_ns_ += kMs);
      ran(slot, kMs);
    }
  }
  EXPECT_LE(time_->clock() - VirtualTime::kClockStart, 10 * kMs);
  EXPECT_GE(time_->clock() - VirtualTime::kClockStart, 9 * kMs);
}

TEST_F(VirtualTimeTest, ClockMovesThoughAllTasksRunOnceAndExit) {
  // A chain of tasks of 1 ms each. None is seen again, so none is charged.
  for (int i = 0; i < 2000; ++i) {
    time_->advance(now_ns_ += kMs);
    tasks_[1] = weighing(kWeightDefault);
    ran(1, 0, kEnqueueNew);
    time_->forget(1);
  }
  EXPECT_GE(time_->clock() - VirtualTime::kClockStart, 500 * kMs);
  EXPECT_LE(time_->clock() - VirtualTime::kClockStart, 2000 * kMs);
}

TEST_F(VirtualTimeTest, SleepersCreditIsBounded) {
  ran(0, 0);
  ran(1, 0);
  for (int i = 0; i < 10; ++i) ran(1, 20 * kMs);
  ran(0, 0, kEnqueueWakeup);
  EXPECT_EQ(vruntime(0), time_->clock() - 20 * kMs);
  tasks_[2].weight = 200;
  ran(2, 0);
  for (int i = 0; i < 10; ++i) ran(1, 20 * kMs);
  ran(2, 0, kEnqueueWakeup);
  EXPECT_EQ(vruntime(2), time_->clock() - 10 * kMs) << "20 ms of its own CPU time";
}

TEST_F(VirtualTimeTest, ASleeperThatOwesKeepsOwing) {
  ran(0, 0);
  ran(0, 100 * kMs);
  const u64 owing = vruntime(0);
  ran(0, 0, kEnqueueWakeup);
  EXPECT_EQ(vruntime(0), owing);
}

TEST_F(VirtualTimeTest, WhoNeverSleepsMayLagFurtherButNotForEver) {
  ran(0, 0);
  ran(1, 0);
  for (int i = 0; i < 20; ++i) ran(1, 20 * kMs);
  ran(0, 0);
  EXPECT_EQ(vruntime(0), VirtualTime::kClockStart) << "380 ms behind: keeps its right to them";
  for (int i = 0; i < 20; ++i) ran(1, 20 * kMs);
  ran(0, 0);
  EXPECT_EQ(vruntime(0), time_->clock() - 500 * kMs);
}

TEST_F(VirtualTimeTest, NobodyGetsFarAhead) {
  tasks_[0].weight = 1;
  ran(0, 0);
  ran(0, 3600 * kNsPerSec);  // it had a CPU to itself, unseen
  EXPECT_EQ(vruntime(0), time_->clock() + 500 * kMs);
}

TEST_F(VirtualTimeTest, AHugeChargeDoesNotWrapIntoASmallOne) {
  ran(0, 0);
  for (u32 bit = 32; bit < 64; ++bit) {
    ran(0, u64{1} << bit);
    ASSERT_EQ(vruntime(0), time_->clock() + 500 * kMs) << bit;
    ASSERT_LE(time_->burst_ns(0), kNsPerSec);
  }
}

TEST_F(VirtualTimeTest, OrderSurvivesTheWrap) {
  VirtualTime::Config config = kConfig;
  config.clock_start = 0 - 30 * kMs;
  start(config);
  ran(0, 0);
  ran(1, 0);
  for (int i = 0; i < 5; ++i) {
    ran(0, 10 * kMs);
    ran(1, 20 * kMs);
    ASSERT_TRUE(before(deadline(0), deadline(1)));
    ASSERT_TRUE(before(vruntime(0), vruntime(1)));
  }
  EXPECT_LT(vruntime(1), kNsPerSec) << "it has wrapped";
  ran(2, 0);
  EXPECT_EQ(vruntime(2), time_->clock());
}

TEST_F(VirtualTimeTest, WhoNeedsLittleHasTheEarlierDeadline) {
  ran(0, 0, kEnqueueWakeup);
  ran(1, 0, kEnqueueWakeup);
  for (int i = 0; i < 10; ++i) {
    ran(0, 100 * kNsPerUs, kEnqueueWakeup);
    ran(1, 10 * kMs, kEnqueueWakeup);
  }
  EXPECT_EQ(time_->burst_ns(0), 100 * kNsPerUs);
  EXPECT_EQ(time_->burst_ns(1), 10 * kMs);
  EXPECT_EQ(deadline(0), vruntime(0) + 100 * kNsPerUs);
  EXPECT_EQ(deadline(1), vruntime(1) + 10 * kMs);
}

TEST_F(VirtualTimeTest, DeadlineIsAtMostASliceAway) {
  ran(0, 0);
  for (int i = 0; i < 10; ++i) ran(0, 200 * kMs);
  EXPECT_EQ(deadline(0) - vruntime(0), 20 * kMs);
}

TEST_F(VirtualTimeTest, BusyTasksOfACpuShareASliceByWeight) {
  start(kConfig, 2);
  const auto slice = [&](u32 weight) { return time_->share_ns(weighing(weight)); };
  EXPECT_EQ(slice(kWeightDefault), 20 * kMs) << "nobody is busy";
  EXPECT_EQ(slice(kWeightMin), 20 * kMs);
  for (TaskSlot slot = 0; slot < 150; ++slot) ran(slot, 0, kEnqueueNew);
  for (TaskSlot slot = 100; slot < 150; ++slot) ran(slot, kMs, kEnqueueWakeup);
  EXPECT_EQ(slice(kWeightDefault), 20 * kMs) << "newcomers and sleepers are not busy";
  for (TaskSlot slot = 0; slot < 2; ++slot) ran(slot, kMs);
  EXPECT_EQ(slice(kWeightDefault), 20 * kMs) << "one for each CPU";
  for (TaskSlot slot = 0; slot < 8; ++slot) ran(slot, kMs);
  EXPECT_EQ(slice(kWeightDefault), 5 * kMs);
  EXPECT_EQ(slice(kWeightDefault / 2), 2500 * kNsPerUs);
  EXPECT_EQ(slice(2 * kWeightDefault), 10 * kMs);
  EXPECT_EQ(slice(kWeightMin), kMs) << "the lower bound";
  EXPECT_EQ(slice(kWeightMax), 20 * kMs) << "the upper bound";
  for (TaskSlot slot = 0; slot < 6; ++slot) time_->forget(slot);
  EXPECT_EQ(slice(kWeightDefault), 20 * kMs) << "two are left";
  for (TaskSlot slot = 0; slot < 100; ++slot) ran(slot, kMs);
  EXPECT_EQ(slice(kWeightDefault), kMs);
  time_->advance(now_ns_ += 10 * kNsPerSec);
  EXPECT_EQ(slice(kWeightDefault), 20 * kMs) << "all that is long ago";
}

TEST_F(VirtualTimeTest, WhoIsBehindAndGoesOnGetsALongerSlice) {
  ran(0, 0, kEnqueueNew);
  ran(1, 0, kEnqueueNew);
  for (int i = 0; i < 4; ++i) ran(0, 10 * kMs);  // began its last run 30 ms ahead of slot 1
  Task task = weighing(kWeightDefault);
  const u64 share = time_->share_ns(task);
  EXPECT_EQ(time_->slice_ns(0, task), share) << "ahead";
  const u64 behind = time_->clock() - vruntime(1);
  ASSERT_GT(behind, share);
  EXPECT_EQ(time_->slice_ns(1, task), 2 * share) << "behind by more than its share";
  ran(1, behind - 5 * kMs);
  EXPECT_EQ(time_->slice_ns(1, task), time_->share_ns(task) + 5 * kMs);
  task.enqueue_flags = kEnqueueWakeup;
  EXPECT_EQ(time_->slice_ns(1, task), time_->share_ns(task)) << "one that woke has its credit in the deadline";
}

TEST_F(VirtualTimeTest, HandsDownTheDeadlineItself) {
  EXPECT_EQ(time_->hand_down(time_->clock() + 7), time_->clock() + 7);
  EXPECT_EQ(time_->hand_down(time_->clock() - 20 * kMs), time_->clock() - 20 * kMs);
}

TEST_F(VirtualTimeTest, NothingGoesBeforeWhatHasWaitedForLong) {
  const u64 waiting = time_->hand_down(time_->clock() + 500 * kMs);
  const u64 soon = time_->clock();
  const auto pass = [&](u64 ns) { time_->advance(now_ns_ += ns); };
  EXPECT_TRUE(before(time_->hand_down(soon), waiting));
  pass(8 * kNsPerSec);
  EXPECT_TRUE(before(time_->hand_down(soon), waiting)) << "patience";
  pass(10 * kNsPerSec);
  pass(kNsPerSec);
  const u64 first = time_->hand_down(soon), second = time_->hand_down(soon + 5), third = time_->hand_down(soon + 3);
  EXPECT_FALSE(before(first, waiting));
  EXPECT_EQ(second - first, 5u) << "the others keep their order";
  EXPECT_EQ(third - first, 3u);
}

TEST_F(VirtualTimeTest, ASlotsNextUserStartsAnew) {
  ran(0, 0);
  ran(0, 100 * kMs);
  time_->forget(0);
  tasks_[0] = weighing(kWeightDefault);
  ran(0, 0);
  EXPECT_EQ(vruntime(0), time_->clock());
  EXPECT_EQ(time_->burst_ns(0), 0u);
}

TEST_F(VirtualTimeTest, RefusesBoundsThatContradictEachOther) {
  const Expected<Options> options = Options::parse(VirtualTime::kOptions, "slice_min_us=5000,slice_us=4000");
  ASSERT_TRUE(options);
  const auto config = VirtualTime::config(*options);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ExitCode::kUsage);
}

}  // namespace
}  // namespace reprise
