// SPDX-License-Identifier: GPL-2.0-only
// The items of a trace as the writer takes them and the reader gives them back. Spans refer to the memory of
// whoever made the record.
#pragma once

#include <span>

#include "scheduler/core/step.h"
#include "traces/session.h"

namespace reprise::trace {

/// One step, both sides of the seam.
struct StepRecord {
  StepInput input;
  u64 end_ns = 0;      // when the decisions were handed down; 0: not known
  u64 state_hash = 0;  // Engine::state_hash after the step; 0: not recorded
  std::span<const Decision> decisions;
  std::span<const i32> preempts;
  u64 wake_at_ns = 0;
  bool more = false;
};

/// The engine's state after step `step`.
struct SnapshotRecord {
  u64 step = 0;
  u64 time_ns = 0;
  std::span<const std::byte> state;
};

struct LossRecord {
  u64 time_ns = 0;
  std::span<const Loss> losses;  // totals since the session began
};

/// Steps first_step..last_step are missing.
struct GapRecord {
  u64 first_step = 0;
  u64 last_step = 0;
  u64 after_ns = 0;     // time of the last step before it; 0: there is none
  u64 before_ns = 0;    // time of the first step after it; 0: there is none
  bool damage = false;  // the file is damaged there; otherwise the recorder could not keep up
};

}  // namespace reprise::trace
