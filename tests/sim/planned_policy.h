// SPDX-License-Identifier: GPL-2.0-only
// A policy that does what the test at hand says.
#pragma once

#include <functional>
#include <optional>

#include "scheduler/core/policy.h"

namespace reprise::test {

struct Verdict {
  i32 cpu = kAnyCpu;
  u64 slice_ns = kNsPerMs;
  u64 vtime = 0;
  u32 flags = 0;
};

/// Decides on a task that waits; nullopt: it goes on waiting. Called for every waiting task in every step.
using Plan = std::function<std::optional<Verdict>(Context&, TaskSlot)>;

/// The policy; the plan must outlive its use and is one per thread, the last one set.
[[nodiscard]] const PolicyInfo& planned(Plan plan);

}  // namespace reprise::test
