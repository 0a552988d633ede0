// SPDX-License-Identifier: GPL-2.0-only
// CPUs that come and go (sched_cpu_deactivate, rq_offline_scx, handle_hotplug).
#include "sim/kernel/fair.h"
#include "sim/kernel/machine.h"

namespace reprise::sim {

void Machine::set_online(u32 cpu, bool online) {
  Cpu& c = cpus[cpu];
  if (c.online == online) return;
  here = cpu;
  if (online) {
    c.online = c.active = true;
    c.idle_since = now;
    online_mask.bits[cpu / 64] |= 1ull << (cpu % 64);
    --offline;
    emit(trace::KernelEventType::kCpu, cpu, 0, 1, cpu, 0, 0);
    if (ext())
      update_idle(cpu, true, true);
    else
      idle.set(cpu, true);
    if (ext()) begin_restart("CPU came");
    return;
  }
  u32 others = 0;
  for (const auto word : online_mask.bits) others += static_cast<u32>(std::popcount(u64{word}));
  if (others < 2) return;
  online_mask.bits[cpu / 64] &= ~(1ull << (cpu % 64));
  c.active = false;
  ++offline;
  emit(trace::KernelEventType::kCpu, cpu, 0, 0, cpu, 0, 0);
  if (ext()) begin_restart("CPU went");
  // Its task is stopped and everything that waits on it goes elsewhere (migration_cpu_stop, balance_push).
  if (c.curr != kNoTaskId) {
    update_curr(cpu);
    const TaskId gone = scheduled_away(cpu);
    switch_to(cpu, gone, kNoTaskId, 0);
  }
  c.foreign = false;
  for (TaskId id = 0; id < tasks.size(); ++id) {
    Task& task = tasks[id];
    if (task.cpu == cpu && task.delayed) fair->finish_delayed(task);
    if (task.cpu != cpu || task.state != RunState::kRunnable || task.on_cpu) continue;
    migrate_waiting(task, any_allowed(task, cpu));
  }
  idle.take(cpu);
  idle.set(cpu, false);
  c.online = false;
  c.need_resched = c.need_resched_lazy = false;
  clock.clear(cpu);
  run_kicks();
}

}  // namespace reprise::sim
