// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/events.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Machine;

const PolicyInfo& edf() { return **find_policy("edf"); }

u64 percentile(std::vector<u64> values, u64 percent) {
  REPRISE_CHECK(!values.empty());
  std::ranges::sort(values);
  return values[(values.size() - 1) * percent / 100];
}

TEST(EdfTest, TheDeadlineIsWhenTheTaskIsDueToWakeAgain) {
  const auto engine = std::move(*Engine::create({.limits = {1, 8}}, edf(), Options(edf().options)));
  StepOutput output;
  u64 number = 0;
  // It wakes, having slept for so long.
  const auto wake = [&](TaskSlot slot, u64 now_ns, u64 slept_ns) {
    Event event = test::enqueue(slot, static_cast<u32>(++number));
    event.time_ns = now_ns;
    event.enqueue.stopped_ns = now_ns - slept_ns;
    EXPECT_TRUE(engine->step({.number = number, .now_ns = now_ns, .events = {&event, 1}, .room = 8}, output));
    return output.decisions().front().vtime;
  };
  const std::vector<Event> news = {test::task_new(1), test::task_new(2)};
  ASSERT_TRUE(engine->step({.number = ++number, .now_ns = 1, .events = news, .room = 8}, output));
  const u64 start = kNsPerSec;
  EXPECT_EQ(wake(1, start, 7 * kNsPerMs), start + 100 * kNsPerMs) << "nothing is known of it yet";
  for (u64 i = 1; i < 40; ++i) {
    const u64 now_ns = start + i * 7 * kNsPerMs;
    EXPECT_EQ(wake(1, now_ns, 7 * kNsPerMs), now_ns + 7 * kNsPerMs);
  }
  EXPECT_EQ(wake(2, start + kNsPerSec, kNsPerMs), start + kNsPerSec + 100 * kNsPerMs);
}

TEST(EdfTest, PeriodicTasksThatFitMeetTheirDeadlinesBesideTasksThatNeverSleep) {
  // 2/10 + 4/20 + 8/40 = 60 % of the CPU. The others have 10 ms in 100 each, and what is left over.
  Machine machine({.cpus = 1}, edf());
  for (int i = 0; i < 3; ++i) machine.spawn(test::hog());
  const std::array<std::pair<u64, u64>, 3> tasks = {{{2, 10}, {4, 20}, {8, 40}}};
  std::vector<TaskSlot> slots;
  for (const auto& [run, period] : tasks)
    slots.push_back(machine.spawn(test::sleeper(run * kNsPerMs, (period - run) * kNsPerMs)));
  machine.run_for(20 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  for (std::size_t i = 0; i < slots.size(); ++i) {
    std::vector<u64> waits = machine.task(slots[i]).wake_waits_ns;
    waits.erase(waits.begin(), waits.begin() + 20);  // until its period is known
    ASSERT_GT(waits.size(), 200u);
    EXPECT_LE(std::ranges::max(waits), (tasks[i].second - tasks[i].first) * kNsPerMs) << tasks[i].second;
  }
}

TEST(EdfTest, AnEarlyDeadlineTakesTheCpuOfTheLatest) {
  const auto waits = [](const char* options) {
    Machine machine({.cpus = 2, .tick_ns = 4 * kNsPerMs}, edf(), *Options::parse(edf().options, options));
    for (int i = 0; i < 4; ++i) machine.spawn(test::hog());
    const TaskSlot slot = machine.spawn(test::sleeper(100 * kNsPerUs, 9'700 * kNsPerUs));
    machine.run_for(10 * kNsPerSec);
    REPRISE_CHECK(machine.violation().empty());
    return machine.task(slot).wake_waits_ns;
  };
  EXPECT_LT(percentile(waits("preempt=1"), 99), 100 * kNsPerUs);
  EXPECT_GT(percentile(waits("preempt=0"), 99), kNsPerMs) << "without it there is nothing to be gained";
}

TEST(EdfTest, NobodyStarvesUnderOverload) {
  Machine machine({.cpus = 1}, edf());
  const TaskSlot slot = machine.spawn(test::hog(1));
  for (int i = 0; i < 20; ++i) machine.spawn(test::sleeper(3 * kNsPerMs, kNsPerMs));
  machine.run_for(20 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_LT(machine.max_wait_ns(), kNsPerSec);
  EXPECT_GT(machine.task(slot).dispatched, 50u);
}

}  // namespace
}  // namespace reprise
