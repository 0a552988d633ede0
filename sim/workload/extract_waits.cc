// SPDX-License-Identifier: GPL-2.0-only
// The part of Walk that reads calls, wakeups and timers: what a task waited for, and who ended that.
#include <algorithm>

#include "sim/workload/extract_walk.h"

namespace reprise::sim {

using namespace trace;

void Walk::on_enter(const KernelEvent& e, u32 event) {
  const u32 index = find(e.tid);
  if (index == kNone || tasks_[index].own) return;
  Task& task = tasks_[index];
  report_.calls += 1;
  report_.has_calls = true;
  exact(task, e.c, e.time_ns);
  Call call;
  call.object = e.b;
  call.enter_exec = e.c;
  call.enter_ns = e.time_ns;
  call.number = e.a;
  call.role = e.flags;
  call.open = true;
  if (partner_[event] != kNone) {
    call.known = true;
    call.result = static_cast<i64>(events_[partner_[event]].b);
    call.amount = amount_of(call.number, call.role, call.object, call.result);
    if (call.amount.mixed) report_.unit_mixed += 1;
  } else {
    report_.calls_open += 1;
  }
  const ObjectKind kind = object_kind(e.b);
  if (kind == kObjectChild) {
    // Which child, the result tells; who waits for any takes from one object, as its children give to one.
    if (call.amount.tokens) {
      const u32 child = find(static_cast<i32>(call.result));
      call.index = child != kNone ? child_object(tasks_[child]) : objects_.child(static_cast<u32>(call.result));
    }
  } else if (kind == kObjectPoll) {
    if (!task.poll_members.empty()) call.index = objects_.poll_set(task.poll_members);
    task.poll_members.clear();
  } else if (kind == kObjectFutex) {
    // A futex holds nothing that could be counted: it says who was woken by whom, which the wakeup says, too.
    call.amount = {};
    if (std::binary_search(locks_.begin(), locks_.end(), e.b)) enter_lock(task, call, e);
  } else if (kind != kObjectNone && (call.amount.tokens || call.role == kCallReady)) {
    call.index = objects_.find(e.b);
  }
  if (call.role == kCallGive && call.amount.tokens && call.index != kNone)
    objects_.state(call.index).in_flight += static_cast<i64>(call.amount.tokens);
  task.call = call;
  if (call.role == kCallYield) {
    advance(task, e.c);
    write(task, OpCode::kYield);
  }
}

void Walk::on_exit_call(const KernelEvent& e) {
  const u32 index = find(e.tid);
  if (index == kNone || tasks_[index].own) return;
  Task& task = tasks_[index];
  Call& call = task.call;
  exact(task, e.c, e.time_ns);
  if (!call.open || call.exits) {
    report_.calls_open += 1;
    return;
  }
  call.open = false;
  if (call.index == kNone || (call.lock && call.role == kCallTake)) return;
  ObjectTable::State& state = objects_.state(call.index);
  const u64 middle = call.enter_exec + (e.c - std::min(e.c, call.enter_exec)) / 2;
  if (call.role == kCallGive && call.amount.tokens && !call.done) {
    advance(task, e.c);
    write_post(task);
  } else if (call.role == kCallTake && call.amount.tokens) {
    if (task.told == call.index) {
      task.told = kNone;  // taken when the signal came
    } else if (!call.done) {
      advance(task, middle);
      write_take(task);
      report_.takes_at_once += 1;
    }
    u64 tokens = call.amount.tokens;
    if (call.amount.all && state.balance > static_cast<i64>(tokens)) {
      tokens = static_cast<u64>(state.balance);
      if (call.op != kNone) task.ops[call.op].value = tokens;
    }
    state.balance -= static_cast<i64>(tokens);
    const i64 lacks = -(state.balance + state.in_flight);
    if (lacks > 0) {
      // Nobody is known who gave it. It may have been there at the start if nobody touched the object before, or if it
      // was never seen empty and tasks give to it (what comes from outside comes in the course of time).
      if (!state.touched || (state.gives > 0 && !state.saw_empty)) {
        if (objects_.object(call.index).tokens == 0) report_.tokens_at_start += 1;
        objects_.object(call.index).tokens += static_cast<u64>(lacks);
        state.high += lacks;
        std::map<i64, u64> full;
        for (const auto& [level, times] : state.full) full[level + lacks] = times;
        state.full = std::move(full);
      } else {
        outside(call.index, static_cast<u64>(lacks), call.enter_ns, e.cpu, true);
        report_.takes_unexplained += 1;
      }
      state.balance += lacks;
    }
    state.touched = true;
  } else if (call.role == kCallReady && call.result > 0 && !call.done) {
    if (objects_.is_ready(call.index)) {
      advance(task, middle);
      write(task, OpCode::kReady, call.index);
      objects_.state(call.index).taken_from = true;
      report_.ready_at_once += 1;
    } else {
      report_.ready_unexplained += 1;
    }
  }
}

void Walk::on_member(const KernelEvent& e) {
  if (!(e.flags & 1) || object_kind(e.b) == kObjectNone) return;
  if (object_kind(e.c) == kObjectPoll) {
    const u32 index = find(e.tid);
    if (index == kNone) return;
    if (e.a == 0) tasks_[index].poll_members.clear();
    tasks_[index].poll_members.push_back(objects_.find(e.b));
    return;
  }
  constexpr u32 kAdd = 1, kModify = 3;  // EPOLL_CTL_*
  if (e.a == kAdd || e.a == kModify) objects_.add_member(e.c, e.b);
}

/// What the open call takes, at the point that is reached.
void Walk::write_take(Task& task) {
  Call& call = task.call;
  call.done = true;
  call.op = static_cast<u32>(task.ops.size());
  write(task, call.amount.some ? OpCode::kTakeSome : OpCode::kTake, call.index, call.amount.tokens);
  objects_.state(call.index).taken_from = true;
}

/// What the open call gives, at the point that is reached.
void Walk::write_post(Task& task) {
  Call& call = task.call;
  call.done = true;
  write(task, OpCode::kPost, call.index, call.amount.tokens);
  ObjectTable::State& state = objects_.state(call.index);
  state.in_flight -= static_cast<i64>(call.amount.tokens);
  state.balance += static_cast<i64>(call.amount.tokens);
  state.high = std::max(state.high, state.balance - state.taken);
  state.given += call.amount.tokens;
  state.gives += 1;
  state.touched = true;
}

void Walk::on_timer(const KernelEvent& e) {
  const u32 kind = e.flags & kTimerKindMask;
  if (e.flags & kTimerArmed) {
    const u32 index = find(static_cast<i32>(e.a));
    if (kind != kTimerSleep || index == kNone) return;
    tasks_[index].armed_expiry = e.b;
    tasks_[index].armed_slack = e.c;
    tasks_[index].armed_absolute = e.flags & kTimerAbsolute;
    return;
  }
  if (kind == kTimerFile) {
    if (object_kind(e.c) != kObjectAnonymous) return;
    constexpr u64 kTimerRead = 8;  // bytes that a read of a timerfd returns
    const u32 object = objects_.find(e.c);
    outside(object, kTimerRead, e.time_ns, e.cpu, false);
    objects_.state(object).balance += kTimerRead;
    objects_.state(object).touched = true;
    report_.timer_files += 1;
    return;
  }
  if (const u32 index = find(static_cast<i32>(e.a)); index != kNone) {
    tasks_[index].fired_ns = e.time_ns;
    if (kind == kTimerWheel) tasks_[index].armed_expiry = 0;
  }
}

void Walk::on_waking(const KernelEvent& e) {
  if (e.tid <= 0 || e.tid > 4'194'304) return;
  known(e.tid);
  const u32 target = find(e.tid);
  const u32 waker = e.a ? find(static_cast<i32>(e.a)) : kNone;
  const bool own_waker = waker != kNone && tasks_[waker].own;
  if (waker != kNone && !own_waker) {
    Task& task = tasks_[waker];
    const Call& call = task.call;
    // The first wakeup in a call that gives is where the tokens get there; of a dying child the one of its parent.
    const bool to_parent = !call.exits || (task.parent != kNone && tasks_[task.parent].tgid == tasks_[target].tgid);
    if (call.open && call.known && !call.done && call.role == kCallGive && call.amount.tokens && call.index != kNone &&
        to_parent && !task.asleep) {
      advance(task, exec_at(task, e.time_ns));
      if (call.exits) leave_group(task);
      write_post(task);
    }
  }
  if (waker != kNone && tasks_[waker].cpu == e.cpu && (e.flags & kWakeContextMask) == kWakeTask &&
      !(e.flags & kWakeRunnable)) {
    advance(tasks_[waker], exec_at(tasks_[waker], e.time_ns));
    tasks_[waker].overhead += options_.overheads.wake_ns;
  }
  Task& task = tasks_[target];
  if (e.flags & kWakeRunnable) {
    if (task.own) return;
    report_.wakes_runnable += 1;
    // On its way to sleep on a futex: had the waker come later, it would have slept.
    const bool on_futex = task.call.open && task.call.role == kCallTake && !task.call.done &&
                          object_kind(task.call.object) == kObjectFutex;
    if (!on_futex || waker == kNone || own_waker) return;
    if (task.cpu != kNone) advance(task, exec_at(task, e.time_ns));
    task.call.done = true;
    write_pair(target, waker, e);
    return;
  }
  if (task.own) {
    task.asleep = false;
    return;
  }
  if (!task.asleep) {
    if (!task.existed || task.entry != kNone) {
      report_.wakes_of_running += 1;
      return;
    }
    activate(target);  // has slept since before the recording began
    task.start = TaskStart::kWaiting;
    task.slept_ns = base_ns_;
  }
  activate(target);
  resolve(target, own_waker ? kNone : waker, e, own_waker);
  tasks_[target].asleep = false;
}

/// A shell sleeps in sigsuspend until SIGCHLD comes, and then asks for any child, without waiting: it waits for
/// whichever child ends first, not for this one.
bool Walk::tells_of_child(const Task& task, const Task& waker) const {
  return waker.call.open && waker.call.exits && waker.parent != kNone && tasks_[waker.parent].tgid == task.tgid &&
         std::binary_search(any_child_.begin(), any_child_.end(), task.tgid);
}

/// The task's sleep ends with the wakeup `e` (or, where that was not seen, with its running). Writes down what the
/// sleep was; the task has written all that came before it.
void Walk::resolve(u32 index, u32 waker, const KernelEvent& e, bool own_waker) {
  Task& task = tasks_[index];
  Call& call = task.call;
  const bool timer = task.fired_ns >= task.slept_ns && task.fired_ns != 0;
  if (call.open && call.lock && call.role == kCallTake) {
    report_.sleeps_lock += 1;
    return;
  }
  if (call.open && waker != kNone && object_kind(call.object) == kObjectSignal && tells_of_child(task, tasks_[waker])) {
    task.told = tasks_[waker].call.index;
    write(task, OpCode::kTake, task.told, 1);
    objects_.state(task.told).taken_from = true;
    objects_.state(task.told).saw_empty = true;
    report_.sleeps_token += 1;
    return;
  }
  if (call.open && call.known && call.index != kNone) {
    const bool counts = call.amount.tokens && (call.role == kCallTake || call.role == kCallGive);
    if (counts && call.done) {
      report_.sleeps_same_call += 1;
      return;
    }
    if (counts && call.role == kCallTake) {
      ObjectTable::State& state = objects_.state(call.index);
      write_take(task);
      state.saw_empty = true;
      report_.sleeps_token += 1;
      const i64 supply = state.balance + state.in_flight;
      const i64 needs = call.amount.some ? 1 : static_cast<i64>(call.amount.tokens);
      if (supply < needs) {
        const u64 lacks = call.amount.tokens - static_cast<u64>(std::clamp<i64>(supply, 0, needs - 1));
        state.balance += static_cast<i64>(lacks);
        state.touched = true;
        report_.gifts += 1;
        give(waker, call.index, lacks, e);
      }
      return;
    }
    if (counts && call.role == kCallGive) {
      ObjectTable::State& state = objects_.state(call.index);
      // Who makes room has taken something, but is not back from its call, where that is counted.
      const Call* room = waker == kNone ? nullptr : &tasks_[waker].call;
      const bool taking = room && room->open && room->role == kCallTake && room->index == call.index;
      const i64 taken = taking ? static_cast<i64>(room->amount.tokens) : 0;
      state.full[state.balance - taken] += 1;
      state.taken = taken;
      give_back_block(task);
      write_post(task);
      state.taken = 0;
      report_.sleeps_full += 1;
      return;
    }
    if (call.role == kCallReady && call.result > 0 && !timer && !call.done && objects_.is_ready(call.index)) {
      call.done = true;
      write(task, OpCode::kReady, call.index);
      objects_.state(call.index).taken_from = true;
      report_.sleeps_ready += 1;
      return;
    }
  }
  // What a softirq that no task caused wakes a thread of the kernel for (an RCU grace period, work for a worker)
  // follows from what that thread did before, after a while.
  const bool kernel_own = task.kernel_thread && waker == kNone && !own_waker &&
                          (e.flags & kWakeContextMask) == kWakeSoftirq && e.type == KernelEventType::kWaking;
  if (timer) return write_sleep(task);
  if (kernel_own) return write_softirq_sleep(task, e.time_ns);
  if (own_waker) report_.sleeps_own += 1;
  if (waker == kNone)
    report_.sleeps_outside += 1;
  else if (call.open && object_kind(call.object) == kObjectFutex)
    report_.sleeps_futex += 1;
  else
    report_.sleeps_pair += 1;
  write_pair(index, waker, e);
}

/// The task waits for that task, and no other; without one, for the outside world.
void Walk::write_pair(u32 index, u32 waker, const KernelEvent& e) {
  if (waker == index) waker = kNone;
  Task& task = tasks_[index];
  const u32 object = objects_.pair(index, waker != kNone && tasks_[waker].entry != kNone ? waker : kNone);
  write(task, OpCode::kTake, object, 1);
  objects_.state(object).taken_from = true;
  give(waker, object, 1, e);
}

/// Only waits that may find what they want cost more when they do not (Op::extra). Any other always blocks.
void Walk::give_back_block(Task& task) {
  if (task.block_ns != 0) write(task, OpCode::kRun, 0, task.block_ns);
  report_.overhead_ns -= task.own ? 0 : task.block_ns;
  task.block_ns = 0;
}

/// A timer of the task's own ended its sleep.
void Walk::write_sleep(Task& task) {
  give_back_block(task);
  if (!task.own) task.timer_sleeps.push_back({.slept_ns = task.slept_ns});
  const bool known = task.armed_expiry > task.slept_ns;
  const u64 until = known ? task.armed_expiry : task.fired_ns;
  const auto slack = [&] {
    if (known && !task.own && !task.ops.empty())
      task.ops.back().extra = static_cast<u16>(std::min<u64>(task.armed_slack / kExtraUnitNs, 0xffff));
  };
  // The timeout of a poll is absolute to the kernel, not to the program.
  if (known && task.armed_absolute && task.call.open && task.call.role == kCallSleep) {
    report_.sleeps_absolute += 1;
    write(task, OpCode::kSleepUntil, 0, until - std::min(until, base_ns_));
    return slack();
  }
  report_.sleeps_relative += 1;
  if (task.start == TaskStart::kWaiting && task.ops.empty())
    write(task, OpCode::kSleepUntil, 0, until - std::min(until, base_ns_));
  else
    write(task, OpCode::kSleep, 0, until - std::min(until, task.slept_ns));
  slack();
}

/// A softirq ended the sleep at `ns`. The tick raises those of RCU and of timers, and they wake all whom they have for
/// in one interrupt.
void Walk::write_softirq_sleep(Task& task, u64 ns) {
  give_back_block(task);
  report_.sleeps_relative += 1;
  if (task.start == TaskStart::kWaiting && task.ops.empty()) return write(task, OpCode::kSleepUntil, 0, ns - base_ns_);
  const u64 tick = options_.tick_ns, at = tick == 0 ? 0 : options_.tick_at_ns % tick;
  const u64 after = tick == 0 ? 0 : (ns - at) % tick;
  if (tick == 0 || task.slept_ns < at || after > tick / 8 || ns - after <= task.slept_ns)
    return write(task, OpCode::kSleep, 0, ns - std::min(ns, task.slept_ns));
  write(task, OpCode::kSleepTicks, 0, (ns - at) / tick - (task.slept_ns - at) / tick);
}

/// `waker` gives where it is now; without one, the outside world does at the time of `e`.
void Walk::give(u32 waker, u32 object, u64 tokens, const KernelEvent& e) {
  if (waker == kNone || tasks_[waker].entry == kNone)
    return outside(object, tokens, e.time_ns, e.cpu, (e.flags & kWakeContextMask) == kWakeSoftirq);
  Task& task = tasks_[waker];
  if (task.cpu == e.cpu) advance(task, exec_at(task, e.time_ns));
  write(task, OpCode::kPost, object, tokens);
}

void Walk::outside(u32 object, u64 tokens, u64 ns, u32 cpu, bool softirq) {
  program_.outside.push_back({.at_ns = ns - std::min(ns, base_ns_),
                              .value = tokens,
                              .target = object,
                              .cpu = static_cast<u16>(cpu),
                              .softirq = softirq});
}

}  // namespace reprise::sim
