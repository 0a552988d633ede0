// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/machine.h"

namespace reprise::sim {

void Machine::check_all() { ++counters.checks; }

}  // namespace reprise::sim
