// SPDX-License-Identifier: GPL-2.0-only
// Records what the kernel does under whatever scheduler it has: no sched_ext, no engine, nothing changed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/live/recording.h"
#include "traces/recorder.h"

namespace reprise::live {

struct PassiveOptions {
  std::string path;
  std::vector<std::string> command;  // empty: none
  u64 duration_s = 0;                // 0: without end
  bool syscalls = true;
  std::size_t ring_bytes = 64 << 20;  // power of two
};

struct PassiveResult {
  std::string ended_by;  // "command", "duration", "signal SIG..."
  int command_status = 0;
  u64 time_ns = 0;
  trace::RecorderStatus recording;
  std::vector<trace::Loss> losses;
  LossCauses loss_causes;
  std::vector<std::string> absent;  // tracepoints that this kernel lacks
};

/// Until the command ends, the duration has passed, or SIGINT, SIGTERM or SIGHUP. Errors: kNotPermitted, kNoSchedExt
/// (no BTF), kUsage (the command cannot be run), kIo (before anything was recorded; later: in `recording`).
Expected<PassiveResult> run_passive(const PassiveOptions&, const std::function<void(const std::string&)>& note);

}  // namespace reprise::live
