// SPDX-License-Identifier: GPL-2.0-only
// What several commands show of a trace: sessions, totals, problems, gaps. Pure functions.
#pragma once

#include <span>
#include <string>

#include "tools/cli/console.h"
#include "traces/reader.h"
#include "traces/replay.h"

namespace reprise::cli {

/// Passed to traces, which does not know the table of policies.
[[nodiscard]] Expected<trace::ChosenPolicy> find_recorded_policy(std::string_view spec);

/// {name, options: {key: value}, text}; null without a policy.
[[nodiscard]] Json policy_json(std::string_view name, std::string_view options);
/// "vruntime:slice_us=3000", or "none".
[[nodiscard]] std::string policy_text(std::string_view name, std::string_view options);
[[nodiscard]] Json session_json(const trace::SessionInfo&);
[[nodiscard]] Json totals_json(const trace::SessionTotals&);
[[nodiscard]] Json losses_json(std::span<const trace::Loss>);
[[nodiscard]] Json gap_json(const trace::GapRecord&);
[[nodiscard]] Json problems_json(std::span<const trace::Problem>);
[[nodiscard]] std::string_view name_of(trace::Severity);

/// "0-3,8".
[[nodiscard]] std::string cpuset_text(std::span<const u32> ascending);
/// Warns of each problem; notes only with -v.
void show_problems(Console&, std::span<const trace::Problem>);
/// What traces/ says of a file, as "is empty" of the file in `where`, in a sentence of its own. A thing that cannot be
/// a trace (a directory, a pipe) is bad input as a file that is none.
[[nodiscard]] Error about_trace(Error);
[[nodiscard]] Expected<trace::Reader> open_trace(const std::string& path, u32 kinds = trace::kReadAll);
/// kBadInput: the trace is damaged, what came before is good.
[[nodiscard]] Error damage_error(const trace::Reader&, std::string_view done_so_far);

}  // namespace reprise::cli
