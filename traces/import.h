// SPDX-License-Identifier: GPL-2.0-only
// A trace from what other tools print: `perf script` of a `perf sched record`, and `trace-cmd report` (or the kernel's
// own trace file). It is like a passive recording: kernel events, no steps. What is taken and what becomes of it:
// docs/interchange.md.
#pragma once

#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::trace {

struct ImportOptions {
  std::string version;  // of this program, for the session
};

struct ImportResult {
  u64 lines = 0;
  u64 events = 0;    // lines that became kernel events
  u64 switches = 0;  // of them
  u64 unneeded = 0;  // lines of events that a trace has no place for (sched_stat_runtime, sched_migrate_task...)
  u64 comments = 0;  // empty lines, headers
  u64 not_understood = 0;
  std::vector<u64> not_understood_at;  // the first few line numbers
  std::string first_not_understood;    // that line, cut to 120 bytes
  u64 lost = 0;                        // as the file says
  u32 cpus = 0;
  u32 tasks = 0;
  u64 first_ns = 0, last_ns = 0;
  u64 bytes = 0;  // of the trace
};

/// How many lines may stand between two that are in the wrong order.
inline constexpr std::size_t kImportWindow = 1u << 16;

/// Reads `path` twice, so it must be a file, and writes `out`, which is replaced. Memory: bounded, plus about 200
/// bytes per task. Errors: kBadInput (nothing in it is understood; times out of order by more than kImportWindow lines;
/// CPU numbers above 4095), kIo, kUsage (no regular file).
Expected<ImportResult> import_text(const std::string& path, const std::string& out, const ImportOptions&);

}  // namespace reprise::trace
