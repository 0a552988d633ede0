// SPDX-License-Identifier: GPL-2.0-only
// What each policy of the table must do, whatever it is good for. A new row is covered at once.
//
// Most of it is checked by the engine (contract) and by test::Machine (no task lost, no CPU idle while a task waits for
// it); these tests drive both through workloads and faults.
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/events.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Burst;
using test::LoggedStep;
using test::Machine;
using test::MachineConfig;
using test::Plan;

/// A task of any kind: busy, sleepy or short-lived; sometimes bound to a few CPUs.
Plan any_plan(Prng& random, u32 cpus) {
  const u64 run_max_ns = 1000u << random.below(16);
  const u64 sleep_max_ns = 1000u << random.below(18);
  const u64 lives = random.between(1, 60);
  Plan plan{.comm = "any", .weight = static_cast<u32>(random.chance(1, 2) ? 100 : random.between(1, 10'000))};
  if (random.chance(1, 4))
    for (u32 cpu = 0; cpu < cpus; ++cpu)
      if (cpu == 0 || random.chance(1, 2)) plan.cpus.push_back((cpu + 1) % cpus);
  plan.at_attach = random.chance(1, 4);
  plan.next = [=](Prng& mine) {
    return Burst{mine.between(1, run_max_ns), mine.between(1, sleep_max_ns), mine.chance(1, lives)};
  };
  return plan;
}

/// Runs a seeded workload, with tasks coming and going.
void run_workload(Machine& machine, u64 seed, u32 cpus, int rounds = 100) {
  Prng random = Prng::seeded(seed).split("plans");
  for (int round = 0; round < rounds && machine.violation().empty(); ++round) {
    for (u64 i = random.below(8); i > 0; --i) machine.spawn(any_plan(random, cpus));
    machine.run_for(random.between(1, 20 * kNsPerMs));
  }
}

class PolicyTest : public testing::TestWithParam<const PolicyInfo*> {
 protected:
  const PolicyInfo& info() const { return *GetParam(); }
  std::unique_ptr<Engine> engine(Limits limits, u64 seed = 1) const {
    auto made = Engine::create({.limits = limits, .seed = seed}, info(), Options(info().options));
    REPRISE_CHECK(made.has_value());
    return std::move(*made);
  }
};

TEST_P(PolicyTest, KeepsEachCpuBusyAndLosesNoTask) {
  for (u64 seed = 1; seed <= 10; ++seed) {
    const u32 cpus = static_cast<u32>(1 + seed % 5);
    Machine machine({.cpus = cpus, .seed = seed}, info());
    run_workload(machine, seed, cpus);
    ASSERT_EQ(machine.violation(), "") << "seed " << seed;
    EXPECT_GT(machine.finished(), 20u);
    EXPECT_EQ(machine.cancelled(), 0u) << "without faults each decision is for the last enqueue";
    EXPECT_EQ(machine.engine().counters().stale_events + machine.engine().counters().invalid, 0u);
  }
}

TEST_P(PolicyTest, DrainsToIdleWhenAllTasksExit) {
  Machine machine({.cpus = 3, .seed = 2}, info());
  for (int i = 0; i < 200; ++i) machine.spawn(test::runs_once(kNsPerMs * static_cast<u64>(1 + i % 7)));
  machine.run_for(2 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_EQ(machine.finished(), 200u);
  EXPECT_EQ(machine.engine().held(), 0u);
}

TEST_P(PolicyTest, WorksWithLittleRoom) {
  for (const u32 room : {1u, 2u, 7u}) {
    Machine machine({.cpus = 4, .seed = room, .room = room}, info());
    run_workload(machine, room, 4);
    ASSERT_EQ(machine.violation(), "") << "room " << room;
    EXPECT_GT(machine.finished(), 20u);
  }
}

TEST_P(PolicyTest, SaysMoreAndHandsDownNothingWithoutRoom) {
  const auto made = engine({2, 8});
  StepOutput output;
  const std::vector<Event> events = {test::task_new(1), test::task_new(2), test::enqueue(1, 1), test::enqueue(2, 1)};
  ASSERT_TRUE(made->step({.number = 1, .events = events, .room = 0}, output));
  EXPECT_EQ(output.decision_count, 0u);
  EXPECT_TRUE(output.more);
  ASSERT_TRUE(made->step({.number = 2, .room = 1}, output));
  EXPECT_EQ(output.decision_count, 1u);
  EXPECT_TRUE(output.more);
  ASSERT_TRUE(made->step({.number = 3, .room = 8}, output));
  EXPECT_EQ(output.decision_count, 1u);
  EXPECT_FALSE(output.more);
}

TEST_P(PolicyTest, WorksWhenTheSchedulerComesLate) {
  for (const u64 interval_ns : {50 * kNsPerUs, 3 * kNsPerMs}) {
    Machine machine({.cpus = 2, .seed = 5, .step_interval_ns = interval_ns}, info());
    run_workload(machine, 5, 2);
    ASSERT_EQ(machine.violation(), "") << "interval " << interval_ns;
    EXPECT_GT(machine.finished(), 20u);
  }
}

TEST_P(PolicyTest, SurvivesLostNoticesAndChangesAtAnyMoment) {
  for (u64 seed = 1; seed <= 10; ++seed) {
    Machine machine({.cpus = 3,
                     .seed = seed,
                     .room = seed % 2 == 0 ? 2 : kMaxDecisionsPerStep,
                     .step_interval_ns = seed % 3 * 100 * kNsPerUs,
                     .lost_notices_per_mille = 200,
                     .faults_per_mille = 300},
                    info());
    run_workload(machine, seed, 3);
    ASSERT_EQ(machine.violation(), "") << "seed " << seed;
    EXPECT_GT(machine.finished(), 20u);
  }
}

TEST_P(PolicyTest, NamesOnlyCpusThatTheTaskMayUse) {
  Machine machine({.cpus = 4, .seed = 6, .faults_per_mille = 300, .log = true}, info());
  run_workload(machine, 6, 4);
  ASSERT_EQ(machine.violation(), "");
  // Again, step by step, with the engine's own view of the masks at each decision.
  const auto again = engine({4, 256}, 6);
  std::vector<u64> masks(256, 0xf);
  StepOutput output;
  u64 named = 0;
  for (const LoggedStep& step : machine.log()) {
    for (const Event& event : step.events) {
      if (event.type == EventType::kTaskNew) masks[event.task] = 0xf;
      if (event.type == EventType::kAffinity) masks[event.task] = event.affinity.words[0];
    }
    ASSERT_TRUE(again->step(step.input, output));
    for (const Decision& decision : output.decisions()) {
      if (decision.cpu == kAnyCpu) continue;
      ++named;
      ASSERT_NE(masks[decision.task] >> decision.cpu & 1, 0u) << "step " << step.input.number;
    }
  }
  RecordProperty("named", std::to_string(named));
}

TEST_P(PolicyTest, EveryRunnableTaskRunsWithinABound) {
  // 20 busy tasks and 20 sleepy ones per CPU, of all weights that nice gives.
  Machine machine({.cpus = 2, .seed = 7}, info());
  Prng random = Prng::seeded(7);
  for (int i = 0; i < 40; ++i) {
    const u32 weight = static_cast<u32>(i % 4 == 0 ? random.between(1, 8846) : 100);
    machine.spawn(test::hog(weight));
    machine.spawn(test::sleeper(random.between(1000, 5 * kNsPerMs), random.between(1000, 50 * kNsPerMs), weight));
  }
  machine.run_for(60 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_LT(machine.max_wait_ns(), 25 * kNsPerSec) << "the kernel's watchdog waits for 30 s";
}

TEST_P(PolicyTest, SameInputsSameDecisionsAndStates) {
  Machine machine({.cpus = 3, .seed = 8, .lost_notices_per_mille = 50, .faults_per_mille = 100, .log = true}, info());
  run_workload(machine, 8, 3, 40);
  ASSERT_EQ(machine.violation(), "");
  ASSERT_GT(machine.log().size(), 500u);
  const auto again = engine({3, 256}, 8);
  StepOutput output;
  for (const LoggedStep& step : machine.log()) {
    ASSERT_TRUE(again->step(step.input, output));
    ASSERT_TRUE(std::ranges::equal(output.decisions(), step.decisions)) << "step " << step.input.number;
    ASSERT_TRUE(std::ranges::equal(output.preempts(), step.preempts));
    ASSERT_EQ(output.wake_at_ns, step.wake_at_ns);
    ASSERT_EQ(output.more, step.more);
    ASSERT_EQ(again->state_hash(), step.state_hash) << "step " << step.input.number;
  }
}

TEST_P(PolicyTest, GoesOnTheSameFromASnapshot) {
  Machine machine({.cpus = 3, .seed = 9, .room = 2, .faults_per_mille = 100, .log = true}, info());
  run_workload(machine, 9, 3, 40);
  ASSERT_EQ(machine.violation(), "");
  const auto first = engine({3, 256}, 9);
  StepOutput output;
  std::vector<std::byte> snapshot;
  for (const LoggedStep& step : machine.log()) {
    ASSERT_TRUE(first->step(step.input, output));
    if (step.input.number != machine.log().size() / 2) continue;
    first->snapshot(snapshot);
    break;
  }
  const auto second = engine({3, 256}, 77);
  ASSERT_TRUE(second->restore(snapshot));
  for (const LoggedStep& step : machine.log()) {
    if (step.input.number <= second->last_step()) continue;
    ASSERT_TRUE(second->step(step.input, output));
    ASSERT_TRUE(std::ranges::equal(output.decisions(), step.decisions)) << "step " << step.input.number;
    ASSERT_EQ(second->state_hash(), step.state_hash) << "step " << step.input.number;
  }
}

TEST_P(PolicyTest, SnapshotHoldsTheWholeState) {
  const Limits limits{3, 512};
  const auto original = engine(limits);
  Prng random = Prng::seeded(10);
  StepOutput output;
  for (u64 number = 1; number <= 2000; ++number) {
    std::array<Event, 8> events;
    for (Event& made : events) made = test::arbitrary_event(random, {3, static_cast<u32>(1 + number / 10)});
    for (Event& made : events)
      made.task = made.task == kNoTask ? 0 : made.task % 256;  // half of the table stays unused
    const StepInput input{
        .number = number, .now_ns = number * kNsPerMs, .events = events, .room = number % 2 ? 9u : 1u};
    ASSERT_TRUE(original->step(input, output));
  }
  std::vector<std::byte> snapshot;
  original->snapshot(snapshot);
  const auto copy = engine(limits);
  ASSERT_TRUE(copy->restore(snapshot));
  EXPECT_TRUE(std::ranges::equal(copy->memory(), original->memory())) << "state beyond the used part of the block";
}

TEST_P(PolicyTest, SurvivesArbitraryEvents) {
  for (u64 seed = 1; seed <= 20; ++seed) {
    const Limits limits{static_cast<u32>(1 + seed * 7 % 130), static_cast<u32>(1 + seed % 5 * 13)};
    const auto made = engine(limits, seed);
    Prng random = Prng::seeded(seed);
    StepOutput output;
    std::vector<Event> events;
    for (u64 number = 1; number <= 1000; ++number) {
      events.resize(random.below(40));
      for (Event& event : events) event = test::arbitrary_event(random, limits);
      const std::array<u64, 3> idle = {random.next(), random.next(), random.next()};
      const StepInput input{.number = number,
                            .now_ns = random.next() >> random.below(64),
                            .events = events,
                            .idle = std::span(idle).first(random.below(4)),
                            .room = static_cast<u32>(random.chance(1, 4) ? random.next() : random.below(30)),
                            .flags = static_cast<u32>(random.next()),
                            .lost_events = random.next()};
      const Expected<void> result = made->step(input, output);
      ASSERT_TRUE(result) << result.error().what << ", seed " << seed << ", step " << number;
      for (const Decision& decision : output.decisions()) ASSERT_FALSE(made->task(decision.task).held());
    }
    // Whatever happened: with room and without events all that is held is handed down, or a time is named.
    ASSERT_TRUE(made->step({.number = 1001, .now_ns = ~u64{0} >> 1, .room = kMaxDecisionsPerStep}, output));
    EXPECT_TRUE(made->held() == 0 || output.more || output.wake_at_ns != 0) << "seed " << seed;
  }
}

TEST_P(PolicyTest, WorksWithAFullTable) {
  constexpr u32 kTasks = 3000;
  const auto made = engine({4, kTasks});
  StepOutput output;
  std::vector<u32> decided(kTasks, 0);
  u64 number = 0;
  const auto step = [&](std::span<const Event> events) {
    REPRISE_CHECK(made->step({.number = ++number, .now_ns = number * 1000, .events = events, .room = 64}, output));
    for (const Decision& decision : output.decisions()) decided[decision.task] += 1;
  };
  std::vector<Event> events;
  for (TaskSlot slot = 0; slot < kTasks; ++slot) {
    events.push_back(test::task_new(slot));
    events.push_back(test::enqueue(slot, 1));
    if (events.size() >= kMaxEventsPerStep - 1 || slot == kTasks - 1) step(std::exchange(events, {}));
  }
  for (int i = 0; i < 1000 && made->held() > 0; ++i) step({});
  EXPECT_EQ(made->held(), 0u);
  EXPECT_TRUE(std::ranges::all_of(decided, [](u32 count) { return count == 1; }));
}

TEST_P(PolicyTest, AllocatesNothingAfterTheStart) {
  Machine machine({.cpus = 3, .seed = 12, .faults_per_mille = 100, .log = true}, info());
  run_workload(machine, 12, 3, 40);
  const auto again = engine({3, 256}, 12);
  StepOutput output;
  const u64 before = test::allocations();
  for (const LoggedStep& step : machine.log()) REPRISE_CHECK(again->step(step.input, output).has_value());
  EXPECT_EQ(test::allocations(), before);
  EXPECT_EQ(again->state_hash(), machine.log().back().state_hash);
}

INSTANTIATE_TEST_SUITE_P(All, PolicyTest, testing::ValuesIn([] {
                           std::vector<const PolicyInfo*> rows;
                           for (const PolicyInfo& row : policies()) rows.push_back(&row);
                           return rows;
                         }()),
                         [](const auto& test) { return std::string(test.param->name); });

}  // namespace
}  // namespace reprise
