// SPDX-License-Identifier: GPL-2.0-only
// A machine under simulation: a model of the kernel's scheduler (kernel/sched/core.c and ext/ext.c of Linux 7.3) that
// hosts the dispatcher, compiled natively from its own source, and runs an engine in a task of its own.
//
// Time is simulated, in nanoseconds, and begins at SimOptions::start_ns. The same options and the same behaviour give
// the same run, event by event; `hash` covers it. Callbacks of the dispatcher are atomic; what they cost delays the CPU
// that ran them.
//
// Thread safety: none; a Kernel belongs to one thread. Any number of them may exist in a process, also in one thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "scheduler/core/engine.h"
#include "sim/kernel/behaviour.h"
#include "sim/kernel/costs.h"
#include "sim/kernel/faults.h"
#include "sim/kernel/topology.h"
#include "traces/kernel_event.h"

namespace reprise::sim {

/// Takes every event that a recorder on a real machine would have written, in the order of time.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(const trace::KernelEvent&) = 0;
};

struct SimOptions {
  Topology topology = Topology::flat(1);
  u32 hz = 1'000;    // ticks per second, 100..10'000
  u64 start_ns = 0;  // the clock at the beginning; ticks come at its multiples of a period
  Costs costs;
  u64 seed = 1;
  /// Null: the kernel's own fair class (EEVDF), without a dispatcher.
  const PolicyInfo* policy = nullptr;
  u64 base_slice_ns = 0;   // of the fair class (sysctl_sched_base_slice); 0: 0.7 ms * (1 + log2(min(CPUs, 8)))
  bool hrtick = true;      // the fair class ends slices by a timer of their own (x86 from 7.x on), not only at ticks
  Options policy_options;  // of `policy`; empty: its defaults
  u32 max_tasks = kMaxTasksDefault;     // slots of the engine's table
  i32 scheduler_tid = 2;                // of the scheduler's own thread
  u64 slice_default_ns = 5 * kNsPerMs;  // the dispatcher's settings, as in scheduler/live
  u64 slice_scheduler_ns = 5 * kNsPerMs;
  u64 heartbeat_ns = kNsPerSec;
  u64 fallback_ns = 100 * kNsPerMs;
  u64 watchdog_ns = 5 * kNsPerSec;
  bool kick_preempt = true;
  u32 kick_interval_us = 200;          // 1..1,000,000
  std::size_t events_bytes = 4 << 20;  // of the ring up
  std::size_t decisions_bytes = 1 << 20;
  bool reuse_ids = false;  // a dead task's TaskId is given to a later one
  FaultOptions faults;
  /// Kernel::undisturbed, and that a task goes on without an event while nothing else can happen. Makes no difference
  /// to any result but SimCounters::events.
  bool look_ahead = true;
  /// Holds the invariants (checks.cc). Not 0: after each event those of the tasks and CPUs that it touched, and after
  /// each so many events those of everything, which costs O(tasks).
  u32 check_every = 0;
  u64 bound_ns = 10 * kNsPerSec;  // an invariant: no runnable task waits longer
};

struct SimCounters {
  u64 events;      // of the simulation itself: ends of actions, timers, interrupts
  u64 wakeups;     // of tasks that slept
  u64 switches;    // of CPUs, to or from idle included
  u64 migrations;  // first runs on another CPU than before
  u64 forks;
  u64 exits;
  u64 ipis;
  u64 timers;
  u64 steps;        // of the engine
  u64 step_events;  // that it was told of
  u64 decisions;    // that it made
  u64 turns;        // of the scheduler's loop
  u64 events_lost;  // no room on the way up
  u64 sessions;
  u64 faults;  // injected
  u64 checks;  // invariants held after so many events
};

/// Both sides of each step of the engine, for those who store them.
class StepSink {
 public:
  virtual ~StepSink() = default;
  /// `end_ns`: when the decisions were submitted. The spans are valid during the call.
  virtual void step(const StepInput&, const StepOutput&, u64 end_ns) = 0;
};

class Machine;

class KernelModel final : public Kernel {
 public:
  /// `behaviour` and the sinks must outlive the kernel; sinks may be null. Error: what Engine::create says; kUsage for
  /// no CPUs, or too many.
  static Expected<std::unique_ptr<KernelModel>> create(const SimOptions&, Behaviour& behaviour,
                                                       EventSink* events = nullptr, StepSink* steps = nullptr);
  ~KernelModel() override;
  KernelModel(const KernelModel&) = delete;
  KernelModel& operator=(const KernelModel&) = delete;

  /// Until simulated time `end_ns`, until `stop`, or until no task is left. May be called again. Errors
  /// (kExpectationFailed): the policy broke its contract; the kernel threw the scheduler out (the watchdog: names the
  /// starved task); an invariant does not hold. After an error the kernel must not be used again.
  Expected<void> run_until(u64 end_ns);
  void stop();

  // ---- for the workload ----

  [[nodiscard]] u64 now() const override;
  [[nodiscard]] u64 tick_ns() const override;
  /// copy_process. The task does not run before `start`. From Behaviour::next it is a fork by the running task, which
  /// pays for it, else an outside start.
  TaskId create(const TaskInfo&) override;
  void start(TaskId) override;  // wake_up_new_task
  /// try_to_wake_up, from where the kernel is now (a task, a timer's interrupt). Of a task that is not blocked: is
  /// recorded, has no effect. A wake that comes while the target is still deciding to block is for the workload to see.
  void wake(TaskId task, WakeContext context) override { wake(task, context, false); }
  void wake(TaskId, WakeContext, bool sync);  // sync: WF_SYNC, the waker is about to sleep
  /// Calls Behaviour::timer at `at_ns`, or now if that is past.
  void arm(u64 at_ns, u64 cookie, u32 cpu = kThisCpu, u64 slack_ns = 0) override;
  void exit_begins(TaskId) override;
  void leaves_group(TaskId) override;
  [[nodiscard]] u64 undisturbed() const override;
  void set_affinity(TaskId, const CpuSet&) override;  // must name a CPU that is online
  void set_weight(TaskId, u32) override;
  void set_migration_disabled(TaskId, bool);
  void rename(TaskId, std::string_view comm);

  [[nodiscard]] u32 cpus() const;
  [[nodiscard]] u32 tasks() const;  // ever made; their ids are below
  /// No task of the workload can run and no timer of arm() is to come: only `wake` from outside goes on from here.
  [[nodiscard]] bool quiet() const;
  [[nodiscard]] u32 cpu_of(TaskId) const override;
  [[nodiscard]] bool blocked(TaskId) const;
  [[nodiscard]] i32 tid_of(TaskId) const;
  [[nodiscard]] u64 cpu_time(TaskId) const;     // se.sum_exec_runtime, as of the last event on its CPU
  [[nodiscard]] TaskId running(u32 cpu) const;  // kNoTaskId: idle, or the scheduler

  // ---- causes from outside ----

  /// From `at_ns` on `duration_ns` of the CPU go to an interrupt.
  void steal(u32 cpu, u64 at_ns, u64 duration_ns, trace::IrqKind kind, u32 number = 0);
  /// ... to a task of a higher class (real-time, deadline, stop) with that tid.
  void preempt(u32 cpu, u64 at_ns, u64 duration_ns, trace::TaskClass, i32 tid);
  /// CPU hotplug: the dispatcher is told to restart. A CPU that goes must not be the last one.
  void set_online(u32 cpu, bool online, u64 at_ns);

  // ---- what came of it ----

  /// Of all events of the kernel and all decisions carried out so far.
  [[nodiscard]] u64 hash() const;
  [[nodiscard]] const SimCounters& counters() const;
  [[nodiscard]] std::size_t bytes_per_task() const;  // dispatcher's context and slot included, engine's not
  /// Null without a policy.
  [[nodiscard]] const Engine* engine() const;
  /// The dispatcher's own counter of that name in struct wire_cpu_counters, by its index there, summed over CPUs.
  [[nodiscard]] u64 dispatcher_counter(u32 index) const;
  /// For tests: what lies behind all this (machine.h).
  [[nodiscard]] Machine& machine() { return *machine_; }

 private:
  explicit KernelModel(std::unique_ptr<Machine>);
  std::unique_ptr<Machine> machine_;
};

}  // namespace reprise::sim
