// SPDX-License-Identifier: GPL-2.0-only
// Carries out a Program: the Behaviour of its tasks.
//
// Thread safety: none; one Workload per simulation, and many may share a Program, which must outlive them. Everything
// is allocated by begin(); after that nothing is, unless the kernel numbers tasks beyond all that were announced.
//
// How waiting works. Objects hold tokens. Who takes tokens that are there goes on; else it joins the object's waiters
// and blocks. A post wakes as many waiters, in the order in which they came, as the tokens reach for that are not yet
// promised to one woken before. A woken task has nothing yet: it looks again when it runs, and whoever ran before it
// may have been faster (as with pipes, futexes and semaphores of the kernel). Writers of a full object wait likewise,
// until it has drained to its low water, or nobody will drain it any more: a recording ends in the middle of things.
#pragma once

#include <string>
#include <vector>

#include "sim/kernel/behaviour.h"
#include "sim/workload/program.h"

namespace reprise::sim {

/// What happened so far.
struct WorkloadStats {
  u64 takes = 0;
  u64 takes_blocked = 0;  // did not find what they wanted
  u64 posts = 0;
  u64 posts_blocked = 0;  // the object was full
  u64 wakes = 0;
  u64 sleeps = 0;       // for time
  u64 sleeps_late = 0;  // whose time had come already
  u64 forks = 0;
  u64 forks_refused = 0;  // more tasks than announced (Program::max_instances)
  u64 exits = 0;
  u64 leaves = 0;       // whose recording ended before they did
  u64 relieved = 0;     // see relieve()
  u64 empty_turns = 0;  // a task went around in loops without running
};

class Workload final : public Behaviour {
 public:
  /// `program` must have passed check().
  explicit Workload(const Program& program);

  /// Makes the tasks that exist at the start, in the order of the program, and starts those that run. Once.
  void begin(Kernel&);

  Action next(Kernel&, TaskId) override;
  void timer(Kernel&, u64 cookie) override;

  /// All tasks have ended, but for those in the background.
  [[nodiscard]] bool finished() const { return alive_ == background_ && started_tasks_ == due_tasks_; }
  [[nodiscard]] u32 alive() const { return alive_; }
  [[nodiscard]] const WorkloadStats& stats() const { return stats_; }
  /// Entry of Program::tasks that `task` was made from; kNoTaskId: none of ours.
  [[nodiscard]] u32 program_of(TaskId task) const;

  /// To be called when no task can run and no timer is armed. Gives the first waiting task that takes or posts tokens
  /// what it lacks, and wakes it; false: there is none. Happens where a trace told less than a task depended on;
  /// counted.
  bool relieve(Kernel&);
  /// Who waits for what, at most `limit` lines.
  [[nodiscard]] std::string waiting(u32 limit = 20) const;

  [[nodiscard]] u64 state_hash() const;
  [[nodiscard]] u64 bytes() const;

 private:
  enum class State : u8 { kNone, kRunnable, kWaiting, kSleeping, kEnded };
  static constexpr u32 kNone = ~u32{0};

  struct Instance {
    u64 rest = 0;     // tokens still to be taken or posted in this operation
    u64 promise = 0;  // tokens kept for it since it was woken
    TaskId id = kNoTaskId;
    u32 task = 0;  // entry of Program::tasks
    u32 pc = 0;
    u32 next = kNone;  // waiter behind it
    u32 sleep = 0;     // number of its sleep, so that a timer of an earlier one is known
    u32 loops[kMaxLoopDepth] = {};
    State state = State::kNone;
    u8 inside = 0;   // the operation has begun
    u8 blocked = 0;  // and has blocked
    u8 granted = 0;  // and what it waits for has come
    u8 paid = 0;     // Op::extra has been
    u8 reserved[3] = {};
  };
  static_assert(sizeof(Instance) == 64);

  struct Queue {
    u32 first = kNone;
    u32 last = kNone;
    [[nodiscard]] bool empty() const { return first == kNone; }
  };
  struct PlaceState {  // of an object
    u64 tokens = 0;    // of a set: members that are ready; of a timer: when the next period begins
    u64 promised = 0;
    u64 owed = 0;  // taken by kTakeSome before it was there
    u64 read = 0;  // of the first page of a pipe
    Queue takers;
    Queue posters;
    u32 ready_waiters = 0;   // among takers, in kReady
    u32 takes_left = kNone;  // Object::takes that are still to come; kNone: not known
  };
  struct Place : PlaceState {
    u64 plain = 0;  // what fits into it, if it holds tokens without pages and is in no set; else 0

    [[nodiscard]] bool awaited() const { return (takers.first & posters.first) != kNone; }
  };
  static_assert(sizeof(Place) == 64);
  /// What does not fit any more because of what is there. Pages of a pipe become free as wholes.
  [[nodiscard]] static u64 level(const Place& place) { return place.tokens + place.read; }

  [[nodiscard]] bool is_due(u32 task) const;
  u32 make(Kernel&, u32 task, TaskId parent, TaskState state);
  void wait_from_start(Kernel&, u32 instance);
  void push(Queue&, u32 instance);
  void push_front(Queue&, u32 instance);
  void wake(Kernel&, u32 instance, WakeContext);
  /// Keeps the sets up to date that the object is in; their waiters are woken when it becomes ready.
  void set_tokens(Kernel& kernel, u32 object, u64 tokens, WakeContext context) {
    u64& has = places_[object].tokens;
    const bool changes = (has > 0) != (tokens > 0);
    has = tokens;
    if (changes && program_.objects[object].members != 0) tell_sets(kernel, object, tokens > 0, context);
  }
  void tell_sets(Kernel&, u32 object, bool ready, WakeContext);
  bool draw(Kernel&, u32 object, u64 count);
  u32 wake_takers(Kernel&, u32 object, WakeContext);
  void wake_posters(Kernel&, u32 object);

  enum class Result : u8 { kDone, kDoneAfterBlock, kBlock };
  Result take(Kernel&, u32 instance, const Op&);
  void put(Kernel&, u32 object, u64 tokens, WakeContext);
  Result post(Kernel&, u32 instance, const Op&, bool& woke);
  Result ready(u32 instance, const Op&);
  [[nodiscard]] bool would_wait(const Op&) const;
  /// How long it takes to find that there is nothing (Op::extra); to be called once.
  static u64 pay_extra(Instance& task, const Op& op) {
    task.paid = 1;
    return op.extra * kExtraUnitNs;
  }
  Result wait_granted(u32 instance, Queue&);
  Result barrier(Kernel&, u32 instance, const Op&);
  [[nodiscard]] static u64 after_ticks(const Kernel&, const Op&);
  Result sleep_until(Kernel&, u32 instance, u64 at_ns, u64 slack_ns = 0);
  Result period(Kernel&, u32 instance, const Op&);
  u64 signal(Kernel&, u32 object, u64 count, WakeContext);
  /// Where a kLoop, a kLoopEnd goes on; `op`: of Program::ops.
  u32 enter_loop(Instance& task, const Op& op) const {
    task.loops[op.depth] = 0;
    return op.value == 0 ? op.target + 1 : index_of(op) + 1;
  }
  u32 end_loop(Instance& task, const Op& op) const {
    const u64 count = program_.ops[op.target].value;
    return count == kForever || ++task.loops[op.depth] < count ? op.target + 1 : index_of(op) + 1;
  }
  [[nodiscard]] u32 index_of(const Op& op) const { return static_cast<u32>(&op - program_.ops.data()); }
  void end(Kernel&, u32 instance);
  // workload_ahead.cc
  [[nodiscard]] u64 look_ahead(Kernel&, Instance&, u64 run_ns);
  [[nodiscard]] bool may_be_quiet(const Op&) const;
  [[nodiscard]] bool leaves_full(const Place&, const Op&) const;
  bool take_quietly(Kernel&, const Op&);
  bool post_quietly(const Op&);
  const Op* step_quietly(Instance&, const Op&, u32& turns);
  void do_outside(Kernel&);
  void arm_outside(Kernel&);

  const Program& program_;
  std::vector<Instance> instances_;
  std::vector<u32> instance_of_;     // by TaskId
  std::vector<u32> first_instance_;  // by entry of Program::tasks
  std::vector<Place> places_;
  std::vector<u32> later_;  // tasks of TaskStart::kAtTime, by time
  WorkloadStats stats_;
  u64 start_ns_ = 0;
  u32 next_outside_ = 0;
  u32 next_later_ = 0;
  u32 alive_ = 0;
  u32 background_ = 0;     // of these
  u32 started_tasks_ = 0;  // of those that are due
  u32 due_tasks_ = 0;
  i32 next_tid_ = 1;
};

}  // namespace reprise::sim
