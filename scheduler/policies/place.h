// SPDX-License-Identifier: GPL-2.0-only
// Where a task is sent to when the policy has no opinion: for the sake of its caches, back to where it ran last.
#pragma once

#include "scheduler/core/policy.h"

namespace reprise {

/// The CPU that the task last ran on, if it may still use it; else kAnyCpu. For use with kDecisionIdle.
[[nodiscard]] inline i32 previous_cpu(const Context& context, TaskSlot slot) {
  const i32 cpu = context.task(slot).prev_cpu;
  return cpu != kAnyCpu && context.allowed(slot, static_cast<u32>(cpu)) ? cpu : kAnyCpu;
}

}  // namespace reprise
