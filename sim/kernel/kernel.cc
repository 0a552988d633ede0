// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/kernel.h"

#include <algorithm>
#include <cstring>

#include "sim/kernel/machine.h"

namespace reprise::sim {

Kernel::Kernel(std::unique_ptr<Machine> machine) : machine_(std::move(machine)) {}
Kernel::~Kernel() = default;

Expected<std::unique_ptr<Kernel>> Kernel::create(const SimOptions& options, Behaviour& behaviour, EventSink* events,
                                                 StepSink* steps) {
  if (options.topology.size() < 1 || options.topology.size() > kMaxCpus)
    return fail(ExitCode::kUsage, std::to_string(options.topology.size()) + " CPUs are out of range", {},
                "range: 1.." + std::to_string(kMaxCpus));
  if (options.hz < 100 || options.hz > 10'000)
    return fail(ExitCode::kUsage, std::to_string(options.hz) + " ticks per second are out of range", {},
                "range: 100..10000");
  std::unique_ptr<Kernel> kernel(new Kernel(std::make_unique<Machine>(options, behaviour, events, steps)));
  kernel->machine_->kernel = kernel.get();
  const Here here(*kernel->machine_);
  if (auto begun = kernel->machine_->begin(); !begun) return std::unexpected(begun.error());
  return kernel;
}

Expected<void> Kernel::run_until(u64 end_ns) {
  const Here here(*machine_);
  return machine_->run_until(end_ns);
}
void Kernel::stop() { machine_->stopped = true; }
u64 Kernel::now() const { return machine_->now; }

TaskId Kernel::create(const TaskInfo& info) {
  const Here here(*machine_);
  return machine_->create(info);
}
void Kernel::start(TaskId task) {
  const Here here(*machine_);
  machine_->start(task);
}
void Kernel::wake(TaskId task) { wake(task, machine_->where == Where::kTask ? trace::kWakeTask : trace::kWakeHardirq); }
void Kernel::wake(TaskId task, trace::WakeContext context, bool sync) {
  const Here here(*machine_);
  machine_->wake(task, context, sync);
}
void Kernel::arm(u64 at_ns, u64 cookie, i32 cpu, TaskId sleeper) {
  Machine& m = *machine_;
  const u32 where = cpu >= 0 ? static_cast<u32>(cpu) : m.here;
  REPRISE_CHECK(where < m.cpu_count());
  ++m.timers_armed;
  if (m.where != Where::kOutside) {
    const TaskId curr = m.cpus[m.here].curr;
    m.emit(trace::KernelEventType::kTimer, m.here, curr == kNoTaskId ? 0 : m.tasks[curr].ts.pid,
           u8{trace::kTimerSleep} | u8{trace::kTimerArmed},
           sleeper == kNoTaskId ? 0 : static_cast<u32>(m.tasks[sleeper].ts.pid), at_ns, 0);
  }
  m.event_at(at_ns, {.kind = EventKind::kWorkloadTimer, .cpu = where, .a = cookie, .b = sleeper});
}
void Kernel::set_affinity(TaskId task, const CpuSet& set) {
  const Here here(*machine_);
  machine_->set_affinity(task, set);
}
void Kernel::set_weight(TaskId task, u32 weight) {
  const Here here(*machine_);
  machine_->set_weight(task, weight);
}
void Kernel::set_migration_disabled(TaskId task, bool disabled) { machine_->tasks[task].migration_disabled = disabled; }
void Kernel::rename(TaskId id, std::string_view comm) {
  Task& task = machine_->tasks[id];
  std::memset(task.ts.comm, 0, sizeof task.ts.comm);
  std::memcpy(task.ts.comm, comm.data(), std::min(comm.size(), sizeof task.ts.comm - 1));
  machine_->emit_name(task);
}

u32 Kernel::cpus() const { return machine_->cpu_count(); }
u32 Kernel::cpu_of(TaskId task) const { return machine_->tasks[task].cpu; }
bool Kernel::blocked(TaskId task) const { return machine_->tasks[task].state == RunState::kBlocked; }
i32 Kernel::tid_of(TaskId task) const { return machine_->tasks[task].ts.pid; }
u64 Kernel::cpu_time(TaskId task) const { return machine_->tasks[task].ts.se.sum_exec_runtime; }
TaskId Kernel::running(u32 cpu) const {
  const TaskId curr = machine_->cpus[cpu].curr;
  return curr == machine_->scheduler ? kNoTaskId : curr;
}

void Kernel::steal(u32 cpu, u64 at_ns, u64 duration_ns, trace::IrqKind kind, u32 number) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(at_ns, {.kind = EventKind::kSteal, .what = kind, .cpu = cpu, .a = duration_ns, .b = number});
}
void Kernel::preempt(u32 cpu, u64 at_ns, u64 duration_ns, trace::TaskClass task_class, i32 tid) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(
      at_ns,
      {.kind = EventKind::kPreempt, .what = task_class, .cpu = cpu, .a = duration_ns, .b = static_cast<u64>(tid)});
}
void Kernel::set_online(u32 cpu, bool online, u64 at_ns) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(at_ns, {.kind = EventKind::kOnline, .what = online, .cpu = cpu});
}

u64 Kernel::hash() const { return machine_->hash_; }
const SimCounters& Kernel::counters() const { return machine_->counters; }
std::size_t Kernel::bytes_per_task() const { return sizeof(Task) + sizeof(slot) + sizeof(u32); }
const Engine* Kernel::engine() const { return machine_->engine.get(); }
u64 Kernel::dispatcher_counter(u32 index) const {
  if (!machine_->state || index >= sizeof(wire_cpu_counters) / sizeof(wire_u64)) return 0;
  u64 sum = reinterpret_cast<const wire_u64*>(&machine_->before)[index];
  if (!machine_->attached) return sum;
  for (u32 cpu = 0; cpu < machine_->cpu_count(); ++cpu)
    sum += reinterpret_cast<const wire_u64*>(&machine_->state->counters_value[cpu])[index];
  return sum;
}

}  // namespace reprise::sim
