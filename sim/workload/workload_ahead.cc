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

/// take() would neither block nor let a writer or another reader go on.
bool Workload::takes_quietly(const Op& op) const {
  const Place& place = places_[op.target];
  return place.takers.empty() && place.posters.empty() &&
         (place.tokens >= op.value || (op.code == OpCode::kTakeSome && place.tokens != 0));
}

void Workload::take_quietly(Kernel& kernel, const Op& op) {
  Place& place = places_[op.target];
  const u64 got = std::min(place.tokens, op.value);
  place.owed += op.value - got;
  draw(kernel, op.target, got);
  if (place.takes_left != kNone) place.takes_left -= 1;
  stats_.takes += 1;
}

/// post() likewise.
bool Workload::posts_quietly(const Op& op) const {
  const Place& place = places_[op.target];
  const Object& object = program_.objects[op.target];
  return place.takers.empty() && place.posters.empty() &&
         (object.members == 0 || place.tokens != 0) &&  // else who waits for the set would be woken
         (object.capacity == 0 || op.value <= object.capacity - std::min(object.capacity, level(place)) + place.owed);
}

bool Workload::is_quiet(const Op& op) const {
  switch (op.code) {
    case OpCode::kRun:
    case OpCode::kLoop:
    case OpCode::kLoopEnd:
      return true;
    case OpCode::kTake:
    case OpCode::kTakeSome:
      return takes_quietly(op);
    case OpCode::kPost:
      return posts_quietly(op);
    case OpCode::kReady:
      return places_[op.target].tokens != 0;
    default:
      return false;
  }
}

/// The task has just asked for `run_ns`, and its operation is done. Returns for how long it runs with all that was
/// done ahead.
u64 Workload::look_ahead(Kernel& kernel, Instance& task, u64 run_ns) {
  const TaskProgram& program = program_.tasks[task.task];
  const u32 end = program.first_op + program.ops;
  u64 horizon = 0;  // asked for when there is something to do
  for (u32 done = 0; done < kMostOps && task.pc < end; ++done) {
    const Op& op = program_.ops[task.pc];
    if (!is_quiet(op)) break;
    if (horizon == 0) horizon = kernel.undisturbed();
    if (run_ns >= horizon) break;
    u32 following = task.pc + 1;
    if (op.code == OpCode::kRun) {
      run_ns += op.value;
    } else if (op.code == OpCode::kPost) {
      put(kernel, op.target, op.value, WakeContext::kTask);
      stats_.posts += 1;
    } else if (op.code == OpCode::kReady) {
      stats_.takes += 1;
    } else if (op.code == OpCode::kLoop) {
      task.loops[op.depth] = 0;
      if (op.value == 0) following = op.target + 1;
    } else if (op.code == OpCode::kLoopEnd) {
      const u64 count = program_.ops[op.target].value;
      if (count == kForever || ++task.loops[op.depth] < count) following = op.target + 1;
    } else {
      take_quietly(kernel, op);
    }
    task.pc = following;
  }
  return run_ns;
}

}  // namespace reprise::sim
