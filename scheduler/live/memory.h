// SPDX-License-Identifier: GPL-2.0-only
// The scheduler's memory: all of it present before attach, and kept so. A page fault of the scheduler's thread may wait
// for a task that waits for the scheduler.
#pragma once

#include "scheduler/core/error.h"

namespace reprise::live {

/// Locks what is mapped and what will be. Error: kNotPermitted.
Expected<void> lock_memory();

/// Locked pages can still be taken away for a moment: khugepaged unmaps what it tries to collapse into a huge page
/// (mm/khugepaged.c, collapse_huge_page). Tells it to leave alone what is mapped now; huge pages that are there stay.
/// By madvise per mapping and not by PR_SET_THP_DISABLE, which the command to be scheduled would inherit.
void keep_pages_in_place();

}  // namespace reprise::live
