// SPDX-License-Identifier: GPL-2.0-only
// Reads a trace, frame by frame, in the order of the file.
//
//   Expected<Reader> reader = Reader::open(path);
//   for (;;) switch (reader->next()) {
//     case Item::kStep: use(reader->step()); break;
//     case Item::kEnd: report(reader->problems()); return;
//     ...
//   }
//
// Memory is bounded whatever the file's size and whatever sizes it claims. Checksums are always verified. A damaged
// or cut file is read as far as it can be: each loss is an entry of `problems()`, and a hole in the steps is an item
// of its own (kGap), so that nothing is skipped in silence.
//
// What step(), events() and the like return stays valid until the next call of next().
// Thread safety: none; several readers may read one file.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "traces/kernel_event.h"
#include "traces/record.h"
#include "traces/session.h"

namespace reprise::trace {

enum class Severity : u8 {
  kNote = 1,    // worth saying, the trace is whole ("holds no events")
  kLoss = 2,    // the trace says itself that something was not recorded
  kDamage = 3,  // the file is not what was written
};

struct Problem {
  Severity severity = Severity::kDamage;
  u64 byte = 0;      // where in the file
  std::string what;  // "frame 12 (steps 100..199, 12.5..13.0 s) fails its checksum"
};

enum class Item : u8 {
  kSession,     // session(): a session begins
  kStep,        // step()
  kEvents,      // events(): kernel events, by time within one frame
  kSnapshot,    // snapshot()
  kLoss,        // loss()
  kGap,         // gap(): steps are missing between the last one and the next
  kSessionEnd,  // session_end()
  kEnd,         // nothing more; problems() is complete
};

/// Which items next() returns; frames of the others are skipped unread. Sessions, gaps and ends always come.
enum ReadKind : u32 {
  kReadSteps = 1u << 0,
  kReadEvents = 1u << 1,
  kReadSnapshots = 1u << 2,
  kReadLosses = 1u << 3,
  kReadAll = 0xf,
};

struct ReaderOptions {
  u32 kinds = kReadAll;
};

/// What was read so far, over all sessions.
struct ReadTotals {
  u64 bytes = 0;   // of the file
  u64 frames = 0;  // good ones
  u32 sessions = 0;
  SessionTotals items;
  u64 first_ns = 0;  // times of steps and kernel events
  u64 last_ns = 0;
  bool complete = false;  // index and trailer are there, nothing was damaged
};

/// Where a trace can be entered, from its index (or, where that is missing, from the frames' headers).
struct FrameEntry {
  u64 offset = 0;
  u64 first_ns = 0;
  u64 last_ns = 0;
  u64 first_step = 0;  // of a steps frame; of a snapshot: the step after which it was taken
  u32 kind = 0;        // FrameKind (frame.h)
  u32 number = 0;
  u32 session = 0;
  u32 items = 0;
  u32 bytes = 0;  // in the file, with its header
};

class Reader {
 public:
  /// Errors (kBadInput): empty file, not a trace, a format or schema newer than this program; kIo: cannot be opened.
  static Expected<Reader> open(const std::string& path, const ReaderOptions& = {});
  /// A trace in memory, which must outlive the reader. `name` stands in messages.
  static Expected<Reader> open_memory(std::span<const std::byte>, const std::string& name, const ReaderOptions& = {});
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  Item next();
  /// Changes ReaderOptions::kinds for the frames that come.
  void select(u32 kinds);

  [[nodiscard]] const SessionInfo& session() const;  // of the items that come now
  [[nodiscard]] u32 session_number() const;          // from 1
  [[nodiscard]] const StepRecord& step() const;
  [[nodiscard]] std::span<const KernelEvent> events() const;
  [[nodiscard]] const SnapshotRecord& snapshot() const;
  [[nodiscard]] const LossRecord& loss() const;
  [[nodiscard]] const GapRecord& gap() const;
  [[nodiscard]] const SessionEnd& session_end() const;

  [[nodiscard]] std::span<const Problem> problems() const;  // at most kMaxProblems; then a last one counts the rest
  [[nodiscard]] bool damaged() const;                       // any of Severity::kDamage so far
  [[nodiscard]] const ReadTotals& totals() const;
  [[nodiscard]] const std::string& name() const;

  /// The newest snapshot taken at or before step `step` of session `session` (from 1); none: nullopt.
  [[nodiscard]] std::optional<FrameEntry> find_snapshot(u32 session, u64 step);
  /// Same, by time, in that session.
  [[nodiscard]] std::optional<FrameEntry> find_snapshot_by_time(u32 session, u64 time_ns);
  /// Goes on at `entry`, a snapshot: next() returns its session, then it (whatever was selected), then what follows.
  /// Error (kBadInput): the session's beginning, or the snapshot, is missing.
  Expected<void> seek(const FrameEntry& entry);

 private:
  struct Impl;
  explicit Reader(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::size_t kMaxProblems = 100;

}  // namespace reprise::trace
