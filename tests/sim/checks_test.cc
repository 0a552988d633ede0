// SPDX-License-Identifier: GPL-2.0-only
// Each fault does what it is called, and each invariant notices when it is broken.
#include <gtest/gtest.h>

#include <cstddef>

#include "sim/kernel/machine.h"
#include "tests/sim/loads.h"

namespace reprise::test {
namespace {

using sim::FaultOptions;
using sim::KernelModel;

// ---- faults ----

class MostDecisions final : public sim::StepSink {
 public:
  void step(const StepInput&, const StepOutput& output, u64) override { most = std::max(most, output.decision_count); }
  u32 most = 0;
};

struct Seen {
  u64 fallback, lost, busy, dequeued, cancelled, sessions, interrupts;
  u32 most_decisions;
};

Seen run_with(const FaultOptions& faults) {
  sim::SimOptions options = machine_of(2);
  options.faults = faults;
  Load load(1);
  KeptEvents events;
  MostDecisions steps;
  auto made = KernelModel::create(options, load, &events, &steps);
  EXPECT_TRUE(made.has_value());
  KernelModel& kernel = **made;
  load.groups(kernel, 2, 5, 20'000);
  const auto done = kernel.run_until(kNsPerSec / 2);
  EXPECT_TRUE(done.has_value()) << done.error().what;
  const auto counter = [&](std::size_t offset) {
    return kernel.dispatcher_counter(static_cast<u32>(offset / sizeof(wire_u64)));
  };
  return {.fallback = counter(offsetof(wire_cpu_counters, fallback)),
          .lost = kernel.counters().events_lost,
          .busy = counter(offsetof(wire_cpu_counters, drain_busy)),
          .dequeued = counter(offsetof(wire_cpu_counters, dequeued)),
          .cancelled = counter(offsetof(wire_cpu_counters, cancelled)),
          .sessions = kernel.counters().sessions,
          .interrupts = events.of(trace::KernelEventType::kIrq).size(),
          .most_decisions = steps.most};
}

TEST(FaultTest, WithoutFaultsNothingGoesWrong) {
  const Seen seen = run_with({});
  EXPECT_EQ(seen.fallback + seen.lost + seen.busy + seen.dequeued + seen.cancelled + seen.interrupts, 0u);
  EXPECT_EQ(seen.sessions, 1u);
  EXPECT_GT(seen.most_decisions, 1u);
}
TEST(FaultTest, ALateSchedulerIsReplacedByTheFallback) {
  EXPECT_GT(run_with({.late_per_mille = 100, .late_ns = 400 * kNsPerMs}).fallback, 0u);
}
TEST(FaultTest, LostEventsAreCounted) { EXPECT_GT(run_with({.lost_per_mille = 50}).lost, 0u); }
TEST(FaultTest, AFullRingTakesOneDecisionAtATime) { EXPECT_EQ(run_with({.full_per_mille = 1000}).most_decisions, 1u); }
TEST(FaultTest, ABusyDrainIsTriedAgain) { EXPECT_GT(run_with({.busy_per_mille = 300}).busy, 0u); }
TEST(FaultTest, ATaskIsTakenBackBetweenInsertionAndFlush) {
  EXPECT_GT(run_with({.requeue_per_mille = 100}).dequeued, 0u);
}
TEST(FaultTest, ATaskIsTakenBackWhileThePolicyHasIt) {
  EXPECT_GT(run_with({.full_per_mille = 500, .renice_per_mille = 300}).dequeued, 0u);
}
TEST(FaultTest, AStaleDecisionIsCancelled) { EXPECT_GT(run_with({.stale_per_mille = 300}).cancelled, 0u); }
TEST(FaultTest, HotplugBeginsANewSession) { EXPECT_GT(run_with({.hotplug_every_ns = 80 * kNsPerMs}).sessions, 1u); }
TEST(FaultTest, AStormIsManyInterrupts) {
  EXPECT_GT(run_with({.storm_every_ns = 20 * kNsPerMs, .storm_ns = 5 * kNsPerMs}).interrupts, 100u);
}

// ---- invariants ----

sim::Task& waiting_task(sim::Machine& m) {
  for (sim::TaskId id = 0; id < m.tasks.size(); ++id) {
    sim::Task& task = m.tasks[id];
    if (id != m.scheduler && task.state == sim::RunState::kRunnable && !task.on_cpu) return task;
  }
  ADD_FAILURE() << "no task waits";
  return m.tasks[0];
}
sim::Task& running_task(sim::Machine& m) {
  for (sim::Cpu& cpu : m.cpus)
    if (cpu.curr != sim::kNoTaskId) return m.tasks[cpu.curr];
  ADD_FAILURE() << "no task runs";
  return m.tasks[0];
}

struct Breach {
  const char* name;
  const char* says;
  void (*make)(sim::Machine&);
};
const Breach kBreaches[] = {
    {"TaskLost", "a task is lost",
     [](sim::Machine& m) {
       sim::Task& task = waiting_task(m);
       task.dsq = sim::kNoDsq;
       task.ops_state = sim::OpsState::kNone;
     }},
    {"TwoPlaces", "in more than one place",
     [](sim::Machine& m) { running_task(m).ops_state = sim::OpsState::kQueued; }},
    {"SleeperQueued", "that is not runnable waits",
     [](sim::Machine& m) { waiting_task(m).state = sim::RunState::kBlocked; }},
    {"TwoCpus", "believes that it runs",
     [](sim::Machine& m) {
       sim::Task& task = waiting_task(m);
       task.on_cpu = true;
       task.dsq = sim::kNoDsq;
       task.ops_state = sim::OpsState::kNone;
     }},
    {"Affinity", "runs where it may not",
     [](sim::Machine& m) {
       static cpumask other;
       sim::Task& task = running_task(m);
       other = {};
       other.bits[0] = 1ull << (1 - task.cpu);
       task.ts.cpus_ptr = &other;
     }},
    {"CpuTime", "gave more time than there was", [](sim::Machine& m) { m.cpus[0].exec_sum = m.now + 1; }},
    {"TaskTime", "ran for longer than there was time",
     [](sim::Machine& m) { running_task(m).ts.se.sum_exec_runtime = m.now + 1; }},
    {"Bound", "has waited for",
     [](sim::Machine& m) {
       m.now += 2 * m.options.bound_ns;
       waiting_task(m).changed_at = 0;
     }},
    {"WorkConserving", "is idle beside a task",
     [](sim::Machine& m) {
       sim::Task& task = waiting_task(m);
       task.dsq = m.cpu_count();  // the shared queue
       task.ops_state = sim::OpsState::kNone;
       m.now += 50 * kNsPerMs;
       task.changed_at = 0;
       for (sim::Cpu& cpu : m.cpus) {
         cpu.curr = sim::kNoTaskId;
         cpu.need_resched = false;
         cpu.idle_since = 0;
       }
       m.check_idle(0);
     }},
    {"CpuCounts", "miscounts its tasks", [](sim::Machine& m) { ++m.cpus[1].runnable; }},
    {"IdleMask", "is busy and called idle", [](sim::Machine& m) { m.idle.set(running_task(m).cpu, true); }},
};

class InvariantTest : public ::testing::TestWithParam<Breach> {};

TEST_P(InvariantTest, IsNoticedWhenItIsBroken) {
  sim::SimOptions options = machine_of(2);
  options.check_every = 1;
  Load load(1);
  auto made = KernelModel::create(options, load);
  ASSERT_TRUE(made.has_value());
  KernelModel& kernel = **made;
  for (int i = 0; i < 6; ++i) load.spinner(kernel);
  ASSERT_TRUE(kernel.run_until(kNsPerSec / 2).has_value());
  sim::Machine& m = kernel.machine();
  m.check_all();
  ASSERT_FALSE(m.error.has_value()) << m.error->what;
  GetParam().make(m);
  m.check_all();
  ASSERT_TRUE(m.error.has_value());
  EXPECT_NE(m.error->what.find(GetParam().says), std::string::npos) << m.error->what;
}

INSTANTIATE_TEST_SUITE_P(Each, InvariantTest, ::testing::ValuesIn(kBreaches),
                         [](const auto& which) { return which.param.name; });

}  // namespace
}  // namespace reprise::test
