// SPDX-License-Identifier: GPL-2.0-only
// Looking ahead: most calls of a task neither block nor wake anybody. As long as nothing else can happen on the
// machine, nobody can tell whether such a call is made now or when its time has come, so it is made now, and the kernel
// model is asked once for many of them.
//
// Each case here does what the same case of Workload::next does when it blocks nobody and wakes nobody, and refuses
// otherwise; SimOptions::look_ahead switches all of it off, and the results must be the same (sim.state_hashes).
#include <algorithm>

#include "sim/workload/workload.h"

namespace reprise::sim {
namespace {
constexpr u32 kMostTurns = 4096;  // at a time: a loop without time in it comes to an end
}  // namespace

/// Writers wait, and go on waiting when that has been taken.
inline bool Workload::leaves_full(const Place& place, const Op& op) const {
  return place.takers.empty() && place.plain != 0 && place.takes_left > 1 && place.tokens > op.value &&
         place.tokens - op.value > program_.objects[op.target].low_water;
}

/// take() would neither block nor let a writer or another reader go on: taken. Else false, and nothing is done.
inline bool Workload::take_quietly(Kernel& kernel, const Op& op) {
  Place& place = places_[op.target];
  if (place.awaited() && !leaves_full(place, op)) return false;
  if (place.plain != 0 && place.tokens >= op.value) {
    place.tokens -= op.value;
  } else {
    const u64 got = std::min(place.tokens, op.value);
    if (got < op.value && (op.code == OpCode::kTake || got == 0)) return false;
    place.owed += op.value - got;
    draw(kernel, op.target, got);
  }
  if (place.takes_left != kNone) place.takes_left -= 1;
  return true;
}

/// post() likewise.
inline bool Workload::post_quietly(const Op& op) {
  Place& place = places_[op.target];
  if (place.awaited()) return false;
  if (place.owed == 0 && op.value <= place.plain - std::min(place.plain, place.tokens)) {
    place.tokens += op.value;
    return true;
  }
  const Object& object = program_.objects[op.target];
  if (object.members != 0 && place.tokens == 0) return false;  // else who waits for a set it is in would be woken
  if (object.capacity != 0 && op.value > object.capacity - std::min(object.capacity, level(place)) + place.owed)
    return false;
  const u64 paid = std::min(place.owed, op.value);
  place.owed -= paid;
  place.tokens += op.value - paid;
  return true;
}

/// Whether it is worth asking the kernel.
inline bool Workload::may_be_quiet(const Op& op) const {
  switch (op.code) {
    case OpCode::kRun:
    case OpCode::kLoop:
    case OpCode::kLoopEnd:
      return true;
    case OpCode::kTake:
    case OpCode::kTakeSome:
    case OpCode::kReady:
      return op.extra != 0 || places_[op.target].tokens != 0;
    case OpCode::kAwait:
      return op.extra != 0;
    case OpCode::kPost:
      return places_[op.target].takers.empty();
    default:
      return false;
  }
}

/// Another operation than those: where to go on, null if somebody could tell.
inline const Op* Workload::step_quietly(Instance& task, const Op& op, u32& turns) {
  switch (op.code) {
    case OpCode::kReady:
      if (places_[op.target].tokens == 0) return nullptr;
      stats_.takes += 1;
      return &op + 1;
    case OpCode::kLoop:
      return &program_.ops[enter_loop(task, op)];
    case OpCode::kLoopEnd:
      return ++turns < kMostTurns ? &program_.ops[end_loop(task, op)] : nullptr;
    default:
      return nullptr;
  }
}

/// The task has just asked for `run_ns`, and its operation is done. Returns for how long it runs with all that was
/// done ahead.
u64 Workload::look_ahead(Kernel& kernel, Instance& task, u64 run_ns) {
  const TaskProgram& program = program_.tasks[task.task];
  const Op* const ops = program_.ops.data();
  const Op* const end = ops + program.first_op + program.ops;
  const Op* op = ops + task.pc;
  if (op == end || !may_be_quiet(*op)) return run_ns;
  const u64 horizon = kernel.undisturbed();
  u64 takes = 0, posts = 0;
  u32 turns = 0;
  while (op != end && run_ns < horizon) {
    if (op->code == OpCode::kRun) {
      run_ns += op->value;
      ++op;
      continue;
    }
    const Op* following = op + 1;
    bool quiet;
    if (op->code == OpCode::kTake || op->code == OpCode::kTakeSome) {
      quiet = take_quietly(kernel, *op);
      takes += quiet;
    } else if (op->code == OpCode::kPost) {
      quiet = post_quietly(*op);
      posts += quiet;
    } else {
      following = step_quietly(task, *op, turns);
      quiet = following != nullptr;
    }
    if (!quiet) {
      if (op->extra != 0 && would_wait(*op)) run_ns += pay_extra(task, *op);
      break;
    }
    op = following;
  }
  task.pc = static_cast<u32>(op - ops);
  stats_.takes += takes;
  stats_.posts += posts;
  return run_ns;
}

}  // namespace reprise::sim
