// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Machine;

const PolicyInfo& mlfq() { return **find_policy("mlfq"); }

std::vector<u64> slices_of(const Machine& machine, TaskSlot slot) {
  std::vector<u64> slices;
  for (const test::LoggedStep& step : machine.log())
    for (const Decision& decision : step.decisions)
      if (decision.task == slot) slices.push_back(decision.slice_ns);
  return slices;
}

TEST(MlfqTest, WhoUsesItsSlicesGoesDownLevelByLevelAndUpAgainAfterAPeriod) {
  Machine machine({.cpus = 1, .log = true}, mlfq());
  const TaskSlot slot = machine.spawn(test::hog());
  machine.run_for(700 * kNsPerMs);
  ASSERT_EQ(machine.violation(), "");
  const std::vector<u64> slices = slices_of(machine, slot);
  const std::vector<u64> down = {2, 4, 8, 16, 32, 40, 40, 40};
  ASSERT_GT(slices.size(), 2 * down.size());
  for (std::size_t i = 0; i < down.size(); ++i) EXPECT_EQ(slices[i], down[i] * kNsPerMs) << i;
  EXPECT_NE(std::ranges::find(slices.begin() + 1, slices.end(), 2 * kNsPerMs), slices.end()) << "never up again";
}

TEST(MlfqTest, SleepingJustBeforeTheSliceEndsKeepsNobodyUp) {
  Machine machine({.cpus = 1, .log = true}, mlfq());
  const TaskSlot slot = machine.spawn(test::sleeper(1900 * kNsPerUs, 10 * kNsPerUs));
  machine.run_for(50 * kNsPerMs);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_GE(slices_of(machine, slot).back(), 8 * kNsPerMs);
}

TEST(MlfqTest, WhoRunsShortlyStaysUpAndGoesFirst) {
  Machine machine({.cpus = 1, .log = true}, mlfq());
  for (int i = 0; i < 10; ++i) machine.spawn(test::hog());
  const TaskSlot slot = machine.spawn(test::sleeper(100 * kNsPerUs, 100 * kNsPerMs));
  machine.run_for(10 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  for (const u64 slice : slices_of(machine, slot)) EXPECT_EQ(slice, 2 * kNsPerMs);
  std::vector<u64> waits = machine.task(slot).wake_waits_ns;
  ASSERT_GT(waits.size(), 80u);
  std::ranges::sort(waits);
  EXPECT_LE(waits[waits.size() / 2], 40 * kNsPerMs) << "more than the slice of the task in its way";
}

TEST(MlfqTest, AFloodOfNewTasksStarvesNobodyForLongerThanAPeriodPerLevel) {
  Machine machine({.cpus = 1}, mlfq());
  const TaskSlot slot = machine.spawn(test::hog());
  for (int i = 0; i < 10'000; ++i) {
    machine.spawn(test::runs_once(990 * kNsPerUs));
    machine.run_for(kNsPerMs);
    ASSERT_EQ(machine.violation(), "");
  }
  EXPECT_LT(machine.task(slot).max_wait_ns, 4 * kNsPerSec) << "half a second for each of seven levels";
  EXPECT_GT(machine.task(slot).dispatched, 3u);
}

TEST(MlfqTest, AHeavierTaskHasALargerAllotment) {
  Machine machine({.cpus = 1, .log = true}, mlfq());
  const TaskSlot heavy = machine.spawn(test::hog(400));
  machine.run_for(7 * kNsPerMs);
  EXPECT_EQ(slices_of(machine, heavy), std::vector<u64>(4, 2 * kNsPerMs)) << "four slices of its level's";
}

}  // namespace
}  // namespace reprise
