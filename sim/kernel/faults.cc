// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/machine.h"

namespace reprise::sim {
namespace {

constexpr FaultField kFaults[] = {
    {"late", 1000, 1, [](FaultOptions& f, u64 v) { f.late_per_mille = static_cast<u32>(v); },
     "per mille of steps that take longer"},
    {"late_us", 10'000'000, kNsPerUs, [](FaultOptions& f, u64 v) { f.late_ns = v; }, "by up to so much"},
    {"lost", 1000, 1, [](FaultOptions& f, u64 v) { f.lost_per_mille = static_cast<u32>(v); },
     "per mille of events that find no room on the way up"},
    {"full", 1000, 1, [](FaultOptions& f, u64 v) { f.full_per_mille = static_cast<u32>(v); },
     "per mille of steps with room for one decision"},
    {"busy", 1000, 1, [](FaultOptions& f, u64 v) { f.busy_per_mille = static_cast<u32>(v); },
     "per mille of drains that find another CPU at it"},
    {"requeue", 1000, 1, [](FaultOptions& f, u64 v) { f.requeue_per_mille = static_cast<u32>(v); },
     "per mille of insertions whose task is dequeued meanwhile"},
    {"stale", 1000, 1, [](FaultOptions& f, u64 v) { f.stale_per_mille = static_cast<u32>(v); },
     "per mille of decisions that come twice"},
    {"renice", 1000, 1, [](FaultOptions& f, u64 v) { f.renice_per_mille = static_cast<u32>(v); },
     "per mille of steps after which a task that waits for a decision is taken back and enqueued again"},
    {"hotplug_ms", 1'000'000, kNsPerMs, [](FaultOptions& f, u64 v) { f.hotplug_every_ns = v; },
     "a CPU goes or comes this often"},
    {"storm_ms", 1'000'000, kNsPerMs, [](FaultOptions& f, u64 v) { f.storm_every_ns = v; },
     "an interrupt storm begins this often"},
    {"storm_us", 1'000'000, kNsPerUs, [](FaultOptions& f, u64 v) { f.storm_ns = v; }, "and takes so long"},
};

}  // namespace

std::span<const FaultField> fault_fields() { return kFaults; }

bool Machine::fault(u32 per_mille) {
  if (!fault_random.chance(per_mille, 1000)) return false;
  ++counters.faults;
  return true;
}

/// set_user_nice by another task: off the queue and on again, here with the weight that it had.
void Machine::renice_one() {
  const std::size_t first = fault_random.below(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const TaskId id = static_cast<TaskId>((first + i) % tasks.size());
    const Task& task = tasks[id];
    if (task.state == RunState::kRunnable && !task.on_cpu && task.ops_state == OpsState::kQueued)
      return set_weight(id, task.ts.scx.weight);
  }
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
