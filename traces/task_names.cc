// SPDX-License-Identifier: GPL-2.0-only
#include "traces/task_names.h"

#include <algorithm>

#include "scheduler/core/event.h"

namespace reprise::trace {

std::string comm_of(const KernelEvent& event) {
  char comm[16];
  std::memcpy(comm, &event.b, 8);
  std::memcpy(comm + 8, &event.c, 8);
  return std::string(comm_view(comm));
}

void set_comm(KernelEvent& event, std::string_view text) {
  char comm[16] = {};
  std::memcpy(comm, text.data(), std::min<std::size_t>(text.size(), sizeof comm - 1));
  std::memcpy(&event.b, comm, 8);
  std::memcpy(&event.c, comm + 8, 8);
}

void TaskNames::begin(const SessionInfo& info) {
  tasks_.clear();
  for (const SessionTask& task : info.tasks)
    tasks_[task.tid] = {.comm = std::string(comm_view(task.comm)),
                        .tgid = task.tgid,
                        .kernel_thread = (task.flags & kTaskKernelThread) != 0};
}

void TaskNames::before(const KernelEvent& event) {
  switch (event.type) {
    case KernelEventType::kTask:
    case KernelEventType::kFork: {
      KnownTask& task = tasks_[event.tid];
      task.tgid = static_cast<i32>(event.type == KernelEventType::kTask ? event.a : event.c);
      task.kernel_thread = (event.flags & kMarkKernelThread) != 0;
      // A child has its parent's name until its own kName, which comes next.
      if (event.type == KernelEventType::kFork) task.comm = std::string(comm(static_cast<i32>(event.a)));
      return;
    }
    case KernelEventType::kName:
    case KernelEventType::kExec:
      tasks_[event.tid].comm = comm_of(event);
      return;
    default:
      return;
  }
}

void TaskNames::after(const KernelEvent& event) {
  if (leaves_dead(event)) tasks_.erase(static_cast<i32>(event.a));
}

std::string_view TaskNames::comm(i32 tid) const {
  if (tid == 0) return "swapper";
  const auto found = tasks_.find(tid);
  return found == tasks_.end() ? std::string_view() : std::string_view(found->second.comm);
}

i32 TaskNames::tgid(i32 tid) const {
  const auto found = tasks_.find(tid);
  return found == tasks_.end() ? 0 : found->second.tgid;
}

bool TaskNames::kernel_thread(i32 tid) const {
  const auto found = tasks_.find(tid);
  return found != tasks_.end() && found->second.kernel_thread;
}

}  // namespace reprise::trace
