// SPDX-License-Identifier: GPL-2.0-only
// A trace in the formats of other tools, and without what tells whose it is. What goes into which: docs/interchange.md.
#pragma once

#include <string>

#include "scheduler/core/error.h"
#include "traces/reader.h"

namespace reprise::trace {

enum class ExportForm : u8 {
  kPerfetto = 1,   // .pftrace: protobuf for ui.perfetto.dev and trace_processor
  kCsv = 2,        // .csv: a row per kernel event
  kJsonLines = 3,  // .jsonl: an object per kernel event and per step
  kTrace = 4,      // .rtrace: the trace again, which makes sense anonymized
};

struct ExportOptions {
  ExportForm form = ExportForm::kPerfetto;
  bool anonymize = false;
};

struct ExportResult {
  u32 sessions = 0;
  u64 kernel_events = 0;
  u64 switches = 0;
  u64 steps = 0;
  u64 late_events = 0;     // out of order by more than half a second: written where they stood
  u64 snapshots_left = 0;  // kTrace, anonymized: they contain names
  u64 bytes = 0;           // written
};

/// By the ending of `path`. Error (kUsage) names the endings there are.
Expected<ExportForm> export_form_of(const std::string& path);

/// Reads `reader` to its end and writes `path`, which is replaced. Memory is bounded whatever the trace's size. Errors:
/// kIo, kNotPermitted (what was written is not whole then), kBadInput (anonymized: a piece that begins at a
/// snapshot). Damage to the trace is no error; it is in reader.problems().
Expected<ExportResult> export_trace(Reader& reader, const std::string& path, const ExportOptions&);

}  // namespace reprise::trace
