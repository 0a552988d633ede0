// SPDX-License-Identifier: GPL-2.0-only
// Where the kernel's and the scheduler's own work takes its time: what one cost more makes how much later.
#include <gtest/gtest.h>

#include "sim/kernel/machine.h"
#include "tests/sim/planned_policy.h"
#include "tests/sim/script.h"

namespace reprise::test {
namespace {

using sim::Costs;
using sim::Here;
using sim::Machine;
using trace::KernelEventType;

constexpr u64 kAt = 20 * kNsPerMs + kNsPerMs / 2;  // away from ticks

sim::SimOptions options_of(u32 cpus, const Costs& costs) {
  sim::SimOptions options = machine_of(cpus);
  options.policy = &planned([](Context&, TaskSlot) { return std::optional(Verdict{.slice_ns = kNsPerSec}); });
  options.check_every = 1;
  options.costs = costs;
  return options;
}

// From a wakeup, on an idle machine with one CPU, until the woken task runs.
u64 wakeup_latency(const Costs& costs) {
  Stage stage(options_of(1, costs));
  const sim::TaskId task =
      stage.script.add(*stage.kernel, Script::serve(1'000), {.cpu = 0, .state = sim::TaskState::kBlocked});
  stage.script.at(*stage.kernel, kAt, [task](sim::Kernel& kernel) { kernel.wake(task, sim::WakeContext::kHardirq); });
  stage.run(30 * kNsPerMs);
  const auto waits = stage.latencies(task);
  EXPECT_EQ(waits.size(), 1u);
  return waits.empty() ? 0 : waits[0];
}

TEST(CostsTest, TheSchedulerComesStepsAndLeavesBeforeItsDecisionsAreCarriedOut) {
  const Costs costs;
  Costs more = costs;
  more.enter = 50'000 + costs.context_switch;  // instead of that
  EXPECT_EQ(wakeup_latency(more), wakeup_latency(costs) + 50'000);
  more.leave = 70'000;
  EXPECT_EQ(wakeup_latency(more), wakeup_latency(costs) + 120'000);
  more.step += 30'000;
  EXPECT_EQ(wakeup_latency(more), wakeup_latency(costs) + 150'000);
  more.leave_decision = 10'000;
  EXPECT_EQ(wakeup_latency(more), wakeup_latency(costs) + 160'000);
}

TEST(CostsTest, TheStepSeesWhatHappenedWhileTheSchedulerCame) {
  struct Steps final : sim::StepSink {
    void step(const StepInput& input, const StepOutput&, u64) override {
      if (input.now_ns > kAt) events.push_back(input.events.size());
    }
    std::vector<std::size_t> events;
  };
  const auto events_of_first = [](u64 enter) {
    Costs costs;
    costs.enter = enter;
    Script script;
    Steps steps;
    auto kernel = sim::KernelModel::create(options_of(1, costs), script, nullptr, &steps);
    EXPECT_TRUE(kernel);
    for (u64 i = 0; i < 2; ++i) {
      const sim::TaskId task =
          script.add(**kernel, Script::serve(1'000), {.cpu = 0, .state = sim::TaskState::kBlocked});
      script.at(**kernel, kAt + i * 40'000, [task](sim::Kernel& to) { to.wake(task, sim::WakeContext::kHardirq); });
    }
    EXPECT_TRUE((*kernel)->run_until(30 * kNsPerMs));
    return steps.events.empty() ? 0 : steps.events.front();
  };
  const std::size_t one = events_of_first(0);
  EXPECT_GT(events_of_first(100'000), one);
}

// When the scheduler comes for the second of two wakeups, for which the limit of kicks makes it wait for a timer.
u64 put_off_until(const Costs& costs) {
  const sim::SimOptions options = options_of(1, costs);
  Stage stage(options);
  for (int i = 0; i < 3; ++i) stage.script.add(*stage.kernel, Script::spin(), {});
  for (const u64 at : {kAt, kAt + 50'000}) {
    const sim::TaskId task =
        stage.script.add(*stage.kernel, Script::serve(1'000), {.cpu = 0, .state = sim::TaskState::kBlocked});
    stage.script.at(*stage.kernel, at, [task](sim::Kernel& kernel) { kernel.wake(task, sim::WakeContext::kHardirq); });
  }
  stage.run(30 * kNsPerMs);
  for (const auto& event : stage.of(KernelEventType::kSwitch, kAt + 60'000))
    if (event.tid == options.scheduler_tid) return event.time_ns - kAt;
  ADD_FAILURE() << "it does not come";
  return 0;
}

TEST(CostsTest, ATimerOfTheDispatchersIsServedInASoftirq) {
  const Costs costs;
  Costs more = costs;
  more.soft_timer = 30'000;
  EXPECT_GT(put_off_until(costs), kNsPerUs * machine_of(1).kick_interval_us);
  EXPECT_EQ(put_off_until(more), put_off_until(costs) + 30'000);
}

// From a kick by CPU 0 until CPU 1 switches to another task.
u64 kick_latency(const Costs& costs) {
  Stage stage(options_of(2, costs));
  for (u32 cpu = 0; cpu < 2; ++cpu)
    for (int i = 0; i < 2; ++i) stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({cpu})});
  Machine& machine = stage.kernel->machine();
  stage.script.at(
      *stage.kernel, kAt,
      [&machine](sim::Kernel&) {
        const Here here(machine);
        machine.kick(1, sim::kKickPreempt);
      },
      0);
  stage.run(30 * kNsPerMs);
  for (const auto& event : stage.of(KernelEventType::kSwitch, kAt))
    if (event.cpu == 1) return event.time_ns - kAt;
  ADD_FAILURE() << "no switch on CPU 1";
  return 0;
}

TEST(CostsTest, AnotherCpuIsInterruptedAndThenPreempted) {
  const Costs costs;
  Costs more = costs;
  more.wakeup_ipi += 40'000;
  EXPECT_EQ(kick_latency(more), kick_latency(costs) + 40'000);
  more.preempt += 20'000;
  EXPECT_EQ(kick_latency(more), kick_latency(costs) + 60'000);
  more.idle_ipi = 1'000'000;  // it is not idle
  EXPECT_EQ(kick_latency(more), kick_latency(costs) + 60'000);
}

TEST(CostsTest, AnIdleCpuTakesLongerToBeInterrupted) {
  const auto latency = [](const Costs& costs) {
    Stage stage(options_of(2, costs));
    stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0})});
    const sim::TaskId task = stage.script.add(*stage.kernel, Script::serve(1'000),
                                              {.allowed = only({1}), .cpu = 1, .state = sim::TaskState::kBlocked});
    stage.script.at(
        *stage.kernel, kAt, [task](sim::Kernel& kernel) { kernel.wake(task, sim::WakeContext::kHardirq); }, 0);
    stage.run(30 * kNsPerMs);
    const auto waits = stage.latencies(task);
    EXPECT_EQ(waits.size(), 1u);
    return waits.empty() ? 0 : waits[0];
  };
  const Costs costs;
  Costs more = costs;
  more.idle_ipi = 30'000;
  EXPECT_EQ(latency(more), latency(costs) + 30'000);
}

}  // namespace
}  // namespace reprise::test
