// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/timehist.h"

namespace reprise::sim {

using trace::KernelEvent;
using trace::KernelEventType;

void TimeHistory::ready(i32 tid, u64 time_ns) {
  Task& task = tasks_[tid];
  if (task.ready_ns == 0) task.ready_ns = time_ns;
}

bool TimeHistory::event(const KernelEvent& e, TaskStay& stay) {
  switch (e.type) {
    case KernelEventType::kFork:
      tasks_[e.tid] = {};  // the tid may have been another task's
      return false;
    case KernelEventType::kWaking:
      if (e.tid != 0) ready(e.tid, e.time_ns);
      return false;
    case KernelEventType::kSwitch:
      break;
    default:
      return false;
  }
  const auto leaves = static_cast<i32>(e.a);
  if (e.cpu >= switched_ns_.size()) switched_ns_.resize(e.cpu + 1u);
  const u64 came_ns = switched_ns_[e.cpu];
  switched_ns_[e.cpu] = e.time_ns;
  stay = {.time_ns = e.time_ns, .cpu = e.cpu, .tid = leaves, .wait_ns = 0, .delay_ns = 0, .run_ns = 0};
  if (came_ns != 0) stay.run_ns = e.time_ns - came_ns;
  if (leaves == 0) return true;
  Task& task = tasks_[leaves];
  if (came_ns != 0) {
    if (task.ready_ns != 0 && task.ready_ns <= came_ns) stay.delay_ns = came_ns - task.ready_ns;
    if (task.left_ns != 0 && task.left_ns <= came_ns) stay.wait_ns = came_ns - task.left_ns;
  }
  const bool runnable = (e.flags & trace::kSwitchPreempted) != 0 || static_cast<u32>(e.b) == 0;
  task.left_ns = e.time_ns;
  task.ready_ns = runnable ? e.time_ns : 0;
  return true;
}

}  // namespace reprise::sim
