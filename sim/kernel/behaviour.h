// SPDX-License-Identifier: GPL-2.0-only
// The seam between the kernel model and what its tasks do. The model knows tasks, not pipes or semaphores: a workload
// implements Behaviour and calls back into the Kernel exactly where the real kernel would be called.
#pragma once

#include <string_view>

#include "scheduler/core/types.h"
#include "traces/kernel_event.h"

namespace reprise::sim {

class Kernel;

/// Index into the model's table of tasks, given out densely in order of creation; not the tid.
using TaskId = u32;
inline constexpr TaskId kNoTaskId = ~TaskId{0};

using CpuSet = CpuMask;

enum class Next : u8 { kRun, kBlock, kYield, kExit };

struct Action {
  Next next;
  u64 run_ns = 0;  // kRun: CPU time to consume, net of interrupts and overheads, > 0
};

/// What tasks do. All calls come from the simulation's one thread, in the order of simulated time.
class Behaviour {
 public:
  virtual ~Behaviour() = default;
  /// `task` is running on kernel.cpu_of(task) and has consumed what it last asked for (or runs for the first time, or
  /// was woken after kBlock): what now? May call wake, create, start, arm, set_affinity, set_weight of the kernel:
  /// `task` is then the one that does it.
  virtual Action next(Kernel& kernel, TaskId task) = 0;
  /// A timer of arm() fires, in hardirq context on the CPU where it was armed (or the one given).
  virtual void timer(Kernel& kernel, u64 cookie) = 0;
};

/// Takes every event that a recorder on a real machine would have written, in the order of time.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(const trace::KernelEvent&) = 0;
};

enum TaskInfoFlag : u32 {
  kInfoKernelThread = 1u << 0,
  kInfoReclaim = 1u << 1,            // PF_KSWAPD
  kInfoMigrationDisabled = 1u << 2,  // from the start; set_migration_disabled changes it
  kInfoAtAttach = 1u << 3,           // existed when the scheduler attached
  kInfoHasRun = 1u << 4,             // `cpu` is where it last ran
};

struct TaskInfo {
  i32 tid = 0;   // > 0 and not in use; 0: the next free one
  i32 tgid = 0;  // 0: as the tid
  TaskId parent = kNoTaskId;
  u32 weight = kWeightDefault;
  u32 flags = 0;      // TaskInfoFlag
  i32 cpu = -1;       // where it last ran; -1: as its parent, or the first allowed
  CpuSet affinity{};  // empty: all CPUs
  std::string_view comm = "task";
};

}  // namespace reprise::sim
