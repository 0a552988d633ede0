// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/machine.h"

namespace reprise::sim {

bool Machine::fault(u32 per_mille) {
  if (!fault_random.chance(per_mille, 1000)) return false;
  ++counters.faults;
  return true;
}

void Machine::random_hotplug() {
  ++counters.faults;
  const u32 cpu = static_cast<u32>(fault_random.below(cpu_count()));
  set_online(cpu, !cpus[cpu].online);
  event_at(now + fault_random.between(1, 2 * options.faults.hotplug_every_ns), {.kind = EventKind::kHotplug});
}

void Machine::storm() {
  ++counters.faults;
  const u32 cpu = static_cast<u32>(fault_random.below(cpu_count()));
  for (u64 gone = 0; gone < options.faults.storm_ns;) {  // interrupts of some microseconds, with gaps between
    const u64 length = fault_random.between(1, 20 * kNsPerUs);
    event_at(now + gone * 2, {.kind = EventKind::kSteal, .what = trace::kIrqHard, .cpu = cpu, .a = length, .b = 1});
    gone += length;
  }
  event_at(now + fault_random.between(1, 2 * options.faults.storm_every_ns), {.kind = EventKind::kStorm});
}

}  // namespace reprise::sim
