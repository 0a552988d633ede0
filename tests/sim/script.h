// SPDX-License-Identifier: GPL-2.0-only
// Tasks whose every action a test writes down, and what became of them, read from the events.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "sim/kernel/kernel_model.h"
#include "tests/sim/loads.h"

namespace reprise::test {

/// A task asks its function what to do next; one without a function sleeps until it is woken, then asks again.
class Script final : public sim::Behaviour {
 public:
  using Step = std::function<sim::Action(sim::Kernel&, sim::TaskId)>;

  /// Creates a task and starts it, unless it is to begin blocked.
  sim::TaskId add(sim::Kernel&, Step, const sim::TaskInfo& = {});
  /// At `at_ns`, in hardirq context on `cpu`.
  void at(sim::Kernel&, u64 at_ns, std::function<void(sim::Kernel&)>, u32 cpu = sim::kThisCpu);

  // Ready-made steps.
  [[nodiscard]] static Step spin();
  /// Runs for run_ns, sleeps until woken, for ever.
  [[nodiscard]] static Step serve(u64 run_ns);
  [[nodiscard]] static Step once(u64 run_ns);
  /// Runs for run_ns, then sleeps for sleep_ns by a timer.
  [[nodiscard]] Step periodic(u64 run_ns, u64 sleep_ns);

  sim::Action next(sim::Kernel&, sim::TaskId) override;
  void timer(sim::Kernel&, u64 cookie) override;

 private:
  std::deque<Step> steps_;  // stays where it is while a step adds tasks
  std::deque<std::function<void(sim::Kernel&)>> calls_;
};

/// A kernel of `options` whose events are kept.
struct Stage {
  explicit Stage(const sim::SimOptions& options);
  /// Fails the test on an error.
  void run(u64 until_ns);
  /// The events of one type since `from_ns`.
  [[nodiscard]] std::vector<trace::KernelEvent> of(trace::KernelEventType, u64 from_ns = 0) const;
  /// From each wakeup of the task until it has a CPU.
  [[nodiscard]] std::vector<u64> latencies(sim::TaskId) const;
  /// How long it ran each time that it had a CPU.
  [[nodiscard]] std::vector<u64> runs(sim::TaskId) const;
  /// The tids that were switched to on the CPU, idle left out.
  [[nodiscard]] std::vector<i32> order(u32 cpu, u64 from_ns = 0) const;
  [[nodiscard]] i32 tid(sim::TaskId task) const { return kernel->tid_of(task); }
  [[nodiscard]] double share(sim::TaskId task) const;

  Script script;
  KeptEvents kept;
  std::unique_ptr<sim::KernelModel> kernel;
};

[[nodiscard]] sim::CpuSet only(std::initializer_list<u32> cpus);

}  // namespace reprise::test
