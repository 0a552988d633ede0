// SPDX-License-Identifier: GPL-2.0-only
// What each task of a workload does: a list of operations on objects that hold tokens. Made from a trace (extract.h),
// an rt-app file (rtapp.h) or by a generator (generate.h); carried out by Workload (workload.h).
//
// Flat arrays, indices instead of pointers; immutable once made, so that many simulations share one program.
//
// A token is whatever the object counts: bytes in a pipe, units of a semaphore, ends of children. A task that finds
// what it wants does not block; that is how it comes that one policy makes a task sleep and another does not.
// Time spent waiting for a CPU is no part of a program.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/prng.h"
#include "scheduler/core/types.h"

namespace reprise::sim {

/// Limits; builders refuse more.
inline constexpr u32 kMaxOps = 1u << 30;
inline constexpr u32 kMaxObjects = 1u << 26;
inline constexpr u32 kMaxLoopDepth = 4;
inline constexpr u32 kNoObject = ~u32{0};

enum class OpCode : u8 {
  kRun,         // value: CPU time, ns
  kRunFor,      // value: time, ns; target: CPU time between two looks at the clock, ns. Runs until that much time has
                // passed, with a CPU or without
  kTake,        // target: object; value: tokens. Blocks until they are there
  kTakeSome,    // the same, but goes on with the first token, as a read does; what it lacks then, later posts pay
  kPost,        // target: object; value: tokens. Blocks while the object is full
  kReady,       // target: object or set. Blocks until it holds a token; takes none
  kAwait,       // target: condition. Blocks until a signal; signals that came before do not count
  kSignal,      // target: condition; value: how many waiters are let go, kEverybody: all
  kBarrier,     // target: barrier, whose `capacity` is how many must come; the last one lets the others go
  kSleep,       // value: ns from now
  kSleepUntil,  // value: ns after the start of the workload. In the past: does not block
  kSleepTicks,  // value: until so many ticks have come
  kTimer,       // target: timer; value: period, ns. Sleeps until the timer's period is over; what is late does not
                // block
  kLoop,        // target: the kLoopEnd; value: how often, kForever: without end; 0: goes past it
  kLoopEnd,     // target: the kLoop
  kFork,        // target: entry of Program::tasks that the child is made from
  kAffinity,    // target: entry of Program::cpu_sets; value: task whose it is, kSelf: own
  kWeight,      // target: weight; value: as for kAffinity
  kYield,       //
  kUntil,       // value: ns after the start. When that has passed, goes to operation `target`
  kStopped,     // target: object; value: operation to go to when it holds a token, which stays there
  kExitBegins,  // the task is in do_exit from here on, which takes the CPU time up to its kExit
  kLeaveGroup,  // sched_move_task in do_exit: another task may run now
  kExit,        // also what a program that runs off its end does
  kLeave,       // the recording ends here: the task sleeps and is no longer part of the workload
};
inline constexpr u64 kEverybody = ~u64{0};
inline constexpr u64 kForever = ~u64{0};
inline constexpr u64 kSelf = ~u64{0};

struct Op {
  OpCode code = OpCode::kExit;
  u8 depth = 0;   // of kLoop and kLoopEnd: 0..kMaxLoopDepth-1
  u16 extra = 0;  // kTake*, kReady, kAwait: CPU time that it takes, before blocking, to find that there is nothing;
                  // kPost, kSignal: that waking costs on top; kSleep, kSleepUntil, kTimer: by how much the
                  // timer may come early, with another one. In units of kExtraUnitNs
  u32 target = 0;
  u64 value = 0;
};
inline constexpr u64 kExtraUnitNs = 16;

/// Operations that may go to another one of the task, by its index in Program::ops.
[[nodiscard]] constexpr bool jumps(const Op& op) {
  return op.code == OpCode::kLoop || op.code == OpCode::kLoopEnd || op.code == OpCode::kUntil ||
         op.code == OpCode::kStopped;
}
[[nodiscard]] constexpr u32 jump_of(const Op& op) {
  return op.code == OpCode::kStopped ? static_cast<u32>(op.value) : op.target;
}
constexpr void set_jump(Op& op, u32 to) {
  if (op.code == OpCode::kStopped)
    op.value = to;
  else
    op.target = to;
}
static_assert(sizeof(Op) == 16 && std::is_trivially_copyable_v<Op>);

enum class ObjectType : u8 {
  kTokens,     // pipe, socket, semaphore, lock (one token), ends of children
  kCondition,  // kAwait and kSignal
  kBarrier,
  kSet,    // what a poll or epoll watches: ready when one of its members is
  kTimer,  // of kTimer; capacity: what who is late does (below); tokens: when the first period begins, ns after the
           // start of the workload, or kWhenUsed: when somebody first comes
};
inline constexpr u64 kTimerBeginsAnew = 0;  // the next period begins when it is noticed
inline constexpr u64 kTimerCatchesUp = 1;   // what was missed is made good
inline constexpr u64 kWhenUsed = ~u64{0};

inline constexpr u32 kTakesUnknown = ~u32{0};  // somebody takes in a loop, or is made again and again

struct Object {
  ObjectType type = ObjectType::kTokens;
  u8 kind = 0;   // trace::ObjectKind where it comes from a trace
  u16 page = 0;  // of a pipe: what fits into a page, which becomes free as a whole; low_water is a page below full
  u32 first_member = 0;  // kSet: into Program::members; tokens: the sets it is in, into Program::memberships
  u32 members = 0;
  u32 takes = kTakesUnknown;  // operations of all tasks that take from it, each of them once; filled in by seal()
  u64 tokens = 0;             // at the start
  u64 capacity = 0;           // 0: any number fits
  u64 low_water = 0;          // who blocked on a full object goes on when no more than that is left
  u64 identity = 0;           // in the trace; else 0
};
static_assert(sizeof(Object) == 48);

enum class TaskStart : u8 {
  kAtStart,  // runnable when the workload starts
  kAtTime,   // becomes runnable at start_ns
  kWaiting,  // exists from the start and waits in its first operation
  kByFork,   // made by a kFork
};

struct TaskProgram {
  u32 first_op = 0;
  u32 ops = 0;
  i32 tid = 0;  // 0: given out by the workload
  i32 tgid = 0;
  i32 parent = -1;  // entry of Program::tasks
  u32 weight = kWeightDefault;
  u32 cpu_set = 0;        // entry of Program::cpu_sets; 0: all CPUs
  u32 ended = kNoObject;  // object that gets a token when the task ends: somebody waits for it
  u64 start_ns = 0;       // after the start of the workload
  char comm[16] = {};
  TaskStart start = TaskStart::kAtStart;
  u8 sched_class = 1;  // trace::TaskClass
  bool kernel_thread = false;
  bool own = false;         // of the process that recorded: runs, but is left out of distributions
  bool background = false;  // the workload has ended without it, too
  bool at_attach = false;   // existed when the scheduler attached; no newcomer, however little it has run
  u8 reserved[2] = {};
};
static_assert(sizeof(TaskProgram) == 64);

/// Something that no task causes, at its own time: an interrupt that brings data, a signal from outside.
struct OutsideEvent {
  u64 at_ns = 0;   // after the start of the workload; sorted
  u64 value = 0;   // tokens; kCondition and kBarrier: all who wait are let go
  u32 target = 0;  // object
  u16 cpu = 0;     // where the interrupt came
  bool softirq = false;
  u8 reserved = 0;
};
static_assert(sizeof(OutsideEvent) == 24);

/// CPU time that interrupts and classes above took, at its own time. For Kernel, which takes it away.
struct Theft {
  u64 at_ns = 0;  // its end, after the start of the workload; sorted
  u64 duration_ns = 0;
  u32 cpu = 0;
  u32 kind = 0;  // trace::IrqKind << 16 | number of the interrupt
};

struct Program {
  std::vector<Op> ops;
  std::vector<Object> objects;
  std::vector<u32> members;      // objects
  std::vector<u32> memberships;  // sets
  std::vector<TaskProgram> tasks;
  std::vector<CpuMask> cpu_sets;  // [0]: all
  std::vector<OutsideEvent> outside;
  std::vector<Theft> thefts;
  u32 max_instances = 0;  // tasks that may ever be made; at least tasks.size()
  bool endless = false;   // some task never ends by itself
  bool weak = false;      // from scheduler events only: how tasks wait does not change with the policy
  u64 duration_ns = 0;    // of the recording; 0: none

  [[nodiscard]] u64 bytes() const;
};

/// Whether every index and number of `program` is in range: what a Workload takes for granted. Error (kBadInput).
Expected<void> check(const Program&);

/// Tasks, operations, objects and memory in a few lines.
[[nodiscard]] std::string describe(const Program&);
/// One task's operations, a line each.
[[nodiscard]] std::string listing(const Program&, u32 task);
[[nodiscard]] std::string_view name(OpCode);

/// Fills in what follows from the rest: memberships, takes, the order of outside events, whether it ends.
[[nodiscard]] Program seal(Program);

/// Changes run times by up to `per_mille` thousandths.
void jitter(Program&, u32 per_mille, Prng);

/// Builds a program: tasks one after the other, each with begin_task, operations, end_task.
class ProgramBuilder {
 public:
  ProgramBuilder();
  /// Index of the object.
  u32 object(ObjectType, u64 tokens = 0, u64 capacity = 0, u64 low_water = 0);
  u32 set(const std::vector<u32>& members);
  u32 cpu_set(const CpuMask&);
  /// An entry without operations, so that others can name it before they are there.
  u32 declare(const TaskProgram&);
  void begin(u32 task);
  void run(u64 ns);  // 0: nothing; consecutive runs become one
  void op(OpCode, u32 target = 0, u64 value = 0, u16 extra = 0);
  void loop(u64 count);
  void end_loop();
  void end();
  Object& at(u32 object) { return program_.objects[object]; }
  TaskProgram& task(u32 index) { return program_.tasks[index]; }
  Program& program() { return program_; }
  /// Sealed. The builder is empty afterwards.
  Program finish();

 private:
  Program program_;
  std::vector<u32> open_loops_;
  u32 current_ = 0;
};

}  // namespace reprise::sim
