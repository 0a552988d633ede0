// SPDX-License-Identifier: GPL-2.0-only
// Where a simulated workload comes from: a trace, a file of rt-app, or a generator.
#pragma once

#include <optional>
#include <string>

#include "scheduler/core/error.h"
#include "sim/run/from_trace.h"
#include "tools/cli/console.h"
#include "tools/cli/sim_options.h"

namespace reprise::cli {

struct WorkloadSource {
  sim::Program program;
  sim::SimOptions machine;                // all but the policy
  std::optional<sim::Recorded> recorded;  // of a trace; its program has moved to the one above
};

/// One of `file` and `generator` ("hackbench:160") is empty. Warns of what restricts the result. Errors: kUsage
/// (neither or both, no such generator), kIo, kBadInput (what the file lacks, and how to record it; of rt-app's files
/// with line and column).
Expected<WorkloadSource> load_workload(const std::string& file, const std::string& generator, const SimSelection&,
                                       Console&, bool details = false);

}  // namespace reprise::cli
