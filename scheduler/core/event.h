// SPDX-License-Identifier: GPL-2.0-only
// What the engine is told about tasks and CPUs, one fixed-size record per event.
//
// Source of each event: the sched_ext callback that is named beside it (bpf/dispatcher.bpf.c). Times are
// CLOCK_MONOTONIC in nanoseconds. Records hold no padding, so that they can be hashed and compared as bytes.
#pragma once

#include <type_traits>

#include "scheduler/core/types.h"

namespace reprise {

enum class EventType : u8 {
  kNone = 0,
  kTaskNew = 1,   // ops.init_task, sent before the first event of a task that the engine has not been told of
  kEnqueue = 2,   // ops.enqueue: runnable, and waiting for a decision
  kDequeue = 3,   // ops.dequeue: was waiting, no longer is (affinity or class change, exit)
  kRunning = 4,   // ops.running; only for policies that ask for it
  kStopping = 5,  // ops.stopping; only for policies that ask for it
  kTaskExit = 6,  // ops.exit_task: the slot is free again
  kAffinity = 7,  // ops.set_cpumask; 256 CPUs per record, so up to four records for one change
  kWeight = 8,    // ops.set_weight
};
inline constexpr u8 kEventTypeLast = 8;

/// Flags of kEnqueue.
enum EnqueueFlag : u32 {
  kEnqueueWakeup = 1u << 0,      // the task has just woken (SCX_ENQ_WAKEUP)
  kEnqueuePreempted = 1u << 1,   // it was running and has slice left that it lost to a preemption
  kEnqueueSliceEnd = 1u << 2,    // it was running and used up its slice
  kEnqueueNew = 1u << 3,         // first enqueue after fork
  kEnqueueLast = 1u << 4,        // nothing else waits on its CPU (SCX_ENQ_LAST)
  kEnqueueReenqueued = 1u << 5,  // taken back from a queue (SCX_ENQ_REENQ; affinity, class change)
  kEnqueueSync = 1u << 6,        // the waker said it is about to sleep (SCX_WAKE_SYNC)
};

/// Flags of kTaskNew.
enum TaskFlag : u32 {
  kTaskKernelThread = 1u << 0,
  kTaskAtAttach = 1u << 1,  // existed when the scheduler attached
};

struct TaskNew {
  u64 start_time_ns;  // task_struct::start_boottime; with tid the identity of the task
  i32 tgid;
  i32 parent_tid;
  u32 weight;
  u32 flags;  // TaskFlag
  char comm[16];
  u64 reserved;
};

struct Enqueue {
  u64 exec_total_ns;  // CPU time since birth, net of interrupts (se.sum_exec_runtime); never goes back
  u64 started_ns;     // when it last began to run; 0: never
  u64 stopped_ns;     // when it last stopped running; 0: never
  i32 prev_cpu;       // the CPU it last ran on
  u32 weight;
  TaskSlot waker;    // who woke it, if a task did; kNoTask
  u32 allowed_cpus;  // how many CPUs it may run on (nr_cpus_allowed)
  u64 reserved;
};

struct Stopping {
  u64 exec_total_ns;
  u32 runnable;  // 1: preempted or slice used up; 0: blocked
  u32 reserved;
  u64 unused[4];
};

struct TaskExit {
  u64 exec_total_ns;  // 0 in traces of before it was sent
  u64 unused[5];
};

struct Affinity {
  u32 first_word;    // 0, 4, 8, 12: which part of the mask `words` is
  u32 allowed_cpus;  // of the whole mask
  u64 words[4];
  u64 reserved;
};

struct Weight {
  u32 weight;
  u32 reserved;
  u64 unused[5];
};

struct Event {
  u64 time_ns;
  u32 seq;  // counts up per CPU, over all rings; a gap is a loss
  u16 cpu;  // where the callback ran
  EventType type;
  u8 reserved;
  TaskSlot task;
  i32 tid;         // in the initial PID namespace
  u32 generation;  // of the enqueue; a decision names the one it answers
  u32 flags;       // EnqueueFlag, or the kernel's dequeue flags
  union {
    TaskNew task_new;
    Enqueue enqueue;
    Stopping stopping;
    TaskExit task_exit;
    Affinity affinity;
    Weight weight;
    u64 raw[6];
  };
};
static_assert(sizeof(Event) == 80 && std::is_trivially_copyable_v<Event>);
static_assert(sizeof(TaskNew) == 48 && sizeof(Enqueue) == 48 && sizeof(Stopping) == 48 && sizeof(Affinity) == 48 &&
              sizeof(Weight) == 48 && sizeof(TaskExit) == 48);

}  // namespace reprise
