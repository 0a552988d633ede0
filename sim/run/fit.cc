// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/fit.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

constexpr i32 kMaxTid = 4'194'304;
constexpr u64 kOneInterruptNs = 50 * kNsPerUs;  // the longest time between two timers of one
constexpr u64 kOutlier = 16;                    // times the median: something else happened meanwhile
constexpr std::size_t kMinSamples = 8;          // fewer say nothing
constexpr u32 kVectorLocalTimer = 236;          // LOCAL_TIMER_VECTOR, arch/x86/include/asm/irq_vectors.h
constexpr u32 kStateDead = 0xb0;                // EXIT_TRACE | EXIT_ZOMBIE | EXIT_DEAD | TASK_DEAD, as in sched_switch

using Samples = std::vector<u64>;

// With `part` 4 the lower quartile: for what other work may only make longer.
std::optional<u64> median(Samples& samples, std::size_t part = 2) {
  if (samples.size() < kMinSamples) return std::nullopt;
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / part);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

u64 less(u64 a, u64 b) { return a > b ? a - b : 0; }

// Calls of one kind that did not wait or wake, and those that did so once.
struct Calls {
  Samples plain, once, before, after;  // before, after: the parts of `once` on either side of the wait
};

class Collector {
 public:
  Collector(i32 scheduler_tid, std::span<const StepTime> steps, u64 kick_interval_ns)
      : scheduler_(scheduler_tid), steps_(steps), kick_interval_ns_(kick_interval_ns) {}

  void event(const KernelEvent& e) {
    switch (e.type) {
      case KernelEventType::kSwitch:
        return on_switch(e);
      case KernelEventType::kWaking:
        return on_waking(e);
      case KernelEventType::kSyscallEnter:
        return on_enter(e);
      case KernelEventType::kSyscallExit:
        return on_exit(e);
      case KernelEventType::kIrq:
        return on_irq(e);
      case KernelEventType::kTimer:
        if ((e.flags & trace::kTimerArmed) == 0) on_expiry(e);
        return;
      default:
        return;
    }
  }

  std::map<u32, Calls> takes, gives;  // by number of the call and kind of the object
  Samples ticks, timers, idle_exits, turns;
  Samples returns;  // CPU time from the end of a sleep to the return of its call
  Samples wakes;    // between a wakeup by a timer and the next timer of the same interrupt
  // From a wakeup to the scheduler's coming in place of a task that could go on: there, and on another CPU; on another
  // one that was idle.
  Samples preempts, far_preempts, far_idle_exits;
  Samples put_off;  // how much later than the limit of kicks allows the scheduler comes, where a timer brings it
  std::vector<std::pair<u64, u64>> tick_ends;  // with their durations
  // Runs of the scheduler with one step in them: from its coming to the step, the step, and from there to its leaving.
  struct Part {
    u64 ns, work;
  };
  Samples enters;
  std::vector<Part> parts, leaves;  // work: events and decisions, decisions

 private:
  struct Task {
    u64 out_exec = 0;  // CPU time when it last left a CPU
    u64 enter_exec = 0;
    u64 woken_ns = 0;  // by an interrupt
    u32 call = 0;      // key; 0: in none
    u8 role = 0;
    u32 sleeps = 0, others = 0, wakes = 0;  // in this call: waits, other switches, wakeups of others
  };
  struct Cpu {
    i32 tid = -1;
    u32 expiries = 0;       // of timers since the last interrupt of the local timer
    u32 wakes = 0;          // wakeups by them
    u64 in_ns = 0;          // when `tid` came
    u64 timer_woke_ns = 0;  // by a timer of the present interrupt
  };

  Task& task(i32 tid) {
    const auto index = static_cast<std::size_t>(tid);
    if (index >= tasks_.size()) tasks_.resize(index + 1);
    return tasks_[index];
  }
  Cpu& cpu(u32 number) {
    if (number >= cpus_.size()) cpus_.resize(number + 1);
    return cpus_[number];
  }
  static bool known(i32 tid) { return tid > 0 && tid <= kMaxTid; }
  /// Who left could go on.
  static bool preempted(const KernelEvent& e) {
    return e.a != 0 && ((e.flags & trace::kSwitchPreempted) != 0 || static_cast<u32>(e.b) == 0);
  }

  void on_switch(const KernelEvent& e) {
    Cpu& here = cpu(e.cpu);
    const i32 previous = static_cast<i32>(e.a);
    const u32 state = static_cast<u32>(e.b);
    if (known(previous)) {
      Task& out = task(previous);
      if (previous == scheduler_ && here.tid == previous) scheduler_left(here.in_ns, e.time_ns, e.c - out.out_exec);
      const bool sleeps = (e.flags & trace::kSwitchPreempted) == 0 && state != 0 && (state & kStateDead) == 0;
      ++(sleeps ? out.sleeps : out.others);
      out.out_exec = e.c;
    }
    if (known(e.tid)) {
      Task& in = task(e.tid);
      if (previous == 0 && in.woken_ns != 0) idle_exits.push_back(e.time_ns - in.woken_ns);
      in.woken_ns = 0;
      if (e.tid == scheduler_) scheduler_came(e, here);
    }
    if (scheduler_ != 0 && (e.tid == scheduler_ || previous == scheduler_)) scheduler_runs_ = e.tid == scheduler_;
    here.tid = e.tid;
    here.in_ns = e.time_ns;
  }

  // One wakeup calls the scheduler at once; soon after another one, the limit of kicks may come between: then a timer
  // does, which is started by the first wakeup that comes too early.
  void scheduler_came(const KernelEvent& e, const Cpu& here) {
    const u64 called_ns = std::exchange(called_ns_, 0);
    const bool timer_ran = std::exchange(timer_runs_, false), before = std::exchange(timer_brought_, false);
    if (preempted(e)) {
      const u64 since = e.time_ns - std::exchange(kicked_ns_, e.time_ns);
      timer_brought_ = timer_ran && since >= kick_interval_ns_ && since < 2 * kick_interval_ns_;
      // Between two that came in the same way lies nothing else that one of them alone would have to wait for.
      if (before && timer_brought_) put_off.push_back(since - kick_interval_ns_);
    }
    if (called_ns <= here.in_ns) return;
    const u64 took = e.time_ns - called_ns;
    if (e.a == 0) {
      if (e.cpu != called_on_) far_idle_exits.push_back(took);
    } else if (preempted(e)) {
      (e.cpu == called_on_ ? preempts : far_preempts).push_back(took);
    }
  }

  // A run of the scheduler's: with one step in it, or none.
  void scheduler_left(u64 from_ns, u64 to_ns, u64 cpu_ns) {
    while (next_step_ < steps_.size() && steps_[next_step_].begin_ns < from_ns) ++next_step_;
    std::size_t count = 0;
    while (next_step_ + count < steps_.size() && steps_[next_step_ + count].begin_ns < to_ns) ++count;
    if (count == 0) {
      turns.push_back(cpu_ns);
    } else if (count == 1) {
      const StepTime& step = steps_[next_step_];
      enters.push_back(step.begin_ns - from_ns);
      parts.push_back({less(step.end_ns, step.begin_ns), u64{step.events} + step.decisions});
      leaves.push_back({less(to_ns, step.end_ns), step.decisions});
    }
    next_step_ += count;
  }

  void on_waking(const KernelEvent& e) {
    if (!known(e.tid) || (e.flags & trace::kWakeRunnable) != 0) return;
    // Between two wakeups that far apart no kick is put off.
    const bool alone = !scheduler_runs_ && e.time_ns - last_woke_ns_ > 2 * kick_interval_ns_;
    timer_runs_ |= !scheduler_runs_ && e.time_ns - kicked_ns_ < kick_interval_ns_ / 2;
    called_ns_ = alone ? e.time_ns : 0;
    called_on_ = e.cpu;
    last_woke_ns_ = e.time_ns;
    const u8 context = e.flags & trace::kWakeContextMask;
    if (context == trace::kWakeTask && known(static_cast<i32>(e.a))) ++task(static_cast<i32>(e.a)).wakes;
    if (context != trace::kWakeHardirq && context != trace::kWakeTask) return;
    Cpu& here = cpu(e.cpu);
    if (context == trace::kWakeHardirq) ++here.wakes, here.timer_woke_ns = e.time_ns;
    if (here.tid == 0) task(e.tid).woken_ns = e.time_ns;
  }

  void on_expiry(const KernelEvent& e) {
    Cpu& here = cpu(e.cpu);
    // Where the interrupt's own event was lost, the next timer is one of another interrupt.
    if (here.expiries++ != 0 && here.timer_woke_ns != 0 && e.time_ns - here.timer_woke_ns < kOneInterruptNs)
      wakes.push_back(e.time_ns - here.timer_woke_ns);
    here.timer_woke_ns = 0;
  }

  void on_enter(const KernelEvent& e) {
    if (!known(e.tid)) return;
    Task& t = task(e.tid);
    t.call = (e.a + 1) << 8 | static_cast<u32>(trace::object_kind(e.b));
    t.role = e.flags;
    t.enter_exec = e.c;
    t.sleeps = t.others = t.wakes = 0;
  }

  void on_exit(const KernelEvent& e) {
    if (!known(e.tid)) return;
    Task& t = task(e.tid);
    const u32 key = t.call;
    t.call = 0;
    if (key >> 8 != e.a + 1 || static_cast<i64>(e.b) < 0 || t.others != 0 || e.c < t.enter_exec) return;
    const u64 took = e.c - t.enter_exec;
    if (t.role == trace::kCallTake && t.wakes == 0) {
      Calls& calls = takes[key];
      if (t.sleeps == 0) {
        calls.plain.push_back(took);
      } else if (t.sleeps == 1 && t.out_exec >= t.enter_exec) {
        calls.before.push_back(t.out_exec - t.enter_exec);
        calls.after.push_back(e.c - t.out_exec);
      }
    } else if (t.role == trace::kCallSleep && t.wakes == 0 && t.sleeps == 1 && t.out_exec >= t.enter_exec) {
      returns.push_back(e.c - t.out_exec);
    } else if (t.role == trace::kCallGive && t.sleeps == 0) {
      if (t.wakes == 0) gives[key].plain.push_back(took);
      if (t.wakes == 1) gives[key].once.push_back(took);
    }
  }

  void on_irq(const KernelEvent& e) {
    if (e.flags != trace::kIrqVector || e.a != kVectorLocalTimer) return;
    Cpu& here = cpu(e.cpu);
    if (here.expiries == 0) {
      ticks.push_back(e.b);
      tick_ends.push_back({e.time_ns, e.b});
    } else if (here.expiries == 1 && here.wakes == 1) {
      timers.push_back(e.b);
    }
    here.expiries = here.wakes = 0;
    here.timer_woke_ns = 0;
  }

  i32 scheduler_;
  std::span<const StepTime> steps_;
  std::size_t next_step_ = 0;
  u64 kick_interval_ns_;
  bool scheduler_runs_ = false;
  u64 last_woke_ns_ = 0, called_ns_ = 0;  // the last wakeup of all, and that of them which calls the scheduler
  u32 called_on_ = 0;
  u64 kicked_ns_ = 0;        // when the scheduler last came in place of a task that could go on
  bool timer_runs_ = false;  // a wakeup came too early since
  bool timer_brought_ = false;
  std::vector<Task> tasks_;
  std::vector<Cpu> cpus_;
};

// The kind of call with the most samples of the rarer sort decides.
Calls* best(std::map<u32, Calls>& kinds, Samples Calls::* rare) {
  Calls* found = nullptr;
  std::size_t most = kMinSamples - 1;
  for (auto& [key, calls] : kinds) {
    const std::size_t count = std::min(calls.plain.size(), (calls.*rare).size());
    if (count > most) most = count, found = &calls;
  }
  return found;
}

// ns = base + slope * work, by least squares.
struct Line {
  u64 base, slope;
};
std::optional<Line> fit_line(const std::vector<Collector::Part>& parts) {
  __extension__ typedef __int128 Wide;
  Samples all;
  for (const auto& part : parts) all.push_back(part.ns);
  const auto usual = median(all);
  if (!usual) return std::nullopt;
  Line line{kOutlier * *usual, 0};
  // What is above the line by as much as the line itself, something else came into.
  for (const u64 most : {1, 2, 2}) {
    Wide n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (const auto& part : parts) {
      if (part.ns > most * (line.base + line.slope * part.work)) continue;
      n += 1;
      x += part.work, y += part.ns;
      xx += static_cast<Wide>(part.work) * part.work, xy += static_cast<Wide>(part.work) * part.ns;
    }
    const Wide spread = n * xx - x * x;
    const Wide slope = spread == 0 ? 0 : std::max<Wide>(0, (n * xy - x * y) / spread);
    const Wide base = n == 0 ? 0 : std::max<Wide>(0, (y - slope * x) / n);
    line = {static_cast<u64>(base), static_cast<u64>(slope)};
  }
  return line;
}

// Where in the period ticks begin: other interrupts of the timer come at any time, ticks at one, to some microseconds.
u64 tick_phase(const std::vector<std::pair<u64, u64>>& ends, u64 period_ns) {
  constexpr u64 kBin = 10 * kNsPerUs;
  if (ends.empty() || period_ns == 0) return 0;
  std::vector<u32> bins(period_ns / kBin + 1);
  std::vector<u64> first(bins.size(), ~u64{0});
  for (const auto& [end, duration] : ends) {
    const u64 phase = (end - std::min(end, duration)) % period_ns;
    ++bins[phase / kBin];
    first[phase / kBin] = std::min(first[phase / kBin], phase);
  }
  const auto most = static_cast<std::size_t>(std::ranges::max_element(bins) - bins.begin());
  return bins[most] < kMinSamples ? 0 : first[most];
}

class Fitter {
 public:
  void set(u64 Costs::* field, u64 value, std::size_t samples) {
    fit.costs.*field = value;
    for (const CostField& known : cost_fields())
      if (known.field == field) seen_.push_back({known.name, value, samples});
  }
  Fit finish() {
    for (const CostField& known : cost_fields()) {
      const auto at = std::ranges::find(seen_, known.name, &Fitted::field);
      fit.fields.push_back(at != seen_.end() ? *at : Fitted{known.name, fit.costs.*known.field, 0});
    }
    return std::move(fit);
  }
  Fit fit;

 private:
  std::vector<Fitted> seen_;
};

}  // namespace

Fit fit_costs(std::span<const KernelEvent> events, std::span<const StepTime> steps, i32 scheduler_tid, u64 period_ns,
              u64 kick_interval_ns) {
  Collector found(scheduler_tid, steps, kick_interval_ns);
  for (const KernelEvent& e : events) found.event(e);
  Fitter f;
  Costs& costs = f.fit.costs;
  // What a task's own calls cost is in its recorded run time.
  f.set(&Costs::fork, 0, events.size());
  f.set(&Costs::exit, 0, events.size());
  f.set(&Costs::yield, 0, events.size());

  // A switch costs the next task what a call that waited took after its wait, beyond half of a call that did not. A
  // sleep has next to nothing left to do.
  const auto set_switch = [&](u64 ns, std::size_t samples) {
    f.set(&Costs::schedule, 0, samples);
    f.set(&Costs::bpf_running, 0, samples);
    f.set(&Costs::bpf_dispatch, 0, samples);
    f.set(&Costs::context_switch, ns, samples);
  };
  if (Calls* takes = best(found.takes, &Calls::after)) {
    const u64 half = *median(takes->plain) / 2;
    f.set(&Costs::block, less(*median(takes->before), half), takes->before.size());
    set_switch(less(*median(takes->after), half), takes->after.size());
  } else if (const auto after = median(found.returns, 4)) {
    set_switch(*after, found.returns.size());
  }
  // A wakeup is best seen between two timers of one interrupt; else in what a call that wakes takes longer.
  const auto set_wakeup = [&](u64 ns, std::size_t samples) {
    f.set(&Costs::bpf_select_cpu, 0, samples);
    f.set(&Costs::bpf_enqueue, 0, samples);
    f.set(&Costs::wakeup, ns, samples);
  };
  if (const auto wake = median(found.wakes))
    set_wakeup(*wake, found.wakes.size());
  else if (Calls* gives = best(found.gives, &Calls::once))
    set_wakeup(less(*median(gives->once), *median(gives->plain)), gives->once.size());
  if (const auto enter = median(found.enters)) f.set(&Costs::enter, *enter, found.enters.size());
  if (const auto line = fit_line(found.parts)) {
    f.set(&Costs::step, line->base, found.parts.size());
    f.set(&Costs::step_event, line->slope, found.parts.size());
    f.set(&Costs::step_decision, line->slope, found.parts.size());
  }
  // The scheduler's run goes to the end of its yield, where the kernel carries the decisions out.
  if (const auto line = fit_line(found.leaves)) {
    f.set(&Costs::leave, line->base, found.leaves.size());
    f.set(&Costs::leave_decision, line->slope, found.leaves.size());
    f.set(&Costs::bpf_decision, 0, found.leaves.size());
  }
  if (const auto turn = median(found.turns))
    f.set(&Costs::turn, less(*turn, costs.enter != 0 ? costs.enter : costs.switch_in()), found.turns.size());
  if (const auto tick = median(found.ticks)) f.set(&Costs::tick, *tick, found.ticks.size());
  if (const auto timer = median(found.timers)) f.set(&Costs::timer, less(*timer, costs.wake()), found.timers.size());
  if (const auto put_off = median(found.put_off, 4)) f.set(&Costs::soft_timer, *put_off, found.put_off.size());
  f.fit.tick_at_ns = tick_phase(found.tick_ends, period_ns);
  // The wakeup itself goes on after its event.
  if (const auto preempt = median(found.preempts))
    f.set(&Costs::preempt, less(*preempt, costs.wake()), found.preempts.size());
  if (const auto idle = median(found.idle_exits, 4))
    f.set(&Costs::idle_exit, less(*idle, costs.wake()), found.idle_exits.size());
  if (const auto far = median(found.far_preempts))
    f.set(&Costs::wakeup_ipi, less(*far, costs.preempt + costs.wake()), found.far_preempts.size());
  if (const auto far = median(found.far_idle_exits))
    f.set(&Costs::idle_ipi, less(*far, costs.wakeup_ipi + costs.idle_exit + costs.wake()), found.far_idle_exits.size());
  return f.finish();
}

}  // namespace reprise::sim
