// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/script.h"

#include <gtest/gtest.h>

namespace reprise::test {

using sim::Action;
using sim::Kernel;
using sim::Next;
using sim::TaskId;
using trace::KernelEvent;
using trace::KernelEventType;

namespace {
constexpr u64 kWakeCookie = u64{1} << 63;  // a timer that wakes the task below; else it makes call number so and so
}

TaskId Script::add(Kernel& kernel, Step step, const sim::TaskInfo& info) {
  const TaskId id = kernel.create(info);
  if (id >= steps_.size()) steps_.resize(id + 1);
  steps_[id] = std::move(step);
  if (info.state == sim::TaskState::kNew) kernel.start(id);
  return id;
}

void Script::at(Kernel& kernel, u64 at_ns, std::function<void(Kernel&)> call, u32 cpu) {
  calls_.push_back(std::move(call));
  kernel.arm(at_ns, calls_.size() - 1, cpu);
}

Script::Step Script::spin() {
  return [](Kernel&, TaskId) { return Action{Next::kRun, kNsPerSec}; };
}
Script::Step Script::serve(u64 run_ns) {
  return [run_ns, ran = true](Kernel&, TaskId) mutable {
    ran = !ran;
    return ran ? Action{Next::kBlock} : Action{Next::kRun, run_ns};
  };
}
Script::Step Script::once(u64 run_ns) {
  return [run_ns, ran = false](Kernel&, TaskId) mutable {
    if (ran) return Action{Next::kExit};
    ran = true;
    return Action{Next::kRun, run_ns};
  };
}
Script::Step Script::periodic(u64 run_ns, u64 sleep_ns) {
  return [run_ns, sleep_ns, ran = false](Kernel& kernel, TaskId id) mutable {
    ran = !ran;
    if (ran) return Action{Next::kRun, run_ns};
    kernel.arm(kernel.now() + sleep_ns, kWakeCookie | id);
    return Action{Next::kBlock};
  };
}

Action Script::next(Kernel& kernel, TaskId id) {
  const Step& step = steps_[id];
  return step ? step(kernel, id) : Action{Next::kBlock};
}

void Script::timer(Kernel& kernel, u64 cookie) {
  if (cookie & kWakeCookie)
    kernel.wake(static_cast<TaskId>(cookie), sim::WakeContext::kHardirq);
  else
    calls_[cookie](kernel);
}

Stage::Stage(const sim::SimOptions& options) {
  auto made = sim::KernelModel::create(options, script, &kept);
  EXPECT_TRUE(made.has_value()) << made.error().what;
  kernel = std::move(*made);
}

void Stage::run(u64 until_ns) {
  const auto done = kernel->run_until(until_ns);
  ASSERT_TRUE(done.has_value()) << done.error().what << ' ' << done.error().where;
}

std::vector<KernelEvent> Stage::of(KernelEventType type, u64 from_ns) const {
  std::vector<KernelEvent> found;
  for (const KernelEvent& event : kept.events)
    if (event.type == type && event.time_ns >= from_ns) found.push_back(event);
  return found;
}

std::vector<u64> Stage::latencies(TaskId task) const {
  std::vector<u64> found;
  u64 woken = 0;
  for (const KernelEvent& event : kept.events) {
    if (event.tid != tid(task)) continue;
    if (event.type == KernelEventType::kWaking && !(event.flags & trace::kWakeRunnable)) woken = event.time_ns;
    if (event.type == KernelEventType::kSwitch && woken != 0) {
      found.push_back(event.time_ns - woken);
      woken = 0;
    }
  }
  return found;
}

std::vector<u64> Stage::runs(TaskId task) const {
  std::vector<u64> found;
  u64 since = 0;
  for (const KernelEvent& event : kept.events) {
    if (event.type != KernelEventType::kSwitch) continue;
    if (static_cast<i32>(event.a) == tid(task)) found.push_back(event.time_ns - since);
    if (event.tid == tid(task)) since = event.time_ns;
  }
  return found;
}

std::vector<i32> Stage::order(u32 cpu, u64 from_ns) const {
  std::vector<i32> found;
  for (const KernelEvent& event : of(KernelEventType::kSwitch, from_ns))
    if (event.cpu == cpu && event.tid != 0) found.push_back(event.tid);
  return found;
}

double Stage::share(TaskId task) const {
  return static_cast<double>(kernel->cpu_time(task)) / static_cast<double>(kernel->now());
}

sim::CpuSet only(std::initializer_list<u32> cpus) {
  sim::CpuSet set;
  for (const u32 cpu : cpus) set.set(cpu);
  return set;
}

}  // namespace reprise::test
