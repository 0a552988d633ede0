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
constexpr u32 kMostOps = 4096;  // at a time: a loop without time in it comes to an end
}  // namespace

/// take() would neither block nor let a writer or another reader go on: taken. Else false, and nothing is done.
inline bool Workload::take_quietly(Kernel& kernel, const Op& op) {
  Place& place = places_[op.target];
  if (!place.takers.empty() || !place.posters.empty()) return false;
  const u64 got = std::min(place.tokens, op.value);
  if (got < op.value && (op.code == OpCode::kTake || got == 0)) return false;
  const Object& object = program_.objects[op.target];
  place.owed += op.value - got;
  if (object.members == 0 && object.page == 0)
    place.tokens -= got;
  else
    draw(kernel, op.target, got);
  if (place.takes_left != kNone) place.takes_left -= 1;
  stats_.takes += 1;
  return true;
}

/// post() likewise.
inline bool Workload::post_quietly(const Op& op) {
  Place& place = places_[op.target];
  if (!place.takers.empty() || !place.posters.empty()) return false;
  const Object& object = program_.objects[op.target];
  if (object.members != 0 && place.tokens == 0) return false;  // else who waits for a set it is in would be woken
  if (object.capacity != 0 && op.value > object.capacity - std::min(object.capacity, level(place)) + place.owed)
    return false;
  const u64 paid = std::min(place.owed, op.value);
  place.owed -= paid;
  place.tokens += op.value - paid;
  stats_.posts += 1;
  return true;
}

/// Does the operation at task.pc, if nobody can tell. `run_ns` grows by what it takes.
inline bool Workload::step_quietly(Kernel& kernel, Instance& task, u64& run_ns) {
  const Op& op = program_.ops[task.pc];
  u32 following = task.pc + 1;
  switch (op.code) {
    case OpCode::kRun:
      run_ns += op.value;
      break;
    case OpCode::kTake:
    case OpCode::kTakeSome:
      if (!take_quietly(kernel, op)) return false;
      break;
    case OpCode::kPost:
      if (!post_quietly(op)) return false;
      break;
    case OpCode::kReady:
      if (places_[op.target].tokens == 0) return false;
      stats_.takes += 1;
      break;
    case OpCode::kLoop:
      following = enter_loop(task, op);
      break;
    case OpCode::kLoopEnd:
      following = end_loop(task, op);
      break;
    default:
      return false;
  }
  task.pc = following;
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
      return places_[op.target].tokens != 0;
    case OpCode::kPost:
      return places_[op.target].takers.empty();
    default:
      return false;
  }
}

/// The task has just asked for `run_ns`, and its operation is done. Returns for how long it runs with all that was
/// done ahead.
u64 Workload::look_ahead(Kernel& kernel, Instance& task, u64 run_ns) {
  const TaskProgram& program = program_.tasks[task.task];
  const u32 end = program.first_op + program.ops;
  if (task.pc >= end || !may_be_quiet(program_.ops[task.pc])) return run_ns;
  const u64 horizon = kernel.undisturbed();
  for (u32 done = 0; done < kMostOps && task.pc < end && run_ns < horizon; ++done)
    if (!step_quietly(kernel, task, run_ns)) break;
  return run_ns;
}

}  // namespace reprise::sim
