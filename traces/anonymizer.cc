// SPDX-License-Identifier: GPL-2.0-only
#include "traces/anonymizer.h"

#include <algorithm>
#include <cstring>

#include "traces/task_names.h"

namespace reprise::trace {
namespace {

constexpr u64 kObjectIdentity = (u64{1} << 56) - 1;

// "6.12.9-sams-laptop" as "6.12.9".
std::string version_of(const std::string& release) {
  return release.substr(0, release.find_first_not_of("0123456789."));
}

}  // namespace

i32 Anonymizer::number(i32 tid) {
  if (tid <= 0) return tid;  // the idle tasks, and "none"
  return numbers_.try_emplace(tid, static_cast<i32>(numbers_.size()) + 1).first->second;
}

std::string Anonymizer::name(i32 tid, std::string_view comm) {
  if (tid == 0) return std::string(comm);
  std::string family = "thread";
  if (kernel_threads_.contains(tid)) {
    // Behind the family stand devices, file systems and modules: jbd2/sda1-8, kworker/u8:2-btrfs.
    const std::size_t end = comm.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
    family = end == 0 ? "kernel" : std::string(comm.substr(0, std::min<std::size_t>(end, 9)));
  }
  return family + '-' + std::to_string(number(tid));
}

void Anonymizer::set_name(char (&comm)[16], i32 tid) {
  const std::string made = name(tid, comm_view(comm));
  std::memset(comm, 0, sizeof comm);
  std::memcpy(comm, made.data(), std::min<std::size_t>(made.size(), sizeof comm - 1));
}

SessionInfo Anonymizer::session(SessionInfo info) {
  info.kernel_release = version_of(info.kernel_release);
  info.kernel_version.clear();
  info.realtime_offset_ns = 0;
  for (SessionTask& task : info.tasks) {
    if ((task.flags & kTaskKernelThread) != 0) kernel_threads_.insert(task.tid);
    set_name(task.comm, task.tid);
    task.tid = number(task.tid);
    task.tgid = number(task.tgid);
    task.parent_tid = number(task.parent_tid);
  }
  return info;
}

// Three kinds of objects are named after a task.
u64 Anonymizer::object(u64 object) {
  switch (object_kind(object)) {
    case kObjectChild:
    case kObjectSignal:
    case kObjectPoll:
      return (object & ~kObjectIdentity) | number_u32(static_cast<u32>(object & kObjectIdentity));
    default:
      return object;
  }
}

void Anonymizer::syscall(KernelEvent& event, i32 tid) {
  if (event.type == KernelEventType::kSyscallEnter) {
    if (object_kind(event.b) == kObjectChild || event.flags == kCallFork)
      waits_for_child_.insert(tid);
    else
      waits_for_child_.erase(tid);
    event.b = object(event.b);
    return;
  }
  const auto result = static_cast<i64>(event.b);
  if (waits_for_child_.erase(tid) != 0 && result > 0 && result <= 0x7fffffff)
    event.b = static_cast<u64>(number(static_cast<i32>(result)));
}

KernelEvent Anonymizer::event(KernelEvent event) {
  using enum KernelEventType;
  const i32 tid = event.tid;
  if (event.type == kFork || event.type == kTask) {
    if ((event.flags & kMarkKernelThread) != 0)
      kernel_threads_.insert(tid);
    else
      kernel_threads_.erase(tid);
  }
  event.tid = number(tid);
  switch (event.type) {
    case kWaking:
    case kSwitch:
    case kTimer:
    case kTask:
      event.a = number_u32(event.a);
      if (event.type == kTimer && (event.flags & kTimerKindMask) == kTimerFile) event.c = object(event.c);
      break;
    case kFork:
      event.a = number_u32(event.a);
      event.c = number_u32(static_cast<u32>(event.c));
      break;
    case kExec:
      event.a = number_u32(event.a);
      [[fallthrough]];
    case kName:
      set_comm(event, name(tid, comm_of(event)));
      break;
    case kIrq:
      event.c = number_u32(static_cast<u32>(event.c));
      break;
    case kSyscallEnter:
    case kSyscallExit:
      syscall(event, tid);
      break;
    case kMember:
      event.b = object(event.b);
      event.c = object(event.c);
      break;
    default:
      break;
  }
  return event;
}

StepRecord Anonymizer::step(StepRecord step) {
  events_.assign(step.input.events.begin(), step.input.events.end());
  for (Event& event : events_) {
    if (event.type == EventType::kTaskNew) {
      if ((event.task_new.flags & kTaskKernelThread) != 0)
        kernel_threads_.insert(event.tid);
      else
        kernel_threads_.erase(event.tid);
      set_name(event.task_new.comm, event.tid);
      event.task_new.tgid = number(event.task_new.tgid);
      event.task_new.parent_tid = number(event.task_new.parent_tid);
    }
    event.tid = number(event.tid);
  }
  step.input.events = events_;
  step.state_hash = 0;
  return step;
}

}  // namespace reprise::trace
