// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "scheduler/core/check.h"

namespace reprise::sim {
namespace {

constexpr std::array<std::string_view, 25> kNames = {
    "run",   "run_for",     "take",        "take_some",   "post",        "ready",    "await", "signal",   "barrier",
    "sleep", "sleep_until", "sleep_ticks", "timer",       "loop",        "loop_end", "fork",  "affinity", "weight",
    "yield", "until",       "stopped",     "exit_begins", "leave_group", "exit",     "leave"};

template <typename T>
u64 bytes_of(const std::vector<T>& v) {
  return v.capacity() * sizeof(T);
}

std::unexpected<Error> wrong(u32 task, u64 op, std::string what) {
  return fail(ExitCode::kBadInput, std::move(what), fmt::format("workload, task {}, operation {}", task, op));
}

/// Whether `op` may work on an object of that type.
bool fits(OpCode op, ObjectType type) {
  switch (op) {
    case OpCode::kTake:
    case OpCode::kTakeSome:
    case OpCode::kPost:
    case OpCode::kStopped:
      return type == ObjectType::kTokens;
    case OpCode::kReady:
      return type == ObjectType::kTokens || type == ObjectType::kSet;
    case OpCode::kAwait:
    case OpCode::kSignal:
      return type == ObjectType::kCondition;
    case OpCode::kBarrier:
      return type == ObjectType::kBarrier;
    case OpCode::kTimer:
      return type == ObjectType::kTimer;
    default:
      return true;
  }
}

bool names_object(OpCode op) {
  switch (op) {
    case OpCode::kTake:
    case OpCode::kTakeSome:
    case OpCode::kPost:
    case OpCode::kStopped:
    case OpCode::kReady:
    case OpCode::kAwait:
    case OpCode::kSignal:
    case OpCode::kBarrier:
    case OpCode::kTimer:
      return true;
    default:
      return false;
  }
}

Expected<void> check_op(const Program& program, u32 task, u64 index) {
  const TaskProgram& owner = program.tasks[task];
  const Op& op = program.ops[index];
  const auto inside = [&](u64 target) { return target >= owner.first_op && target < u64{owner.first_op} + owner.ops; };
  if (op.code > OpCode::kLeave) return wrong(task, index, "unknown operation");
  if (names_object(op.code)) {
    if (op.target >= program.objects.size()) return wrong(task, index, "no such object");
    if (!fits(op.code, program.objects[op.target].type)) return wrong(task, index, "object of another type");
  }
  if (op.depth >= kMaxLoopDepth) return wrong(task, index, "loops nested too deep");
  switch (op.code) {
    case OpCode::kLoop:
    case OpCode::kLoopEnd: {
      const OpCode other = op.code == OpCode::kLoop ? OpCode::kLoopEnd : OpCode::kLoop;
      if (!inside(op.target) || program.ops[op.target].code != other || program.ops[op.target].target != index)
        return wrong(task, index, "loop without its other end");
      if (op.code == OpCode::kLoop && op.target < index) return wrong(task, index, "loop that ends before it begins");
      break;
    }
    case OpCode::kRunFor:
      if (op.target == 0) return wrong(task, index, "never looks at the clock");
      break;
    case OpCode::kUntil:
    case OpCode::kStopped:
      if (!inside(jump_of(op))) return wrong(task, index, "goes out of the task");
      break;
    case OpCode::kFork:
      if (op.target >= program.tasks.size()) return wrong(task, index, "forks an unknown task");
      break;
    case OpCode::kAffinity:
      if (op.target >= program.cpu_sets.size()) return wrong(task, index, "unknown set of CPUs");
      [[fallthrough]];
    case OpCode::kWeight:
      if (op.value != kSelf && op.value >= program.tasks.size()) return wrong(task, index, "unknown task");
      if (op.code == OpCode::kWeight && (op.target < kWeightMin || op.target > kWeightMax))
        return wrong(task, index, "weight out of range");
      break;
    default:
      break;
  }
  return {};
}

}  // namespace

std::string_view name(OpCode code) { return kNames[static_cast<std::size_t>(code)]; }

u64 Program::bytes() const {
  return bytes_of(ops) + bytes_of(objects) + bytes_of(members) + bytes_of(memberships) + bytes_of(tasks) +
         bytes_of(cpu_sets) + bytes_of(outside) + bytes_of(thefts);
}

Expected<void> check(const Program& program) {
  const auto wrong_program = [](std::string what) { return fail(ExitCode::kBadInput, std::move(what), "workload"); };
  if (program.ops.size() > kMaxOps || program.objects.size() > kMaxObjects || program.tasks.size() > kMaxTasks)
    return wrong_program("too large: too many operations, objects or tasks");
  if (program.cpu_sets.empty()) return wrong_program("no set of CPUs");
  if (program.max_instances < program.tasks.size() || program.max_instances > kMaxTasks)
    return wrong_program(fmt::format("{} tasks at once; at most {}", program.max_instances, kMaxTasks));
  for (const Object& o : program.objects) {
    const auto& list = o.type == ObjectType::kSet ? program.members : program.memberships;
    if (u64{o.first_member} + o.members > list.size()) return wrong_program("members of a set out of range");
    if (o.capacity && o.low_water >= o.capacity) return wrong_program("low water above an object's capacity");
    if (o.page && o.low_water + o.page != o.capacity) return wrong_program("low water of a pipe not a page below full");
  }
  for (const u32 m : program.members)
    if (m >= program.objects.size() || program.objects[m].type != ObjectType::kTokens)
      return wrong_program("a set's member is no object with tokens");
  for (const u32 m : program.memberships)
    if (m >= program.objects.size() || program.objects[m].type != ObjectType::kSet)
      return wrong_program("an object is member of what is no set");
  for (u32 t = 0; t < program.tasks.size(); ++t) {
    const TaskProgram& task = program.tasks[t];
    if (u64{task.first_op} + task.ops > program.ops.size()) return wrong(t, 0, "operations out of range");
    if (task.cpu_set >= program.cpu_sets.size()) return wrong(t, 0, "unknown set of CPUs");
    if (task.parent >= static_cast<i64>(program.tasks.size())) return wrong(t, 0, "unknown parent");
    if (task.ended != kNoObject &&
        (task.ended >= program.objects.size() || program.objects[task.ended].type != ObjectType::kTokens))
      return wrong(t, 0, "its end is told to no object");
    for (u64 i = task.first_op; i < u64{task.first_op} + task.ops; ++i)
      if (auto ok = check_op(program, t, i); !ok) return ok;
  }
  for (const OutsideEvent& e : program.outside)
    if (e.target >= program.objects.size() || program.objects[e.target].type == ObjectType::kSet ||
        program.objects[e.target].type == ObjectType::kTimer)
      return wrong_program("an outside event names nothing that can be waited for");
  return {};
}

std::string describe(const Program& program) {
  std::array<u64, kNames.size()> counts{};
  u64 cpu_ns = 0;
  for (const Op& op : program.ops) {
    counts[static_cast<std::size_t>(op.code)] += 1;
    if (op.code == OpCode::kRun) cpu_ns += op.value;
  }
  std::string out =
      fmt::format("{} tasks, {} operations, {} objects, {} outside events, {} KiB{}\n", program.tasks.size(),
                  program.ops.size(), program.objects.size(), program.outside.size(), (program.bytes() + 1023) / 1024,
                  program.weak ? ", recorded sleeps only" : "");
  out += fmt::format("  CPU time {} us (loops counted once)\n ", cpu_ns / kNsPerUs);
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i]) out += fmt::format(" {} {}", kNames[i], counts[i]);
  out += '\n';
  return out;
}

std::string listing(const Program& program, u32 task) {
  const TaskProgram& t = program.tasks[task];
  std::string out = fmt::format("task {} tid {} {}\n", task, t.tid, std::string_view(t.comm, strnlen(t.comm, 16)));
  for (u64 i = t.first_op; i < u64{t.first_op} + t.ops; ++i) {
    const Op& op = program.ops[i];
    out += fmt::format("{:6} {:11} target {} value {} extra {}\n", i, name(op.code), op.target, op.value,
                       op.extra * kExtraUnitNs);
  }
  return out;
}

void jitter(Program& program, u32 per_mille, Prng prng) {
  if (per_mille == 0) return;
  for (Op& op : program.ops)
    if (op.code == OpCode::kRun)
      op.value = std::max<u64>(1, op.value / 1000 * prng.between(1000 - per_mille, 1000 + per_mille) + op.value % 1000);
}

ProgramBuilder::ProgramBuilder() { program_.cpu_sets.emplace_back(); }

u32 ProgramBuilder::object(ObjectType type, u64 tokens, u64 capacity, u64 low_water) {
  Object o;
  o.type = type;
  o.tokens = tokens;
  o.capacity = capacity;
  o.low_water = capacity && !low_water ? capacity - 1 : low_water;
  program_.objects.push_back(o);
  return static_cast<u32>(program_.objects.size() - 1);
}

u32 ProgramBuilder::set(const std::vector<u32>& members) {
  const u32 index = object(ObjectType::kSet);
  program_.objects[index].first_member = static_cast<u32>(program_.members.size());
  program_.objects[index].members = static_cast<u32>(members.size());
  program_.members.insert(program_.members.end(), members.begin(), members.end());
  return index;
}

u32 ProgramBuilder::cpu_set(const CpuMask& mask) {
  const auto found = std::find(program_.cpu_sets.begin(), program_.cpu_sets.end(), mask);
  if (found != program_.cpu_sets.end()) return static_cast<u32>(found - program_.cpu_sets.begin());
  program_.cpu_sets.push_back(mask);
  return static_cast<u32>(program_.cpu_sets.size() - 1);
}

u32 ProgramBuilder::declare(const TaskProgram& task) {
  program_.tasks.push_back(task);
  return static_cast<u32>(program_.tasks.size() - 1);
}

void ProgramBuilder::begin(u32 task) {
  REPRISE_CHECK(open_loops_.empty() && program_.tasks[task].ops == 0);
  current_ = task;
  program_.tasks[task].first_op = static_cast<u32>(program_.ops.size());
}

void ProgramBuilder::run(u64 ns) {
  if (ns == 0) return;
  if (program_.ops.size() > program_.tasks[current_].first_op && program_.ops.back().code == OpCode::kRun)
    program_.ops.back().value += ns;
  else
    op(OpCode::kRun, 0, ns);
}

void ProgramBuilder::op(OpCode code, u32 target, u64 value, u16 extra) {
  REPRISE_CHECK(program_.ops.size() < kMaxOps);
  program_.ops.push_back({.code = code, .extra = extra, .target = target, .value = value});
}

void ProgramBuilder::loop(u64 count) {
  REPRISE_CHECK(open_loops_.size() < kMaxLoopDepth);
  op(OpCode::kLoop, 0, count);
  program_.ops.back().depth = static_cast<u8>(open_loops_.size());
  open_loops_.push_back(static_cast<u32>(program_.ops.size() - 1));
}

void ProgramBuilder::end_loop() {
  REPRISE_CHECK(!open_loops_.empty());
  const u32 begin = open_loops_.back();
  open_loops_.pop_back();
  op(OpCode::kLoopEnd, begin);
  program_.ops.back().depth = static_cast<u8>(open_loops_.size());
  program_.ops[begin].target = static_cast<u32>(program_.ops.size() - 1);
}

void ProgramBuilder::end() {
  REPRISE_CHECK(open_loops_.empty());
  op(OpCode::kExit);
  TaskProgram& task = program_.tasks[current_];
  task.ops = static_cast<u32>(program_.ops.size() - task.first_op);
}

Program ProgramBuilder::finish() {
  Program out = seal(std::move(program_));
  program_ = Program{};
  program_.cpu_sets.emplace_back();
  return out;
}

Program seal(Program p) {
  // Each object's sets, from each set's members.
  std::vector<u32> counts(p.objects.size(), 0);
  for (const u32 m : p.members) counts[m] += 1;
  u32 next = 0;
  for (std::size_t i = 0; i < p.objects.size(); ++i) {
    if (p.objects[i].type == ObjectType::kSet) continue;
    p.objects[i].first_member = next;
    next += counts[i];
    p.objects[i].members = 0;
  }
  p.memberships.assign(next, 0);
  for (u32 s = 0; s < p.objects.size(); ++s) {
    if (p.objects[s].type != ObjectType::kSet) continue;
    for (u32 i = 0; i < p.objects[s].members; ++i) {
      Object& member = p.objects[p.members[p.objects[s].first_member + i]];
      p.memberships[member.first_member + member.members++] = s;
    }
  }
  std::sort(p.outside.begin(), p.outside.end(), [](const OutsideEvent& a, const OutsideEvent& b) {
    return std::tie(a.at_ns, a.cpu, a.target, a.value) < std::tie(b.at_ns, b.cpu, b.target, b.value);
  });
  p.max_instances = std::max(p.max_instances, static_cast<u32>(p.tasks.size()));
  // In a loop nobody counts them. (Loops are closed within their task.)
  bool loops = false;
  u32 depth = 0;
  for (const Op& op : p.ops) {
    depth += op.code == OpCode::kLoop ? 1 : 0;
    depth -= op.code == OpCode::kLoopEnd && depth != 0 ? 1 : 0;
    loops = loops || (depth != 0 && (op.code == OpCode::kTake || op.code == OpCode::kTakeSome));
    if (op.code == OpCode::kLoop && op.value == kForever) p.endless = true;
  }
  const bool known = !loops && p.max_instances == p.tasks.size();
  for (Object& object : p.objects) object.takes = known ? 0 : kTakesUnknown;
  for (const Op& op : p.ops)
    if (known && (op.code == OpCode::kTake || op.code == OpCode::kTakeSome) && op.target < p.objects.size())
      p.objects[op.target].takes += 1;
  return p;
}

}  // namespace reprise::sim
