// SPDX-License-Identifier: GPL-2.0-only
// The frames of a file, one after another, verified and unpacked. Damage is told to a list of problems and stepped
// over: a frame whose payload is bad is skipped whole, since its header could be trusted; where a header is bad, the
// next good one is searched for. Internal to traces/. Thread safety: none.
//
// Memory: one frame, packed and unpacked. Time: in proportion to the file, whatever is in it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "traces/file.h"
#include "traces/frame.h"
#include "traces/reader.h"

namespace reprise::trace {

/// Problems, of which only so many are kept.
class ProblemList {
 public:
  void add(Severity severity, u64 byte, std::string what);
  [[nodiscard]] std::span<const Problem> list() const { return problems_; }
  [[nodiscard]] bool damaged() const { return damages_ > 0; }
  /// Grows with each damage, so that a caller can see whether there was one in between.
  [[nodiscard]] u64 damages() const { return damages_; }

 private:
  std::vector<Problem> problems_;
  u64 damages_ = 0;
  u64 left_out_ = 0;
};

/// "12.345678901 s"
[[nodiscard]] std::string seconds_text(u64 ns);

class FrameStream {
 public:
  /// Errors (kBadInput): empty, not a trace, newer than this program.
  static Expected<std::unique_ptr<FrameStream>> open(std::unique_ptr<ReadableFile>, const std::string& name,
                                                     ProblemList&);

  /// The next good frame of which `wanted` says that it is to be unpacked; others are stepped over unread, but for
  /// their headers. nullopt: the end; problems are complete.
  std::optional<FrameHeader> next(const std::function<bool(const FrameHeader&)>& wanted, ProblemList&);
  /// Message of the frame that next() gave.
  [[nodiscard]] const std::vector<u64>& message() const { return message_; }
  [[nodiscard]] u64 frame_offset() const { return frame_offset_; }

  /// next() goes on at `offset`, where a frame begins.
  void seek(u64 offset);
  /// Calls `visit` for each frame that can begin something (session, snapshot), newest first, until it returns true.
  /// From the index where there is a good one, else from the headers.
  Expected<void> visit_entries(const std::function<bool(const FrameEntry&)>& visit);

  [[nodiscard]] u64 size() const { return file_->size(); }
  [[nodiscard]] u64 frames() const { return frames_; }
  /// The trailer was reached and nothing is behind it.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  explicit FrameStream(std::unique_ptr<ReadableFile> file) : file_(std::move(file)) {}
  enum class Look : u8 { kFrame, kTrailer, kBad };
  Look look_at(u64 offset, FrameHeader& header, Trailer& trailer);
  bool read_payload(const FrameHeader&, ProblemList&);
  bool take_number(const FrameHeader&, ProblemList&);
  void at_end(const std::optional<Trailer>&, ProblemList&);
  void at_bad(ProblemList&);
  u64 find_good(u64 from);
  bool read_bytes(u64 offset, std::span<u8> out);
  bool visit_index(u64 offset, const std::function<bool(const FrameEntry&)>& visit, bool& stop);
  void visit_headers(std::deque<FrameEntry>& entries);

  std::unique_ptr<ReadableFile> file_;
  u64 at_ = kFileHeaderBytes;
  u64 frame_offset_ = 0;
  u64 frames_ = 0;
  std::optional<u32> last_number_;  // of the frame before at_; none after a seek
  u64 last_ns_ = 0;
  bool ended_ = false;
  bool complete_ = false;
  bool seeked_ = false;
  std::optional<Error> io_error_;
  Decompressor decompressor_;
  Bytes payload_;
  std::vector<u64> message_;
};

}  // namespace reprise::trace
