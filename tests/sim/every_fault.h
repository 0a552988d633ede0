// SPDX-License-Identifier: GPL-2.0-only
// All that may go wrong in a simulation, at once.
#pragma once

#include "sim/kernel/faults.h"

namespace reprise::test {

inline constexpr sim::FaultOptions kEveryFault = {.late_per_mille = 10,
                                                  .late_ns = 20 * kNsPerMs,
                                                  .lost_per_mille = 20,
                                                  .full_per_mille = 50,
                                                  .busy_per_mille = 50,
                                                  .requeue_per_mille = 20,
                                                  .stale_per_mille = 50,
                                                  .renice_per_mille = 50,
                                                  .hotplug_every_ns = 200 * kNsPerMs,
                                                  .storm_every_ns = 50 * kNsPerMs,
                                                  .storm_ns = 3 * kNsPerMs};

}  // namespace reprise::test
