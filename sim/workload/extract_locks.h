// SPDX-License-Identifier: GPL-2.0-only
// Which futexes of a recording are locks. Internal to extract.
//
// Taking a free lock and giving back one that nobody waits for are no system calls, so a recording shows only the
// turns in which tasks met. What it shows then, as glibc's and others' locks work (state 0 free, 1 held, 2 held and
// perhaps waited for):
//
//   who comes while the lock is held waits, perhaps several times, until it has it;
//   whoever had to wait calls a wake when he gives it back, whether or not somebody waits;
//   whoever had not gives it back with a wake, too, when somebody came to wait meanwhile.
//
// So every turn of a waiter ends with his own wake, and each chain of turns with a wake that finds nobody. Conditions,
// barriers, semaphores and joins fail at one or the other. A lock that is known as such becomes an object with one
// token: under another policy other tasks meet there, in another order. Any other futex stays "who woke whom".
#pragma once

#include <span>
#include <vector>

#include "sim/workload/program.h"
#include "traces/kernel_event.h"

namespace reprise::sim {

/// Identities, sorted. `partner` as Walk has it: of the enter of a call its exit, ~0 where that was not seen.
[[nodiscard]] std::vector<u64> find_locks(std::span<const trace::KernelEvent> events, std::span<const u32> partner);

/// Identities of the locks in `program` under which somebody may wait for something else. Sorted.
[[nodiscard]] std::vector<u64> locks_held_waiting(const Program& program);

}  // namespace reprise::sim
