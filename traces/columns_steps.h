// SPDX-License-Identifier: GPL-2.0-only
// Steps to columns and back. Internal to traces/.
//
// What is expected of a field depends on what came before it in the same frame: the same task's last event, the same
// CPU's, the previous decision. Contexts start empty in each frame, so that frames stand for themselves.
// Thread safety: none. Memory: at most 250 KiB for each object, and the columns themselves.
#pragma once

#include <memory>

#include "traces/columns.h"
#include "traces/frame.h"
#include "traces/record.h"

namespace reprise::trace {

/// What a field may be compared with.
struct StepContext {
  struct OfTask {
    u64 exec_total_ns;
    i32 tid;
    i32 prev_cpu;
    u32 generation;
    u32 weight;
    u32 allowed_cpus;
  };
  struct OfCpu {
    u32 seq;
    TaskSlot waker;
  };
  struct OfFrame {
    u64 number, now_ns, lost_events;
    u32 room, idle_words;
    std::array<u64, kCpuWords> idle;
    u64 event_ns;
    u32 event_cpu;
    TaskSlot event_task;
    TaskSlot decision_task;
    i32 decision_cpu, preempt_cpu;
    u32 decision_flags;
    u64 slice_ns, vtime;
  };

  OfFrame frame{};
  FrameTable<OfTask, 4096> tasks;
  FrameTable<OfCpu, 2048> cpus;

  void next_frame() {
    frame = {};
    tasks.next_frame();
    cpus.next_frame();
  }
};

class StepsEncoder {
 public:
  /// How full the frame is.
  [[nodiscard]] u32 steps() const { return message_.steps; }
  [[nodiscard]] u32 events() const { return message_.events; }
  [[nodiscard]] u32 decisions() const { return message_.decisions; }
  [[nodiscard]] u64 first_number() const { return message_.first_number; }
  [[nodiscard]] u64 first_ns() const { return message_.first_ns; }
  [[nodiscard]] u64 last_ns() const { return context_.frame.now_ns; }
  /// The step goes into the frame without breaking a limit.
  [[nodiscard]] bool fits(const StepRecord&) const;

  /// Must fit; its counts must be within the limits of a step.
  void add(const StepRecord&);
  /// The frame so far. Valid until the next add or clear.
  const StepsMessage& message();
  void clear();

 private:
  StepsMessage message_;
  StepContext context_;
  ColumnsEncoder<kStepColumns> columns_;
};

class StepsDecoder {
 public:
  StepsDecoder();

  /// False: counts break a limit. `message`'s columns must outlive the decoding.
  bool open(const StepsMessage& message);
  /// Steps that next() can still give.
  [[nodiscard]] u32 left() const { return left_; }
  /// The next step, in memory of the decoder's. False: the columns contradict each other; nothing more comes.
  bool next(StepRecord&);
  /// Gives up the frame.
  void close() { left_ = 0; }

 private:
  void decode_payload(StepRecord&, u32 events, u32 decisions, u32 preempts);

  struct Storage {
    std::array<Event, kMaxEventsPerStep> events;
    std::array<Decision, kMaxDecisionsPerStep> decisions;
    std::array<i32, kMaxPreemptsPerStep> preempts;
    std::array<u64, kCpuWords> idle;
  };

  u32 left_ = 0;
  StepsMessage counts_;  // what is left of each
  StepContext context_;
  std::unique_ptr<Storage> storage_;
  ColumnsDecoder<kStepColumns> columns_;
};

}  // namespace reprise::trace
