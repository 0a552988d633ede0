// SPDX-License-Identifier: GPL-2.0-only
// What `reprise live` shows of a run: a line per interval, a summary at the end, JSON.
#pragma once

#include <string>

#include "scheduler/live/live.h"
#include "tools/cli/console.h"

namespace reprise::cli {

/// Turns totals into a table with a line per interval; the header comes again every kHeaderEvery lines.
class StatsTable {
 public:
  static constexpr u32 kHeaderEvery = 20;
  [[nodiscard]] std::string line(const live::LiveStats&);

 private:
  live::LiveStats last_;
  u32 lines_ = 0;
};

/// What the columns mean, for --help.
[[nodiscard]] std::string stats_legend();

/// Enqueues that the dispatcher did not have to decide on itself, apart from those that it always does (threads bound
/// to one CPU, tasks that free memory).
struct PolicyShare {
  u64 decided = 0;
  u64 of = 0;
};
[[nodiscard]] PolicyShare policy_share(const wire_cpu_counters&);

void show_summary(Console&, const live::LiveOptions&, const live::LiveResult&);
[[nodiscard]] Json live_json(const live::LiveOptions&, const live::LiveResult&);

/// Why kernel events are missing: as JSON, and as the rest of a sentence that begins with their number.
[[nodiscard]] Json loss_causes_json(const live::LossCauses&);
[[nodiscard]] std::string loss_causes_text(const live::LossCauses&);

/// enum scx_exit_kind (kernel/sched/ext_internal.h) in words.
[[nodiscard]] std::string exit_kind_text(i32 kind);

}  // namespace reprise::cli
