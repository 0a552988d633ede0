// SPDX-License-Identifier: GPL-2.0-only
// What a simulation takes from a recording: the workload, the machine with its settings, what the kernel's work costs
// there, and how the recorded run went, for comparison.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/kernel_model.h"
#include "sim/metrics/metrics.h"
#include "sim/run/fit.h"
#include "sim/workload/extract.h"
#include "traces/session.h"

namespace reprise::sim {

struct Recorded {
  Program program;
  ExtractReport extracted;
  trace::SessionInfo session;
  SimOptions machine;  // all but the policy
  Fit fit;             // where the costs in `machine` come from
  Metrics metrics;     // from the scheduler's first step on, or all
};

struct FromTraceOptions {
  u32 session = 0;             // from 1; 0: the first
  bool fit = true;             // else default costs
  std::optional<Costs> costs;  // instead of either
  bool details = false;        // Metrics::details of the recorded run, too
};

/// Reads the trace at `path` more than once. Errors: of trace::Reader::open and of extract.
Expected<Recorded> from_trace(const std::string& path, const FromTraceOptions& = {});

/// The machine that a session describes; what it does not tell has SimOptions' defaults.
[[nodiscard]] SimOptions machine_of(const trace::SessionInfo&);

}  // namespace reprise::sim
