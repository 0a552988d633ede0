// SPDX-License-Identifier: GPL-2.0-only
// A task as the kernel model keeps it. Internal.
#pragma once

#include <memory>
#include <vector>

#include "scheduler/core/check.h"
#include "sim/kernel/behaviour.h"
#include "sim/kernel/native.h"

namespace reprise::sim {

/// What the numbers of the kernel mean that the dispatcher is given in its config (include/linux/sched/ext.h).
inline constexpr u64 kEnqWakeup = 1;
inline constexpr u64 kEnqRestore = 2;
inline constexpr u64 kEnqHead = u64{1} << 4;
inline constexpr u64 kEnqPreempt = u64{1} << 32;
inline constexpr u64 kEnqDelayed = u64{1} << 9;   // of the fair class
inline constexpr u64 kEnqInitial = u64{1} << 10;  // of the fair class: a new task
inline constexpr u64 kEnqReenq = u64{1} << 40;
inline constexpr u64 kEnqLast = u64{1} << 41;
inline constexpr u64 kEnqPriq = u64{1} << 57;
inline constexpr u64 kDeqSleep = 1;
inline constexpr u64 kDeqSchedChange = u64{1} << 33;
inline constexpr u64 kKickIdle = 1;
inline constexpr u64 kKickPreempt = 2;
inline constexpr u64 kWakeSync = 1u << 4;
inline constexpr u64 kDsqBuiltin = u64{1} << 63;
inline constexpr u64 kDsqLocal = kDsqBuiltin | 2;
inline constexpr u64 kDsqGlobal = kDsqBuiltin | 1;
inline constexpr u64 kDsqLocalOn = u64{3} << 62;
inline constexpr u32 kTaskQueued = 1;  // task_struct::scx.flags

enum class RunState : u8 { kNew, kBlocked, kWaking, kRunnable, kDead };

/// scx.ops_state without what only concurrency needs: handed to the dispatcher and not yet back, or not.
enum class OpsState : u8 { kNone, kQueued };

inline constexpr u32 kNoDsq = ~u32{0};

struct alignas(64) Task {
  task_struct ts;  // first: the dispatcher knows a task by this address
  // What every switch touches, in the cache line that ts ends in.
  u64 remaining;  // of the present action
  u64 irq_ns;     // of se.sum_exec_runtime: what interrupts took
  TaskId id;
  u16 cpu;       // task_cpu
  u16 last_ran;  // the CPU it last ran on; kNeverRan
  RunState state;
  OpsState ops_state;
  bool on_cpu;
  bool in_custody;      // SCX_TASK_IN_CUSTODY
  bool reset_runnable;  // SCX_TASK_RESET_RUNNABLE_AT
  bool exiting;         // PF_EXITING
  bool dying;           // when it has run what is left: do_task_dead
  bool migration_disabled;
  task_context context;  // where ts.context points once it is made
  u32 qseq;              // scx.ops_qseq
  u32 handed_step;       // the step of the engine that followed when it was last handed up
  u32 dsq;               // index of the queue it is in; kNoDsq
  u32 dsq_seq;           // of its insertion there
  u32 next, prev;        // in a FIFO
  u64 runnable_at;
  u64 changed_at;             // when it became runnable or stopped running, for the checks
  bool fair_queued, delayed;  // of the fair class: se.on_rq, se.sched_delayed
  TaskId first_child, next_sibling, prev_sibling, parent;
};
static_assert(sizeof(Task) <= 320);
inline constexpr u16 kNeverRan = 0xffff;

/// Tasks by number; their addresses do not change.
class TaskTable {
 public:
  [[nodiscard]] Task& operator[](TaskId id) { return chunks_[id / kChunk][id % kChunk]; }
  [[nodiscard]] const Task& operator[](TaskId id) const { return chunks_[id / kChunk][id % kChunk]; }
  [[nodiscard]] u32 size() const { return size_; }
  TaskId add() {
    if (size_ % kChunk == 0) chunks_.push_back(std::make_unique<Task[]>(kChunk));
    return size_++;
  }

 private:
  static constexpr u32 kChunk = 64;
  std::vector<std::unique_ptr<Task[]>> chunks_;
  u32 size_ = 0;
};

[[nodiscard]] inline Task& task_of(task_struct* p) { return *reinterpret_cast<Task*>(p); }
[[nodiscard]] inline const Task& task_of(const task_struct* p) { return *reinterpret_cast<const Task*>(p); }

[[nodiscard]] inline bool may_use(const Task& task, u32 cpu) {
  return (task.ts.cpus_ptr->bits[cpu / 64] >> (cpu % 64) & 1) != 0;
}

}  // namespace reprise::sim
