// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/machine.h"

#include <algorithm>
#include <cstring>

#include "sim/kernel/fair.h"

namespace reprise::sim {

using trace::KernelEvent;
using trace::KernelEventType;

Machine::Machine(const SimOptions& with, Behaviour& does, EventSink* events, StepSink* steps)
    : options(with),
      behaviour(does),
      events_to(events),
      steps_to(steps),
      tick_ns(kNsPerSec / with.hz),
      tick_cost(with.costs.tick < tick_ns / 2 ? with.costs.tick : tick_ns / 2),
      count_of_cpus(with.topology.size()),
      clock(with.topology.size()),
      cpus(with.topology.size()),
      places(with.topology.cpus),
      idle(with.topology),
      fault_random(Prng::seeded(with.seed).split("faults")) {
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
    online_mask.bits[cpu / 64] |= 1ull << (cpu % 64);
    cpus[cpu].timers.reserve(64);
    cpus[cpu].local.init(kNoDsq - 1 - cpu);
  }
  all_mask = online_mask;
  std::strcpy(idle_task.comm, "swapper");
  idle_task.flags = PF_KTHREAD;
  init_task.pid = init_task.tgid = 1;
  std::strcpy(init_task.comm, "init");
  kicked.reserve(cpu_count());
}

Machine::~Machine() = default;

Expected<void> Machine::begin() {
  set_now(options.start_ns);
  if (!ext()) {
    fair = std::make_unique<Fair>(*this);
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu) idle.set(cpu, true);
  } else {
    global.init(kGlobalDsq);
    if (auto done = attach(); !done) return done;
  }
  if (options.faults.hotplug_every_ns) event_at(options.faults.hotplug_every_ns, {.kind = EventKind::kHotplug});
  if (options.faults.storm_every_ns) event_at(options.faults.storm_every_ns, {.kind = EventKind::kStorm});
  return {};
}

Expected<void> Machine::run_until(u64 until) {
  end_ns = until;
  // Events are ordered by time; then those of CPUs by the CPU's number, then others in the order of their scheduling.
  while (!stopped) {
    const u64 of_cpus = clock.next_time(), others = queue.empty() ? kNever : queue.next_time();
    const u64 next = std::min(of_cpus, others);
    if (next > end_ns || next == kNever) break;
    set_now(next);
    ++counters.events;
    if (of_cpus <= others)
      cpu_event(clock.next_cpu());  // sets the CPU's own event anew, or clears it
    else
      handle(queue.next_slot());
    if (options.check_every != 0) {
      check_touched();
      if (counters.events % options.check_every == 0) check_all();
    }
    if (error) break;
    if (alive == 0 && timers_armed == 0) return {};
  }
  if (error) return std::unexpected(*error);
  if (!stopped && now < end_ns) set_now(end_ns);
  return {};
}

// hrtimer_start.
void Machine::arm(u32 cpu, WorkloadTimer timer) {
  Cpu& c = cpus[cpu];
  timer.order = ++timer_order;
  ++timers_armed;
  c.timers.push_back(timer);
  std::ranges::push_heap(c.timers, [](const auto& a, const auto& b) { return a.after(b); });
  if (c.timers.front().order != timer.order || c.running_timers) return;
  if (c.timer_slot != ~0u) release(c.timer_slot);
  c.timer_slot = event_at(timer.at, {.kind = EventKind::kWorkloadTimer, .cpu = cpu});
}

// hrtimer_interrupt, up to its look at the clock: which timers come is settled then.
void Machine::timer_interrupt(u32 cpu) {
  here = cpu;
  if (!cpus[here].online) here = static_cast<u32>(std::countr_zero(online_mask.bits[0]));  // hrtimers_cpu_dying
  interrupt(here, options.costs.timer);
  cpus[here].in_timers = cpus[cpu].running_timers = true;
  clock.clear(here);
  cpus[cpu].timer_slot =
      event_at(cpus[here].busy_until, {.kind = EventKind::kRunTimer, .cpu = cpu, .a = now, .b = here});
}

// __hrtimer_run_queues: one timer after the other, each when what the one before it woke up is queued.
void Machine::run_timer(u32 cpu, u64 entered, u32 on) {
  Cpu& c = cpus[cpu];
  c.timer_slot = ~0u;
  here = on;
  const WorkloadTimer timer = c.timers.front();
  std::ranges::pop_heap(c.timers, [](const auto& a, const auto& b) { return a.after(b); });
  c.timers.pop_back();
  --timers_armed;
  ++counters.timers;
  const TaskId curr = cpus[here].curr;
  emit(KernelEventType::kTimer, here, curr == kNoTaskId ? 0 : tasks[curr].ts.pid, trace::kTimerSleep,
       timer.sleeper == kNoTaskId ? 0 : static_cast<u32>(tasks[timer.sleeper].ts.pid), timer.at, 0);
  behaviour.timer(*kernel, timer.cookie);
  here = on;
  if (!c.timers.empty() && c.timers.front().soft <= entered) {
    c.timer_slot = event_at(cpus[on].busy_until, {.kind = EventKind::kRunTimer, .cpu = cpu, .a = entered, .b = on});
    return;
  }
  cpus[on].in_timers = c.running_timers = false;
  if (!c.timers.empty()) c.timer_slot = event_at(c.timers.front().at, {.kind = EventKind::kWorkloadTimer, .cpu = cpu});
  run_kicks();
  program(on);
}

void Machine::handle(EventQueue::Slot slot) {
  const EventData event = data[slot];
  release(slot);
  here = event.cpu;
  where = Where::kHardirq;
  switch (event.kind) {
    case EventKind::kWorkloadTimer:
      timer_interrupt(event.cpu);
      break;
    case EventKind::kRunTimer:
      run_timer(event.cpu, event.a, static_cast<u32>(event.b));
      break;
    case EventKind::kWakeList:
      take_wake_list(event.cpu);
      break;
    case EventKind::kHeartbeat:
    case EventKind::kWish:
    case EventKind::kKick:
      timer_slots[event.kind == EventKind::kWish   ? TIMER_WISH
                  : event.kind == EventKind::kKick ? TIMER_KICK
                                                   : TIMER_HEARTBEAT] = ~0u;
      if (!attached) break;
      interrupt(here, options.costs.timer);
      if (event.kind == EventKind::kKick)
        reprise_dispatcher.kick_expired();
      else if (event.kind == EventKind::kWish)
        reprise_dispatcher.wish_expired();
      else
        reprise_dispatcher.heartbeat_expired();
      run_kicks();
      break;
    case EventKind::kSchedulerSleep:
      here = tasks[scheduler].cpu;
      interrupt(here, options.costs.timer);
      wake(scheduler, trace::kWakeHardirq, false);
      break;
    case EventKind::kWatchdog:
      watchdog_slot = ~0u;
      if (!attached) break;
      check_stalls();
      watchdog_slot = event_at(now + options.watchdog_ns / 2, {.kind = EventKind::kWatchdog});
      break;
    case EventKind::kSteal:
      if (!cpus[event.cpu].online) break;
      interrupt(event.cpu, event.a);
      event_at(now + event.a,
               {.kind = EventKind::kIrqEnd, .what = event.what, .cpu = event.cpu, .a = event.a, .b = event.b});
      break;
    case EventKind::kIrqEnd: {
      const TaskId curr = cpus[event.cpu].curr;
      emit(KernelEventType::kIrq, event.cpu, curr == kNoTaskId ? 0 : tasks[curr].ts.pid, event.what,
           static_cast<u32>(event.b), event.a, 0);
      break;
    }
    case EventKind::kPreempt:
      foreign_begins(event.cpu, event.a, event.what, static_cast<i32>(event.b));
      break;
    case EventKind::kOnline:
      set_online(event.cpu, event.what != 0);
      break;
    case EventKind::kRestart:
      if (auto done = attach(); !done && !error) error = done.error();
      break;
    case EventKind::kStorm:
      storm();
      break;
    case EventKind::kHotplug:
      random_hotplug();
      break;
    case EventKind::kBalance:
      if (fair) fair->balance();
      break;
    case EventKind::kFree:
      REPRISE_CHECK(false);
  }
  where = Where::kOutside;
}

EventQueue::Slot Machine::event_at(u64 time, EventData what) {
  const EventQueue::Slot slot = queue.take_slot();
  if (slot >= data.size()) data.resize(slot + 1);
  data[slot] = what;
  queue.set(slot, time < now ? now : time);
  return slot;
}

void Machine::release(EventQueue::Slot slot) {
  queue.cancel(slot);
  data[slot].kind = EventKind::kFree;
  queue.give_slot(slot);
}

void Machine::emit(KernelEventType type, u32 cpu, i32 tid, u8 flags, u32 a, u64 b, u64 c) {
  const u32 seq = cpus[cpu].record_seq++;
  // The words of a KernelEvent, put together here: to read from memory what has just been written in smaller pieces
  // makes the processor wait. Two lanes, so that the multiplications of one event overlap.
  const u64 kind = seq | u64{cpu} << 32 | u64{static_cast<u8>(type)} << 48 | u64{flags} << 56;
  const u64 task = static_cast<u32>(tid) | u64{a} << 32;
  const u64 first = (now ^ hash_) * hash_detail::kPrime1 + kind;
  const u64 second = (task ^ std::rotl(b, 29)) * hash_detail::kPrime2 + c;
  hash_ = (std::rotl(first, 31) ^ second) * hash_detail::kPrime1 + std::rotl(second, 17);
  if (events_to)
    events_to->event({.time_ns = now,
                      .seq = seq,
                      .cpu = static_cast<u16>(cpu),
                      .type = type,
                      .flags = flags,
                      .tid = tid,
                      .a = a,
                      .b = b,
                      .c = c});
}

void Machine::emit_name(const Task& task) {
  u64 words[2];
  std::memcpy(words, task.ts.comm, sizeof words);
  emit(KernelEventType::kName, here, task.ts.pid, 0, 0, words[0], words[1]);
}

void Machine::fail_with(std::string what, std::string at, std::string hint) {
  if (error) return;
  if (at.empty()) at = "at " + std::to_string(now) + " ns of simulated time";
  error = Error{ExitCode::kExpectationFailed, std::move(what), std::move(at), std::move(hint)};
}

}  // namespace reprise::sim
