// SPDX-License-Identifier: GPL-2.0-only
// Writes a trace: gathers steps and kernel events into frames, encodes, compresses, hands them to a sink. Used by the
// recorder's thread, and directly by whoever makes a trace without a live run (cut, import, the simulator, tests).
//
//   auto writer = Writer::create("a.rtrace");
//   writer->begin_session(info);  writer->add_step(record);  ...  writer->end_session(end);  writer->finish();
//
// Where a frame ends depends on what was given only, never on a clock, so equal items make equal bytes.
// Errors stick: after the first one, every call returns it and writes nothing. Thread safety: none.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "traces/columns_events.h"
#include "traces/columns_steps.h"
#include "traces/sink.h"

namespace reprise::trace {

struct WriterOptions {
  int compression_level = 1;          // zstd, 1..19; 0: none
  u64 frame_interval_ns = kNsPerSec;  // a frame covers at most this much
  u32 frame_items = 16'384;           // and holds at most about so many events or decisions; 1..16384
};

class Writer {
 public:
  Writer(std::unique_ptr<FrameSink> sink, const WriterOptions&);
  /// A file. Errors: kIo, kNotPermitted.
  static Expected<std::unique_ptr<Writer>> create(const std::string& path, const WriterOptions& = {});

  /// Ends an open session's frames, without an end frame of its own. Cuts texts and lists to their limits.
  Expected<void> begin_session(SessionInfo);
  /// Numbers must grow within a session (kInternal otherwise); a jump becomes a gap.
  Expected<void> add_step(const StepRecord&);
  /// Any number of them; they are put in order of (time, cpu, seq) within a frame.
  Expected<void> add_events(std::span<const KernelEvent>);
  /// At most kMaxSnapshotBytes (kUsage, which does not stick). Ends the frames before it, so a trace can begin here.
  Expected<void> add_snapshot(const SnapshotRecord&);
  Expected<void> add_loss(const LossRecord&);
  /// `end.totals` is replaced by what was added, except for what only the caller knows: last_step (at least the last
  /// one added), steps_lost, snapshots_lost.
  Expected<void> end_session(SessionEnd end);
  /// Writes what is gathered. Otherwise it waits for its frame to fill up.
  Expected<void> flush();
  /// Orderly end. After it, nothing may be added.
  Expected<void> finish();

  /// After an error: tries to put an end frame, index and trailer behind what was saved. There may be just room for it.
  void give_up();

  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const SessionTotals& saved() const { return saved_; }    // of the session, in frames that were taken
  [[nodiscard]] const SessionTotals& totals() const { return totals_; }  // of the session
  [[nodiscard]] FrameSink& sink() { return *sink_; }
  [[nodiscard]] u32 session() const { return session_; }
  /// Something waits for its frame.
  [[nodiscard]] bool gathering() const { return steps_.steps() > 0 || !events_.empty(); }

 private:
  Expected<void> put(FrameHeader header, const SessionTotals& carries = {});  // packs raw_
  Expected<void> flush_steps();
  Expected<void> flush_events();
  Expected<void> stick(Expected<void> result);

  std::unique_ptr<FrameSink> sink_;
  WriterOptions options_;
  Compressor compressor_;
  StepsEncoder steps_;
  EventsEncoder events_encoder_;
  std::vector<KernelEvent> events_;
  Bytes raw_, packed_;
  SessionTotals totals_, saved_;
  u64 last_step_ = 0;
  u64 last_ns_ = 0;
  u32 session_ = 0;
  bool session_saved_ = false;
  std::optional<Error> error_;
};

}  // namespace reprise::trace
