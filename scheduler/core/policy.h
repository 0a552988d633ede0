// SPDX-License-Identifier: GPL-2.0-only
// What a policy is. A policy decides which runnable task runs next, where and for how long. It knows no kernel, no
// clock and no I/O: it is told of events and appends decisions to a bounded batch.
//
// Contract
//   - After `enqueue(task)` the policy holds the task until it dispatches it or `dequeue(task)` takes it back. A
//     task is never enqueued twice in a row: the engine calls `dequeue` in between.
//   - All state lies in memory taken from the Arena at construction: plain structs without pointers and without
//     padding. That block is hashed and put into snapshots; a policy that keeps state elsewhere cannot be replayed.
//   - Integers only. Comparators are total orders (break ties by slot). No clock but `Context::now_ns`, no
//     randomness but `Context::random`.
//   - Thread safety: none; an engine and its policy belong to one thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "scheduler/core/arena.h"
#include "scheduler/core/error.h"
#include "scheduler/core/options.h"
#include "scheduler/core/step.h"
#include "scheduler/core/task.h"

namespace reprise {

class Engine;

/// What a policy may see and do during a step. A thin view of the engine.
class Context {
 public:
  explicit Context(Engine& engine) : engine_(engine) {}

  [[nodiscard]] u64 now_ns() const;
  [[nodiscard]] u32 cpus() const;       // CPUs are numbered 0..cpus-1
  [[nodiscard]] u32 idle_cpus() const;  // how many were idle when the step began
  [[nodiscard]] bool idle(u32 cpu) const;
  [[nodiscard]] bool allowed(TaskSlot task, u32 cpu) const;
  [[nodiscard]] const Task& task(TaskSlot task) const;
  [[nodiscard]] bool fallback() const;  // the dispatcher has been scheduling by itself
  [[nodiscard]] u32 room() const;       // decisions that still fit into this step
  [[nodiscard]] u64 random();           // from the engine's seed; part of its state

  /// Hands a task down. `task` must be held; `cpu` kAnyCpu or below cpus(); slice_ns > 0. False, and nothing
  /// done, when room() is 0. A breach of the contract ends the run with an error that names the policy.
  bool dispatch(TaskSlot task, i32 cpu, u64 slice_ns, u64 vtime, u32 flags = 0);
  /// Makes `cpu` choose again. At most kMaxPreemptsPerStep per step; false when full.
  bool preempt(u32 cpu);
  /// Asks for a call of `timer` no later than at `time_ns`. The earliest wish of a step counts.
  void wake_at(u64 time_ns);

 private:
  Engine& engine_;
};

class Policy {
 public:
  virtual ~Policy() = default;

  virtual void task_new(Context&, TaskSlot) {}
  virtual void task_exit(Context&, TaskSlot) {}
  virtual void task_changed(Context&, TaskSlot) {}  // weight or affinity; may be held or not
  virtual void enqueue(Context&, TaskSlot) = 0;
  virtual void dequeue(Context&, TaskSlot) = 0;
  /// With kInterestRunning. Of the event, `cpu` is below cpus(); its times are taken as they come.
  virtual void running(Context&, TaskSlot, const Event&) {}
  virtual void stopping(Context&, TaskSlot, const Event&) {}  // Event::stopping: what it ran in all, and why it stopped
  virtual void timer(Context&) {}
  /// Called once at the end of each step. Appends decisions while there is room.
  virtual void dispatch(Context&) = 0;
};

/// Events that cost a message each and are sent only when a policy asks for them.
enum PolicyInterest : u32 {
  kInterestRunning = 1u << 0,
};

/// One row of the table of policies.
struct PolicyInfo {
  std::string_view name;
  std::string_view summary;
  std::span<const OptionSpec> options;
  u32 interests = 0;  // PolicyInterest
  /// Bytes of state that `create` will take from the arena.
  std::size_t (*state_bytes)(const Limits&);
  Expected<std::unique_ptr<Policy>> (*create)(Arena&, const Limits&, const Options&);
};

}  // namespace reprise
