// SPDX-License-Identifier: GPL-2.0-only
// What suites need of the rest of the program: policies by name, and runs stored as traces.
#pragma once

#include <string>
#include <string_view>

#include "sim/run/run.h"
#include "sim/suite/suite.h"

namespace reprise::cli {

/// Passed to sim/suite, which does not know the table of policies.
Expected<sim::SuitePolicy> find_suite_policy(std::string_view text);

/// Runs `setup` with that seed and writes BASE.rtrace and BASE.pftrace. The trace is there up to where the run failed.
/// Errors: of SavedRun and of export_trace.
Expected<void> save_timeline(const sim::Setup& setup, u64 seed, const std::string& base);

/// The same of a workload that is no longer the setup's; PATH is an .rtrace.
Expected<void> save_run(const sim::Setup& setup, const sim::Program&, const sim::RunOptions&, const std::string& path);

}  // namespace reprise::cli
