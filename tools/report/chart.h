// SPDX-License-Identifier: GPL-2.0-only
// Drawings as SVG: distributions with their tail, and who ran on each CPU. They are whole without the page's script,
// which only adds what is shown under the pointer. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/types.h"

namespace reprise::report {

using Json = nlohmann::ordered_json;

/// One line of a chart.
struct Series {
  std::string name;
  bool recorded = false;  // drawn apart from the simulated ones
  std::vector<u64> upper_ns, count;
};

inline constexpr std::size_t kSeriesMax = 8;  // what colours can tell apart

/// How many are longer than that, both axes logarithmic, so that the tail takes as much room as the rest. Empty when no
/// series has values.
[[nodiscard]] std::string tail_chart(std::string_view title, std::span<const Series>);
/// The names of all series in their colours.
[[nodiscard]] std::string legend(std::span<const Series>);

/// `moment`: worst_moment of a result. `title`: whose. Throws Json::exception for one that is not as it should be.
[[nodiscard]] std::string timeline(std::string_view title, const Json& moment);

}  // namespace reprise::report
