// SPDX-License-Identifier: GPL-2.0-only
// What `compare` reads: a trace, or what sim, info --metrics and fidelity wrote with --json, as runs with named values.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "sim/metrics/gates.h"
#include "tools/cli/console.h"

namespace reprise::cli {

/// One run: a simulation, a session of a trace, a judged recording.
struct ResultRun {
  std::string policy;  // with its options; "none": the kernel's own; "recorded": what a simulation was made from
  u32 cpus = 0;
  u32 session = 1;
  u64 seed = 0;
  std::vector<std::optional<sim::MetricValue>> values;  // by the table; none: not there
};

struct Result {
  std::string file;
  std::string kind;  // "trace", "sim", "info", "fidelity"
  std::span<const sim::MetricInfo> table;
  std::vector<ResultRun> runs;
};

/// By its content: JSON by its "schema", all else is taken for a trace. Runs that failed are left out, with a warning.
/// Errors: kIo, kBadInput (no such result, no metrics in it, wrong JSON with line and column), of open_trace.
Expected<Result> read_result(const std::string& file, Console&);

}  // namespace reprise::cli
