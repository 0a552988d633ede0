// SPDX-License-Identifier: GPL-2.0-only
// Metrics of a run (sim/metrics) as JSON and as text; the same keys and rows for recorded and for simulated runs.
#pragma once

#include <string>

#include "scheduler/core/error.h"
#include "sim/metrics/metrics.h"
#include "tools/cli/console.h"
#include "traces/reader.h"

namespace reprise::cli {

struct SessionMetrics {
  trace::SessionInfo info;
  sim::Metrics metrics;
};
/// One per session of a trace, in order. Reads the whole file; an event takes 40 bytes meanwhile.
std::vector<SessionMetrics> read_metrics(trace::Reader&, bool details = false);

Json metrics_json(const sim::Metrics&);
/// A few lines, indented by two.
std::string metrics_text(const sim::Metrics&);
/// A row per task, those with the longest delays first, laid out as `perf sched latency`; its Count is that of delays.
std::string latency_table(const sim::Metrics&);

}  // namespace reprise::cli
