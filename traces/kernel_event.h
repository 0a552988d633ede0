// SPDX-License-Identifier: GPL-2.0-only
// What the kernel did, as the recorder saw it: events that no engine is told of. One flat record for all types, so
// that columns compress well; what the three arguments mean stands beside each type.
//
// Times are CLOCK_MONOTONIC in nanoseconds. `seq` counts up per CPU; a gap is a loss. An interrupt that is recorded
// while another event is may come between the taking of that one's time and of its number: order by time, then number.
#pragma once

#include <type_traits>

#include "scheduler/core/types.h"

namespace reprise::trace {

enum class KernelEventType : u8 {
  kNone = 0,
  kWaking = 1,   // tracepoint sched_waking. tid: who is woken; a: tid of the task that caused it, 0: none did (see
                 //   WakeContext); flags: WakeContext | kWakeRunnable | kWakeNew. A target in state TASK_RUNNING gives
                 //   no event
  kSwitch = 2,   // sched_switch. tid: next; a: previous tid; b: prev_state | prev class << 32 | next class << 40
                 //   (TaskClass); c: previous task's CPU time; flags: kSwitchPreempted. Tid 0 is the idle task.
                 //   Involuntary: kSwitchPreempted, or prev_state 0 (slice end, yield)
  kBypass = 3,   // ops.enqueue decided by the dispatcher itself. tid; a: generation; flags: BypassReason
  kAnswer = 4,   // a decision was carried out. tid; a: generation; flags: AnswerResult; b: queue; c: decision's vtime
  kDequeue = 5,  // ops.dequeue. tid; a: generation; b: the kernel's dequeue flags
  kFork = 6,     // sched_wakeup_new. tid: child; a: parent's tid; b: child's start time; c: child's tgid;
                 //   flags: TaskMark. A kName of the child follows
  kExec = 7,     // sched_process_exec. tid; a: tid before; b, c: comm
  kExit = 8,     // sched_process_exit. tid; b: CPU time. The task still runs for a while, to a last kSwitch
  kTask = 9,     // a task that exists at attach. tid; a: tgid; b: start time; c: weight; flags: TaskMark. Its kName,
                 //   and kAffinity where it may not use all CPUs, follow
  kName = 10,    // task_rename, and after kFork and kTask. tid; b, c: comm, 16 bytes
  kAffinity = 11,  // ops.set_cpumask. tid; a: number of the mask's word; b: the word; c: CPUs allowed in all
  kWeight = 12,    // ops.set_weight. tid; a: weight
  kCpu = 13,       // CPU on or off line. a: cpu; flags: 1 on
  kIrq = 14,       // an interrupt ended. a: irq, vector or softirq; b: duration without those that came on top of it
                   //   (ns); c: tid of the task that caused it, 0: none did; tid: the task that was running;
                   //   flags: IrqKind. From the first to the last line of the handler: entry and exit of the
                   //   interrupt itself are not measured
  kTimer = 15,     // a timer that may wake a task is armed (hrtimer_start) or expires (hrtimer_expire_entry,
                   //   timer_expire_entry). tid: the running task; a: tid of the sleeper, 0: not known;
                   //   b: expiry, latest; c: slack (ns) by which it may come earlier, for kTimerFile the object;
                   //   flags: TimerKind | TimerFlag
  kSyscallEnter = 16,  // tid; a: number; b: object (see ObjectKind); c: CPU time; flags: SyscallRole
  kSyscallExit = 17,   // tid; a: number; b: result, negative: -errno; c: CPU time; flags: SyscallRole
  kMember = 18,        // a descriptor joins a set, by epoll_ctl or just before poll. tid; a: EPOLL_CTL_*, or its index
                       //   for poll; b: object; c: the set's object; flags: 1 to read, 2 to write. poll names its
                       //   first 16, and its set lasts until the task's next poll; select's are not known
};
inline constexpr u8 kKernelEventTypeLast = 18;

// CPU time: since birth, in ns, as it passed from one kSwitch to the next, net of the kIrq that the task did not cause.
// Never goes back. What happened before the recorder was attached is the kernel's se.sum_exec_runtime, which is also
// what /proc/PID/schedstat shows and the engine sees; that contains interrupts, often begins at the wakeup already,
// and leaves out what a hypervisor stole.

/// Where the waker ran, by the NMI, hardirq and softirq-serving bits of preempt_count. A task with bottom halves
/// disabled is in task context. In kWakeTask the cause is the running task; in kWakeSoftirq the task that raised the
/// softirq, as one that sends over loopback does, or none when an interrupt raised it; otherwise there is none.
/// kWakeRunnable: the target had not left the CPU or its run queue yet; it stays runnable, or, where it
/// was about to sleep on another CPU, sleeps first and is woken then, without another event. kWakeNew: a task that was
/// just forked becomes runnable (sched_wakeup_new); imported traces only, elsewhere kFork says it.
enum WakeContext : u8 {
  kWakeTask = 0,
  kWakeSoftirq = 1,
  kWakeHardirq = 2,
  kWakeNmi = 3,
  kWakeRunnable = 4,
  kWakeNew = 8
};
inline constexpr u8 kWakeContextMask = 3;
enum SwitchFlag : u8 { kSwitchPreempted = 1 };  // inside the kernel (SM_PREEMPT), whatever prev_state says
enum TaskClass : u8 { kClassIdle = 0, kClassExt = 1, kClassFair = 2, kClassRt = 3, kClassDl = 4, kClassStop = 5 };
enum TaskMark : u8 { kMarkKernelThread = 1, kMarkOwn = 2 };  // own: of the process that records
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
/// Of a driver; softirq; of the CPU itself (x86: local timer, messages between CPUs, irq_work).
enum IrqKind : u8 { kIrqHard = 0, kIrqSoft = 1, kIrqVector = 2 };
/// Low three bits: what the timer does. A sleep (nanosleep, or the timeout of poll, epoll, futex), a timerfd,
/// setitimer, timer_create, a sleep on the timer wheel (only its expiry is recorded; `b` is then the event's own time).
enum TimerKind : u8 { kTimerSleep = 0, kTimerFile = 1, kTimerInterval = 2, kTimerPosix = 3, kTimerWheel = 4 };
inline constexpr u8 kTimerKindMask = 7;
enum TimerFlag : u8 { kTimerArmed = 8, kTimerAbsolute = 16 };  // absolute: as armed in the kernel, so poll's, too

/// What a call does to its object. It may do so at once or wait; what the wait ended with is in the result.
enum SyscallRole : u8 {
  kCallOther = 0,
  kCallTake = 1,   // read, recv, accept, FUTEX_WAIT, wait4, sigtimedwait, a lock
  kCallGive = 2,   // write, send, FUTEX_WAKE, kill, an unlock
  kCallReady = 3,  // poll, select, epoll_wait: waits until the object could be taken from, takes nothing
  kCallSleep = 4,  // nanosleep: the kTimer between enter and the next kSwitch has the expiry
  kCallYield = 5,
  kCallFork = 6,  // the child's own return is not recorded
};

/// The top byte of an object. The rest is an identity that holds as long as the object lives and that all calls on it
/// agree upon; it is no address of memory. Reads and writes of plain files are not recorded: nobody waits for them.
enum ObjectKind : u8 {
  kObjectNone = 0,
  kObjectPipe = 1,       // device and inode, the same from both ends; FIFOs, too
  kObjectUnix = 2,       // one receive queue of a pair: a write to one end and the read from the other agree
  kObjectInet = 3,       // the same for IP sockets that are connected to each other, if both are on this machine
  kObjectSocket = 4,     // any other socket, a listening one: its inode; 0 where it is not known who receives
  kObjectDevice = 5,     // device and inode of a terminal or other character device
  kObjectAnonymous = 6,  // eventfd, epoll, timerfd, signalfd, io_uring
  kObjectFutex = 7,      // tgid and address, or place in the file where memory is shared
  kObjectChild = 8,      // the pid that is waited for, 0: any child
  kObjectSignal = 9,     // the tgid that waits; for kill, whom it names
  kObjectIpc = 10,       // System V identifier, message queue
  kObjectLock = 11,      // device and inode of the locked file
  kObjectPoll = 12,      // the set of a poll with several descriptors: the task's tid
};
[[nodiscard]] inline constexpr ObjectKind object_kind(u64 object) { return static_cast<ObjectKind>(object >> 56); }

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
