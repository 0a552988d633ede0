// SPDX-License-Identifier: GPL-2.0-only
// The engine: keeps the table of tasks, feeds a policy with events and collects its decisions.
//
// `step` is a pure function of the engine's state and its input: no system call, no clock, no thread, no
// allocation. The state of engine and policy is one block of memory without pointers and without padding
// (arena.h), so equal blocks are equal states: `state_hash` hashes its used part, `snapshot` copies it.
//
// A step goes: events in their order, then `timer` if its time has come, then `dispatch`. Events are not trusted:
// what is out of range, of unknown type or about a task that the engine was not told of is dropped and counted, and
// nothing that comes in can make the engine break the policy's contract (policy.h).
//
// Thread safety: none. Ownership: the engine owns the block and the policy.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/arena.h"
#include "scheduler/core/policy.h"
#include "scheduler/core/prng.h"
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
  u64 dequeues;      // by kDequeue or kTaskExit while the task was held
  u64 replaced;      // enqueued again while held: the kernel took the task back and the notice was lost
  u64 stale_events;  // for a task that the engine was never told of
  u64 invalid;       // out of range or of unknown type: dropped
};

class Engine {
 public:
  /// Error: kUsage for a bad limit, or what the policy's `create` says. `info` must outlive the engine; `options`
  /// must be those of `info` (Options(info.options), Options::parse(info.options, ...)).
  static Expected<std::unique_ptr<Engine>> create(const EngineConfig&, const PolicyInfo& info, const Options&);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// One step; clears the output first. Errors: kExpectationFailed: the policy broke its contract; says how, on which
  /// task, in which step. kBadInput: the step's number does not follow the last one, or it has more than
  /// kMaxEventsPerStep events, or the state that was restored contradicts itself. After an error the engine must not
  /// be used again.
  Expected<void> step(const StepInput&, StepOutput&);

  /// Covers all that decides about the future: counters, tasks, masks, the policy's state, the random numbers.
  [[nodiscard]] u64 state_hash() const;
  /// Compact: covers the used slots only. The same limits, policy and options restore it.
  void snapshot(std::vector<std::byte>& out) const;
  /// Error (kBadInput): damaged, or of another configuration; the engine is as it was. The policy's part cannot be
  /// judged here: where it contradicts itself, a later step says so.
  Expected<void> restore(std::span<const std::byte>);

  [[nodiscard]] const EngineCounters& counters() const { return state_->counters; }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] const PolicyInfo& info() const { return info_; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Policy& policy() { return *policy_; }  // for tests
  /// `slot` below limits().max_tasks. Unused slots are all zero.
  [[nodiscard]] const Task& task(TaskSlot slot) const { return tasks_[slot]; }
  [[nodiscard]] u32 used_slots() const { return state_->used_slots; }  // the highest slot ever used, and one more
  [[nodiscard]] u32 held() const { return state_->held; }              // tasks that the policy holds
  [[nodiscard]] u64 last_step() const { return state_->step; }         // 0 at the start
  /// The block, for those who lock it into memory.
  [[nodiscard]] std::span<std::byte> memory() { return {block_.get(), block_bytes_}; }

 private:
  friend class Context;

  /// The engine's own part of the block, beside the tables.
  struct State {
    EngineCounters counters;
    Prng random;
    u64 step;         // the last one
    u64 now_ns;       // of the last step; never goes back
    u64 wake_at_ns;   // the policy's earliest wish; 0: none
    u64 lost_events;  // as the last input says
    u32 used_slots;
    u32 held;
  };
  struct FreeBlock {
    void operator()(std::byte* block) const;
  };

  Engine(const EngineConfig&, const PolicyInfo&, const Options&);

  void take_step();
  void handle(const Event&);
  void task_new(const Event&);
  void enqueue(const Event&, Task&);
  void affinity(const Event&, Task&);
  static void charge(Task&, u64 exec_total_ns);
  void take_back(TaskSlot, Task&);  // from the policy, which holds it
  void forget(TaskSlot, Task&);

  // Of Context.
  bool dispatch(TaskSlot, i32 cpu, u64 slice_ns, u64 vtime, u32 flags);
  bool preempt(u32 cpu);
  bool breach(std::string what, TaskSlot);  // false

  [[nodiscard]] std::span<u64> mask(TaskSlot slot) const { return masks_.subspan(std::size_t{slot} * words_, words_); }
  [[nodiscard]] u64 configuration_hash() const;
  [[nodiscard]] std::span<std::byte> used_part(const Arena::Region&, u32 used_slots) const;

  const PolicyInfo& info_;
  Options options_;
  u64 configuration_hash_ = 0;  // computed once: doing it allocates
  Limits limits_;
  u32 words_;  // of an affinity mask
  std::size_t block_bytes_ = 0;
  std::unique_ptr<std::byte[], FreeBlock> block_;
  Arena arena_;
  State* state_;
  std::span<Task> tasks_;
  std::span<u64> masks_;
  std::unique_ptr<Policy> policy_;

  // Only during a step.
  const StepInput* input_ = nullptr;
  StepOutput* output_ = nullptr;
  u32 room_ = 0;
  bool refused_ = false;  // a dispatch found no room
  bool foreign_ = false;  // the state came from a snapshot
  std::optional<Error> error_;
};

}  // namespace reprise
