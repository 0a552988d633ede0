// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/kernel_model.h"

#include <algorithm>
#include <cstring>

#include "sim/kernel/machine.h"

namespace reprise::sim {

KernelModel::KernelModel(std::unique_ptr<Machine> machine) : machine_(std::move(machine)) {}
KernelModel::~KernelModel() = default;

Expected<std::unique_ptr<KernelModel>> KernelModel::create(const SimOptions& options, Behaviour& behaviour,
                                                           EventSink* events, StepSink* steps) {
  if (options.topology.size() < 1 || options.topology.size() > kMaxCpus)
    return fail(ExitCode::kUsage, std::to_string(options.topology.size()) + " CPUs are out of range", {},
                "range: 1.." + std::to_string(kMaxCpus));
  if (options.hz < 100 || options.hz > 10'000)
    return fail(ExitCode::kUsage, std::to_string(options.hz) + " ticks per second are out of range", {},
                "range: 100..10000");
  std::unique_ptr<KernelModel> kernel(new KernelModel(std::make_unique<Machine>(options, behaviour, events, steps)));
  kernel->machine_->kernel = kernel.get();
  const Here here(*kernel->machine_);
  if (auto begun = kernel->machine_->begin(); !begun) return std::unexpected(begun.error());
  return kernel;
}

Expected<void> KernelModel::run_until(u64 end_ns) {
  const Here here(*machine_);
  return machine_->run_until(end_ns);
}
void KernelModel::stop() { machine_->stopped = true; }
u64 KernelModel::now() const { return machine_->now; }
u64 KernelModel::tick_ns() const { return machine_->tick_ns; }

TaskId KernelModel::create(const TaskInfo& info) {
  const Here here(*machine_);
  return machine_->create(info);
}
void KernelModel::start(TaskId task) {
  const Here here(*machine_);
  machine_->start(task);
}
void KernelModel::wake(TaskId task, WakeContext context, bool sync) {
  const Here here(*machine_);
  machine_->wake(task, static_cast<trace::WakeContext>(context), sync);
}
void KernelModel::arm(u64 at_ns, u64 cookie, u32 cpu, u64 slack_ns) {
  Machine& m = *machine_;
  // A recorded CPU that this machine does not have: another one stands for it.
  const u32 where = cpu == kThisCpu ? m.here : cpu % m.cpu_count();
  TaskId sleeper = kNoTaskId;
  if (m.where != Where::kOutside) {
    const TaskId curr = m.cpus[m.here].curr;
    if (m.where == Where::kTask) sleeper = curr;
    m.emit(trace::KernelEventType::kTimer, m.here, curr == kNoTaskId ? 0 : m.tasks[curr].ts.pid,
           u8{trace::kTimerSleep} | u8{trace::kTimerArmed},
           sleeper == kNoTaskId ? 0 : static_cast<u32>(m.tasks[sleeper].ts.pid), at_ns, slack_ns);
  }
  m.arm(where,
        {.at = at_ns, .soft = at_ns - std::min(at_ns, slack_ns), .order = 0, .cookie = cookie, .sleeper = sleeper});
}
void KernelModel::exit_begins(TaskId task) { machine_->exit_begins(task); }
void KernelModel::leaves_group(TaskId task) {
  Machine& m = *machine_;
  if (m.tasks[task].on_cpu) m.resched(m.tasks[task].cpu);
}
u64 KernelModel::undisturbed() const { return machine_->undisturbed(); }
void KernelModel::set_affinity(TaskId task, const CpuSet& set) {
  const Here here(*machine_);
  machine_->set_affinity(task, set);
}
void KernelModel::set_weight(TaskId task, u32 weight) {
  const Here here(*machine_);
  machine_->set_weight(task, weight);
}
void KernelModel::set_migration_disabled(TaskId task, bool disabled) {
  machine_->tasks[task].migration_disabled = disabled;
}
void KernelModel::rename(TaskId id, std::string_view comm) {
  Task& task = machine_->tasks[id];
  std::memset(task.ts.comm, 0, sizeof task.ts.comm);
  std::memcpy(task.ts.comm, comm.data(), std::min(comm.size(), sizeof task.ts.comm - 1));
  machine_->emit_name(task);
}

u32 KernelModel::tasks() const { return machine_->tasks.size(); }
bool KernelModel::quiet() const {
  const Machine& m = *machine_;
  if (m.timers_armed != 0) return false;
  u64 runnable = 0;
  for (const Cpu& cpu : m.cpus) {
    runnable += cpu.runnable;
    if (cpu.wake_list != kNoTaskId) return false;
  }
  const bool scheduler_runs = m.scheduler != kNoTaskId && m.tasks[m.scheduler].state == RunState::kRunnable;
  return runnable == (scheduler_runs ? 1 : 0);
}
u32 KernelModel::cpus() const { return machine_->cpu_count(); }
u32 KernelModel::cpu_of(TaskId task) const { return machine_->tasks[task].cpu; }
bool KernelModel::blocked(TaskId task) const { return machine_->tasks[task].state == RunState::kBlocked; }
i32 KernelModel::tid_of(TaskId task) const { return machine_->tasks[task].ts.pid; }
u64 KernelModel::cpu_time(TaskId task) const { return machine_->tasks[task].ts.se.sum_exec_runtime; }
TaskId KernelModel::running(u32 cpu) const {
  const TaskId curr = machine_->cpus[cpu].curr;
  return curr == machine_->scheduler ? kNoTaskId : curr;
}

void KernelModel::steal(u32 cpu, u64 at_ns, u64 duration_ns, trace::IrqKind kind, u32 number) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(at_ns, {.kind = EventKind::kSteal, .what = kind, .cpu = cpu, .a = duration_ns, .b = number});
}
void KernelModel::preempt(u32 cpu, u64 at_ns, u64 duration_ns, trace::TaskClass task_class, i32 tid) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(
      at_ns,
      {.kind = EventKind::kPreempt, .what = task_class, .cpu = cpu, .a = duration_ns, .b = static_cast<u64>(tid)});
}
void KernelModel::set_online(u32 cpu, bool online, u64 at_ns) {
  REPRISE_CHECK(cpu < cpus());
  machine_->event_at(at_ns, {.kind = EventKind::kOnline, .what = online, .cpu = cpu});
}

u64 KernelModel::hash() const { return machine_->hash_; }
const SimCounters& KernelModel::counters() const { return machine_->counters; }
std::size_t KernelModel::bytes_per_task() const { return sizeof(Task) + sizeof(slot) + sizeof(u32); }
const Engine* KernelModel::engine() const { return machine_->engine.get(); }
u64 KernelModel::dispatcher_counter(u32 index) const {
  if (!machine_->state || index >= sizeof(wire_cpu_counters) / sizeof(wire_u64)) return 0;
  u64 sum = reinterpret_cast<const wire_u64*>(&machine_->before)[index];
  if (!machine_->attached) return sum;
  for (u32 cpu = 0; cpu < machine_->cpu_count(); ++cpu)
    sum += reinterpret_cast<const wire_u64*>(&machine_->state->counters_value[cpu])[index];
  return sum;
}

}  // namespace reprise::sim
