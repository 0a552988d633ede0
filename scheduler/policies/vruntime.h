// SPDX-License-Identifier: GPL-2.0-only
// vruntime: CPU time in proportion to weights, and short waits for tasks that need little: what scx_rustland is meant
// to do. The bookkeeping, with the reasons for it, is in virtual_time.h.
//
// Everything that is held is handed down as far as there is room, in the order of deadlines, and with the deadline as
// its vtime. The dispatcher's queue is ordered by vtime as well, so a task that comes later with an earlier deadline
// still gets in front there: nothing is lost by handing down early, and no CPU has to wait for this process to wake up.
//
// A task goes back to the CPU that it last ran on when that is idle, for the sake of its caches; else to any idle
// one; else into the queue that all CPUs share. Tasks bound to one CPU go the same way: a queue of their own, served
// first, would set them above all weights.
//
// A variant of this policy derives from it and changes one of the three protected functions; see newcomer.cc.
#pragma once

#include <memory>

#include "scheduler/core/heap.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/virtual_time.h"

namespace reprise {

class Vruntime : public Policy {
 public:
  static std::size_t state_bytes(const Limits& limits) {
    return VirtualTime::bytes(limits.max_tasks) + SlotHeap::bytes(limits.max_tasks);
  }

  Vruntime(Arena& arena, const Limits& limits, const VirtualTime::Config& config)
      : time_(arena, config, limits.cpus), waiting_(arena) {}

  void task_exit(Context&, TaskSlot) override;
  void enqueue(Context&, TaskSlot) override;
  void dequeue(Context&, TaskSlot) override;
  void dispatch(Context&) override;

  [[nodiscard]] const VirtualTime& time() const { return time_; }  // for tests

 protected:
  /// CPU time that a task starts behind the others.
  [[nodiscard]] virtual u64 debit_ns(const Task&) const { return 0; }
  /// CPU time that a task is expected to use before it sleeps; counts for its deadline, up to its share of a slice.
  [[nodiscard]] virtual u64 burst_ns(TaskSlot slot, const Task&) const { return time_.burst_ns(slot); }
  [[nodiscard]] virtual u64 slice_ns(TaskSlot slot, const Task& task) const { return time_.slice_ns(slot, task); }

 private:
  VirtualTime time_;
  SlotHeap waiting_;
};

}  // namespace reprise
