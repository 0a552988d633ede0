// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's own work costs, in nanoseconds of CPU time. The defaults stand for a present-day x86 server; what
// was fitted from a recording replaces them.
#pragma once

#include <span>
#include <string_view>

#include "scheduler/core/types.h"

namespace reprise::sim {

struct Costs {
  u64 schedule = 150;         // __schedule up to the pick, whether or not it switches
  u64 block = 0;              // a call that has to wait, beyond one that need not; paid by the task before it leaves,
                              // from Op::extra of its program
  u64 context_switch = 900;   // context_switch: address space, registers, first cache misses
  u64 preempt = 1'000;        // from resched_curr until the task leaves its CPU, paid by it
  u64 migration_llc = 1'000;  // a task's first run on another CPU of the same last-level cache
  u64 migration_far = 4'000;  // ... of another one
  u64 wakeup = 600;           // try_to_wake_up, paid by the waker
  u64 wakeup_ipi = 1'200;     // from the sending of an interrupt to another CPU until it acts on it
  u64 idle_ipi = 0;           // what that takes longer where the other CPU is idle
  u64 idle_exit = 1'500;      // until an idle CPU is out of its idle loop
  u64 tick = 900;             // sched_tick and the interrupt around it
  u64 timer = 900;            // a timer's interrupt, without what its function does
  u64 soft_timer = 0;         // from the expiry of a timer of the dispatcher's to its callback, which runs in a softirq
                              // (hrtimer_run_softirq)
  u64 yield = 200;            // the system call
  u64 fork = 25'000;          // copy_process, paid by the parent
  u64 exit = 20'000;          // do_exit, after which the task is gone
  u64 balance = 2'000;        // of the fair class: looking for work on other CPUs, per domain, before going idle
  u64 bpf_select_cpu = 80;    // ops.select_cpu
  u64 bpf_enqueue = 350;      // ops.enqueue: hand-up
  u64 bpf_dispatch = 250;     // ops.dispatch, without what it carries out
  u64 bpf_decision = 250;     // carrying one decision out, paid by whoever runs next
  u64 bpf_running = 60;       // ops.running and ops.stopping, each
  u64 enter = 0;              // from the scheduler's switch-in until it looks into the ring, instead of context_switch;
                              // its caches are warmer than those of a task that has slept. 0: context_switch
  u64 step = 900;             // a step of the scheduler's loop
  u64 step_event = 90;        // per event in it
  u64 step_decision = 60;     // per decision out of it
  u64 leave = 0;              // from the end of its last step until the kernel switches to another task
  u64 leave_decision = 0;     // per decision that waits then; they are carried out on the way
  u64 turn = 350;             // a turn of its loop that finds nothing to do
  u64 restart = 20 * kNsPerMs;  // from the end of a session to the next one's attach (CPU hotplug)

  /// What a task pays when it comes to a CPU, with the dispatcher asked.
  [[nodiscard]] u64 switch_in() const { return schedule + context_switch + bpf_dispatch + 2 * bpf_running; }
  /// What a task pays that wakes another one.
  [[nodiscard]] u64 wake() const { return wakeup + bpf_select_cpu + bpf_enqueue; }
};

struct CostField {
  std::string_view name;
  u64 Costs::* field;
  std::string_view summary;
};

/// All fields in their order, for printing, storing and setting them by name.
[[nodiscard]] std::span<const CostField> cost_fields();

}  // namespace reprise::sim
