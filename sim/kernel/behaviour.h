// SPDX-License-Identifier: GPL-2.0-only
// The seam between the model of the kernel and the workload. The kernel knows tasks, not pipes or locks; what tasks do
// and wait for is a Behaviour, which calls the kernel where a real program would.
//
// Thread safety: none; a simulation belongs to one thread. Neither side keeps references to the other's memory.
#pragma once

#include <array>

#include "scheduler/core/types.h"

namespace reprise::sim {

/// Index into the model's table of tasks, given out densely in order of creation. Not the tid.
using TaskId = u32;
inline constexpr TaskId kNoTaskId = ~TaskId{0};

using CpuSet = CpuMask;
inline constexpr u32 kThisCpu = ~u32{0};

enum class Next : u8 {
  kRun,    // consume run_ns of CPU time
  kBlock,  // sleep until woken
  kYield,  // sched_yield: stays runnable, asked again when it runs next
  kExit,
};

struct Action {
  Next next = Next::kExit;
  u64 run_ns = 0;  // kRun: net of interrupts and of the model's own costs; > 0
};

enum class TaskState : u8 { kNew, kBlocked };
enum class SchedClass : u8 { kExt, kFair, kRt, kDl, kStop };

struct TaskInfo {
  i32 tid = 0;
  i32 tgid = 0;
  TaskId parent = kNoTaskId;
  std::array<char, 16> comm{};
  u32 weight = kWeightDefault;
  CpuSet allowed{};  // empty: all
  bool kernel_thread = false;
  bool reclaim = false;             // PF_KSWAPD
  bool migration_disabled = false;  // for good
  bool at_attach = false;           // existed before the scheduler attached
  i32 cpu = -1;                     // where it ran last; -1: has not run, begins where its parent is
  SchedClass sched_class = SchedClass::kExt;
  u64 slice_ns = 0;  // sched_attr::sched_runtime, heeded by the fair class: 100 us..100 ms; 0: the kernel's default
  TaskState state = TaskState::kNew;  // kNew waits for start(), kBlocked for wake()
};

/// Where a wakeup comes from (traces/kernel_event.h, WakeContext).
enum class WakeContext : u8 { kTask, kSoftirq, kHardirq };

/// The kernel as the workload sees it.
class Kernel {
 public:
  virtual ~Kernel() = default;
  [[nodiscard]] virtual u64 now() const = 0;  // ns
  /// Period of the tick, which comes at the multiples of it.
  [[nodiscard]] virtual u64 tick_ns() const { return kNsPerMs; }
  virtual TaskId create(const TaskInfo&) = 0;
  /// First wakeup (wake_up_new_task). From Behaviour::next it is a fork by the task that runs, else an outside start.
  virtual void start(TaskId) = 0;
  /// try_to_wake_up. Of a task that is not blocked: recorded, no effect.
  virtual void wake(TaskId, WakeContext) = 0;
  /// Behaviour::timer(cookie) at `at_ns` (now, if that has passed), in hardirq context on `cpu`. Fires once. A CPU of a
  /// larger machine stands for the one here that has its number modulo the number of CPUs.
  /// It may come up to `slack_ns` earlier, together with another timer of that CPU (hrtimer_set_expires_range_ns).
  virtual void arm(u64 at_ns, u64 cookie, u32 cpu = kThisCpu, u64 slack_ns = 0) = 0;
  /// do_exit up to PF_EXITING, of the task that runs. It goes on; Next::kExit ends it.
  virtual void exit_begins(TaskId) {}
  /// sched_move_task in do_exit, of the task that runs (sched_autogroup_exit_task): resched_curr.
  virtual void leaves_group(TaskId) {}
  virtual void set_affinity(TaskId, const CpuSet&) = 0;
  virtual void set_weight(TaskId, u32 weight) = 0;
  [[nodiscard]] virtual u32 cpu_of(TaskId) const = 0;
  /// Asked from Behaviour::next: so much CPU time the task is sure to get, if it goes on running, before anything else
  /// can happen on the machine. What it does earlier than that, and wakes nobody by, it may do at once. 0: nothing.
  /// To be asked last: what the same call of next() does after it must not reach the kernel.
  [[nodiscard]] virtual u64 undisturbed() const { return 0; }
};

/// What tasks do. All calls come from the simulation's one thread, in the order of simulated time.
class Behaviour {
 public:
  virtual ~Behaviour() = default;
  /// `task` is running and has consumed what it last asked for (or runs for the first time, or was woken): what now?
  /// What is called of the kernel meanwhile is done by `task`.
  virtual Action next(Kernel&, TaskId task) = 0;
  virtual void timer(Kernel&, u64 cookie) = 0;
};

}  // namespace reprise::sim
