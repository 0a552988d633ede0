// SPDX-License-Identifier: GPL-2.0-only
// The class sched_ext (kernel/sched/ext/ext.c): from a wakeup to a queue, and from a queue to a CPU.
#include <cstring>

#include "sim/kernel/machine.h"

namespace reprise::sim {
namespace {
constexpr u64 kSliceDefault = 20 * kNsPerMs;  // SCX_SLICE_DFL
constexpr u64 kSliceBypass = 5 * kNsPerMs;    // SCX_SLICE_BYPASS
constexpr u32 kDispatchLoops = 32;            // SCX_DSP_MAX_LOOPS
}  // namespace

// ---- enqueue ----

void Machine::enqueue_task_ext(Task& task, u64 enq_flags, bool sticky) {
  if (task.ts.scx.flags & kTaskQueued) return;
  if (task.reset_runnable) {  // set_task_runnable
    task.runnable_at = now;
    task.reset_runnable = false;
  }
  task.ts.scx.flags |= kTaskQueued;
  do_enqueue_task(task, enq_flags, sticky);
}

// scx_do_enqueue_task.
void Machine::do_enqueue_task(Task& task, u64 enq_flags, bool sticky) {
  touch(task);
  const auto to_local = [&] {
    task.ts.scx.slice = kSliceDefault;
    local_enqueue(task.cpu, task, enq_flags);
  };
  if (sticky) return local_enqueue(task.cpu, task, enq_flags);  // an internal movement: the slice stays
  if (!cpus[task.cpu].active) return to_local();
  if (bypassing) {
    task.ts.scx.slice = kSliceBypass;
    return global.push_back(tasks, task.id);
  }
  if (task.exiting || task.migration_disabled) return to_local();

  task.qseq = task.qseq + 1 ? task.qseq + 1 : 1;
  enqueueing = &task;
  direct_set = false;
  if (where != Where::kOutside) charge(here, options.costs.bpf_enqueue);
  reprise_dispatcher.enqueue(&task.ts, enq_flags);
  enqueueing = nullptr;
  if (direct_set)  // direct_dispatch
    return dispatch_enqueue(task.cpu, direct_dsq, task, direct_slice, direct_vtime, enq_flags | direct_flags);
  task.in_custody = true;
  task.ops_state = OpsState::kQueued;
  task.handed_step = static_cast<u32>(engine_steps) + 1;
}

// scx_dispatch_enqueue, with the resolution of the queue's name.
void Machine::dispatch_enqueue(u32 cpu, u64 id, Task& task, u64 slice, u64 vtime, u64 enq_flags) {
  task.ops_state = OpsState::kNone;
  if (slice != 0) task.ts.scx.slice = slice;  // apply_slice_vtime
  if (id == kDsqLocal) return local_enqueue(task.cpu, task, enq_flags);
  if ((id & kDsqLocalOn) == kDsqLocalOn) return dispatch_to_local(cpu, static_cast<u32>(id), task, 0, 0, enq_flags);
  if (id == kDsqGlobal) {
    leave_custody(task, 0);
    return global.push_back(tasks, task.id);
  }
  const u32 index = dsq_index(id);
  if (index == kNoDsq) {
    ext_error("non-existent DSQ " + std::to_string(id));
    return global.push_back(tasks, task.id);
  }
  Dsq& dsq = dsqs[index];
  if ((enq_flags & kEnqPriq) != 0) {
    task.ts.scx.dsq_vtime = vtime;
    if (dsq.count() != 0 && !dsq.ordered()) return ext_error("DSQ already had FIFO-enqueued tasks");
    dsq.insert(tasks, task.id, vtime);
  } else {
    if (dsq.ordered()) return ext_error("DSQ already had PRIQ-enqueued tasks");
    if (enq_flags & (kEnqHead | kEnqPreempt))
      dsq.push_front(tasks, task.id);
    else
      dsq.push_back(tasks, task.id);
  }
  task.in_custody = true;
}

// Into a CPU's local queue, with rq_owned_post_enq.
void Machine::local_enqueue(u32 cpu, Task& task, u64 enq_flags) {
  Cpu& c = cpus[cpu];
  touch(task);
  if (enq_flags & (kEnqHead | kEnqPreempt))
    c.local.push_front(tasks, task.id);
  else
    c.local.push_back(tasks, task.id);
  leave_custody(task, 0);
  if (c.in_dispatch) return;
  if (c.curr == kNoTaskId) {
    resched(cpu);
  } else if ((enq_flags & kEnqPreempt) && c.curr != task.id) {
    tasks[c.curr].ts.scx.slice = 0;
    resched(cpu);
  }
}

// dispatch_to_local_dsq.
void Machine::dispatch_to_local(u32, u32 target, Task& task, u64 slice, u64, u64 enq_flags) {
  if (slice != 0) task.ts.scx.slice = slice;
  if (target >= cpu_count()) {
    ext_error("invalid CPU " + std::to_string(target) + " in SCX_DSQ_LOCAL_ON dispatch verdict");
    target = task.cpu;
  }
  if (task.cpu != target) {
    if (!can_run_on(task, target)) {
      leave_custody(task, 0);
      return global.push_back(tasks, task.id);
    }
    move_to_cpu(task, target);
  }
  local_enqueue(target, task, enq_flags);
}

void Machine::leave_custody(Task& task, u64 flags) {
  if (!task.in_custody) return;
  task.in_custody = false;
  if (attached) reprise_dispatcher.dequeue(&task.ts, flags);
}

// ---- dequeue ----

void Machine::ops_dequeue(Task& task, u64 deq_flags) {
  task.ops_state = OpsState::kNone;
  leave_custody(task, deq_flags);
}

void Machine::dequeue_task_ext(Task& task, u64 deq_flags) {
  touch(task);
  if (!(deq_flags & kDeqSleep)) deq_flags |= kDeqSchedChange;
  if (!(task.ts.scx.flags & kTaskQueued)) return;
  ops_dequeue(task, deq_flags);
  if (task.on_cpu && attached) {
    charge(task.cpu, options.costs.bpf_running);
    reprise_dispatcher.stopping(&task.ts, false);
  }
  task.ts.scx.flags &= ~kTaskQueued;
  if (task.dsq == kNoDsq) return;  // scx_dispatch_dequeue
  if (task.dsq < dsqs.size())
    dsqs[task.dsq].remove(tasks, task.id);
  else if (task.dsq == kGlobalDsq)
    global.remove(tasks, task.id);
  else
    cpus[kNoDsq - 1 - task.dsq].local.remove(tasks, task.id);
}

// ---- a task leaves a CPU, a task gets one ----

void Machine::put_prev_task_ext(u32 cpu, Task& task, bool next_is_idle) {
  update_curr(cpu);
  if (!(task.ts.scx.flags & kTaskQueued)) return;
  if (attached) {
    charge(cpu, options.costs.bpf_running);
    reprise_dispatcher.stopping(&task.ts, true);
  }
  if (task.reset_runnable) {
    task.runnable_at = now;
    task.reset_runnable = false;
  }
  // With slice left it makes way for a higher class, and goes on afterwards.
  if (task.ts.scx.slice != 0 && !bypassing) {
    cpus[cpu].local.push_front(tasks, task.id);
    return;
  }
  do_enqueue_task(task, next_is_idle ? kEnqLast : 0, false);
}

void Machine::set_next_task_ext(u32 cpu, Task& task) {
  if (task.dsq != kNoDsq) cpus[cpu].local.remove(tasks, task.id);
  if (attached) {
    charge(cpu, options.costs.bpf_running);
    reprise_dispatcher.running(&task.ts);
  }
  task.reset_runnable = true;  // clr_task_runnable
}

// ---- dispatch ----

bool Machine::can_run_on(const Task& task, u32 cpu) const {
  if (task.cpu == cpu) return true;
  return may_use(task, cpu) && !task.migration_disabled && cpus[cpu].active;
}

// move_remote_task_to_local_dsq, up to the insertion.
void Machine::move_to_cpu(Task& task, u32 cpu) {
  --cpus[task.cpu].runnable;
  ++cpus[cpu].runnable;
  task.cpu = static_cast<u16>(cpu);
}

// scx_consume_dispatch_q: the first task of the queue that may run on the CPU goes into its local queue.
bool Machine::consume(u32 cpu, u32 index) {
  Dsq& dsq = index == kNoDsq ? global : dsqs[index];
  const TaskId id = dsq.take_first(tasks, [this, cpu](const Task& task) { return can_run_on(task, cpu); });
  if (id == kNoTaskId) return false;
  Task& task = tasks[id];
  if (task.cpu != cpu) move_to_cpu(task, cpu);
  local_enqueue(cpu, task, 0);
  return true;
}

// scx_flush_dispatch_buf.
void Machine::flush_dispatch_buffer() {
  if (buffer.empty()) return;
  for (const Pending& pending : buffer) finish_dispatch(pending);
  dispatched += static_cast<u32>(buffer.size());
  buffer.clear();
}

// finish_dispatch: only if the task is still the dispatcher's, by the same enqueue as when it was inserted.
void Machine::finish_dispatch(const Pending& pending) {
  Task& task = *pending.task;
  touch(task);
  if (options.faults.requeue_per_mille != 0 && fault(options.faults.requeue_per_mille) &&
      task.ops_state == OpsState::kQueued) {
    dequeue_task_ext(task, 2);
    enqueue_task_ext(task, kEnqRestore);
  }
  if (task.ops_state != OpsState::kQueued || task.qseq != pending.qseq) return;
  if (pending.dsq == kDsqLocal) {
    task.ops_state = OpsState::kNone;
    return dispatch_to_local(here, here, task, pending.slice, pending.vtime, pending.flags);
  }
  dispatch_enqueue(here, pending.dsq, task, pending.slice, pending.vtime, pending.flags);
}

// dispatch_one and scx_dispatch_sched. Called before prev is queued again.
Machine::Verdict Machine::dispatch_one(u32 cpu, Task* prev) {
  Cpu& c = cpus[cpu];
  const auto keeps = [&] { return prev && (prev->ts.scx.flags & kTaskQueued) != 0 && prev->ts.scx.slice != 0; };
  if (keeps() && !bypassing) return Verdict::kPrev;
  if (c.local.count() != 0) return Verdict::kLocal;
  if (global.count() != 0 && consume(cpu, kNoDsq)) return Verdict::kLocal;
  if (attached && c.active) {
    u32 loops = kDispatchLoops;
    do {
      dispatched = 0;
      charge(cpu, options.costs.bpf_dispatch);
      reprise_dispatcher.dispatch(static_cast<s32>(cpu), prev ? &prev->ts : nullptr);
      flush_dispatch_buffer();
      if (keeps()) return Verdict::kPrev;
      if (c.local.count() != 0) return Verdict::kLocal;
      if (global.count() != 0 && consume(cpu, kNoDsq)) return Verdict::kLocal;
      if (--loops == 0) {
        kick(cpu, 0);
        break;
      }
    } while (dispatched != 0);
  }
  // SCX_OPS_ENQ_LAST is set, so that prev is queued again even if it is the only one; but not in bypass.
  if (prev && (prev->ts.scx.flags & kTaskQueued) && bypassing && can_run_on(*prev, cpu)) return Verdict::kPrev;
  return Verdict::kNone;
}

// do_pick_task_scx. kNoTaskId: idle.
TaskId Machine::pick_task_ext(u32 cpu, Task* prev) {
  Cpu& c = cpus[cpu];
  c.in_dispatch = true;
  const Verdict verdict = dispatch_one(cpu, prev);
  c.in_dispatch = false;
  if (verdict == Verdict::kPrev) {
    if (prev->ts.scx.slice == 0) prev->ts.scx.slice = bypassing ? kSliceBypass : kSliceDefault;
    return prev->id;
  }
  const TaskId first = c.local.first_in_fifo();
  if (c.local.count() == 0) return kNoTaskId;
  if (tasks[first].ts.scx.slice == 0) tasks[first].ts.scx.slice = kSliceDefault;
  return first;
}

// ---- idle CPUs and kicks ----

// __scx_update_idle.
void Machine::update_idle(u32 cpu, bool is_idle, bool notify) {
  idle.set(cpu, is_idle);
  if (notify && attached) reprise_dispatcher.update_idle(static_cast<s32>(cpu), is_idle);
}

// scx_kick_cpu: remembered, and done when interrupts are on again.
void Machine::kick(u32 cpu, u64 flags) {
  if (cpu >= cpu_count()) return ext_error("invalid CPU " + std::to_string(cpu) + " to kick");
  Cpu& c = cpus[cpu];
  if (!(flags & kKickIdle)) {  // covers one that is meant for an idle CPU only
    c.kick_idle = false;
    c.kick_preempt = c.kick_preempt || (flags & kKickPreempt) != 0;
  } else if (!c.kick_queued) {
    c.kick_idle = true;
  }
  if (c.kick_queued) return;
  c.kick_queued = true;
  kicked.push_back(cpu);
}

// kick_cpus_irq_workfn.
void Machine::run_kicks() {
  if (cpus[here].in_timers) return;  // an interrupt itself, which has to wait for the present one
  for (std::size_t i = 0; i < kicked.size(); ++i) {
    const u32 cpu = kicked[i];
    Cpu& c = cpus[cpu];
    const bool only_idle = c.kick_idle, preempt = c.kick_preempt;
    c.kick_queued = c.kick_idle = c.kick_preempt = false;
    if (!c.online || c.foreign) continue;
    if (only_idle && c.curr != kNoTaskId) continue;  // can_skip_idle_kick
    if (preempt && c.curr != kNoTaskId) tasks[c.curr].ts.scx.slice = 0;
    resched(cpu);
  }
  kicked.clear();
}

u32 Machine::dsq_index(u64 id) const {
  if (id < cpu_count()) return static_cast<u32>(id);
  for (std::size_t i = 0; i < other_dsqs.size(); ++i)
    if (other_dsqs[i] == id) return cpu_count() + static_cast<u32>(i);
  return kNoDsq;
}

// Where a runnable task waits, for people.
std::string Machine::whereabouts(const Task& task) const {
  if (task.ops_state == OpsState::kQueued)
    return "was handed up at " + std::to_string(slots[task.context.slot].changed) + " ns, before step " +
           std::to_string(task.handed_step) + ", and it has not been dispatched since; the last step was " +
           std::to_string(engine_steps);
  if (task.dsq == kNoDsq) return "is in no queue";
  if (task.dsq < cpu_count()) return "waits in the queue of CPU " + std::to_string(task.dsq);
  if (task.dsq < dsqs.size()) return task.id == scheduler ? "waits in its own queue" : "waits in the shared queue";
  if (task.dsq == kGlobalDsq) return "waits in the global queue";
  return "waits in the local queue of CPU " + std::to_string(kNoDsq - 1 - task.dsq);
}

// check_rq_for_timeouts, which names the first that it finds; this names the one that has waited for longest.
void Machine::check_stalls() {
  const Task* starved = nullptr;
  for (TaskId id = 0; id < tasks.size(); ++id) {
    const Task& task = tasks[id];
    if (task.state != RunState::kRunnable || task.on_cpu || now - task.runnable_at <= options.watchdog_ns) continue;
    if (!starved || task.runnable_at < starved->runnable_at) starved = &task;
  }
  if (!starved) return;
  const std::string ms = std::to_string((now - starved->runnable_at) / kNsPerMs % 1000);
  ext_error(std::string(starved->ts.comm) + "[" + std::to_string(starved->ts.pid) + "] failed to run for " +
                std::to_string((now - starved->runnable_at) / kNsPerSec) + "." + std::string(3 - ms.size(), '0') + ms +
                "s",
            "it " + whereabouts(*starved));
}

void Machine::ext_error(std::string what, std::string hint) {
  fail_with("the kernel threw the scheduler out: " + what, {}, std::move(hint));
}

}  // namespace reprise::sim
