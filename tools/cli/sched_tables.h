// SPDX-License-Identifier: GPL-2.0-only
// Tables in the layout of `perf sched`, which their readers know, printed while the trace is read.
#pragma once

#include "scheduler/core/error.h"
#include "tools/cli/console.h"
#include "traces/reader.h"

namespace reprise::cli {

/// A row per stay of a task on a CPU, laid out as `perf sched timehist`. Reads `reader` to its end.
void show_timehist(Console&, trace::Reader& reader);
/// A row per switch with what each CPU runs, laid out as `perf sched map`. Reads `reader` to its end.
void show_map(Console&, trace::Reader& reader);

}  // namespace reprise::cli
