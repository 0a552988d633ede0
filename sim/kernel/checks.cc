// SPDX-License-Identifier: GPL-2.0-only
// What must hold after every event.
#include "sim/kernel/fair.h"
#include "sim/kernel/machine.h"

namespace reprise::sim {
namespace {
// A CPU may be idle beside work for as long as interrupts, faults and the scheduler take to bring them together.
constexpr u64 kIdleGraceNs = 10 * kNsPerMs;
}  // namespace

void Machine::violated(const std::string& what, const Task* task) {
  std::string text = "an invariant does not hold: " + what;
  if (task)
    text += ": " + std::string(task->ts.comm) + "[" + std::to_string(task->ts.pid) + "] on CPU " +
            std::to_string(task->cpu);
  fail_with(std::move(text));
}

void Machine::check_task(const Task& task) {
  const bool queued = task.dsq != kNoDsq, held = task.ops_state == OpsState::kQueued;
  if (task.state != RunState::kRunnable) {
    if (task.on_cpu) violated("a task that is not runnable has a CPU", &task);
    if (queued || held) violated("a task that is not runnable waits in a queue", &task);
    return;
  }
  const int places_of_it = int{task.on_cpu} + int{fair ? task.fair_queued && !task.on_cpu : queued} + int{held};
  if (places_of_it == 0) violated("a task is lost", &task);
  if (places_of_it > 1) violated("a task is in more than one place", &task);
  if (task.on_cpu) {
    const Cpu& c = cpus[task.cpu];
    if (c.curr != task.id) violated("a task believes that it runs", &task);
    if (!may_use(task, task.cpu) && !c.need_resched && online_mask.bits[task.cpu / 64] != 0) {
      bool any = false;
      for (u32 i = 0; i * 64 < cpu_count(); ++i) any = any || (task.ts.cpus_ptr->bits[i] & online_mask.bits[i]) != 0;
      if (any) violated("a task runs where it may not", &task);
    }
  } else if (now - task.changed_at > options.bound_ns) {
    violated("a runnable task has waited for " + std::to_string((now - task.changed_at) / kNsPerMs) + " ms", &task);
  }
  if (task.ts.se.sum_exec_runtime > now) violated("a task ran for longer than there was time", &task);
}

// Another CPU is on its way to the queue that all share: it was kicked, or is about to look there anyway.
bool Machine::is_fetched(const Task& task) const {
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu)
    if (cpus[cpu].online && cpus[cpu].need_resched && can_run_on(task, cpu)) return true;
  return false;
}

// Work conserving, but for what the policy and the dispatcher hold: no CPU is idle beside a queue with a task for it.
// Between two sessions the kernel itself promises that only when it next balances (bypass_lb_cpu).
void Machine::check_idle(u32 cpu) {
  if (bypassing) return;
  const Cpu& c = cpus[cpu];
  if (!c.online || c.foreign || c.curr != kNoTaskId || c.need_resched || now - c.idle_since < kIdleGraceNs) return;
  for (TaskId id = 0; id < tasks.size(); ++id) {
    const Task& task = tasks[id];
    if (task.state != RunState::kRunnable || task.on_cpu || now - task.changed_at < kIdleGraceNs) continue;
    const bool here_queued =
        fair ? task.fair_queued && task.cpu == cpu : task.dsq == cpu || task.dsq == kNoDsq - 1 - cpu;
    const bool shared = !fair && (task.dsq == cpu_count() || task.dsq == kGlobalDsq);
    if ((here_queued || (shared && !is_fetched(task))) && id != scheduler && can_run_on(task, cpu))
      return violated("CPU " + std::to_string(cpu) + " is idle beside a task that waits for it", &task);
  }
}

void Machine::check_cpu(u32 cpu) {
  const Cpu& c = cpus[cpu];
  const bool busy = c.curr != kNoTaskId || c.foreign;
  const char* what = nullptr;
  if (c.curr != kNoTaskId && (!tasks[c.curr].on_cpu || tasks[c.curr].cpu != cpu))
    what = " runs a task that does not know of it";
  else if (busy && !c.online)
    what = " is off line and runs";
  else if (busy && idle.test(cpu))
    what = " is busy and called idle";
  else if (c.exec_sum > now)
    what = " gave more time than there was";
  if (what) violated("CPU " + std::to_string(cpu) + what, c.curr == kNoTaskId ? nullptr : &tasks[c.curr]);
}

// What the present event has changed, in constant time for each task.
void Machine::check_touched() {
  for (const TaskId id : touched) {
    check_task(tasks[id]);
    check_cpu(tasks[id].cpu);
  }
  check_cpu(here);
  touched.clear();
}

void Machine::check_all() {
  ++counters.checks;
  queue_counts.assign(dsqs.size() + 1 + cpu_count(), 0);
  cpu_counts.assign(cpu_count(), 0);
  for (TaskId id = 0; id < tasks.size(); ++id) {
    const Task& task = tasks[id];
    check_task(task);
    if (task.state != RunState::kRunnable) continue;
    ++cpu_counts[task.cpu];
    if (fair || task.dsq == kNoDsq) continue;
    if (task.dsq < dsqs.size())
      ++queue_counts[task.dsq];
    else if (task.dsq == kGlobalDsq)
      ++queue_counts[dsqs.size()];
    else
      ++queue_counts[dsqs.size() + 1 + (kNoDsq - 1 - task.dsq)];
  }
  for (std::size_t i = 0; i < dsqs.size(); ++i)
    if (dsqs[i].count() != queue_counts[i]) violated("queue " + std::to_string(i) + " miscounts its tasks", nullptr);
  if (ext() && global.count() != queue_counts[dsqs.size()]) violated("the global queue miscounts its tasks", nullptr);
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
    const Cpu& c = cpus[cpu];
    check_cpu(cpu);
    const char* what = fair ? fair->check(cpu) : nullptr;
    if (c.runnable != cpu_counts[cpu]) what = "miscounts its tasks";
    if (ext() && c.local.count() != queue_counts[dsqs.size() + 1 + cpu]) what = "miscounts its local queue";
    if (what) violated("CPU " + std::to_string(cpu) + ": " + what, nullptr);
    check_idle(cpu);
  }
}

}  // namespace reprise::sim
