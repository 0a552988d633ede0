// SPDX-License-Identifier: GPL-2.0-only
#include "traces/columns_events.h"

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

static_assert(kKernelEventTypeLast < kEventTypePlaces);

/// Columns of one type.
enum OfType : u32 { kFlags, kTid, kA, kLow, kHigh, kC };

/// The record in the shape in which it is stored: `b` in halves, `a` as it is.
struct Flat {
  u32 low, high;
};

// What is expected of each field. The comments in kernel_event.h say what the fields are. `Io` and `T` as in
// columns_steps.cc.

/// `c` where it is the CPU time of a task that has been running.
template <typename Io, typename T>
void describe_exec(Io& io, u32 base, T& e, EventContext::OfTask& task) {
  io.delta(base + kC, e.c, task.exec_total_ns + (e.time_ns - task.exec_at_ns));
  task.exec_total_ns = e.c, task.exec_at_ns = e.time_ns;
}

template <typename Io, typename T>
void describe_switch(Io& io, u32 base, T& e, Flat& b, EventContext& c) {
  EventContext::OfCpu& cpu = c.of_cpu(e.cpu);
  io.delta(base + kA, e.a, static_cast<u32>(cpu.running));
  io.plain(base + kLow, b.low);
  io.changed(base + kHigh, b.high, cpu.classes);
  describe_exec(io, base, e, c.of_task(static_cast<i32>(e.a)));
  c.of_task(e.tid).exec_at_ns = e.time_ns;
  cpu.running = e.tid, cpu.classes = b.high;
}

template <typename Io, typename T>
void describe_answer(Io& io, u32 base, T& e, Flat& b, EventContext& c) {
  EventContext::OfTask& task = c.of_task(e.tid);
  io.delta(base + kA, e.a, u32{task.generation + 1});
  io.plain(base + kLow, b.low);
  io.plain(base + kHigh, b.high);
  io.delta(base + kC, e.c, task.vtime);
  task.generation = e.a, task.vtime = e.c;
}

template <typename Io, typename T>
void describe_syscall(Io& io, u32 base, T& e, Flat& b, EventContext& c) {
  EventContext::OfTask& task = c.of_task(e.tid);
  const bool enter = e.type == KernelEventType::kSyscallEnter;
  io.changed(base + kA, e.a, task.syscall);
  io.changed(base + kLow, b.low, enter ? static_cast<u32>(task.object) : 0);
  io.changed(base + kHigh, b.high, enter ? static_cast<u32>(task.object >> 32) : 0);
  describe_exec(io, base, e, task);
  task.syscall = e.a;
  if (enter) task.object = u64{b.high} << 32 | b.low;
}

template <typename Io, typename T>
void describe_other(Io& io, u32 base, T& e, Flat& b, EventContext& c) {
  // `b` is a time for some types; both halves are then expected to be near the event's own.
  const bool time_in_b =
      e.type == KernelEventType::kFork || e.type == KernelEventType::kTask || e.type == KernelEventType::kTimer;
  u64 whole = u64{b.high} << 32 | b.low;
  if (time_in_b) {
    io.delta(base + kLow, whole, e.time_ns);
    b.low = static_cast<u32>(whole), b.high = static_cast<u32>(whole >> 32);
  } else {
    io.plain(base + kLow, b.low);
    io.plain(base + kHigh, b.high);
  }
  const bool tid_in_a =
      e.type == KernelEventType::kFork || e.type == KernelEventType::kExec || e.type == KernelEventType::kTask;
  if (e.type == KernelEventType::kIrq) {
    io.changed(base + kA, e.a, c.of_cpu(e.cpu).irq);
    c.of_cpu(e.cpu).irq = e.a;
  } else if (e.type == KernelEventType::kWaking) {
    io.delta(base + kA, e.a, c.of_cpu(e.cpu).waker);
    c.of_cpu(e.cpu).waker = e.a;
  } else if (e.type == KernelEventType::kBypass || e.type == KernelEventType::kDequeue) {
    io.delta(base + kA, e.a, c.of_task(e.tid).generation);
    c.of_task(e.tid).generation = e.a;
  } else {
    io.delta(base + kA, e.a, tid_in_a ? static_cast<u32>(e.tid) : 0);
  }
  io.plain(base + kC, e.c);
}

template <typename Io, typename T>
void describe(Io& io, T& e, EventContext& c) {
  u32 type = static_cast<u32>(e.type);
  u32 flags = e.flags;
  io.plain(kColEventType, type);
  io.delta(kColEventCpu, e.cpu, c.cpu);
  io.delta(kColEventTime, e.time_ns, c.time_ns);
  EventContext::OfCpu& cpu = c.of_cpu(e.cpu);
  io.delta(kColEventSeq, e.seq, u32{cpu.seq + 1});
  c.cpu = e.cpu, c.time_ns = e.time_ns, cpu.seq = e.seq;
  if constexpr (!Io::kEncodes) {
    if (type > 0xff) io.reject();
    e.type = static_cast<KernelEventType>(type & 0xff);
  }
  const u32 place = type < kEventTypePlaces ? type : 0;
  const u32 base = kColEventFirstOfType + place * kColsPerEventType;
  io.plain(base + kFlags, flags);
  io.delta(base + kTid, e.tid, widen(c.task));
  c.task = e.tid;
  Flat b{static_cast<u32>(e.b), static_cast<u32>(e.b >> 32)};
  switch (e.type) {
    case KernelEventType::kSwitch:
      describe_switch(io, base, e, b, c);
      break;
    case KernelEventType::kAnswer:
      describe_answer(io, base, e, b, c);
      break;
    case KernelEventType::kSyscallEnter:
    case KernelEventType::kSyscallExit:
      describe_syscall(io, base, e, b, c);
      break;
    default:
      describe_other(io, base, e, b, c);
      break;
  }
  if constexpr (!Io::kEncodes) {
    if (flags > 0xff) io.reject();
    e.flags = static_cast<u8>(flags);
    e.b = u64{b.high} << 32 | b.low;
  }
}

}  // namespace

const EventsMessage& EventsEncoder::encode(std::span<const KernelEvent> events) {
  REPRISE_CHECK(!events.empty() && events.size() <= kMaxEventsPerFrame);
  context_.next_frame(events[0].time_ns);
  columns_.clear();
  message_ = EventsMessage{};
  message_.first_ns = events[0].time_ns;
  message_.events = static_cast<u32>(events.size());
  for (const KernelEvent& event : events) describe(columns_, event, context_);
  columns_.columns(message_.columns);
  return message_;
}

bool EventsDecoder::decode(const EventsMessage& message, std::vector<KernelEvent>& out) {
  out.clear();
  if (message.events == 0 || message.events > kMaxEventsPerFrame) return false;
  context_.next_frame(message.first_ns);
  columns_.open(message.columns);
  out.resize(message.events);
  for (KernelEvent& event : out) describe(columns_, event, context_);
  if (columns_.good() && columns_.used_up()) return true;
  out.clear();
  return false;
}

}  // namespace reprise::trace
