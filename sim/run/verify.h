// SPDX-License-Identifier: GPL-2.0-only
// Whether two runs of one simulation are the same, event by event.
#pragma once

#include <string>

#include "sim/run/sweep.h"

namespace reprise::sim {

/// Runs `job` twice and tells in a sentence where the second run first goes another way; "no difference" when it does
/// not. Takes 8 bytes per event of the kernel. Errors: of run.
Expected<std::string> first_difference(const Job& job);

}  // namespace reprise::sim
