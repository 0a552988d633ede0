// SPDX-License-Identifier: GPL-2.0-only
// What goes wrong on purpose. Callbacks are atomic in the model, so what only concurrency brings is injected. All
// follow from the simulation's seed; 0 switches one off.
#pragma once

#include <span>
#include <string_view>

#include "scheduler/core/types.h"

namespace reprise::sim {

struct FaultOptions {
  u32 late_per_mille = 0;  // steps that take longer by up to late_ns
  u64 late_ns = 0;
  u32 lost_per_mille = 0;     // events that find the ring up full
  u32 full_per_mille = 0;     // turns for which the way down has room for one decision only
  u32 busy_per_mille = 0;     // drains that find another CPU at it (-EBUSY)
  u32 requeue_per_mille = 0;  // insertions whose task is dequeued and enqueued before the flush
  u32 stale_per_mille = 0;    // decisions that are sent a second time
  u32 renice_per_mille = 0;   // steps after which a task that waits for a decision is dequeued and enqueued
  u64 hotplug_every_ns = 0;   // a CPU goes or comes this often, on average
  u64 storm_every_ns = 0;     // an interrupt storm begins this often, on average
  u64 storm_ns = 0;           // and takes so much of a CPU
  bool operator==(const FaultOptions&) const = default;
};

/// A fault by its name, as command lines and suites give it.
struct FaultField {
  std::string_view name;
  u64 max;
  u64 scale;  // from the given number to what `set` takes
  void (*set)(FaultOptions&, u64);
  std::string_view summary;
};
[[nodiscard]] std::span<const FaultField> fault_fields();

}  // namespace reprise::sim
