// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract_walk.h"

#include <algorithm>
#include <cstring>

#include "scheduler/core/check.h"

namespace reprise::sim {
namespace {

using namespace trace;

constexpr u32 kStateDead = 0xb0;            // EXIT_DEAD, EXIT_ZOMBIE, TASK_DEAD
constexpr i32 kMaxTid = 4'194'304;          // PID_MAX_LIMIT
constexpr u64 kUnknownExec = u64{1} << 40;  // a start for estimates that leaves room below

}  // namespace

Walk::Walk(std::span<const KernelEvent> events, std::span<const u32> partner, u64 base_ns, u64 end_ns, u32 cpus,
           const ExtractOptions& options, ExtractReport& report)
    : events_(events),
      partner_(partner),
      base_ns_(base_ns),
      end_ns_(end_ns),
      cpu_count_(cpus),
      options_(options),
      report_(report),
      cpus_(kMaxCpus) {
  program_.cpu_sets.emplace_back();
}

u32 Walk::find(i32 tid) {
  if (tid <= 0 || tid > kMaxTid || static_cast<u32>(tid) >= by_tid_.size()) return kNone;
  return by_tid_[static_cast<u32>(tid)];
}

u32 Walk::add(i32 tid) {
  if (static_cast<u32>(tid) >= by_tid_.size()) by_tid_.resize(static_cast<u32>(tid) + 1, kNone);
  const u32 index = static_cast<u32>(tasks_.size());
  by_tid_[static_cast<u32>(tid)] = index;
  Task& task = tasks_.emplace_back();
  task.tid = task.tgid = tid;
  task.anchor_exec = task.done = task.exec_start = kUnknownExec;
  return index;
}

Walk::Task& Walk::known(i32 tid) {
  u32 index = find(tid);
  if (index == kNone) {
    index = add(tid);
    tasks_[index].existed = true;
  }
  return tasks_[index];
}

/// The task does something: it belongs to the program.
void Walk::activate(u32 index) {
  Task& task = tasks_[index];
  if (task.entry != kNone || task.own) return;
  task.entry = static_cast<u32>(entries_.size());
  entries_.push_back(index);
  if (task.existed) report_.tasks_begun_before += 1;
}

u64 Walk::exec_at(const Task& task, u64 ns) const {
  if (task.cpu == kNone) return task.done;
  const u64 foreign = cpus_[task.cpu].foreign - task.anchor_foreign;
  const u64 passed = ns > task.anchor_ns ? ns - task.anchor_ns : 0;
  return std::max(task.done, task.anchor_exec + passed - std::min(passed, foreign));
}

/// The recording tells the task's CPU time.
void Walk::exact(Task& task, u64 exec_ns, u64 ns) {
  if (!task.exact) {  // what was counted from an unknown start is moved to where it belongs
    const u64 shift = exec_ns - exec_at(task, ns);
    task.done += shift;
    task.exec_start += shift;
    for (Moment& moment : task.moments) moment.exec += shift;
    task.exact = true;
  }
  task.anchor_exec = exec_ns;
  task.anchor_ns = ns;
  if (task.cpu != kNone) task.anchor_foreign = cpus_[task.cpu].foreign;
  if (exec_ns >= task.done) return;
  // An estimate went too far: shorten the last runs.
  u64 excess = task.done - exec_ns;
  report_.exec_corrected_ns += excess;
  for (std::size_t i = task.ops.size(); i-- > 0 && excess > 0;) {
    if (task.ops[i].code != OpCode::kRun) continue;
    const u64 part = std::min(excess, task.ops[i].value);
    task.ops[i].value -= part;
    excess -= part;
  }
  task.done = exec_ns + excess;
}

void Walk::advance(Task& task, u64 exec_ns) {
  if (exec_ns <= task.done) return;
  u64 ns = exec_ns - task.done;
  task.done = exec_ns;
  if (task.own) return;
  const u64 overhead = std::min(ns, task.overhead);
  task.overhead -= overhead;
  report_.overhead_ns += overhead;
  ns -= overhead;
  if (ns == 0) return;
  if (!task.ops.empty() && task.ops.back().code == OpCode::kRun)
    task.ops.back().value += ns;
  else
    task.ops.push_back({.code = OpCode::kRun, .value = ns});
}

void Walk::write(Task& task, OpCode code, u32 target, u64 value) {
  if (!task.own) task.ops.push_back({.code = code, .target = target, .value = value});
}

/// The list of the tasks that were there comes while the recording already runs. Whose they are must be known before.
void Walk::find_tasks() {
  std::vector<bool> forked;
  for (const KernelEvent& e : events_) {
    if (e.tid <= 0 || e.tid > kMaxTid) continue;
    const auto tid = static_cast<std::size_t>(e.tid);
    if (e.type == KernelEventType::kFork) {
      if (tid >= forked.size()) forked.resize(tid + 1, false);
      forked[tid] = true;
    } else if (e.type == KernelEventType::kTask && (tid >= forked.size() || !forked[tid])) {
      on_task(e);
      known(e.tid).listed = true;
    }
  }
}

/// The task's program begins with what it is now.
void Walk::begin(Task& task) {
  task.first_weight = task.weight;
  task.first_mask = task.mask;
  task.first_masked = task.masked;
}

/// The program begins here: what was written so far has happened, and only its effects on objects stay.
void Walk::begin_at(u64 ns) {
  std::vector<i64> tokens(objects_.size(), 0);
  for (u32 i = 0; i < objects_.size(); ++i) tokens[i] = static_cast<i64>(objects_.object(i).tokens);
  for (const OutsideEvent& e : program_.outside) tokens[e.target] += static_cast<i64>(e.value);
  std::vector<u32> active;
  for (const u32 index : entries_) {
    Task& task = tasks_[index];
    if (task.cpu != kNone) advance(task, exec_at(task, ns));
    for (const Op& op : task.ops) {
      if (op.code == OpCode::kPost) tokens[op.target] += static_cast<i64>(op.value);
      if (op.code == OpCode::kTake || op.code == OpCode::kTakeSome) tokens[op.target] -= static_cast<i64>(op.value);
    }
    task.ops.clear();
    task.moments.clear();
    task.timer_sleeps.clear();
    task.call.op = kNone;
    task.overhead = 0;
    task.entry = kNone;
    task.existed = true;
    task.start = task.asleep ? TaskStart::kWaiting : TaskStart::kAtStart;
    task.start_ns = 0;
    begin(task);
    if (!task.ended && !task.asleep) active.push_back(index);
  }
  for (u32 i = 0; i < objects_.size(); ++i)
    if (objects_.object(i).type == ObjectType::kTokens)
      objects_.object(i).tokens = static_cast<u64>(std::max<i64>(tokens[i], 0));
  program_.outside.clear();
  program_.thefts.clear();
  computing_.clear();
  entries_.clear();
  base_ns_ = ns;
  for (const u32 index : active) activate(index);
}

void Walk::run() {
  find_tasks();
  bool begun = options_.from_ns <= base_ns_;
  for (u32 i = 0; i < events_.size(); ++i) {
    const KernelEvent& e = events_[i];
    if (!begun && e.time_ns >= options_.from_ns) {
      begin_at(options_.from_ns);
      begun = true;
    }
    if (e.cpu >= kMaxCpus) continue;
    // Before the start only what tells who is there counts.
    if (e.time_ns < base_ns_ && e.type != KernelEventType::kTask && e.type != KernelEventType::kName &&
        e.type != KernelEventType::kAffinity && e.type != KernelEventType::kWeight)
      continue;
    switch (e.type) {
      case KernelEventType::kSwitch:
        on_switch(e);
        break;
      case KernelEventType::kWaking:
        if ((e.flags & trace::kWakeNew) == 0) on_waking(e);  // kFork has said so
        break;
      case KernelEventType::kIrq:
        on_irq(e);
        break;
      case KernelEventType::kTimer:
        on_timer(e);
        break;
      case KernelEventType::kSyscallEnter:
        on_enter(e, i);
        break;
      case KernelEventType::kSyscallExit:
        on_exit_call(e);
        break;
      case KernelEventType::kMember:
        on_member(e);
        break;
      case KernelEventType::kTask:
        on_task(e);
        break;
      case KernelEventType::kFork:
        on_fork(e);
        break;
      case KernelEventType::kExit:
        on_end(e);
        break;
      case KernelEventType::kAffinity:
        on_affinity(e);
        break;
      case KernelEventType::kWeight:
        on_weight(e);
        break;
      case KernelEventType::kExec:
      case KernelEventType::kName:
        if (e.tid > 0 && e.tid <= kMaxTid) {
          char* comm = known(e.tid).comm;
          std::memcpy(comm, &e.b, 8);
          std::memcpy(comm + 8, &e.c, 8);
          comm[15] = 0;
        }
        break;
      default:
        break;
    }
  }
  if (!begun) begin_at(options_.from_ns);
}

void Walk::mark(Task& task, i32 tid, bool own) {
  task.own = own && (!options_.own_threads || tid == report_.scheduler_tid);
  task.marked = own && !task.own;
}

void Walk::on_task(const KernelEvent& e) {
  if (e.tid <= 0 || e.tid > kMaxTid) return;
  Task& task = known(e.tid);
  task.tgid = static_cast<i32>(e.a);
  task.weight = std::clamp(static_cast<u32>(e.c), kWeightMin, kWeightMax);
  if (task.ops.empty() && task.switches == 0) begin(task);
  mark(task, e.tid, e.flags & kMarkOwn);
  task.kernel_thread = e.flags & kMarkKernelThread;
}

void Walk::on_switch(const KernelEvent& e) {
  Cpu& cpu = cpus_[e.cpu];
  const i32 previous_tid = static_cast<i32>(e.a);
  if (cpu.tid >= 0 && cpu.tid != previous_tid) {
    report_.switches_unseen += 1;
    if (cpu.running != kNone) tasks_[cpu.running].cpu = kNone;
  }
  if (previous_tid > 0 && previous_tid <= kMaxTid) {
    Task& previous = known(previous_tid);
    if (cpu.tid < 0) {  // ran already when the recording began
      previous.cpu = e.cpu;
      previous.anchor_ns = base_ns_;
      previous.anchor_foreign = 0;
      activate(find(previous_tid));
    }
    leave_cpu(e, find(previous_tid));
  }
  cpu.tid = e.tid;
  cpu.running = kNone;
  if (e.tid > 0 && e.tid <= kMaxTid) {
    known(e.tid);
    cpu.running = find(e.tid);
    enter_cpu(e, cpu.running);
  }
}

void Walk::leave_cpu(const KernelEvent& e, u32 index) {
  Task& task = tasks_[index];
  activate(index);
  const u32 state = static_cast<u32>(e.b);
  task.sched_class = static_cast<u8>(e.b >> 32);
  exact(task, e.c, e.time_ns);
  const bool waits = !(e.flags & kSwitchPreempted || state == 0) && !(state & kStateDead);
  if (waits) {
    const u64 left = e.c - std::min(e.c, task.done);
    task.block_ns = std::min(options_.overheads.block_ns, left - std::min(left, task.overhead));
    task.overhead += task.block_ns;
  }
  if ((e.flags & kSwitchPreempted || state == 0) && !(task.call.open && task.call.role == kCallYield))
    task.overhead += options_.overheads.preempt_ns;
  advance(task, e.c);
  task.cpu = kNone;
  note_moment(task, e.time_ns, false);
  if (e.flags & kSwitchPreempted || state == 0) return;
  if (state & kStateDead) {
    leave_group(task);
    if (task.call.exits && !task.call.done) write_post(task);
    write(task, OpCode::kExit);
    task.ended = true;
    return;
  }
  task.asleep = true;
  task.slept_ns = e.time_ns;
  task.fired_ns = 0;
  if (task.own) return;
  task.blocks += 1;
  report_.sleeps += 1;
}

void Walk::enter_cpu(const KernelEvent& e, u32 index) {
  Task& task = tasks_[index];
  activate(index);
  if (task.asleep) {
    task.asleep = false;
    if (!task.own) {
      report_.wakes_unseen += 1;
      resolve(index, kNone, e, false);
    }
  }
  if (!task.timer_sleeps.empty() && task.timer_sleeps.back().ran_ns == 0) {
    task.timer_sleeps.back().ran_ns = e.time_ns;
    note_running(index);
  }
  task.sched_class = static_cast<u8>(e.b >> 40);
  task.cpu = e.cpu;
  task.switches += 1;
  task.overhead += options_.overheads.switch_in_ns;
  task.anchor_exec = task.exact ? task.anchor_exec : task.done;
  task.anchor_ns = e.time_ns;
  task.anchor_foreign = cpus_[e.cpu].foreign;
  note_moment(task, e.time_ns, true);
}

void Walk::on_irq(const KernelEvent& e) {
  Cpu& cpu = cpus_[e.cpu];
  const bool caused = e.flags == kIrqSoft && e.c != 0 && static_cast<i32>(e.c) == e.tid;
  bool serves = false;
  if (e.flags == kIrqSoft && cpu.running != kNone && tasks_[cpu.running].kernel_thread)
    serves = std::memcmp(tasks_[cpu.running].comm, "ksoft", 5) == 0;
  if (caused || serves) return;
  cpu.foreign += e.b;
  if (options_.thefts && e.time_ns >= base_ns_)
    program_.thefts.push_back({.at_ns = e.time_ns - base_ns_,
                               .duration_ns = e.b,
                               .cpu = e.cpu,
                               .kind = static_cast<u32>(e.flags) << 16 | (e.a & 0xffff)});
}

void Walk::on_fork(const KernelEvent& e) {
  if (e.tid <= 0 || e.tid > kMaxTid) return;
  const u32 parent = find(static_cast<i32>(e.a));
  const u32 child = add(e.tid);
  {
    Task& made = tasks_[child];
    made.tgid = static_cast<i32>(e.c);
    mark(made, e.tid, e.flags & kMarkOwn);
    made.kernel_thread = e.flags & kMarkKernelThread;
    made.exact = true;
    made.anchor_exec = made.done = made.exec_start = 0;
    made.start = TaskStart::kAtTime;
    made.start_ns = e.time_ns - base_ns_;
    if (const auto at = weight_before_.find(e.tid); at != weight_before_.end()) {
      made.weight = at->second;
      weight_before_.erase(at);
    } else if (parent != kNone) {
      made.weight = tasks_[parent].weight;
    }
    begin(made);
  }
  activate(child);
  if (parent == kNone) return;
  Task& maker = tasks_[parent];
  tasks_[child].parent = parent;
  tasks_[child].mask = maker.mask;
  tasks_[child].masked = maker.masked;
  begin(tasks_[child]);
  if (maker.own || tasks_[child].own) return;
  activate(parent);
  tasks_[child].start = TaskStart::kByFork;
  advance(maker, exec_at(maker, e.time_ns));
  write(maker, OpCode::kFork, tasks_[child].entry);
}

void Walk::on_end(const KernelEvent& e) {
  const u32 index = find(e.tid);
  if (index == kNone) return;
  Task& task = tasks_[index];
  exact(task, e.b, e.time_ns);
  advance(task, e.b);
  write(task, OpCode::kExitBegins);
  task.end_ns = e.time_ns;
  task.end_exec = e.b;
  task.in_group = true;
  if (task.own || task.tid != task.tgid) return;
  // From here on the task is in a call that gives one token to who waits for children.
  const u32 object = child_object(task);
  task.call = {};
  task.call.enter_exec = e.b;
  task.call.enter_ns = e.time_ns;
  task.call.result = 1;
  task.call.index = object;
  task.call.amount.tokens = 1;
  task.call.role = kCallGive;
  task.call.open = task.call.known = task.call.exits = true;
  objects_.state(object).in_flight += 1;
}

/// Shortly before exit_notify.
void Walk::leave_group(Task& task) {
  if (task.in_group) write(task, OpCode::kLeaveGroup);
  task.in_group = false;
}

u32 Walk::child_object(const Task& child) {
  const i32 waiter = child.parent == kNone ? 0 : tasks_[child.parent].tgid;
  if (std::binary_search(any_child_.begin(), any_child_.end(), waiter))
    return objects_.child(u64{1} << 55 | static_cast<u32>(waiter));
  return objects_.child(static_cast<u32>(child.tid));
}

void Walk::on_affinity(const KernelEvent& e) {
  if (e.tid <= 0 || e.tid > kMaxTid || e.a >= kCpuWords) return;
  Task& task = known(e.tid);
  if (e.a == 0) {
    task.gathering = {};
    task.gathered = 0;
  }
  task.gathering.words[e.a] = e.b;
  task.gathered += static_cast<u32>(std::popcount(e.b));
  if (task.gathered < e.c) return;
  const bool all = e.c >= cpu_count_;
  const CpuMask mask = all ? CpuMask{} : task.gathering;
  if (mask == task.mask) return;
  task.mask = mask;
  task.masked = !all;
  if (task.own || e.time_ns < base_ns_ || (task.ops.empty() && task.switches == 0)) return begin(task);  // as it begins
  const Cpu& cpu = cpus_[e.cpu];
  if (cpu.running == kNone || tasks_[cpu.running].own || tasks_[cpu.running].entry == kNone) {
    report_.affinity_outside += 1;
    return begin(task);
  }
  Task& who = tasks_[cpu.running];
  advance(who, exec_at(who, e.time_ns));
  activate(find(e.tid));
  write(who, OpCode::kAffinity, cpu_set(mask), &who == &task ? kSelf : task.entry);
}

void Walk::on_weight(const KernelEvent& e) {
  if (e.tid <= 0 || e.tid > kMaxTid || e.a < kWeightMin || e.a > kWeightMax) return;
  const u32 index = find(e.tid);
  if (index == kNone || tasks_[index].ended) {
    weight_before_[e.tid] = e.a;
    return;
  }
  Task& task = tasks_[index];
  if (task.weight == e.a) return;
  task.weight = e.a;
  if (task.own || e.time_ns < base_ns_ || (task.ops.empty() && task.switches == 0)) return begin(task);
  const Cpu& cpu = cpus_[e.cpu];
  if (cpu.running == kNone || tasks_[cpu.running].own || tasks_[cpu.running].entry == kNone) {
    report_.affinity_outside += 1;
    return begin(task);
  }
  Task& who = tasks_[cpu.running];
  advance(who, exec_at(who, e.time_ns));
  activate(index);
  write(who, OpCode::kWeight, e.a, &who == &task ? kSelf : task.entry);
}

u32 Walk::cpu_set(const CpuMask& mask) {
  auto& sets = program_.cpu_sets;
  const auto at = std::find(sets.begin(), sets.end(), mask);
  if (at != sets.end()) return static_cast<u32>(at - sets.begin());
  sets.push_back(mask);
  return static_cast<u32>(sets.size() - 1);
}

}  // namespace reprise::sim
