// SPDX-License-Identifier: GPL-2.0-only
// Reading what a suite expects of a case: bounds, comparisons with other policies, gates. Only for the .cc files of
// sim/suite.
#pragma once

#include <string_view>
#include <vector>

#include "sim/suite/suite.h"
#include "sim/suite/toml_layers.h"

namespace reprise::sim {

/// The table "expect": `max_p99_run_delay_us = 500`, and a table like it per group of tasks. Errors: an unknown metric
/// (names the nearest), an unknown group, a least value above the greatest.
Expected<std::vector<Bound>> read_bounds(const Layers& layers, const Setup&);
/// The table of one other policy in "versus": `max_p99_run_delay = 1.2`, times what the other one has.
Expected<std::vector<Bound>> read_factors(const Layers& versus, std::string_view policy, const Setup&);
/// The table "gate": `p99_run_delay = "10%, 50us"`, or "off"; `all = "off"` leaves out the default ones.
Expected<std::vector<Gate>> read_gates(const Layers& layers);

}  // namespace reprise::sim
