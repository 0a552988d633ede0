// SPDX-License-Identifier: GPL-2.0-only
// The one seam: what goes into Engine::step and what comes out of it. Whoever calls `step` (live, replay,
// simulator) passes in all that the engine may know; a recording of both sides is enough to decide again.
#pragma once

#include <span>

#include "scheduler/core/event.h"
#include "scheduler/core/types.h"

namespace reprise {

/// Flags of a decision.
enum DecisionFlag : u32 {
  /// `cpu` if it is idle, else any idle CPU that the task may use, else the shared queue. Resolved by the
  /// dispatcher when it takes the decision over.
  kDecisionIdle = 1u << 0,
  /// Take the CPU away from what runs there (only with a named CPU).
  kDecisionPreempt = 1u << 1,
};
inline constexpr u32 kDecisionFlagsKnown = kDecisionIdle | kDecisionPreempt;

struct Decision {
  TaskSlot task;
  u32 generation;  // of the enqueue that this answers; the engine fills it in
  i32 cpu;         // kAnyCpu or 0..cpus-1
  u32 flags;       // DecisionFlag
  u64 slice_ns;    // > 0
  u64 vtime;       // order within the queue, smallest first; compared as `before`
  bool operator==(const Decision&) const = default;
};
static_assert(sizeof(Decision) == 32);

enum StepFlag : u32 {
  kStepFallback = 1u << 0,  // the dispatcher schedules by itself for want of answers
};

struct StepInput {
  u64 number = 0;  // from 1, without gaps
  u64 now_ns = 0;
  std::span<const Event> events = {};  // at most kMaxEventsPerStep
  std::span<const u64> idle = {};      // idle CPUs, a bit each; (cpus + 63) / 64 words
  u32 room = 0;                        // decisions that the way down can take now
  u32 flags = 0;                       // StepFlag
  u64 lost_events = 0;                 // events for the engine that found no room on the way up, since attach
};

/// Bounded; owned by the caller and used again for each step.
struct StepOutput {
  std::array<Decision, kMaxDecisionsPerStep> decision_storage;
  std::array<i32, kMaxPreemptsPerStep> preempt_storage;
  u32 decision_count = 0;
  u32 preempt_count = 0;
  u64 wake_at_ns = 0;  // call again no later than then, even without events; 0: no wish
  bool more = false;   // decisions are left that found no room: call again soon

  [[nodiscard]] std::span<const Decision> decisions() const { return {decision_storage.data(), decision_count}; }
  [[nodiscard]] std::span<const i32> preempts() const { return {preempt_storage.data(), preempt_count}; }
  void clear() { decision_count = preempt_count = 0, wake_at_ns = 0, more = false; }
};

}  // namespace reprise
