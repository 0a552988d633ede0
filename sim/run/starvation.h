// SPDX-License-Identifier: GPL-2.0-only
// Why a task starved: the first decision that went before it.
#pragma once

#include <string>

#include "sim/run/sweep.h"

namespace reprise::sim {

/// Runs `job`, which ended because a runnable task waited for too long, twice more. Tells in a sentence which task it
/// was, when the policy was told of it, and the first decision since then that gave another one the turn: of one that
/// the policy still holds, any decision; of one that it has handed down, one with a smaller vtime for the same queue.
/// Empty when no task waits at the end.
[[nodiscard]] std::string explain_starvation(const Job& job);

}  // namespace reprise::sim
