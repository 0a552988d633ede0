// SPDX-License-Identifier: GPL-2.0-only
// The engine: keeps the table of tasks, feeds a policy with events and collects its decisions.
//
// `step` is a pure function of the engine's state and its input: no system call, no clock, no thread, no
// allocation. The state of engine and policy is one block of memory without pointers and without padding
// (arena.h), so equal blocks are equal states: `state_hash` hashes its used part, `snapshot` copies it.
//
// Thread safety: none. Ownership: the engine owns the block and the policy.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/policy.h"
#include "scheduler/core/step.h"
#include "scheduler/core/task.h"

namespace reprise {

struct EngineConfig {
  Limits limits;
  u64 seed = 1;
};

/// What an engine has seen and done; part of its state.
struct EngineCounters {
  u64 steps;
  u64 events;
  u64 enqueues;
  u64 decisions;
  u64 dequeues;
  u64 replaced;      // enqueued again while held: the kernel took the task back and the notice was lost
  u64 stale_events;  // for a task that the engine was never told of
  u64 invalid;       // out of range or of unknown type: dropped
};

class Engine {
 public:
  /// Error: kUsage for a bad option or limit.
  static Expected<std::unique_ptr<Engine>> create(const EngineConfig&, const PolicyInfo&, const Options&);
  ~Engine();

  /// One step. Error (kExpectationFailed): the policy broke its contract; says how, on which task, in which step.
  /// After an error the engine must not be used again.
  Expected<void> step(const StepInput&, StepOutput&);

  [[nodiscard]] u64 state_hash() const;
  /// Compact: covers the used slots only. The same configuration and policy restore it.
  void snapshot(std::vector<std::byte>& out) const;
  Expected<void> restore(std::span<const std::byte>);

  [[nodiscard]] const EngineCounters& counters() const;
  [[nodiscard]] const Limits& limits() const;
  [[nodiscard]] const Task& task(TaskSlot) const;
  /// The block, for those who lock it into memory.
  [[nodiscard]] std::span<std::byte> memory();
};

}  // namespace reprise
