// SPDX-License-Identifier: GPL-2.0-only
// One simulation: a workload on the model of the kernel, measured.
//
// The same program and options give the same result, state hash included, on any machine and with any compiler.
// Thread safety: a call of `run` uses its arguments only; many may run side by side and share a Program.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/kernel/kernel_model.h"
#include "sim/metrics/metrics.h"
#include "sim/workload/workload.h"

namespace reprise::sim {

struct RunOptions {
  SimOptions machine;
  u64 duration_ns = 0;  // 0: until the workload has ended; then the program must not be endless
  /// CPU time that interrupts took in the recording is taken again, at its time, on CPUs that exist. What the model
  /// makes by itself (the CPU's own timer, messages between CPUs) is left out.
  bool thefts = true;
  bool details = false;  // Metrics::details, too
  /// Called every `progress_ns` of simulated time; null: not.
  std::function<void(u64 now_ns)> progress;
  u64 progress_ns = 100 * kNsPerMs;
};

struct RunResult {
  Metrics metrics;
  SimCounters counters{};
  WorkloadStats workload;
  u64 simulated_ns = 0;
  u64 events = 0;  // wakeups and context switches
  u64 state_hash = 0;
  bool finished = false;           // all tasks of the workload have ended
  u32 stuck = 0;                   // tasks that waited for what nobody would give, when nothing could move any more
  std::string waiting;             // who they were and what for, a line each
  std::vector<u64> task_cpu_ns;    // by entry of Program::tasks, all that were made from it together
  std::vector<u32> task_entry;     // of metrics.tasks: entry of Program::tasks; kNoTaskId: none
  std::vector<std::string> notes;  // what restricts the result, in sentences
};

/// Errors (kUsage): an endless program without a duration, machine options out of range; (kExpectationFailed): what
/// KernelModel::run_until says. `events` and `steps` may be null.
Expected<RunResult> run(const Program&, const RunOptions&, EventSink* events = nullptr, StepSink* steps = nullptr);

}  // namespace reprise::sim
