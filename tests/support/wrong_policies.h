// SPDX-License-Identifier: GPL-2.0-only
// Policies that break the contract of policy.h, each in one way: what the engine, replay and live must catch.
#pragma once

#include <span>

#include "scheduler/core/policy.h"

namespace reprise::test {

/// Each behaves like a plain queue until it has seen `after` enqueues (an option), then breaks the contract as its name
/// says: not_held, twice, no_such_task, cpu_range, cpu_negative, slice_zero, unknown_flags, preempt_any, preempt_range.
[[nodiscard]] std::span<const PolicyInfo> wrong_policies();
/// By name; must exist.
[[nodiscard]] const PolicyInfo& wrong_policy(std::string_view name);

}  // namespace reprise::test
