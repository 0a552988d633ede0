// SPDX-License-Identifier: GPL-2.0-only
// Looking ahead: most calls of a task neither block nor wake anybody. As long as nothing else can happen on the machine,
// nobody can tell whether such a call is made now or when its time has come, so it is made now, and the kernel model is
// asked once for many of them.
//
// Each case here does what the same case of Workload::next does when it blocks nobody and wakes nobody, and refuses
// otherwise; SimOptions::look_ahead switches all of it off, and the results must be the same (sim.LookAhead).
#include <algorithm>

#include "sim/workload/workload.h"

namespace reprise::sim {
namespace {
constexpr u32 kMostOps = 4096;  // at a time: a loop without time in it comes to an end

constexpr u32 bit(OpCode code) { return 1u << static_cast<u32>(code); }
constexpr u32 kQuiet = bit(OpCode::kRun) | bit(OpCode::kTake) | bit(OpCode::kTakeSome) | bit(OpCode::kPost) |
                       bit(OpCode::kReady) | bit(OpCode::kLoop) | bit(OpCode::kLoopEnd);
}  // namespace

/// take() where it neither blocks nor lets a writer or another reader go on. False: it is not so.
bool Workload::take_quietly(Kernel& kernel, const Op& op) {
  Place& place = places_[op.target];
  const u64 got = std::min(place.tokens, op.value);
  if (!place.takers.empty() || !place.posters.empty()) return false;
  if (got < op.value && (op.code == OpCode::kTake || got == 0)) return false;
  place.owed += op.value - got;
  set_tokens(kernel, op.target, place.tokens - got, WakeContext::kTask);
  if (place.takes_left != kNone) place.takes_left -= 1;
  stats_.takes += 1;
  return true;
}

/// post() likewise.
bool Workload::post_quietly(Kernel& kernel, const Op& op) {
  Place& place = places_[op.target];
  const Object& object = program_.objects[op.target];
  if (!place.takers.empty() || !place.posters.empty()) return false;
  if (object.members != 0 && place.tokens == 0) return false;  // who waits for the set would be woken
  if (object.capacity != 0 && op.value > object.capacity - std::min(object.capacity, place.tokens) + place.owed)
    return false;
  put(kernel, op.target, op.value, WakeContext::kTask);
  stats_.posts += 1;
  return true;
}

/// The task has just asked for `run_ns`, and its operation is done. Returns for how long it runs with all that was
/// done ahead.
u64 Workload::look_ahead(Kernel& kernel, Instance& task, u64 run_ns) {
  const TaskProgram& program = program_.tasks[task.task];
  const u32 end = program.first_op + program.ops;
  u64 horizon = 0;  // asked for when there is something to do
  for (u32 done = 0; done < kMostOps && task.pc < end; ++done) {
    const Op& op = program_.ops[task.pc];
    if ((kQuiet >> static_cast<u32>(op.code) & 1) == 0) break;
    if (horizon == 0) horizon = kernel.undisturbed();
    if (run_ns >= horizon) break;
    u32 following = task.pc + 1;
    switch (op.code) {
      case OpCode::kRun:
        run_ns += op.value;
        break;
      case OpCode::kTake:
      case OpCode::kTakeSome:
        if (!take_quietly(kernel, op)) return run_ns;
        break;
      case OpCode::kPost:
        if (!post_quietly(kernel, op)) return run_ns;
        break;
      case OpCode::kReady:
        if (places_[op.target].tokens == 0) return run_ns;
        stats_.takes += 1;
        break;
      case OpCode::kLoop:
        task.loops[op.depth] = 0;
        if (op.value == 0) following = op.target + 1;
        break;
      case OpCode::kLoopEnd: {
        const u64 count = program_.ops[op.target].value;
        if (count == kForever || ++task.loops[op.depth] < count) following = op.target + 1;
        break;
      }
      default:
        return run_ns;
    }
    task.pc = following;
  }
  return run_ns;
}

}  // namespace reprise::sim
