// SPDX-License-Identifier: GPL-2.0-only
#include "traces/columns_steps.h"

#include <algorithm>
#include <memory>

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

constexpr u32 kRawPayload = 256;  // in the type's column: the payload stands in kColRaw

enum StepBit : u32 { kBitMore = 1, kBitWake = 2, kBitHash = 4, kBitEnd = 8, kBitsKnown = 15 };

/// The scalars of a step.
struct StepHead {
  u64 number, now_ns, lost_events, end_ns, state_hash, wake_at_ns;
  u32 events, decisions, preempts, idle_words, room, flags, bits;
};

// Each function below describes a record once, for both directions: `Io` is an encoder or a decoder, and `T` the
// record, const when encoding.

template <typename Io, typename T>
void describe_head(Io& io, T& s, StepContext& c) {
  io.delta(kColNumber, s.number, c.frame.number + 1);
  io.delta(kColNow, s.now_ns, c.frame.now_ns);
  io.plain(kColEventCount, s.events);
  io.plain(kColDecisionCount, s.decisions);
  io.plain(kColPreemptCount, s.preempts);
  io.delta(kColIdleWordCount, s.idle_words, c.frame.idle_words);
  io.delta(kColRoom, s.room, c.frame.room);
  io.plain(kColFlags, s.flags);
  io.delta(kColLostEvents, s.lost_events, c.frame.lost_events);
  io.plain(kColBits, s.bits);
  if ((s.bits & kBitWake) != 0) io.delta(kColWakeAt, s.wake_at_ns, s.now_ns);
  if ((s.bits & kBitHash) != 0) io.fixed(kColStateHash, s.state_hash);
  if ((s.bits & kBitEnd) != 0) io.delta(kColEnd, s.end_ns, s.now_ns);
  c.frame.number = s.number, c.frame.now_ns = s.now_ns, c.frame.idle_words = s.idle_words, c.frame.room = s.room;
  c.frame.lost_events = s.lost_events;
}

template <typename Io, typename T>
void describe_enqueue(Io& io, T& e, StepContext& c) {
  auto& q = e.enqueue;
  StepContext::OfTask& task = c.tasks[e.task];
  StepContext::OfCpu& cpu = c.cpus[e.cpu];
  io.delta(kColEnqueueStopped, q.stopped_ns, e.time_ns);
  io.delta(kColEnqueueStarted, q.started_ns, q.stopped_ns);
  io.delta(kColEnqueueExec, q.exec_total_ns, task.exec_total_ns + (q.stopped_ns - q.started_ns));
  io.delta(kColEnqueuePrevCpu, q.prev_cpu, widen(task.prev_cpu));
  io.delta(kColEnqueueWeight, q.weight, task.weight);
  io.delta(kColEnqueueWaker, q.waker, cpu.waker);
  io.delta(kColEnqueueAllowed, q.allowed_cpus, task.allowed_cpus);
  task.exec_total_ns = q.exec_total_ns, task.prev_cpu = q.prev_cpu, task.weight = q.weight;
  task.allowed_cpus = q.allowed_cpus;
  cpu.waker = q.waker;
}

template <typename Io, typename T>
void describe_task_new(Io& io, T& e, StepContext& c) {
  auto& n = e.task_new;
  u64 comm[2] = {};
  std::memcpy(comm, n.comm, sizeof comm);
  io.delta(kColNewStart, n.start_time_ns, e.time_ns);
  io.delta(kColNewTgid, n.tgid, widen(e.tid));
  io.delta(kColNewParent, n.parent_tid, widen(e.tid));
  io.delta(kColNewWeight, n.weight, kWeightDefault);
  io.plain(kColNewFlags, n.flags);
  io.fixed(kColNewComm, comm[0]);
  io.fixed(kColNewComm, comm[1]);
  if constexpr (!Io::kEncodes) std::memcpy(n.comm, comm, sizeof comm);
  c.tasks[e.task].weight = n.weight;
}

template <typename Io, typename T>
void describe_affinity(Io& io, T& e) {
  io.plain(kColAffinityFirst, e.affinity.first_word);
  io.plain(kColAffinityAllowed, e.affinity.allowed_cpus);
  for (auto& word : e.affinity.words) io.fixed(kColAffinityWords, word);
}

template <typename Io, typename T>
void describe_raw(Io& io, T& e) {
  u64 reserved = e.reserved;
  io.fixed(kColRaw, reserved);
  if constexpr (!Io::kEncodes) e.reserved = static_cast<u8>(reserved);
  for (auto& word : e.raw) io.fixed(kColRaw, word);
}

template <typename Io, typename T>
void describe_payload(Io& io, T& e, StepContext& c) {
  StepContext::OfTask& task = c.tasks[e.task];
  switch (e.type) {
    case EventType::kEnqueue:
      return describe_enqueue(io, e, c);
    case EventType::kTaskNew:
      return describe_task_new(io, e, c);
    case EventType::kAffinity:
      return describe_affinity(io, e);
    case EventType::kStopping:
      io.delta(kColStopExec, e.stopping.exec_total_ns, task.exec_total_ns);
      io.plain(kColStopRunnable, e.stopping.runnable);
      task.exec_total_ns = e.stopping.exec_total_ns;
      return;
    case EventType::kWeight:
      io.delta(kColWeight, e.weight.weight, task.weight);
      task.weight = e.weight.weight;
      return;
    default:
      return;  // no payload
  }
}

/// True when the columns of its type carry the whole payload.
bool payload_is_regular(const Event& e) {
  u64 raw[6];
  std::memcpy(raw, e.raw, sizeof raw);
  const auto zero_from = [&](std::size_t first) {
    return std::all_of(raw + first, raw + 6, [](u64 w) { return w == 0; });
  };
  if (e.reserved != 0) return false;
  switch (e.type) {
    case EventType::kTaskNew:
    case EventType::kEnqueue:
    case EventType::kAffinity:
      return zero_from(5);
    case EventType::kStopping:
      return e.stopping.reserved == 0 && zero_from(2);
    case EventType::kWeight:
      return e.weight.reserved == 0 && zero_from(1);
    case EventType::kDequeue:
    case EventType::kRunning:
    case EventType::kTaskExit:
      return zero_from(0);
    default:
      return false;
  }
}

template <typename Io, typename T>
void describe_event(Io& io, T& e, StepContext& c) {
  u32 type = 0;
  if constexpr (Io::kEncodes) type = static_cast<u32>(e.type) | (payload_is_regular(e) ? 0 : kRawPayload);
  io.plain(kColType, type);
  if constexpr (!Io::kEncodes) {
    if (type >= 2 * kRawPayload) io.reject();
    e.type = static_cast<EventType>(type & 0xff);
    e.reserved = 0;
    std::memset(e.raw, 0, sizeof e.raw);
  }
  io.delta(kColCpu, e.cpu, c.frame.event_cpu);
  io.delta(kColTime, e.time_ns, c.frame.event_ns);
  StepContext::OfCpu& cpu = c.cpus[e.cpu];
  io.delta(kColSeq, e.seq, u32{cpu.seq + 1});
  io.delta(kColTask, e.task, c.frame.event_task);
  StepContext::OfTask& task = c.tasks[e.task];
  io.delta(kColTid, e.tid, widen(task.tid));
  io.delta(kColGeneration, e.generation, u32{task.generation + (e.type == EventType::kEnqueue ? 1 : 0)});
  io.plain(kColEventFlags, e.flags);
  c.frame.event_cpu = e.cpu, c.frame.event_ns = e.time_ns, c.frame.event_task = e.task;
  cpu.seq = e.seq, task.tid = e.tid, task.generation = e.generation;
  if ((type & kRawPayload) != 0) {
    describe_raw(io, e);
  } else {
    describe_payload(io, e, c);
  }
}

template <typename Io, typename T>
void describe_decision(Io& io, T& d, TaskSlot expected_task, StepContext& c) {
  io.delta(kColDecisionTask, d.task, expected_task);
  io.delta(kColDecisionGeneration, d.generation, c.tasks[d.task].generation);
  io.delta(kColDecisionCpu, d.cpu, widen(c.frame.decision_cpu));
  io.changed(kColDecisionFlags, d.flags, c.frame.decision_flags);
  io.delta(kColDecisionSlice, d.slice_ns, c.frame.slice_ns);
  io.delta(kColDecisionVtime, d.vtime, c.frame.vtime);
  c.frame.decision_task = d.task, c.frame.decision_cpu = d.cpu, c.frame.decision_flags = d.flags;
  c.frame.slice_ns = d.slice_ns, c.frame.vtime = d.vtime;
}

template <typename Io, typename T>
void describe_preempt(Io& io, T& cpu, StepContext& c) {
  io.delta(kColPreemptCpu, cpu, widen(c.frame.preempt_cpu));
  c.frame.preempt_cpu = cpu;
}

TaskSlot expected_task(std::span<const Event> events, std::size_t i, const StepContext& c) {
  return i < events.size() ? events[i].task : c.frame.decision_task;
}

}  // namespace

bool StepsEncoder::fits(const StepRecord& step) const {
  return message_.steps < kMaxStepsPerFrame && message_.events + step.input.events.size() <= kMaxEventsPerFrame &&
         message_.decisions + step.decisions.size() <= kMaxDecisionsPerFrame &&
         message_.preempts + step.preempts.size() <= kMaxDecisionsPerFrame &&
         message_.idle_words + step.input.idle.size() <= kMaxIdleWordsPerFrame;
}

void StepsEncoder::add(const StepRecord& step) {
  const StepInput& in = step.input;
  REPRISE_CHECK(fits(step));
  REPRISE_CHECK(in.events.size() <= kMaxEventsPerStep && step.decisions.size() <= kMaxDecisionsPerStep);
  REPRISE_CHECK(step.preempts.size() <= kMaxPreemptsPerStep && in.idle.size() <= kCpuWords);
  StepContext& c = context_;
  if (message_.steps == 0) {
    message_.first_number = in.number;
    message_.first_ns = c.frame.now_ns = c.frame.event_ns = in.now_ns;
    c.frame.number = in.number - 1;
  }
  const u32 bits = (step.more ? kBitMore : 0u) | (step.wake_at_ns != 0 ? kBitWake : 0u) |
                   (step.state_hash != 0 ? kBitHash : 0u) | (step.end_ns != 0 ? kBitEnd : 0u);
  const StepHead head{in.number,
                      in.now_ns,
                      in.lost_events,
                      step.end_ns,
                      step.state_hash,
                      step.wake_at_ns,
                      static_cast<u32>(in.events.size()),
                      static_cast<u32>(step.decisions.size()),
                      static_cast<u32>(step.preempts.size()),
                      static_cast<u32>(in.idle.size()),
                      in.room,
                      in.flags,
                      bits};
  describe_head(columns_, head, c);
  for (std::size_t i = 0; i < in.idle.size(); ++i) {
    columns_.changed(kColIdle, in.idle[i], c.frame.idle[i]);
    c.frame.idle[i] = in.idle[i];
  }
  for (const Event& event : in.events) describe_event(columns_, event, c);
  for (std::size_t i = 0; i < step.decisions.size(); ++i) {
    describe_decision(columns_, step.decisions[i], expected_task(in.events, i, c), c);
  }
  for (const i32& cpu : step.preempts) describe_preempt(columns_, cpu, c);
  message_.steps += 1;
  message_.events += head.events;
  message_.decisions += head.decisions;
  message_.preempts += head.preempts;
  message_.idle_words += head.idle_words;
}

const StepsMessage& StepsEncoder::message() {
  columns_.columns(message_.columns);
  return message_;
}

void StepsEncoder::clear() {
  message_ = StepsMessage{};
  context_.next_frame();
  columns_.clear();
}

StepsDecoder::StepsDecoder() : storage_(std::make_unique<Storage>()) {}

bool StepsDecoder::open(const StepsMessage& message) {
  left_ = 0;
  if (message.steps == 0 || message.steps > kMaxStepsPerFrame || message.events > kMaxEventsPerFrame ||
      message.decisions > kMaxDecisionsPerFrame || message.preempts > kMaxDecisionsPerFrame ||
      message.idle_words > kMaxIdleWordsPerFrame || message.first_number == 0) {
    return false;
  }
  counts_ = message;
  left_ = message.steps;
  context_.next_frame();
  context_.frame.number = message.first_number - 1;
  context_.frame.now_ns = context_.frame.event_ns = message.first_ns;
  columns_.open(message.columns);
  return true;
}

bool StepsDecoder::next(StepRecord& step) {
  REPRISE_CHECK(left_ > 0);
  StepContext& c = context_;
  const u64 previous_number = c.frame.number;
  StepHead head{};
  describe_head(columns_, head, c);
  const bool within = columns_.good() && head.number > previous_number &&
                      head.events <= std::min(kMaxEventsPerStep, counts_.events) &&
                      head.decisions <= std::min(kMaxDecisionsPerStep, counts_.decisions) &&
                      head.preempts <= std::min(kMaxPreemptsPerStep, counts_.preempts) &&
                      head.idle_words <= std::min(kCpuWords, counts_.idle_words) && (head.bits & ~kBitsKnown) == 0;
  if (!within) {
    left_ = 0;
    return false;
  }
  counts_.events -= head.events, counts_.decisions -= head.decisions;
  counts_.preempts -= head.preempts, counts_.idle_words -= head.idle_words;
  for (u32 i = 0; i < head.idle_words; ++i) {
    columns_.changed(kColIdle, storage_->idle[i], c.frame.idle[i]);
    c.frame.idle[i] = storage_->idle[i];
  }
  step.input.number = head.number, step.input.now_ns = head.now_ns;
  step.input.room = head.room, step.input.flags = head.flags, step.input.lost_events = head.lost_events;
  step.input.idle = std::span(storage_->idle).first(head.idle_words);
  step.end_ns = head.end_ns, step.state_hash = head.state_hash;
  step.wake_at_ns = head.wake_at_ns, step.more = (head.bits & kBitMore) != 0;
  decode_payload(step, head.events, head.decisions, head.preempts);
  left_ -= 1;
  const bool end_is_clean = left_ > 0 || (columns_.used_up() && counts_.events == 0 && counts_.decisions == 0 &&
                                          counts_.preempts == 0 && counts_.idle_words == 0);
  if (!columns_.good() || !end_is_clean) {
    left_ = 0;
    return false;
  }
  return true;
}

void StepsDecoder::decode_payload(StepRecord& step, u32 events, u32 decisions, u32 preempts) {
  StepContext& c = context_;
  for (u32 i = 0; i < events; ++i) describe_event(columns_, storage_->events[i], c);
  step.input.events = std::span(storage_->events).first(events);
  for (u32 i = 0; i < decisions; ++i) {
    describe_decision(columns_, storage_->decisions[i], expected_task(step.input.events, i, c), c);
  }
  step.decisions = std::span(storage_->decisions).first(decisions);
  for (u32 i = 0; i < preempts; ++i) describe_preempt(columns_, storage_->preempts[i], c);
  step.preempts = std::span(storage_->preempts).first(preempts);
}

}  // namespace reprise::trace
