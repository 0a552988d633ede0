// SPDX-License-Identifier: GPL-2.0-only
// A CPU: the accounting of its time and schedule() (kernel/sched/core.c).
#include <algorithm>
#include <cassert>
#include <utility>

#include "sim/kernel/fair.h"
#include "sim/kernel/machine.h"

namespace reprise::sim {

using trace::KernelEventType;

// ---- time ----
//
// The tick is no event. A tick takes the first tick_cost of each period from whoever runs; so the time that is left
// over for tasks in [0, t) is a function of t, and a task that needs so much more CPU time is done when that function
// has grown by as much.

u64 Machine::work(u64 time) const {
  if (time >= period_start && time < period_end) return work_since(time);
  const u64 periods = time / tick_ns, rest = time - periods * tick_ns;
  return periods * (tick_ns - tick_cost) + (rest > tick_cost ? rest - tick_cost : 0);
}

u64 Machine::when_done_later(u64 start, u64 wanted) const {
  const u64 net = tick_ns - tick_cost, done = work(start) + wanted;
  const u64 periods = done / net, rest = done - periods * net;
  return rest == 0 ? periods * tick_ns : periods * tick_ns + tick_cost + rest;
}

void Machine::next_period() {
  const u64 periods = now / tick_ns;
  period_start = periods * tick_ns;
  period_begin = period_start + tick_cost;
  period_end = period_start + tick_ns;
  period_work = periods * (tick_ns - tick_cost);
}

// `done`: work(now).
inline void Machine::charge_curr(u32 cpu, Task& task, u64 done) {
  Cpu& c = cpus[cpu];
  const u64 delta = now - c.exec_start;
  task.ts.se.sum_exec_runtime += delta;
  c.exec_sum += delta;
  task.irq_ns += delta - (done - c.work_at_start);
  c.exec_start = now;  // before the class may ask for a reschedule, which comes here again
  c.work_at_start = done;
  if (fair)
    fair->update_curr(cpu, task, delta);
  else if (task.ts.scx.slice != ~0ull)
    task.ts.scx.slice -= std::min<u64>(task.ts.scx.slice, delta);
}

// update_curr_common: what curr ran goes to its sum of run time and off its slice.
void Machine::has_run(u32 cpu) {
  Cpu& c = cpus[cpu];
  Task& task = tasks[c.curr];
  const u64 done = work_now();
  // From where on it got on with its work: mostly a time of this tick's period.
  const u64 start = std::min(std::max(c.busy_until, c.exec_start), now);
  const u64 from = start >= period_start ? work_since(start) : work(start);
  task.remaining -= std::min(task.remaining, done - from);
  charge_curr(cpu, task, done);
}

// At which tick what has ended by `time` is noticed (task_tick_scx, task_tick_fair).
u64 Machine::tick_after(u64 time) const {
  u64 tick = (time + tick_ns - 1) / tick_ns * tick_ns;
  if (tick + tick_cost <= now) tick = (now - tick_cost) / tick_ns * tick_ns + tick_ns;
  return tick + tick_cost;
}

// When the slice of curr is acted on, if that is before `at`: at a tick, or by a timer (hrtick).
inline u64 Machine::slice_ends(u32 cpu, const Task& task, u64 at) const {
  u64 slice_end = task.ts.scx.slice == ~0ull ? kNever : cpus[cpu].exec_start + task.ts.scx.slice;
  if (fair) {
    const Fair::Wanted wanted = fair->wanted(cpu, task);
    slice_end = wanted.tick;
    at = std::min(at, wanted.exact);
  }
  return slice_end >= at ? at : std::min(at, tick_after(slice_end));
}

// Sets the CPU's own event: when something happens on it by itself.
void Machine::program(u32 cpu) {
  Cpu& c = cpus[cpu];
  if (c.in_timers) return;
  if (c.foreign) return clock.set(cpu, c.foreign_until);
  if (c.need_resched) return clock.set(cpu, std::max({c.resched_at, c.busy_until, now}));
  if (c.curr == kNoTaskId) return clock.clear(cpu);
  const Task& task = tasks[c.curr];
  u64 at = c.busy_until;
  if (task.remaining != 0) at = when_done(std::max(c.busy_until, c.exec_start), task.remaining);
  clock.set(cpu, std::max(std::min(at, slice_ends(cpu, task, at)), now));
}

// Until when nothing can happen on the machine but that curr of this CPU goes on; 0: something is due.
inline u64 Machine::quiet_until(const Cpu& c, const Task& task) const {
  if (c.need_resched || c.need_resched_lazy) return 0;
  u64 until = std::min(period_end, end_ns + (end_ns != kNever));  // beyond the period, work() has to divide
  if (!queue.empty()) until = std::min(until, queue.next_time());
  if (cpus.size() > 1) until = std::min(until, clock.next_time_but(here));
  if (fair)
    until = std::min({until, fair->steady_until(here, task), slice_ends(here, task, until)});
  else if (task.ts.scx.slice != ~0ull && c.exec_start + task.ts.scx.slice <= period_start && now < period_begin)
    return 0;  // acted on when this period's tick is over; what ends later in it, at the next one
  return until;
}

u64 Machine::undisturbed() {
  const Cpu& c = cpus[here];
  if (!options.look_ahead || where != Where::kTask || c.curr == kNoTaskId) return 0;
  const u64 from = gets_on(c);
  quiet = quiet_until(c, tasks[c.curr]);
  return quiet > from ? quiet - from : 0;
}

// Goes to where curr is done with what it does, if nothing happens before: no event is needed for that.
inline bool Machine::run_through(u32 cpu) {
  const u64 asked = std::exchange(quiet, 0);
  Cpu& c = cpus[cpu];
  if (!goes_through || stopped || error || alive == 0 || c.curr == kNoTaskId) return false;
  Task& task = tasks[c.curr];
  const u64 until = asked != 0 ? asked : quiet_until(c, task), from = gets_on(c);
  assert(asked == 0 || asked == quiet_until(c, task));
  if (until <= from || task.remaining >= until - from) return false;
  now = task.remaining == 0 ? std::max(c.busy_until, now) : from + task.remaining;
  task.remaining = 0;
  if (c.exec_start != now) charge_curr(cpu, task, work_now());
  return true;
}

void Machine::cpu_event(u32 cpu) {
  here = cpu;
  where = Where::kTask;
  quiet = 0;
  const Due due = what_is_due(cpu);
  for (bool acts = due == Due::kAction; due != Due::kNothing; acts = true) {
    if (acts)
      take_action(cpu);
    else
      schedule(cpu, Next::kRun);
    if (!run_through(cpu)) break;
  }
  program(cpu);
  where = Where::kOutside;
}

Machine::Due Machine::what_is_due(u32 cpu) {
  Cpu& c = cpus[cpu];
  if (c.foreign) return now < c.foreign_until ? Due::kNothing : Due::kSchedule;
  update_curr(cpu);
  if (c.need_resched) return now < std::max(c.resched_at, c.busy_until) ? Due::kNothing : Due::kSchedule;
  if (c.curr == kNoTaskId) return Due::kNothing;
  const Task& task = tasks[c.curr];
  if (task.remaining == 0 && now >= c.busy_until) return Due::kAction;
  return (fair ? c.need_resched_lazy : task.ts.scx.slice == 0) ? Due::kSchedule : Due::kNothing;
}

// resched_curr: at once here, by an interrupt elsewhere; an idle CPU has to leave its idle loop.
void Machine::resched(u32 cpu) {
  Cpu& c = cpus[cpu];
  if (c.need_resched || c.foreign || !c.online) return;
  c.need_resched = true;
  c.resched_at = std::max(now, c.busy_until);
  if (cpu != here) {  // sent when this one takes interrupts again
    c.resched_at = std::max(c.resched_at, cpus[here].busy_until) + options.costs.wakeup_ipi;
    if (c.curr == kNoTaskId) c.resched_at += options.costs.idle_ipi;
    ++counters.ipis;
  }
  if (c.curr == kNoTaskId) {
    c.resched_at += options.costs.idle_exit;
  } else {
    update_curr(cpu);
    if (cpu != here) c.resched_at += options.costs.preempt;
    charge(cpu, options.costs.preempt);
  }
  program(cpu);
}

// ---- __schedule ----

void Machine::schedule(u32 cpu, Next why) {
  Cpu& c = cpus[cpu];
  quiet = 0;
  here = cpu;
  where = Where::kTask;
  Task* prev = c.curr == kNoTaskId ? nullptr : &tasks[c.curr];
  u64 prev_state = 0;
  if (prev) update_curr(cpu);
  charge(cpu, options.costs.schedule);
  if (prev && (why == Next::kBlock || why == Next::kExit)) {  // try_to_block_task
    prev_state = why == Next::kBlock ? 1 : 0x80;              // TASK_INTERRUPTIBLE, TASK_DEAD
    prev->state = why == Next::kBlock ? RunState::kBlocked : RunState::kDead;
    --c.runnable;
    if (fair)
      fair->dequeue(cpu, *prev, why == Next::kBlock ? Leave::kSleep : Leave::kDead);
    else
      dequeue_task_ext(*prev, kDeqSleep);
  } else if (prev && why == Next::kRun && !may_use(*prev, cpu)) {
    // The stopper (migration_cpu_stop) takes a task away that may no longer run here.
    TaskId gone = scheduled_away(cpu);
    prev = nullptr;
    const TaskId next = fair ? fair->pick(cpu) : pick_task_ext(cpu, nullptr);
    switch_to(cpu, gone, next, prev_state);
    return run_kicks();
  }
  const TaskId next = fair ? fair->pick(cpu) : pick_task_ext(cpu, prev);
  const TaskId prev_id = prev ? prev->id : kNoTaskId;
  bool again = false;
  if (next == prev_id && !c.foreign) {
    if (!prev && ext()) update_idle(cpu, true, false);  // pick_task_idle on an idle CPU
    c.need_resched = c.need_resched_lazy = false;
  } else {
    if (prev && fair) {
      fair->put_prev(cpu, *prev);  // also a task that sleeps: it may be delayed
    } else if (prev && prev_state == 0) {
      put_prev_task_ext(cpu, *prev, next == kNoTaskId);
      again = next == kNoTaskId && c.local.count() != 0;
    }
    switch_to(cpu, prev_id, next, prev_state);
  }
  if (prev_state == 0x80) dead(*prev);
  if (again) resched(cpu);
  run_kicks();
}

// put_prev_set_next_task and context_switch. `prev` has been put; kNoTaskId: idle, or a higher class ends.
void Machine::switch_to(u32 cpu, TaskId prev, TaskId next, u64 prev_state) {
  Cpu& c = cpus[cpu];
  const bool was_idle = prev == kNoTaskId && !c.foreign;
  const u8 own_class = fair ? trace::kClassFair : trace::kClassExt;
  i32 prev_tid = 0, next_tid = 0;
  u64 prev_class = trace::kClassIdle, next_class = trace::kClassIdle, exec = 0;
  if (prev != kNoTaskId) {
    Task& task = tasks[prev];
    touch(task);
    task.on_cpu = false;
    task.changed_at = now;
    prev_tid = task.ts.pid;
    prev_class = own_class;
    exec = task.ts.se.sum_exec_runtime - task.irq_ns;
  } else if (c.foreign) {
    prev_tid = c.foreign_tid;
    prev_class = c.foreign_class;
  }
  if (was_idle) {
    if (ext())
      update_idle(cpu, false, true);
    else
      idle.set(cpu, false);
  }
  c.foreign = false;
  if (next != kNoTaskId) {
    Task& task = tasks[next];
    touch(task);
    c.exec_start = now;
    c.work_at_start = work_now();
    if (next != scheduler || options.costs.enter == 0) charge(cpu, options.costs.context_switch);
    if (task.last_ran != cpu && task.last_ran != kNeverRan) {
      ++counters.migrations;
      charge(cpu,
             places[task.last_ran].llc == places[cpu].llc ? options.costs.migration_llc : options.costs.migration_far);
    }
    task.last_ran = static_cast<u16>(cpu);
    task.on_cpu = true;
    if (fair)
      fair->set_next(cpu, task);
    else
      set_next_task_ext(cpu, task);
    next_tid = task.ts.pid;
    next_class = own_class;
  } else if (!was_idle) {
    if (ext())
      update_idle(cpu, true, true);
    else
      idle.set(cpu, true);
  }
  c.curr = next;
  c.idle_since = now;
  c.need_resched = c.need_resched_lazy = false;
  if (prev == next && prev_class == next_class) return;  // idle to idle
  ++counters.switches;
  emit(KernelEventType::kSwitch, cpu, next_tid, 0, static_cast<u32>(prev_tid),
       prev_state | prev_class << 32 | next_class << 40, exec);
}

// curr has done what it wanted: what now?
void Machine::take_action(u32 cpu) {
  Cpu& c = cpus[cpu];
  Task& task = tasks[c.curr];
  if (task.dying) return schedule(cpu, Next::kExit);
  const Action action = task.id == scheduler ? scheduler_next() : behaviour.next(*kernel, task.id);
  here = cpu;
  switch (action.next) {
    case Next::kRun:
      REPRISE_CHECK(action.run_ns > 0);
      task.remaining = action.run_ns;
      if (c.need_resched_lazy) resched(cpu);  // exit_to_user_mode_loop
      return;
    case Next::kBlock:
      return schedule(cpu, Next::kBlock);
    case Next::kYield:  // yield_task_scx: no ops.yield, so the slice is gone
      charge(cpu, options.costs.yield);
      if (fair)
        fair->yield(cpu);
      else
        task.ts.scx.slice = 0;
      return schedule(cpu, Next::kYield);
    case Next::kExit:
      exit_begins(task.id);
      task.dying = true;
      task.remaining = options.costs.exit;
      quiet = 0;
      return;
  }
}

// The stopper's part of set_cpus_allowed: curr goes to a CPU that it may use. Returns who was running.
TaskId Machine::scheduled_away(u32 cpu) {
  Cpu& c = cpus[cpu];
  Task& task = tasks[c.curr];
  const u32 to = any_allowed(task, cpu);
  if (fair) {
    fair->put_prev(cpu, task);
    fair->dequeue(cpu, task, Leave::kMove);
    --c.runnable;
    task.cpu = static_cast<u16>(to);
    task.on_cpu = false;
    activate(task, 0);
  } else {
    if (task.ts.scx.slice == 0) task.ts.scx.slice = 1;  // the stopper is of a higher class
    put_prev_task_ext(cpu, task, false);
    task.on_cpu = false;
    dequeue_task_ext(task, 0);
    --c.runnable;
    task.cpu = static_cast<u16>(to);
    activate(task, 0);
  }
  return task.id;
}

// ---- what others take ----

void Machine::interrupt(u32 cpu, u64 duration) {
  Cpu& c = cpus[cpu];
  if (!c.online) return;
  update_curr(cpu);
  charge(cpu, duration);
  if (c.curr != kNoTaskId) tasks[c.curr].irq_ns += duration;
  if (c.need_resched_lazy) resched(cpu);
  if (!c.foreign) program(cpu);
}

// A task of a higher class runs (put_prev_task_scx with next of another class: slice left is kept).
void Machine::foreign_begins(u32 cpu, u64 duration, u8 task_class, i32 tid) {
  Cpu& c = cpus[cpu];
  if (!c.online) return;
  here = cpu;
  if (c.foreign) {
    c.foreign_until = std::max(c.foreign_until, now) + duration;
    return program(cpu);
  }
  i32 prev_tid = 0;
  u64 exec = 0, prev_class = trace::kClassIdle;
  if (c.curr != kNoTaskId) {
    Task& task = tasks[c.curr];
    update_curr(cpu);
    if (fair)
      fair->put_prev(cpu, task);
    else
      put_prev_task_ext(cpu, task, false);
    task.on_cpu = false;
    task.changed_at = now;
    prev_tid = task.ts.pid;
    prev_class = fair ? trace::kClassFair : trace::kClassExt;
    exec = task.ts.se.sum_exec_runtime - task.irq_ns;
  } else if (ext()) {
    update_idle(cpu, false, true);
  } else {
    idle.set(cpu, false);
  }
  c.curr = kNoTaskId;
  c.need_resched = c.need_resched_lazy = false;
  c.foreign = true;
  c.foreign_until = std::max(c.busy_until, now) + options.costs.context_switch + duration;
  c.foreign_tid = tid;
  c.foreign_class = task_class;
  ++counters.switches;
  emit(KernelEventType::kSwitch, cpu, tid, trace::kSwitchPreempted, static_cast<u32>(prev_tid),
       prev_class << 32 | u64{task_class} << 40, exec);
  run_kicks();
  program(cpu);
}

}  // namespace reprise::sim
