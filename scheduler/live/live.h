// SPDX-License-Identifier: GPL-2.0-only
// A live run: an engine schedules this machine until a command ends, a time has passed or a signal comes; optionally
// all of it is recorded. A CPU that comes or goes makes the kernel ask for a restart: the run goes on with a new
// engine, and in the trace with a new session.
//
// Threads: the caller's (waits, prints), the scheduler's (loop.h) and the recorder's. The scheduler's thread shares no
// lock with the others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bpf/wire.h"
#include "scheduler/core/error.h"
#include "scheduler/live/dispatcher.h"
#include "scheduler/live/recording.h"
#include "scheduler/policies/table.h"
#include "traces/recorder.h"

namespace reprise::live {

struct LiveOptions {
  PolicySpec policy;
  u64 seed = 1;
  u32 max_tasks = kMaxTasksDefault;
  DispatcherSettings dispatcher;  // tids, interests and recording are filled in
  std::string record_path;        // empty: no recording
  u64 record_last_s = 0;          // > 0: flight recorder into record_path
  bool record_syscalls = true;    // waiting and waking system calls with object identity
  u64 duration_s = 0;             // 0: no limit
  u64 stats_interval_s = 0;       // 0: no statistics while running
  std::vector<std::string> command;
};

/// What is shown with --stats and in the result. Totals since the start, over restarts.
struct LiveStats {
  u64 time_ns = 0;  // since attach
  wire_cpu_counters dispatcher{};
  u64 steps = 0;
  u64 events = 0;
  u64 decisions = 0;
  u64 turns = 0;              // of the scheduler's loop
  u64 scheduler_cpu_ns = 0;   // CPU time of the scheduler's thread
  u64 page_faults_minor = 0;  // of the scheduler's thread since attach: should stay 0
  u64 page_faults_major = 0;
  u64 fallbacks = 0;
  u64 restarts = 0;
  u32 running = 0;  // CPUs that are not idle
  u64 queued = 0;   // handed up and unanswered
};

struct LiveResult {
  LiveStats stats;
  ExitReport exit;         // of the last session
  u64 final_hash = 0;      // Engine::state_hash of the last session
  std::string ended_by;    // "command", "duration", "signal SIGINT", "kernel"
  int command_status = 0;  // as of a shell: 128 + signal when killed
  bool recorded = false;
  trace::RecorderStatus recording;
  LossCauses loss_causes;          // of the last session's recording
  std::vector<std::string> notes;  // what was not honoured, what was changed and put back
};

/// Calls `stats` at each interval on the caller's thread (may be empty) and `note` for what the user should know at
/// once ("attached", "restart: CPU 1 went away", what is not honoured).
/// Errors: kUsage, kNoSchedExt, kNotPermitted, kIo; kExpectationFailed when the policy broke its contract;
/// kInternal when the kernel threw the scheduler out. After any of them the kernel's default scheduler is back.
Expected<LiveResult> run_live(const LiveOptions&, const std::function<void(const LiveStats&)>& stats,
                              const std::function<void(const std::string&)>& note);

}  // namespace reprise::live
