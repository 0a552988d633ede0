// SPDX-License-Identifier: GPL-2.0-only
// What results hold for reports beside their metrics: distributions, tasks, the worst moment, and where they come from.
// docs/report.md lists the keys.
#pragma once

#include <string>

#include "sim/metrics/metrics.h"
#include "tools/cli/console.h"
#include "traces/session.h"

namespace reprise::cli {

/// {histograms, tasks, tasks_left_out, worst_moment}; null when the run did not keep them.
[[nodiscard]] Json details_json(const sim::Metrics&);

/// {command, version, compiler, build_type, code} of this run of this program.
[[nodiscard]] Json provenance_json(const Console&);

/// What a recording was made by and on: {file, sha256, ...}; `sha256` null where the file cannot be read.
[[nodiscard]] Json recording_json(const std::string& file, const trace::SessionInfo&);

/// As a shell takes it.
[[nodiscard]] std::string shell_quoted(const std::string& text);

}  // namespace reprise::cli
