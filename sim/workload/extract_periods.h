// SPDX-License-Identifier: GPL-2.0-only
// Periods that a task began late. Internal to extract.
//
// Who comes too late for the beginning of a period does not sleep, so that a recording shows one long run in place of
// several, and a simulation in which the task is in time would never see it sleep. Where sleeps until a time have a
// rhythm, those that are missing are put back: in the past they do not block either. A task may keep to a grid, or
// count its periods from when it was late.
#pragma once

#include <vector>

#include "sim/workload/extract_objects.h"
#include "sim/workload/program.h"

namespace reprise::sim {

/// Puts the missing sleeps into `ops`. Returns how many. The CPU time between two recorded sleeps is taken to be the
/// same in each of the periods.
u64 restore_late_periods(std::vector<Op>& ops, ObjectTable& objects);

}  // namespace reprise::sim
