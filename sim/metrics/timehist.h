// SPDX-License-Identifier: GPL-2.0-only
// Each stay of a task on a CPU, with what came before it: the columns of `perf sched timehist`, by its definitions, so
// that the same recording gives the same numbers.
//
//   run time   from the CPU's switch before to this one
//   sch delay  from becoming runnable (woken, forked, or switched out while runnable) to switched in
//   wait time  from the switch out before to switched in, asleep or runnable
//
// What is not known, since it lies before the recording, is 0. Thread safety: none.
#pragma once

#include <unordered_map>
#include <vector>

#include "traces/kernel_event.h"

namespace reprise::sim {

struct TaskStay {
  u64 time_ns = 0;  // when it ended
  u32 cpu = 0;
  i32 tid = 0;  // 0: idle
  u64 wait_ns = 0, delay_ns = 0, run_ns = 0;
};

class TimeHistory {
 public:
  /// In order of time. True: the event is a switch, and `stay` is that of the task that left.
  bool event(const trace::KernelEvent&, TaskStay& stay);

 private:
  struct Task {
    u64 left_ns = 0;  // 0: not known, in both
    u64 ready_ns = 0;
  };
  void ready(i32 tid, u64 time_ns);

  std::unordered_map<i32, Task> tasks_;  // looked up, never walked over
  std::vector<u64> switched_ns_;         // per CPU; 0: not known
};

}  // namespace reprise::sim
