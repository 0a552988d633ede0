// SPDX-License-Identifier: GPL-2.0-only
// What a report shows of a run beside its metrics: how long each task waited to run, and who ran on each CPU around the
// longest wait of all.
//
// MetricsBuilder feeds it, so recorded and simulated runs are told of in the same way. Everything is bounded: a run of
// any length keeps the last kLogMax switches, kTasksMeasured distributions and, of the worst moment, kStaysMax stays.
// Thread safety: none.
#pragma once

#include <vector>

#include "sim/metrics/histogram.h"

namespace reprise::sim {

/// Of a task, at its place in Metrics::tasks.
struct TaskDetails {
  u64 wakeups = 0;  // that it then ran after
  SmallHistogram wakeup_latency_ns;
};

/// A task on a CPU; where short ones are taken together, several.
struct Stay {
  u64 begin_ns = 0, end_ns = 0;
  u32 task = 0;     // in Metrics::tasks; WorstMoment::kSeveral
  u32 stays = 1;    // taken together
  u64 busy_ns = 0;  // of the time in between
};

struct CpuLane {
  u32 cpu = 0;
  std::vector<Stay> stays;  // in order of time; idle in between
};

/// The longest time that a runnable task waited, that of Metrics::max_wait_ns, and a quarter of it before and after.
struct WorstMoment {
  static constexpr u32 kNone = ~u32{0};
  static constexpr u32 kSeveral = kNone - 1;
  u32 task = kNone;  // in Metrics::tasks; none: nobody waited
  u64 runnable_ns = 0, running_ns = 0;
  bool over = true;                           // false: it still waited when the run ended, at running_ns
  u32 cpu_before = kNone, cpu_after = kNone;  // where it ran; none: not known, or not at all
  u64 from_ns = 0, to_ns = 0;                 // what the lanes show; begins later where the log does
  u64 merged_below_ns = 0;                    // shorter stays may be taken together; 0: none are
  std::vector<CpuLane> lanes;                 // by CPU
  u32 cpus_left_out = 0;
};

struct Details {
  std::vector<TaskDetails> tasks;
  WorstMoment worst;
};

class DetailsBuilder {
 public:
  static constexpr std::size_t kLogMax = 1 << 17;
  static constexpr u32 kTasksMeasured = 4096;  // the first ones; of later ones only wakeups are counted
  static constexpr std::size_t kStaysMax = 400;
  static constexpr std::size_t kLanesMax = 32;
  static constexpr u32 kIdle = ~u32{0};

  explicit DetailsBuilder(u32 cpus) : before_(cpus, kIdle) {}

  void woken(u32 task, u64 latency_ns);
  /// In order of `end_ns`.
  void waited(u32 task, u64 begin_ns, u64 end_ns, u32 cpu_before, u32 cpu_after);
  /// Before the `waited` that it brings. In order of time.
  void switched(u64 time_ns, u32 cpu, u32 task);
  Details finish(u64 end_ns);

 private:
  struct Switch {
    u64 time_ns;
    u32 cpu;
    u32 task;
  };
  void keep(u64 now_ns);
  void forget();
  [[nodiscard]] std::vector<u32> chosen_cpus() const;

  std::vector<TaskDetails> tasks_;
  WorstMoment worst_;
  std::vector<Switch> log_;
  std::vector<u32> before_;  // who ran on each CPU when the log begins
  u64 log_begin_ns_ = 0;
  std::vector<Switch> kept_;  // around worst_, what was still in the log
  std::vector<u32> kept_before_;
  bool is_kept_ = true;
};

}  // namespace reprise::sim
