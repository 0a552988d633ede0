// SPDX-License-Identifier: GPL-2.0-only
// The part of Workload that looks at all of it: who waits, and what to do when nobody can go on.
#include <fmt/format.h>

#include <cstring>

#include "scheduler/core/hash.h"
#include "sim/workload/workload.h"

namespace reprise::sim {

bool Workload::relieve(Kernel& kernel) {
  for (u32 i = 0; i < instances_.size(); ++i) {
    Instance& task = instances_[i];
    if (task.state != State::kWaiting) continue;
    const Op& op = program_.ops[task.pc];
    Place& place = places_[op.target];
    if (op.code == OpCode::kTake || op.code == OpCode::kTakeSome) {
      put(kernel, op.target, place.owed + place.promised + task.rest, WakeContext::kHardirq);
      wake_takers(kernel, op.target, WakeContext::kHardirq);
    } else if (op.code == OpCode::kPost) {
      place.owed += place.tokens + task.rest;
      set_tokens(kernel, op.target, 0, WakeContext::kHardirq);
      place.read = 0;
      wake_posters(kernel, op.target);
    } else {
      continue;
    }
    stats_.relieved += 1;
    return true;
  }
  return false;
}

std::string Workload::waiting(u32 limit) const {
  std::string out;
  u32 lines = 0, all = 0;
  for (const Instance& task : instances_) {
    if (task.state != State::kWaiting && task.state != State::kSleeping) continue;
    if (++all > limit) continue;
    ++lines;
    const TaskProgram& program = program_.tasks[task.task];
    const Op& op = program_.ops[task.pc];
    out += fmt::format("{} ({}) waits in operation {} of {}: {} of object {}", program.tid,
                       std::string_view(program.comm, strnlen(program.comm, sizeof program.comm)),
                       task.pc - program.first_op, program.ops, name(op.code), op.target);
    if (task.state == State::kWaiting && op.target < places_.size())
      out += fmt::format(" (kind {}, identity {:x}), wants {}, has {}", program_.objects[op.target].kind,
                         program_.objects[op.target].identity, task.rest, places_[op.target].tokens);
    out += '\n';
  }
  if (all > lines) out += fmt::format("and {} more\n", all - lines);
  return out;
}

u64 Workload::state_hash() const {
  u64 hash = hash_bytes(std::as_bytes(std::span(instances_)), 0);
  const std::vector<PlaceState> places(places_.begin(), places_.end());
  hash = hash_bytes(std::as_bytes(std::span(places)), hash);
  const u64 rest[] = {next_outside_, next_later_, alive_, stats_.wakes, stats_.takes_blocked};
  return hash_bytes(std::as_bytes(std::span(rest)), hash);
}

u64 Workload::bytes() const {
  return instances_.capacity() * sizeof(Instance) + places_.capacity() * sizeof(Place) +
         (instance_of_.capacity() + first_instance_.capacity() + later_.capacity()) * sizeof(u32);
}

}  // namespace reprise::sim
