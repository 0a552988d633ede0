// SPDX-License-Identifier: GPL-2.0-only
// Lines in order of time become kernel events as the recorder would have written them. Internal to traces/.
//
// What a line does not say is followed up here: whether the target of a wakeup slept, a task's CPU time from switch to
// switch, and sched_wakeup where no sched_waking was recorded. Thread safety: none.
#pragma once

#include <unordered_map>
#include <vector>

#include "traces/import_line.h"
#include "traces/kernel_event.h"
#include "traces/session.h"

namespace reprise::trace {

class ImportedTasks {
 public:
  /// Appends what the line stands for: none, one or several events, numbered per CPU.
  void take(const Line&, std::vector<KernelEvent>& out);
  /// The next number of that CPU goes up by as many: a gap is a loss.
  void lost(u32 cpu, u64 count) { seq(cpu) += static_cast<u32>(count); }

 private:
  enum class State : u8 { kUnknown, kSleeps, kRunnable, kRuns };
  struct Task {
    std::string comm;
    State state = State::kUnknown;
    u64 since_ns = 0;  // running
    u64 cpu_ns = 0;
  };
  u32& seq(u32 cpu);
  void put(const Line&, KernelEventType, i32 tid, u8 flags, u32 a, u64 b, u64 c);
  void name(const Line&, const LineTask&);
  void switched(const Line&);
  void woken(const Line&);
  void forked(const Line&);

  std::vector<KernelEvent>* out_ = nullptr;
  std::unordered_map<i32, Task> tasks_;  // looked up, never walked over
  std::vector<u32> seq_;
};

/// The scheduling class that a priority belongs to (include/linux/sched/prio.h).
[[nodiscard]] TaskClass class_of_priority(i32 tid, i32 priority);
/// The weight that a priority stands for, 100 at nice 0.
[[nodiscard]] u32 weight_of_priority(i32 priority);

/// The first pass: which tasks were there before the first line about them, and how many CPUs.
class ImportSurvey {
 public:
  void take(const Line&);
  [[nodiscard]] std::vector<SessionTask> tasks() const;  // by tid
  [[nodiscard]] u32 cpus() const { return cpus_; }
  [[nodiscard]] u64 first_ns() const { return first_ns_; }
  [[nodiscard]] u64 last_ns() const { return last_ns_; }
  /// Tasks in all, born ones included.
  [[nodiscard]] u32 seen() const { return static_cast<u32>(known_.size()); }

 private:
  struct Known {
    std::string comm;
    i32 tgid = 0;
    i32 priority = 120;
    bool born = false;
  };
  void see(const LineTask&, bool born);

  std::unordered_map<i32, Known> known_;
  u32 cpus_ = 0;
  u64 first_ns_ = ~u64{0}, last_ns_ = 0;
};

}  // namespace reprise::trace
