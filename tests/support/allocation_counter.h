// SPDX-License-Identifier: GPL-2.0-only
// Counts allocations: a program that links this has its global operator new replaced.
#pragma once

#include "scheduler/core/types.h"

namespace reprise::test {

/// Calls of operator new by this thread since it began.
[[nodiscard]] u64 allocations();

}  // namespace reprise::test
