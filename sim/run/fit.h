// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's and the scheduler's work costs on the machine of a recording, from the times in it.
//
// Medians and least squares over integers, so the same recording gives the same costs everywhere.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/costs.h"
#include "traces/kernel_event.h"
#include "traces/record.h"

namespace reprise::sim {

struct Fitted {
  std::string_view field;  // of Costs
  u64 value_ns = 0;
  u64 samples = 0;  // that it rests on; 0: the default, the recording has none
};

struct Fit {
  Costs costs;
  u64 tick_at_ns = 0;          // where in a period ticks begin
  std::vector<Fitted> fields;  // one per field of Costs, in its order
};

/// A step as its costs go.
struct StepTime {
  u64 begin_ns = 0;
  u64 end_ns = 0;
  u32 events = 0;
  u32 decisions = 0;
};

/// `events` in order of time; `scheduler_tid` 0: none; `period_ns`: of the tick, 0: not known; `kick_interval_ns`: how
/// often wakeups preempt a task for the scheduler at most, where tasks queue.
Fit fit_costs(std::span<const trace::KernelEvent> events, std::span<const StepTime> steps, i32 scheduler_tid,
              u64 period_ns, u64 kick_interval_ns = 0);

}  // namespace reprise::sim
