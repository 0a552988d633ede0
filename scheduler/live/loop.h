// SPDX-License-Identifier: GPL-2.0-only
// The scheduler's loop: take events, step, submit, record, yield. One yield per batch; no other system call, and the
// clock is read through the vDSO.
//
// Thread safety: `run` belongs to one thread; the counters may be read by any.
#pragma once

#include <atomic>
#include <vector>

#include "scheduler/core/engine.h"
#include "scheduler/live/dispatcher.h"
#include "traces/recorder.h"

namespace reprise::live {

struct LoopCounters {
  std::atomic<u64> turns{0};
  std::atomic<u64> steps{0};
  std::atomic<u64> events{0};
  std::atomic<u64> decisions{0};
  std::atomic<u64> malformed{0};  // records that decode() refused
};

class Loop {
 public:
  /// `recorder` may be null. Everything must outlive the loop.
  Loop(Dispatcher& dispatcher, Engine& engine, trace::Recorder* recorder);

  /// Until `stop`, or until the kernel lets the scheduler go (Dispatcher::exited). Error: the policy broke its
  /// contract.
  Expected<void> run(const std::atomic<bool>& stop);

  [[nodiscard]] const LoopCounters& counters() const { return counters_; }

 private:
  void pause();
  void take_events();
  void submit();
  void record(const StepInput& input);

  Dispatcher& dispatcher_;
  Engine& engine_;
  trace::Recorder* recorder_;
  std::vector<Event> events_;  // capacity kMaxEventsPerStep, never more
  std::vector<u64> idle_;
  std::vector<std::byte> snapshot_;
  StepOutput output_;
  u64 submitted_ = 0;
  u64 wish_sent_ns_ = 0;
  u64 steps_ = 0;
  LoopCounters counters_;
};

/// CLOCK_MONOTONIC, the clock of all events.
[[nodiscard]] u64 monotonic_now();

}  // namespace reprise::live
