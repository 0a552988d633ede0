// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/wire/wire.h"

#include <cstring>

namespace reprise::wire {

// The records were laid out alike on purpose, so that decoding is a checked copy. What must agree for that:
#define SAME(wire_type, wire_field, core_type, core_field) \
  static_assert(offsetof(wire_type, wire_field) == offsetof(core_type, core_field))
SAME(wire_event, time_ns, Event, time_ns);
SAME(wire_event, seq, Event, seq);
SAME(wire_event, cpu, Event, cpu);
SAME(wire_event, type, Event, type);
SAME(wire_event, task, Event, task);
SAME(wire_event, tid, Event, tid);
SAME(wire_event, generation, Event, generation);
SAME(wire_event, flags, Event, flags);
SAME(wire_event, task_new.start_time_ns, Event, task_new.start_time_ns);
SAME(wire_event, task_new.weight, Event, task_new.weight);
SAME(wire_event, task_new.comm, Event, task_new.comm);
SAME(wire_event, enqueue.exec_total_ns, Event, enqueue.exec_total_ns);
SAME(wire_event, enqueue.started_ns, Event, enqueue.started_ns);
SAME(wire_event, enqueue.stopped_ns, Event, enqueue.stopped_ns);
SAME(wire_event, enqueue.prev_cpu, Event, enqueue.prev_cpu);
SAME(wire_event, enqueue.weight, Event, enqueue.weight);
SAME(wire_event, enqueue.waker, Event, enqueue.waker);
SAME(wire_event, enqueue.allowed_cpus, Event, enqueue.allowed_cpus);
SAME(wire_event, stopping.exec_total_ns, Event, stopping.exec_total_ns);
SAME(wire_event, stopping.runnable, Event, stopping.runnable);
SAME(wire_event, task_exit.exec_total_ns, Event, task_exit.exec_total_ns);
SAME(wire_event, affinity.first_word, Event, affinity.first_word);
SAME(wire_event, affinity.words, Event, affinity.words);
SAME(wire_event, weight.weight, Event, weight.weight);
static_assert(sizeof(wire_event) == sizeof(Event));
static_assert(static_cast<int>(EventType::kTaskNew) == WIRE_TASK_NEW &&
              static_cast<int>(EventType::kEnqueue) == WIRE_ENQUEUE &&
              static_cast<int>(EventType::kDequeue) == WIRE_DEQUEUE &&
              static_cast<int>(EventType::kRunning) == WIRE_RUNNING &&
              static_cast<int>(EventType::kStopping) == WIRE_STOPPING &&
              static_cast<int>(EventType::kTaskExit) == WIRE_TASK_EXIT &&
              static_cast<int>(EventType::kAffinity) == WIRE_AFFINITY &&
              static_cast<int>(EventType::kWeight) == WIRE_WEIGHT);
static_assert(int{kEnqueueWakeup} == WIRE_ENQ_WAKEUP && int{kEnqueuePreempted} == WIRE_ENQ_PREEMPTED &&
              int{kEnqueueSliceEnd} == WIRE_ENQ_SLICE_END && int{kEnqueueNew} == WIRE_ENQ_NEW &&
              int{kEnqueueLast} == WIRE_ENQ_LAST && int{kEnqueueReenqueued} == WIRE_ENQ_REENQUEUED &&
              int{kEnqueueSync} == WIRE_ENQ_SYNC);
static_assert(int{kTaskKernelThread} == WIRE_TASK_KERNEL_THREAD && int{kTaskAtAttach} == WIRE_TASK_AT_ATTACH);
static_assert(int{kDecisionIdle} == WIRE_DISPATCH_IDLE && int{kDecisionPreempt} == WIRE_DISPATCH_PREEMPT);
static_assert(kNoTask == WIRE_NO_TASK && kAnyCpu == WIRE_ANY_CPU && kMaxCpus == WIRE_MAX_CPUS);

SAME(wire_kernel_event, time_ns, trace::KernelEvent, time_ns);
SAME(wire_kernel_event, seq, trace::KernelEvent, seq);
SAME(wire_kernel_event, cpu, trace::KernelEvent, cpu);
SAME(wire_kernel_event, type, trace::KernelEvent, type);
SAME(wire_kernel_event, flags, trace::KernelEvent, flags);
SAME(wire_kernel_event, tid, trace::KernelEvent, tid);
SAME(wire_kernel_event, a, trace::KernelEvent, a);
SAME(wire_kernel_event, b, trace::KernelEvent, b);
SAME(wire_kernel_event, c, trace::KernelEvent, c);
static_assert(sizeof(wire_kernel_event) == sizeof(trace::KernelEvent));
static_assert(static_cast<int>(trace::KernelEventType::kWaking) == WIRE_K_WAKING &&
              static_cast<int>(trace::KernelEventType::kAnswer) == WIRE_K_ANSWER &&
              static_cast<int>(trace::KernelEventType::kSyscallExit) == WIRE_K_SYSCALL_EXIT);
static_assert(int{trace::kBypassNoSlot} == WIRE_BYPASS_NO_SLOT && int{trace::kAnswerFailed} == WIRE_FAILED);
#undef SAME

Expected<void> check_version(u32 of_the_object) {
  if (of_the_object == WIRE_VERSION) return {};
  return fail(ExitCode::kInternal,
              "the dispatcher speaks version " + std::to_string(of_the_object) + " of the wire, this program version " +
                  std::to_string(WIRE_VERSION),
              "bpf/wire.h", "build both from the same source");
}

bool decode(const std::byte* record, u32 size, Event& event) {
  if (size != sizeof(wire_event)) return false;
  std::memcpy(&event, record, sizeof(event));
  const u8 type = static_cast<u8>(event.type);
  return type != 0 && type <= kEventTypeLast;
}

bool decode(const std::byte* record, u32 size, trace::KernelEvent& event) {
  if (size != sizeof(wire_kernel_event)) return false;
  std::memcpy(&event, record, sizeof(event));
  const u8 type = static_cast<u8>(event.type);
  return type != 0 && type <= trace::kKernelEventTypeLast;
}

wire_message encode(const Decision& decision) {
  return {.kind = WIRE_DISPATCH,
          .task = decision.task,
          .generation = decision.generation,
          .cpu = decision.cpu,
          .slice_ns = decision.slice_ns,
          .vtime = decision.vtime,
          .flags = decision.flags,
          .reserved = 0};
}

wire_message encode_preempt(i32 cpu) {
  return {.kind = WIRE_PREEMPT,
          .task = WIRE_NO_TASK,
          .generation = 0,
          .cpu = cpu,
          .slice_ns = 0,
          .vtime = 0,
          .flags = 0,
          .reserved = 0};
}

wire_message encode_wake_at(u64 time_ns) {
  return {.kind = WIRE_WAKE_AT,
          .task = WIRE_NO_TASK,
          .generation = 0,
          .cpu = 0,
          .slice_ns = 0,
          .vtime = time_ns,
          .flags = 0,
          .reserved = 0};
}

}  // namespace reprise::wire
