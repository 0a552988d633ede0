// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/events.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Machine;

const PolicyInfo& lavd_lite() { return **find_policy("lavd_lite"); }

class LavdLiteTest : public testing::Test {
 protected:
  static constexpr u64 kRun = 100 * kNsPerUs;
  LavdLiteTest() {
    engine_ = std::move(*Engine::create({.limits = {1, 8}}, lavd_lite(), Options(lavd_lite().options)));
    std::vector<Event> events;
    for (TaskSlot slot = 0; slot < 8; ++slot) events.push_back(test::task_new(slot));
    step(events);
  }
  void step(const std::vector<Event>& events) {
    ASSERT_TRUE(
        engine_->step({.number = engine_->last_step() + 1, .now_ns = now_ns_, .events = events, .room = 8}, output_));
  }
  /// The task wakes, having run for kRun since it last did.
  u64 wake(TaskSlot slot, TaskSlot waker = kNoTask) {
    Event event = test::enqueue(slot, ++generation_, total_ns_[slot] += kRun);
    event.enqueue.waker = waker;
    step({event});
    return output_.decisions().front().vtime;
  }
  /// A moment passes, in which others use the CPU: nobody here is greedy beside them.
  void pass() {
    now_ns_ += kNsPerMs;
    step({test::enqueue(7, ++generation_, total_ns_[7] += kNsPerMs, kEnqueueSliceEnd)});
  }
  std::unique_ptr<Engine> engine_;
  StepOutput output_;
  u64 now_ns_ = kNsPerSec;
  u32 generation_ = 0;
  std::array<u64, 8> total_ns_{};
};

// Two tasks that run for as long at a time, seen at the same moment: only how often they are woken, and by whom,
// differs.
TEST_F(LavdLiteTest, WhoIsWokenOftenGoesBeforeWhoIsWokenSeldom) {
  for (int i = 0; i < 400; ++i) {
    pass();
    wake(1);
    if (i % 50 == 0) wake(2);
  }
  pass();
  const u64 often = wake(1), seldom = wake(2);
  EXPECT_TRUE(before(often, seldom));
}

TEST_F(LavdLiteTest, WhoWakesOthersGoesBeforeWhoWakesNobody) {
  for (int i = 0; i < 400; ++i) {
    pass();
    wake(1);
    wake(3, 1);
    wake(2);
  }
  pass();
  const u64 waker = wake(1), other = wake(2);
  EXPECT_TRUE(before(waker, other));
}

TEST_F(LavdLiteTest, AWakeeTakesOverFromItsWaker) {
  for (int i = 0; i < 400; ++i) {
    pass();
    wake(1);
    if (i % 50 == 0) {
      wake(2, 1);
      wake(3);
    }
  }
  pass();
  const u64 from_critical = wake(2, 1), from_nobody = wake(3);
  EXPECT_TRUE(before(from_critical, from_nobody));
}

TEST(LavdLiteClosedLoopTest, SharesLeanTowardsTheHeavierAndNobodyStarves) {
  Machine machine({.cpus = 1}, lavd_lite());
  const TaskSlot light = machine.spawn(test::hog(50)), plain = machine.spawn(test::hog(100)),
                 heavy = machine.spawn(test::hog(200));
  machine.run_for(20 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_GT(machine.task(plain).exec_ns * 10, machine.task(light).exec_ns * 14);
  EXPECT_GT(machine.task(heavy).exec_ns * 10, machine.task(plain).exec_ns * 14);
  EXPECT_GT(machine.task(light).exec_ns, kNsPerSec);
}

TEST(LavdLiteClosedLoopTest, ShortTasksWaitForOneSliceBesideManyLongOnes) {
  Machine machine({.cpus = 2}, lavd_lite());
  for (int i = 0; i < 20; ++i) machine.spawn(test::hog());
  const TaskSlot slot = machine.spawn(test::sleeper(200 * kNsPerUs, 10 * kNsPerMs));
  machine.run_for(20 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  std::vector<u64> waits = machine.task(slot).wake_waits_ns;
  ASSERT_GT(waits.size(), 1000u);
  std::ranges::sort(waits);
  EXPECT_LE(waits[waits.size() * 99 / 100], 20 * kNsPerMs);
}

}  // namespace
}  // namespace reprise
