// SPDX-License-Identifier: GPL-2.0-only
#include "traces/import_tasks.h"

#include <algorithm>

#include "traces/task_names.h"

namespace reprise::trace {

using enum KernelEventType;

TaskClass class_of_priority(i32 tid, i32 priority) {
  if (tid == 0) return kClassIdle;
  if (priority < 0) return kClassDl;
  return priority < 100 ? kClassRt : kClassFair;
}

u32 weight_of_priority(i32 priority) {
  // Each step of nice is 1.25 times the CPU time (sched_prio_to_weight).
  if (priority < 100 || priority > 139) return 100;
  double weight = 100;
  for (i32 nice = priority - 120; nice > 0; --nice) weight /= 1.25;
  for (i32 nice = priority - 120; nice < 0; ++nice) weight *= 1.25;
  return std::max(1u, static_cast<u32>(weight + 0.5));
}

u32& ImportedTasks::seq(u32 cpu) {
  if (cpu >= seq_.size()) seq_.resize(cpu + 1u);
  return seq_[cpu];
}

void ImportedTasks::put(const Line& line, KernelEventType type, i32 tid, u8 flags, u32 a, u64 b, u64 c) {
  out_->push_back({.time_ns = line.time_ns,
                   .seq = seq(line.cpu)++,
                   .cpu = static_cast<u16>(line.cpu),
                   .type = type,
                   .flags = flags,
                   .tid = tid,
                   .a = a,
                   .b = b,
                   .c = c});
}

void ImportedTasks::name(const Line& line, const LineTask& task) {
  if (task.tid == 0 || task.comm.empty()) return;
  std::string& known = tasks_[task.tid].comm;
  if (known == task.comm) return;
  known = task.comm;
  put(line, kName, task.tid, 0, 0, 0, 0);
  set_comm(out_->back(), task.comm);
}

void ImportedTasks::take(const Line& line, std::vector<KernelEvent>& out) {
  out_ = &out;
  switch (line.kind) {
    case LineKind::kSwitch:
      return switched(line);
    case LineKind::kWaking:
    case LineKind::kWakeup:
    case LineKind::kWakeupNew:
      return woken(line);
    case LineKind::kFork:
      return forked(line);
    case LineKind::kExec:
    case LineKind::kRename:
      return name(line, line.task);
    case LineKind::kExit: {
      const Task& task = tasks_[line.task.tid];
      const u64 running = task.state == State::kRuns ? line.time_ns - task.since_ns : 0;
      return put(line, kExit, line.task.tid, 0, 0, task.cpu_ns + running, 0);
    }
    default:
      return;
  }
}

void ImportedTasks::switched(const Line& line) {
  name(line, line.task);
  name(line, line.other);
  const i32 leaves = line.task.tid, comes = line.other.tid;
  u64 cpu_ns = 0;
  if (leaves != 0) {
    Task& task = tasks_[leaves];
    if (task.state == State::kRuns) task.cpu_ns += line.time_ns - std::min(line.time_ns, task.since_ns);
    task.state = line.preempted || line.state == 0 ? State::kRunnable : State::kSleeps;
    cpu_ns = task.cpu_ns;
  }
  if (comes != 0) {
    Task& task = tasks_[comes];
    task.state = State::kRuns;
    task.since_ns = line.time_ns;
  }
  const u64 classes = u64{class_of_priority(leaves, line.task.priority)} << 32 |
                      u64{class_of_priority(comes, line.other.priority)} << 40;
  put(line, kSwitch, comes, line.preempted ? kSwitchPreempted : 0, static_cast<u32>(leaves), line.state | classes,
      cpu_ns);
  if (leaves_dead(out_->back())) tasks_.erase(leaves);
}

void ImportedTasks::woken(const Line& line) {
  if (line.task.tid == 0) return;
  name(line, line.task);
  Task& task = tasks_[line.task.tid];
  // sched_wakeup tells once more what sched_waking, where it was recorded, has told.
  if (line.kind == LineKind::kWakeup && (task.state == State::kRunnable || task.state == State::kRuns)) return;
  // Without flags in the line: the idle task wakes nobody, so that was an interrupt.
  u8 context = line.current == 0 ? kWakeHardirq : kWakeTask;
  if (line.context == 'h' || line.context == 'H') context = kWakeHardirq;
  if (line.context == 's') context = kWakeSoftirq;
  if (line.context == 'z' || line.context == 'Z') context = kWakeNmi;
  u8 flags = context;
  if (line.kind == LineKind::kWakeupNew)
    flags |= kWakeNew;
  else if (task.state == State::kRunnable || task.state == State::kRuns)
    flags |= kWakeRunnable;
  if (task.state != State::kRuns) task.state = State::kRunnable;
  put(line, kWaking, line.task.tid, flags, context == kWakeTask ? static_cast<u32>(line.current) : 0, 0, 0);
}

// A child is a process of its own as far as is known: no line tells its thread group.
void ImportedTasks::forked(const Line& line) {
  const i32 child = line.other.tid;
  tasks_[child] = {};
  tasks_[child].state = State::kSleeps;  // until sched_wakeup_new
  put(line, kFork, child, 0, static_cast<u32>(line.task.tid), line.time_ns, static_cast<u64>(child));
  name(line, line.other);
}

void ImportSurvey::see(const LineTask& task, bool born) {
  if (task.tid <= 0) return;
  const auto [at, fresh] = known_.try_emplace(task.tid);
  if (!fresh) return;
  at->second = {.comm = task.comm, .tgid = 0, .priority = task.priority, .born = born};
}

void ImportSurvey::take(const Line& line) {
  if (line.kind == LineKind::kLost) return;
  cpus_ = std::max(cpus_, line.cpu + 1);
  first_ns_ = std::min(first_ns_, line.time_ns);
  last_ns_ = std::max(last_ns_, line.time_ns);
  see(line.task, false);
  if (line.kind == LineKind::kFork || line.kind == LineKind::kSwitch) see(line.other, line.kind == LineKind::kFork);
  if (line.current_tgid > 0)
    if (const auto found = known_.find(line.current); found != known_.end()) found->second.tgid = line.current_tgid;
}

std::vector<SessionTask> ImportSurvey::tasks() const {
  std::vector<SessionTask> tasks;
  for (const auto& [tid, known] : known_) {
    if (known.born) continue;
    SessionTask task{.tid = tid,
                     .tgid = known.tgid != 0 ? known.tgid : tid,
                     .parent_tid = 0,
                     .weight = weight_of_priority(known.priority),
                     .flags = 0,
                     .cpu = -1,
                     .start_time_ns = 0,
                     .exec_total_ns = 0,
                     .comm = {}};
    std::memcpy(task.comm, known.comm.data(), std::min<std::size_t>(known.comm.size(), sizeof task.comm - 1));
    tasks.push_back(task);
  }
  std::ranges::sort(tasks, {}, &SessionTask::tid);
  return tasks;
}

}  // namespace reprise::trace
