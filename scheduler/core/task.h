// SPDX-License-Identifier: GPL-2.0-only
// What the engine knows of a task, as of the last event that it was told of. Policies read it, the engine writes it.
//
// The table is indexed by the slot that stands in each event. A slot's user is identified by (tid, start time).
// Values that come from outside have been made safe: the weight is within its range, prev_cpu is a CPU or kAnyCpu,
// waker a slot of the table or kNoTask. Times are taken as they come, and may contradict each other.
#pragma once

#include <type_traits>

#include "scheduler/core/event.h"
#include "scheduler/core/types.h"

namespace reprise {

/// Sizes that are fixed when an engine starts.
struct Limits {
  u32 cpus = 1;                      // CPUs are numbered 0..cpus-1; 1..kMaxCpus
  u32 max_tasks = kMaxTasksDefault;  // slots are numbered 0..max_tasks-1; 1..kMaxTasks
  bool operator==(const Limits&) const = default;
};

/// Task::state.
enum TaskState : u32 {
  kTaskKnown = 1u << 0,  // the slot is in use
  kTaskHeld = 1u << 1,   // runnable, and waiting for the policy's decision
};

struct Task {
  u64 start_time_ns;   // with tid the task's identity
  u64 known_since_ns;  // when the engine was told of it
  u64 exec_total_ns;   // CPU time since birth, as of the last enqueue
  /// CPU time since the enqueue before the last one: what ran, and has not been charged yet. Each nanosecond is in
  /// exactly one delta. A task that is enqueued again without having run has 0; so has the first enqueue of a task
  /// that existed when the scheduler attached. For a new task the first delta is all that it ever ran. In
  /// Policy::task_exit it is what ran since the last enqueue: nobody will enqueue the task to charge that.
  u64 exec_delta_ns;
  u64 started_ns;   // when it last began to run; 0: never
  u64 stopped_ns;   // when it last stopped running; 0: never
  u64 enqueued_ns;  // time of the last enqueue; 0: never
  i32 tid;
  i32 tgid;
  i32 parent_tid;
  u32 weight;         // kWeightMin..kWeightMax
  u32 generation;     // of the last enqueue
  u32 enqueue_flags;  // EnqueueFlag, of the last enqueue
  i32 prev_cpu;       // the CPU it last ran on; kAnyCpu: unknown
  TaskSlot waker;     // of the last enqueue; kNoTask
  u32 allowed_cpus;   // how many CPUs it may run on
  u32 flags;          // TaskFlag
  u32 state;          // TaskState
  u32 enqueues;       // since it is known; stops at the largest value
  char comm[16];
  u64 reserved;

  [[nodiscard]] bool known() const { return (state & kTaskKnown) != 0; }
  [[nodiscard]] bool held() const { return (state & kTaskHeld) != 0; }
  [[nodiscard]] bool woken() const { return (enqueue_flags & kEnqueueWakeup) != 0; }
  /// How long it slept before the last enqueue; 0 when that was no wakeup, or the task never ran before.
  [[nodiscard]] u64 slept_ns() const {
    return woken() && stopped_ns != 0 && enqueued_ns > stopped_ns ? enqueued_ns - stopped_ns : 0;
  }
};
static_assert(sizeof(Task) == 128 && std::is_trivially_copyable_v<Task> &&
              std::has_unique_object_representations_v<Task>);

}  // namespace reprise
