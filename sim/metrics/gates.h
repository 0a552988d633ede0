// SPDX-License-Identifier: GPL-2.0-only
// Metrics by name, and gates: how much worse a run may be than the one that it is compared with.
//
// A gate has two thresholds, and a change must pass both to count: the relative one keeps small changes of large values
// quiet, the absolute one large changes of small values. Where there are several runs of each kind (seeds, repeats),
// medians are compared, and a change within the spread of either side is none. A percentile that rests on too few
// values decides nothing.
//
// Names are those of the metrics' JSON, as p99_run_delay_ns; they are found without the unit, and with the percentile
// at the end, too. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "sim/metrics/metrics.h"

namespace reprise::sim {

enum class Unit : u8 { kCount, kNs, kRatio };
enum class Better : u8 { kLess, kMore, kSame };  // kSame: a change in either direction is one for the worse

struct MetricInfo {
  std::string_view name;  // "p99_run_delay_ns"
  std::string_view key;   // in the JSON of a run's metrics: "run_delay_ns"
  std::string_view part;  // ... of a distribution: "p99"; else empty
  Unit unit = Unit::kCount;
  u64 min_count = 0;                  // values that a distribution needs for this one to mean something
  std::optional<Better> better = {};  // of the default gate; none: shown, not judged
  double relative = 0;                // of the default gate: a part of the compared value
  double absolute = 0;                // in the metric's unit
};

/// Of a run; other tables may be judged by the same rules.
[[nodiscard]] std::span<const MetricInfo> metric_table();
/// Error (kUsage): no such metric; names the nearest.
Expected<const MetricInfo*> find_metric(std::string_view name, std::span<const MetricInfo> table = metric_table());

/// A value and how many it was taken from (0: it is no part of a distribution).
struct MetricValue {
  double value = 0;
  u64 count = 0;
};
[[nodiscard]] MetricValue value_of(const Metrics&, const MetricInfo&);

struct Gate {
  const MetricInfo* metric = nullptr;
  Better better = Better::kLess;
  double relative = 0;
  double absolute = 0;
};

/// A gate each for the metrics that have a default one, in the order of the table.
[[nodiscard]] std::vector<Gate> default_gates(std::span<const MetricInfo> table = metric_table());

/// Changes `gates` as `text` says: "none" (of those so far stay), "NAME=off", or "NAME=" and one to three of
/// "10%", "50us" (ns, us, ms, s; a plain number for counts and ratios), "less" | "more" | "same", with commas. What is
/// left out is as in the default gate, or 0; of a metric without one, the direction must be said. Error (kUsage): not
/// of that form, no such metric.
Expected<void> apply_gate(std::vector<Gate>& gates, std::string_view text,
                          std::span<const MetricInfo> table = metric_table());

/// "10 %, 50 us, less is better".
[[nodiscard]] std::string text_of(const Gate&);

enum class GateVerdict : u8 { kPass, kFail, kUndecided };
[[nodiscard]] std::string_view name(GateVerdict);

struct Judgement {
  double base = 0, now = 0;  // medians
  double spread = 0;         // greatest less least, of the side where that is more
  double worse = 0;          // by how much, in the metric's unit; below 0: better
  double allowed = 0;        // the larger of both thresholds and the spread
  GateVerdict verdict = GateVerdict::kPass;
  std::string reason;  // why it is undecided
};

/// `base` and `now`: a value per run, at least one each.
[[nodiscard]] Judgement judge(const Gate&, std::span<const MetricValue> base, std::span<const MetricValue> now);
/// The same without a verdict; `worse` is the size of the change.
[[nodiscard]] Judgement compare(std::span<const MetricValue> base, std::span<const MetricValue> now);

}  // namespace reprise::sim
