// SPDX-License-Identifier: GPL-2.0-only
// VirtualTime: weighted fair sharing of the CPUs, as bookkeeping that several policies share.
//
// Each task has a virtual runtime: the CPU time that it has had, divided by its weight (kWeightDefault counts as 1).
// Whoever has the smallest is owed the most. Tasks are ordered by a deadline:
//
//   deadline = vruntime + what the task is likely to use before it sleeps, at most its slice, divided by its weight
//
// so of two tasks that are owed the same the one that needs less goes first. The deadline is an order and nothing else:
// it is computed afresh for each enqueue and never becomes part of the vruntime. Only CPU time that was used does,
// once (Task::exec_delta_ns), when the task is seen again.
//
// The clock is the virtual time at which newcomers enter and sleepers come back. It is the largest vruntime at which
// a task is known to have *begun* to run (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996). So it moves at
// the pace of one task among those that compete, whatever their number and the number of CPUs, and no faster. A
// vruntime is kept near it:
//   - a task that wakes is at most `credit` behind: a long sleep does not buy a long monopoly;
//   - any other is at most `lag` behind, and nobody's deadline more than `lag` ahead: what happened long ago, or on
//     a CPU that nobody else wanted, is forgotten.
// Behind, both are CPU time of that task, so weights count. Ahead, lag is virtual time: it bounds how long a light task
// waits.
//
// A clock that moves only when a task is seen again would stand still under an endless stream of tasks that run once
// and exit, each of which would enter ahead of those who wait. So it moves with real time, too, at half of the pace
// that one CPU gives to each of the tasks seen of late: well below the fair pace, above zero.
//
// What has been handed down keeps its vtime, and a fair share can be small beyond all patience (the kernel throws a
// scheduler out that lets a task wait for 30 s). So what is handed down now goes behind all that was handed down 9 to
// 17 s ago: where a deadline lies before that, it and all later ones are shifted, which keeps the order among them.
//
// Slices: the busy tasks of a CPU share `slice` by weight. Busy is who ran and wants to go on. It counts for no more
// than the default weight for each shortest slice that it has used since it last slept: else a heavy thread that does
// a little now and then, as the one that records does, would leave everybody only shortest slices whenever a wakeup
// interrupts it. Slices must be in proportion to weights, not only the order:
// the kernel takes the next task before it hands up the one that was running, so none runs twice in a row while others
// wait, and a heavy task can catch up only by slices longer than the others'. The kernel ends slices at ticks (4 ms
// apart at HZ=250), so a light task's runs longer than it says; a task that is behind for that reason gets what it is
// behind on top of its share, at most the share again. Ratios of weights beyond 2 * slice / (slice_min or a tick) are
// not honoured in full.
//
// Virtual times may wrap and are compared by `before`.
// Thread safety: none. State: in the arena.
#pragma once

#include <array>
#include <span>

#include "scheduler/core/arena.h"
#include "scheduler/core/options.h"
#include "scheduler/core/task.h"

namespace reprise {

class VirtualTime {
 public:
  /// Where the clock starts: above all that a dispatcher may have inserted by itself at 0.
  static constexpr u64 kClockStart = kNsPerSec;

  struct Config {
    u64 slice_ns;
    u64 slice_min_ns;
    u64 credit_ns;
    u64 lag_ns;
    u64 clock_start = kClockStart;  // another one only in tests
  };

  /// The options that `config` reads; a policy that uses this class lists them among its own.
  static constexpr std::array<OptionSpec, 4> kOptions = {{
      {"slice_us", "us", 100, 1'000'000, 20'000,
       "shared by the busy tasks of a CPU by weight; who is behind gets more"},
      {"slice_min_us", "us", 50, 1'000'000, 1'000, "no slice is shorter, for the sake of throughput"},
      {"credit_us", "us", 0, 1'000'000, 20'000, "CPU time that a sleeper may have saved up when it wakes"},
      {"lag_us", "us", 1'000, 10'000'000, 500'000, "how far from the others' progress a task may get"},
  }};

  /// Error (kUsage): slice_min_us is greater than slice_us.
  static Expected<Config> config(const Options&);

  static std::size_t bytes(std::size_t max_tasks) { return Arena::bytes<State>(1) + Arena::bytes<PerTask>(max_tasks); }

  VirtualTime(Arena&, const Config&, u32 cpus);

  /// Moves the clock with real time; to be called before `enqueue`.
  void advance(u64 now_ns);
  /// A task was enqueued: charges what it ran since it was last seen. A task that was never seen before enters at
  /// the clock plus `debit_ns` of its own CPU time.
  void enqueue(TaskSlot, const Task&, u64 debit_ns = 0);
  /// A task is gone.
  void forget(TaskSlot);

  [[nodiscard]] u64 clock() const { return state_->clock; }
  [[nodiscard]] u64 vruntime(TaskSlot slot) const { return tasks_[slot].vruntime; }
  /// CPU time that the task is likely to use before it sleeps: what it used of late.
  [[nodiscard]] u64 burst_ns(TaskSlot slot) const;
  /// The share of `slice` by the task's weight and that of the busy tasks.
  [[nodiscard]] u64 share_ns(const Task&) const;
  /// What to give now: the share and, to a task that goes on, what it is behind the clock, at most the share again.
  [[nodiscard]] u64 slice_ns(TaskSlot, const Task&) const;
  /// `burst_ns` counts up to a share.
  [[nodiscard]] u64 deadline(TaskSlot, const Task&, u64 burst_ns) const;
  /// A task with that deadline is handed down now: the vtime to send along.
  [[nodiscard]] u64 hand_down(u64 deadline);

  /// CPU time as virtual time.
  [[nodiscard]] static constexpr u64 weighted(u64 exec_ns, u32 weight) { return exec_ns * kWeightDefault / weight; }

 private:
  struct State {
    u64 clock;
    u64 advanced_ns;    // the time at which `advance` last moved the clock
    u64 epoch;          // of the counts below; 0: none yet
    u64 weight;         // of the tasks enqueued in this epoch and still alive
    u64 weight_before;  // in the one before
    u64 busy;           // weight of the tasks that ran in this epoch and wanted to go on
    u64 busy_before;
    u64 shift;        // from deadlines to vtimes
    u64 tail;         // largest vtime handed down so far
    u64 tail_before;  // when this age began
    u64 floor;        // when the age before began: vtimes are not smaller
    u64 age;          // a longer stretch of time than an epoch
  };
  struct PerTask {
    u64 vruntime;
    u64 burst_ns;          // CPU time since it last slept
    u64 burst_average_ns;  // of its past bursts
    u64 seen_epoch;        // in which it was last enqueued; 0: never seen
    u64 busy_epoch;        // in which it last counted as busy
    u32 seen_weight;       // what it counts for in seen_epoch
    u32 busy_weight;       // in busy_epoch
  };

  void count(PerTask&, const Task&);

  Config config_;
  u32 cpus_;
  State* state_;
  std::span<PerTask> tasks_;
};

}  // namespace reprise
