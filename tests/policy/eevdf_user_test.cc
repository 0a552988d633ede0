// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "scheduler/policies/table.h"
#include "tests/support/events.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::hog;
using test::Machine;

const PolicyInfo& eevdf_user() { return **find_policy("eevdf_user"); }

class EevdfUserShareTest : public testing::TestWithParam<std::tuple<u32, std::vector<u32>>> {};

TEST_P(EevdfUserShareTest, FollowsWeightsWithinThreePercent) {
  const auto& [cpus, weights] = GetParam();
  Machine machine({.cpus = cpus}, eevdf_user());
  std::vector<TaskSlot> slots;
  for (u32 weight : weights) slots.push_back(machine.spawn(hog(weight)));
  machine.run_for(50 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i < slots.size(); ++i)
    EXPECT_NEAR(static_cast<double>(machine.exec_ns(slots[i])) / (weights[i] / total * cpus * 50e9), 1.0, 0.03)
        << "weight " << weights[i];
}

INSTANTIATE_TEST_SUITE_P(
    All, EevdfUserShareTest,
    testing::Values(std::tuple{1, std::vector<u32>{100, 100, 100}},
                    std::tuple{1, std::vector<u32>{27, 55, 100, 215, 391}}, std::tuple{1, std::vector<u32>{100, 300}},
                    std::tuple{2, std::vector<u32>{50, 100, 100, 100, 150, 200}},
                    std::tuple{4, std::vector<u32>{30, 60, 100, 100, 100, 120, 150, 200, 200, 300}}));

TEST(EevdfUserTest, ALongSleepBuysTwoSlicesAtMost) {
  Machine machine({.cpus = 1}, eevdf_user());
  machine.spawn(hog());
  int bursts = 0;
  test::Plan plan = hog();
  plan.next = [&](Prng&) {
    return ++bursts == 1 ? test::Burst{kNsPerMs, 10 * kNsPerSec} : test::Burst{10 * kNsPerSec, 1};
  };
  const TaskSlot slot = machine.spawn(plan);
  machine.run_for(10 * kNsPerSec);
  const u64 before_ns = machine.exec_ns(slot);
  machine.run_for(kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_NEAR(static_cast<double>(machine.exec_ns(slot) - before_ns), 500e6, 12e6);
}

/// One CPU; task 1 runs for 30 ms in one go and sleeps, others compete meanwhile.
class LagTest : public testing::Test {
 protected:
  LagTest() {
    engine_ = std::move(*Engine::create({.limits = {1, 8}}, eevdf_user(), Options(eevdf_user().options)));
    step({test::task_new(1), test::task_new(2), test::task_new(3), test::enqueue(1, 1), test::enqueue(2, 1),
          test::enqueue(3, 1)});
    ran(1, 30 * kNsPerMs, false);
  }
  void step(const std::vector<Event>& events) {
    ASSERT_TRUE(
        engine_->step({.number = engine_->last_step() + 1, .now_ns = kNsPerSec, .events = events, .room = 8}, output_));
  }
  void ran(TaskSlot slot, u64 exec_total_ns, bool runnable) {
    Event event = test::event(EventType::kStopping, slot);
    event.stopping.exec_total_ns = exec_total_ns;
    event.stopping.runnable = runnable;
    step({event});
  }
  u64 vtime_of_wakeup(TaskSlot slot, u64 exec_total_ns) {
    step({test::enqueue(slot, 2, exec_total_ns, kEnqueueWakeup)});
    return output_.decisions().front().vtime;
  }
  std::unique_ptr<Engine> engine_;
  StepOutput output_;
};

TEST_F(LagTest, WhoSleepsInDebtComesBackInDebtAndBehindThoseWhoAreOwed) {
  ran(2, kNsPerMs, false);
  const u64 owed = vtime_of_wakeup(2, kNsPerMs), in_debt = vtime_of_wakeup(1, 30 * kNsPerMs);
  EXPECT_TRUE(before(owed, in_debt));
  EXPECT_GT(in_debt - owed, 3 * kNsPerMs) << "not eligible: as if it asked for a slice more";
}

TEST_F(LagTest, ADebtIsPaidOffWhileOthersRun) {
  const u64 early = vtime_of_wakeup(1, 30 * kNsPerMs);
  ran(1, 30 * kNsPerMs, false);
  const u64 clock = static_cast<u64>(40) * kNsPerMs;  // each of the others runs for so long
  ran(2, clock, true);
  ran(3, clock, true);
  const u64 late = vtime_of_wakeup(1, 30 * kNsPerMs);
  // Meanwhile V has moved by 40 ms: without debt its deadline moves by less than that.
  EXPECT_LT(late - early, clock);
}

TEST(EevdfUserTest, ALightTaskGetsLongerWaitsNotNone) {
  Machine machine({.cpus = 1}, eevdf_user());
  const TaskSlot light = machine.spawn(hog(10));
  for (int i = 0; i < 5; ++i) machine.spawn(hog());
  machine.run_for(20 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_GT(machine.task(light).max_wait_ns, 20 * kNsPerMs);
  EXPECT_LT(machine.task(light).max_wait_ns, 500 * kNsPerMs);
}

}  // namespace
}  // namespace reprise
