// SPDX-License-Identifier: GPL-2.0-only
// What a run was like, from its kernel events: one code for recorded and for simulated runs, so that they compare.
//
// Terms are those of the kernel and of perf sched:
//   wakeup latency  from sched_waking of a task that slept to its next sched_switch in
//   run delay       from becoming runnable (woken, or taken off the CPU while runnable) to sched_switch in
//   slice           from sched_switch in to sched_switch out
// Tasks of the process that records or schedules (kMarkOwn) and idle tasks are left out of distributions, waits and
// fairness; switches, migrations and utilisation count everything that ran.
//
// Thread safety: none.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/metrics/details.h"
#include "sim/metrics/histogram.h"
#include "traces/kernel_event.h"

namespace reprise::sim {

struct TaskMetrics {
  i32 tid = 0;
  std::array<char, 16> comm{};
  bool own = false;  // of the process that records
  u64 cpu_ns = 0;    // on a CPU within the session
  u64 switches = 0;  // in
  u64 migrations = 0;
  u64 delay_ns = 0;  // sum of run delays, one that was not over at the end included
  u64 delays = 0;
  u64 max_delay_ns = 0;
  u64 max_delay_at_ns = 0;  // when that one was over
};

struct Metrics {
  u64 context_switches = 0;
  u64 voluntary_switches = 0;    // the task went to sleep or exited
  u64 involuntary_switches = 0;  // it could have gone on
  u64 migrations = 0;            // began to run on another CPU than the last time
  u64 busy_ns = 0;               // of all CPUs: not idle
  u64 makespan_ns = 0;           // from the first to the last event
  u32 cpus = 0;
  u64 max_wait_ns = 0;  // longest run delay, one that was not over at the end included
  Histogram wakeup_latency_ns, run_delay_ns, slice_ns;
  std::vector<TaskMetrics> tasks;          // in the order in which they were first seen
  std::shared_ptr<const Details> details;  // null unless they were asked for

  /// Busy CPUs as a part of all: 0..1.
  [[nodiscard]] double cpu_utilisation() const;
  /// Jain's index (R. Jain et al., DEC-TR-301, 1984) over what each task got of the CPU time that it asked for:
  /// cpu / (cpu + run delay). 1: all got the same part; 1/n: one got everything. Tasks that never asked do not count.
  [[nodiscard]] double fairness_jain() const;
};

/// Numbers by tid.
class TidIndex {
 public:
  static constexpr u32 kNone = ~u32{0};
  /// kNone: nothing was stored there.
  u32& operator[](i32 tid) {
    const u32 page = static_cast<u32>(tid) / kPage;
    return page < pages_.size() && pages_[page] ? (*pages_[page])[static_cast<u32>(tid) % kPage] : first_use(tid);
  }

 private:
  static constexpr u32 kPage = 1024, kPages = 4096;  // PID_MAX_LIMIT is 2^22
  u32& first_use(i32 tid);
  std::vector<std::unique_ptr<std::array<u32, kPage>>> pages_;
  std::unordered_map<i32, u32> others_;  // tids that no kernel gives out; looked up, never walked over
};

class MetricsBuilder {
 public:
  /// Of events before `begin_ns` only names and marks are taken.
  explicit MetricsBuilder(u32 cpus, u64 begin_ns = 0);

  /// Before the first event: Metrics::details, too. Takes up to 2 MiB, and 5 KiB per task.
  void keep_details();

  /// The task with that tid belongs to the process that records or schedules, whatever its events say.
  void mark_own(i32 tid);

  /// In order of time. Error handling: what does not fit (a switch out of a task that was never seen) is tolerated,
  /// since recordings begin in the middle; it counts as far as it is known.
  void event(const trace::KernelEvent&);
  /// `end_ns`: of the session, not before the last event.
  Metrics finish(u64 end_ns);

 private:
  static constexpr u64 kNever = ~u64{0};
  struct Task {
    u64 woken_at = kNever;     // sched_waking, not yet switched in
    u64 runnable_at = kNever;  // runnable and not on a CPU
    u64 running_since = kNever;
    u64 slept_at = kNever;  // when it last left a CPU
    u32 last_cpu = ~u32{0};
    bool woken_early = false;  // sched_waking while it ran, or was about to sleep
  };
  u32 task_of(i32 tid) {
    u32& index = index_of_tid_[tid];
    if (index == TidIndex::kNone) index = new_task(tid);
    return index;
  }
  u32 new_task(i32 tid);
  void waking(const trace::KernelEvent&);
  void switched(const trace::KernelEvent&);
  void out(u32 index, const trace::KernelEvent&);
  void in(u32 index, const trace::KernelEvent&);
  void waited(u32 index, u64 delay_ns, u64 now_ns, u32 cpu_before, u32 cpu_after);

  Metrics metrics_;
  std::vector<Task> tasks_;  // beside metrics_.tasks
  TidIndex index_of_tid_;
  std::vector<u64> busy_since_;  // per CPU; kNever: idle, or not known
  std::vector<u32> running_;     // per CPU, in tasks_; TidIndex::kNone: nobody, or not known
  u64 begin_ns_;
  std::vector<i32> own_;  // tids of mark_own
  u64 first_ns_ = kNever, last_ns_ = 0;
  std::unique_ptr<DetailsBuilder> details_;  // null: not kept
};

}  // namespace reprise::sim
