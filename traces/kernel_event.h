// SPDX-License-Identifier: GPL-2.0-only
// What the kernel did, as the recorder saw it: events that no engine is told of. One flat record for all types, so
// that columns compress well; what the three arguments mean stands beside each type.
//
// Times are CLOCK_MONOTONIC in nanoseconds. `seq` counts up per CPU over all rings; a gap is a loss.
#pragma once

#include <type_traits>

#include "scheduler/core/types.h"

namespace reprise::trace {

enum class KernelEventType : u8 {
  kNone = 0,
  kWaking = 1,   // tracepoint sched_waking. tid: who is woken; a: waker's tid; flags: WakeContext | kWakeRunnable
  kSwitch = 2,   // sched_switch. tid: next; a: previous tid; b: prev_state | prev class << 32 | next class << 40;
                 //   c: previous task's CPU time since birth, net of interrupts (ns); flags: kSwitchPreempted
  kBypass = 3,   // ops.enqueue decided by the dispatcher itself. tid; a: generation; flags: BypassReason
  kAnswer = 4,   // a decision was carried out. tid; a: generation; flags: AnswerResult; b: queue; c: decision's vtime
  kDequeue = 5,  // ops.dequeue. tid; a: generation; b: the kernel's dequeue flags
  kFork = 6,     // sched_process_fork. tid: child; a: parent's tid; b: child's start time; c: child's tgid
  kExec = 7,     // sched_process_exec. tid; a: tid before; b, c: comm
  kExit = 8,     // sched_process_exit. tid; b: CPU time since birth
  kTask = 9,     // a task that exists at attach. tid; a: tgid; b: start time; c: weight
  kName = 10,    // tid; b, c: comm, 16 bytes
  kAffinity = 11,  // ops.set_cpumask. tid; a: number of the mask's word; b: the word; c: CPUs allowed in all
  kWeight = 12,    // ops.set_weight. tid; a: weight
  kCpu = 13,       // CPU on or off line. a: cpu; flags: 1 on
  kIrq = 14,       // an interrupt ended. a: irq or vector; b: duration (ns); flags: IrqKind
  kTimer = 15,     // hrtimer_expire_entry that may wake a task. a: tid of the sleeper or 0; b: expiry; c: mode
  kSyscallEnter = 16,  // tid; a: number; b: object; c: CPU time since birth
  kSyscallExit = 17,   // tid; a: number; b: result; c: CPU time since birth
};
inline constexpr u8 kKernelEventTypeLast = 17;

enum WakeContext : u8 { kWakeTask = 0, kWakeSoftirq = 1, kWakeHardirq = 2, kWakeNmi = 3, kWakeRunnable = 4 };
enum SwitchFlag : u8 { kSwitchPreempted = 1 };
enum BypassReason : u8 {
  kBypassKernelThread = 1,  // bound to one CPU
  kBypassReclaim = 2,       // must run for memory to be freed
  kBypassCongested = 3,     // no room on the way up
  kBypassFallback = 4,      // user space does not answer
  kBypassNoSlot = 5,        // more tasks than the table holds
};
enum AnswerResult : u8 {
  kAnswerInserted = 1,   // accepted by BPF; the kernel may still drop it when the task has changed in between
  kAnswerCancelled = 2,  // for an older enqueue
  kAnswerBounced = 3,    // the named CPU is not allowed; went to an allowed one
  kAnswerFailed = 4,     // malformed, or the task is gone
};
enum IrqKind : u8 { kIrqHard = 0, kIrqSoft = 1 };

struct KernelEvent {
  u64 time_ns;
  u32 seq;
  u16 cpu;
  KernelEventType type;
  u8 flags;
  i32 tid;
  u32 a;
  u64 b;
  u64 c;
};
static_assert(sizeof(KernelEvent) == 40 && std::is_trivially_copyable_v<KernelEvent>);

}  // namespace reprise::trace
