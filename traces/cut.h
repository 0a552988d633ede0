// SPDX-License-Identifier: GPL-2.0-only
// Takes a piece out of a trace so that the piece still replays: it begins at the start of a session or at the newest
// snapshot at or before `from`, so it may begin earlier than asked, and says where.
#pragma once

#include <string>

#include "traces/reader.h"

namespace reprise::trace {

struct CutRange {
  u64 from_step = 0, to_step = ~u64{0};  // of session `session`
  u64 from_ns = 0, to_ns = ~u64{0};      // both ranges apply; leave one at its defaults
  u32 session = 1;                       // from 1
};

struct CutResult {
  u64 first_step = 0;  // that the new trace holds
  u64 last_step = 0;
  u64 after_snapshot = 0;  // step of the snapshot it begins with; 0: begins with the session
  u64 steps = 0, events = 0, decisions = 0, kernel_events = 0;
  u64 bytes = 0;
};

/// Errors: kUsage (empty range), kBadInput (no snapshot at or before `from`, nothing in the range), kIo.
Expected<CutResult> cut(const std::string& in, const std::string& out, const CutRange&);

}  // namespace reprise::trace
