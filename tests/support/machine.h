// SPDX-License-Identifier: GPL-2.0-only
// Machine: the smallest closed loop around an Engine. Tasks run on CPUs, sleep, wake and exit as their plans say, the
// policy schedules them, and the machine checks that it keeps to its contract. It knows a shared queue and one
// per CPU, both ordered by vtime, and nothing of a kernel's costs: the simulator (sim/) is the model of a kernel; this
// is a test bench for policies that a reader can check by eye.
//
// Faults can be switched on: little room on the way down, lost notices, changes of affinity and weight at any moment.
// Everything follows from the seed.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "scheduler/core/engine.h"
#include "scheduler/core/prng.h"

namespace reprise::test {

/// What a task does next: runs, then sleeps, or exits.
struct Burst {
  u64 run_ns = 0;    // > 0
  u64 sleep_ns = 0;  // > 0, unless it exits
  bool exit = false;
};

struct Plan {
  std::string comm = "task";
  u32 weight = kWeightDefault;
  std::vector<u32> cpus = {};  // that it may use; empty: all
  bool at_attach = false;
  std::function<Burst(Prng&)> next = {};
};

[[nodiscard]] Plan hog(u32 weight = kWeightDefault);                                // never sleeps
[[nodiscard]] Plan sleeper(u64 run_ns, u64 sleep_ns, u32 weight = kWeightDefault);  // so, for ever
[[nodiscard]] Plan runs_once(u64 run_ns);                                           // and exits

/// A recorded step: both sides and the state after it.
struct LoggedStep {
  StepInput input;  // its spans refer to the vectors below
  std::vector<Event> events;
  std::vector<u64> idle;
  std::vector<Decision> decisions;
  std::vector<i32> preempts;
  u64 wake_at_ns;
  bool more;
  u64 state_hash;
};

struct MachineConfig {
  u32 cpus = 2;
  u32 max_tasks = 256;
  u64 seed = 1;
  u32 room = kMaxDecisionsPerStep;  // of each step
  u64 tick_ns = 0;                  // slices end at multiples of it, as the kernel's do; 0: when they are over
  u64 step_interval_ns = 0;         // the scheduler is called at most this often; 0: whenever there is something
  u32 lost_notices_per_mille = 0;   // kDequeue and kTaskExit that never arrive
  u32 faults_per_mille = 0;         // per wakeup: some task's affinity or weight changes
  bool log = false;                 // keep LoggedSteps
};

class Machine {
 public:
  enum class Where : u8 { kGone, kSleeping, kHeld, kQueued, kRunning };
  struct Running {
    Plan plan = {};
    Where where = Where::kGone;
    i32 tid = 0;
    u64 start_time_ns = 0;
    u32 weight = 0;
    std::vector<bool> allowed = {};
    bool told = false;  // the engine knows of it
    Burst burst = {};
    u64 exec_ns = 0;
    u64 started_ns = 0, stopped_ns = 0, runnable_ns = 0;
    i32 prev_cpu = 0;
    u32 generation = 0;                   // goes on with the slot's next user
    u64 wake_order = 0;                   // of its pending wakeup; older ones are void
    u64 max_wait_ns = 0;                  // runnable, but not running
    std::vector<u64> wake_waits_ns = {};  // waking to running
    u64 dispatched = 0;
  };

  Machine(const MachineConfig&, const PolicyInfo&, const Options&);
  Machine(const MachineConfig& config, const PolicyInfo& info) : Machine(config, info, Options(info.options)) {}

  /// The task becomes runnable now; returns its slot, kNoTask when the table is full.
  TaskSlot spawn(const Plan&);
  void run_for(u64 ns);

  [[nodiscard]] u64 now_ns() const { return now_ns_; }
  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] const Running& task(TaskSlot slot) const { return tasks_[slot]; }
  /// CPU time that the task has had, its present stay on a CPU included.
  [[nodiscard]] u64 exec_ns(TaskSlot slot) const {
    const Running& task = tasks_[slot];
    return task.exec_ns + (task.where == Where::kRunning ? now_ns_ - task.started_ns : 0);
  }
  [[nodiscard]] u64 idle_ns() const { return idle_ns_; }  // CPU time that nobody used
  [[nodiscard]] const std::vector<LoggedStep>& log() const { return log_; }
  [[nodiscard]] u64 finished() const { return finished_; }    // tasks that exited
  [[nodiscard]] u64 cancelled() const { return cancelled_; }  // decisions for an older enqueue
  /// What went wrong; empty when nothing did.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  /// Longest time that any task was runnable and did not run, those that still wait included.
  [[nodiscard]] u64 max_wait_ns() const;

 private:
  enum class Kind : u8 { kWake, kCpu, kStep };
  struct Timer {
    u64 time_ns;
    u64 order;
    Kind kind;
    u32 index;  // slot or CPU
    bool operator>(const Timer& other) const {
      return time_ns != other.time_ns ? time_ns > other.time_ns : order > other.order;
    }
  };
  struct Queued {
    TaskSlot slot;
    u64 vtime;
    u64 slice_ns;
  };
  struct Cpu {
    TaskSlot running = kNoTask;
    u64 order = 0;  // of its timer; older ones are void
    std::vector<Queued> queue;
  };

  u64 arm(u64 time_ns, Kind, u32 index);
  void settle();
  void step();
  void fault();
  void take(const Decision&);
  void insert(std::vector<Queued>&, const Queued&);
  void start(u32 cpu, const Queued&);
  void stop(u32 cpu, u32 flags);
  void next_burst(TaskSlot);
  void make_runnable(TaskSlot, u32 flags);
  void notice(EventType, TaskSlot, bool may_be_lost = false);
  void withdraw(TaskSlot);
  bool pick(u32 cpu);
  void check();
  void violate(const std::string&);
  [[nodiscard]] Event blank(EventType, TaskSlot) const;
  [[nodiscard]] i32 idle_cpu_for(const Running&, i32 preferred) const;

  MachineConfig config_;
  std::unique_ptr<Engine> engine_;
  Prng random_;
  Prng faults_;
  u64 now_ns_ = kNsPerSec;
  u64 order_ = 0;
  u64 steps_ = 0;
  u64 next_step_ns_ = 0;
  u64 wish_ns_ = 0;  // the policy's
  i32 next_tid_ = 100;
  std::vector<Running> tasks_;
  std::vector<Cpu> cpus_;
  std::vector<Queued> shared_;
  std::vector<Event> pending_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  StepOutput output_;
  bool more_ = false;
  u64 idle_ns_ = 0;
  u64 finished_ = 0;
  u64 cancelled_ = 0;
  std::vector<LoggedStep> log_;
  std::string violation_;
};

}  // namespace reprise::test
