// SPDX-License-Identifier: GPL-2.0-only
// What vruntime promises, in closed loop: shares by weight, bounded credit, no starvation.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "scheduler/policies/table.h"
#include "scheduler/policies/virtual_time.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::hog;
using test::Machine;
using test::runs_once;
using test::sleeper;

const PolicyInfo& vruntime() { return **find_policy("vruntime"); }

u64 percentile(std::vector<u64> values, u64 percent) {
  REPRISE_CHECK(!values.empty());
  std::ranges::sort(values);
  return values[(values.size() - 1) * percent / 100];
}

struct ShareCase {
  const char* name;
  u32 cpus;
  std::vector<u32> weights;
  const char* options = "";
};
class VruntimeShareTest : public testing::TestWithParam<ShareCase> {};

TEST_P(VruntimeShareTest, FollowsWeightsWithinTwoPercent) {
  const Expected<Options> options = Options::parse(vruntime().options, GetParam().options);
  ASSERT_TRUE(options);
  Machine machine({.cpus = GetParam().cpus}, vruntime(), *options);
  std::vector<TaskSlot> slots;
  for (u32 weight : GetParam().weights) slots.push_back(machine.spawn(hog(weight)));
  machine.run_for(10 * kNsPerSec);
  std::vector<u64> before_ns;
  for (TaskSlot slot : slots) before_ns.push_back(machine.exec_ns(slot));
  machine.run_for(100 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  const double total = std::accumulate(GetParam().weights.begin(), GetParam().weights.end(), 0.0);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const double share = GetParam().weights[i] / total * GetParam().cpus * 100e9;
    EXPECT_NEAR(static_cast<double>(machine.exec_ns(slots[i]) - before_ns[i]) / share, 1.0, 0.02)
        << "weight " << GetParam().weights[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, VruntimeShareTest,
    testing::Values(ShareCase{"equal", 1, {100, 100, 100}}, ShareCase{"nice_levels", 1, {27, 55, 100, 215, 391}},
                    ShareCase{"far_apart", 1, {10, 100, 1000}},
                    ShareCase{"lightest", 1, {1, 2, 100}, "slice_us=200000"},
                    ShareCase{"heaviest", 1, {100, 10'000}, "slice_us=200000"},
                    ShareCase{"two_cpus", 2, {50, 100, 100, 100, 150, 200}},
                    ShareCase{"four_cpus", 4, {30, 60, 100, 100, 100, 120, 150, 200, 200, 300}},
                    ShareCase{"odd", 2, {100, 100, 100}},
                    ShareCase{"crowd", 2, {20, 40,  60, 80, 100, 20, 40,  60, 80, 100, 20, 40,  60, 80, 100, 20, 40, 60,
                                           80, 100, 20, 40, 60,  80, 100, 20, 40, 60,  80, 100, 20, 40, 60,  80, 100}}),
    [](const auto& test) { return test.param.name; });

TEST(VruntimeTest, SharesHoldBesideTasksThatSleep) {
  Machine machine({.cpus = 1}, vruntime());
  const TaskSlot light = machine.spawn(hog(100)), heavy = machine.spawn(hog(300));
  for (int i = 0; i < 20; ++i) machine.spawn(sleeper(50 * kNsPerUs, 7 * kNsPerMs + static_cast<u64>(i) * 1000));
  machine.run_for(60 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_NEAR(static_cast<double>(machine.exec_ns(heavy)) / static_cast<double>(machine.exec_ns(light)), 3.0, 0.06);
}

TEST(VruntimeTest, ThoseWhoNeedLittleDoNotQueueBehindThoseWhoNeedMuch) {
  // What first come, first served does to them: 40 slices of waiting.
  Machine machine({.cpus = 2}, vruntime());
  for (int i = 0; i < 40; ++i) machine.spawn(hog());
  const TaskSlot light = machine.spawn(sleeper(200 * kNsPerUs, 30 * kNsPerMs));
  machine.run_for(30 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_GT(machine.task(light).wake_waits_ns.size(), 500u);
  EXPECT_LT(percentile(machine.task(light).wake_waits_ns, 99), 2 * kNsPerMs) << "one slice of 1 ms, and a bit";
}

TEST(VruntimeTest, ALongSleepBuysNoMonopoly) {
  Machine machine({.cpus = 1}, vruntime());
  machine.spawn(hog());
  int bursts = 0;
  test::Plan plan = hog();
  plan.next = [&](Prng&) {
    return ++bursts == 1 ? test::Burst{kNsPerMs, 10 * kNsPerSec} : test::Burst{10 * kNsPerSec, 1};
  };
  const TaskSlot returning = machine.spawn(plan);
  machine.run_for(9 * kNsPerSec);
  const u64 before_ns = machine.exec_ns(returning);
  machine.run_for(1200 * kNsPerMs);  // awake for about 200 ms of it
  ASSERT_EQ(machine.violation(), "");
  EXPECT_NEAR(static_cast<double>(machine.exec_ns(returning) - before_ns), 100e6, 30e6) << "half, and 20 ms of credit";
}

// Tasks that are never seen again are never charged, and each enters at the clock: only real time moves it on.
TEST(VruntimeTest, AStreamOfTasksThatRunOnceLeavesTheOthersTheRest) {
  Machine machine({.cpus = 1}, vruntime());
  const TaskSlot plain = machine.spawn(hog());
  for (int i = 0; i < 20'000; ++i) {
    machine.spawn(runs_once(900 * kNsPerUs));
    machine.run_for(kNsPerMs);
    ASSERT_EQ(machine.violation(), "");
  }
  EXPECT_GT(machine.exec_ns(plain), 1800 * kNsPerMs);
  EXPECT_LT(machine.task(plain).max_wait_ns, kNsPerSec);
}

TEST(VruntimeTest, AFloodOfTasksThatRunOnceStarvesNobody) {
  Machine machine({.cpus = 1}, vruntime());
  const TaskSlot light = machine.spawn(hog(1)), plain = machine.spawn(hog());
  for (int i = 0; i < 60'000; ++i) {  // 1.2 CPUs' worth of them: 256 are there at any time
    machine.spawn(runs_once(1200 * kNsPerUs));
    machine.run_for(kNsPerMs);
    ASSERT_EQ(machine.violation(), "");
  }
  EXPECT_GT(machine.exec_ns(plain), 100 * kNsPerMs) << "its share is 60 s / 257";
  EXPECT_LT(machine.max_wait_ns(), 20 * kNsPerSec) << "the kernel's watchdog waits for 30 s";
  EXPECT_GT(machine.task(light).dispatched, 2u);
}

TEST(VruntimeTest, ATaskThatHadACpuToItselfIsNotPunishedForLong) {
  // Bound to CPU 1 it runs alone for 30 s, far beyond the others' shares. Then it must share with them.
  Machine machine({.cpus = 2}, vruntime());
  for (int i = 0; i < 4; ++i) {
    test::Plan plan = hog();
    plan.cpus = {0};
    machine.spawn(plan);
  }
  test::Plan plan = hog();
  plan.cpus = {1};
  const TaskSlot alone = machine.spawn(plan);
  machine.run_for(30 * kNsPerSec);
  for (int i = 0; i < 4; ++i) machine.spawn(hog());
  const u64 before_ns = machine.exec_ns(alone);
  machine.run_for(5 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_GT(machine.exec_ns(alone) - before_ns, kNsPerSec / 2);
  EXPECT_LT(machine.max_wait_ns(), 2 * kNsPerSec);
}

TEST(VruntimeTest, TasksGoBackToTheirCpuWhenItIsIdle) {
  Machine machine({.cpus = 8, .log = true}, vruntime());
  for (int i = 0; i < 4; ++i) machine.spawn(sleeper(kNsPerMs, 3 * kNsPerMs + static_cast<u64>(i) * 100'000));
  machine.run_for(kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  std::vector<i32> last_cpu(256, kAnyCpu);
  u64 decisions = 0, moves = 0;
  for (const test::LoggedStep& step : machine.log()) {
    for (const Event& event : step.events) {
      if (event.type != EventType::kEnqueue) continue;
      i32& cpu = last_cpu[event.task];
      moves += cpu != kAnyCpu && cpu != event.enqueue.prev_cpu;
      cpu = event.enqueue.prev_cpu;
    }
    for (const Decision& decision : step.decisions) {
      ++decisions;
      EXPECT_EQ(decision.flags, kDecisionIdle);
      EXPECT_EQ(decision.cpu, last_cpu[decision.task]);
    }
  }
  EXPECT_GT(decisions, 500u);
  EXPECT_LE(moves, 4u) << "none, once each has found a CPU of its own";
}

// A heavy thread that does 300 us now and then is interrupted by a wakeup, as the one that records is: it counts as one
// more task, not as 86. One that goes on and on counts by its weight.
TEST(VruntimeTest, AHeavyTaskThatRunsForAMomentShortensSlicesLikeAnyOther) {
  constexpr std::size_t kTasks = 3;
  alignas(Arena::kAlignment) static std::byte block[4096];
  ASSERT_LE(VirtualTime::bytes(kTasks), sizeof block);
  Arena arena(block, kTasks);
  const auto config = VirtualTime::config(Options(vruntime().options));
  ASSERT_TRUE(config);
  VirtualTime time(arena, *config, 1);
  const auto enqueue = [&](TaskSlot slot, u32 weight, u64 ran_ns, bool woken) {
    Task task{};
    task.weight = weight;
    task.exec_delta_ns = ran_ns;
    task.enqueue_flags = woken ? u32{kEnqueueWakeup} : 0;
    time.enqueue(slot, task);
    return time.slice_ns(slot, task);
  };
  time.advance(kNsPerSec);
  enqueue(0, 100, 4 * kNsPerMs, false);
  enqueue(1, 100, 4 * kNsPerMs, false);
  enqueue(2, 8'668, 100 * kNsPerUs, true);
  enqueue(2, 8'668, 300 * kNsPerUs, false);
  EXPECT_EQ(enqueue(0, 100, 0, true), 20 * kNsPerMs / 3) << "a third of slice_us";
  enqueue(2, 8'668, 1'700 * kNsPerUs, false);
  EXPECT_EQ(enqueue(0, 100, 0, true), 20 * kNsPerMs / 4) << "after two of slice_min_us it counts as two";
  enqueue(2, 8'668, 100 * kNsPerMs, false);
  EXPECT_EQ(enqueue(0, 100, 0, true), kNsPerMs) << "slice_min_us";
}

TEST(VruntimeTest, VtimeStaysNearTheClockAndSliceWithinBounds) {
  Machine machine({.cpus = 2, .room = 3, .log = true}, vruntime());
  Prng random = Prng::seeded(9);
  for (int i = 0; i < 60; ++i) {
    const u32 weight = static_cast<u32>(random.between(kWeightMin, 500));
    machine.spawn(random.chance(1, 2)
                      ? hog(weight)
                      : sleeper(random.between(1000, 9'000'000), random.between(1000, kNsPerSec), weight));
  }
  machine.run_for(10 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  u64 least = ~u64{0}, most = 0;
  for (const test::LoggedStep& step : machine.log()) {
    for (const Decision& decision : step.decisions) {
      least = std::min(least, decision.vtime);
      most = std::max(most, decision.vtime);
      ASSERT_GE(decision.slice_ns, kNsPerMs);
      ASSERT_LE(decision.slice_ns, 2 * 20 * kNsPerMs);
    }
  }
  EXPECT_GE(least, kNsPerSec - 500 * kNsPerMs) << "never 0, which would go before all others";
  EXPECT_LE(most, 11 * kNsPerSec + 2 * kNsPerSec);
}

}  // namespace
}  // namespace reprise
