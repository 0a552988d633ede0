// SPDX-License-Identifier: GPL-2.0-only
#include "traces/sink.h"

#include <algorithm>

#include "scheduler/core/check.h"

namespace reprise::trace {

Expected<std::unique_ptr<FileSink>> FileSink::create(std::unique_ptr<WritableFile> file, int level) {
  std::unique_ptr<FileSink> sink(new FileSink(std::move(file), level));
  if (auto done = sink->file_->append(encode(FileHeader{})); !done) return std::unexpected(done.error());
  sink->bytes_ = kFileHeaderBytes;
  return sink;
}

Expected<void> FileSink::put(FrameHeader header, ByteView payload) {
  if (entries_ == kMaxIndexEntries) {
    if (auto done = write_index(); !done) return done;
  }
  header.number = frames_;
  const u64 offset = bytes_;
  if (auto done = write_frame(header, payload); !done) return done;
  // Fields of the entry: deltas against the entry before, which the first one does not have.
  const auto delta = [&](IndexColumn column, u64 value, u64 before) { index_.delta(column, value, before); };
  index_.plain(kColIndexKind, static_cast<u32>(header.kind));
  delta(kColIndexNumber, header.number, previous_.number);
  delta(kColIndexOffset, offset, previous_offset_);
  delta(kColIndexFirstNs, header.first_ns, previous_.first_ns);
  delta(kColIndexLastNs, header.last_ns, previous_.last_ns);
  delta(kColIndexFirstStep, header.first_step, previous_.first_step);
  index_.plain(kColIndexItems, header.items);
  delta(kColIndexSession, header.session, previous_.session);
  index_.plain(kColIndexBytes, static_cast<u32>(kFrameHeaderBytes + payload.size()));
  previous_ = header;
  previous_offset_ = offset;
  ++entries_;
  return {};
}

Expected<void> FileSink::write_frame(const FrameHeader& header, ByteView payload) {
  REPRISE_CHECK(header.payload_bytes == payload.size());
  Expected<void> done = file_->append(encode(header));
  if (done) done = file_->append(payload);
  if (!done) {
    // Half a frame is of no use to anybody. A failure to cut is no news: the reader finds the frame's end missing.
    (void)file_->truncate(bytes_);
    return done;
  }
  bytes_ += kFrameHeaderBytes + payload.size();
  ++frames_;
  return {};
}

Expected<void> FileSink::write_index() {
  IndexMessage message;
  message.previous = last_index_;
  message.entries = entries_;
  index_.columns(message.columns);
  encode(message, raw_);
  FrameHeader header;
  header.kind = FrameKind::kIndex;
  header.items = entries_;
  header.number = frames_;
  compressor_.pack(raw_, header, packed_);
  const u64 offset = bytes_;
  if (auto done = write_frame(header, packed_); !done) return done;
  last_index_ = offset;
  index_.clear();
  entries_ = 0;
  previous_ = FrameHeader{};
  previous_offset_ = 0;
  return {};
}

Expected<void> FileSink::finish() {
  if (entries_ > 0) {
    if (auto done = write_index(); !done) return done;
  }
  if (auto done = file_->append(encode(Trailer{last_index_, frames_})); !done) {
    (void)file_->truncate(bytes_);
    return done;
  }
  bytes_ += kTrailerBytes;
  return {};
}

Expected<void> FlightSink::put(FrameHeader header, ByteView payload) {
  const std::scoped_lock lock(mutex_);
  newest_ns_ = std::max(newest_ns_, header.last_ns);
  bytes_ += kFrameHeaderBytes + payload.size();
  auto& list = header.kind == FrameKind::kSession ? sessions_ : frames_;
  list.push_back({header, Bytes(payload.begin(), payload.end())});
  prune();
  return {};
}

void FlightSink::drop_front() {
  bytes_ -= kFrameHeaderBytes + frames_.front().payload.size();
  frames_.pop_front();
}

void FlightSink::prune() {
  const u64 horizon = newest_ns_ > window_ns_ ? newest_ns_ - window_ns_ : 0;
  const auto begins_snapshot = [](const Frame& f) {
    return f.header.kind == FrameKind::kSnapshot && f.header.items == 0;
  };
  for (;;) {
    if (frames_.empty()) break;
    // The next place where a trace could begin.
    const auto next = std::find_if(frames_.begin() + 1, frames_.end(), begins_snapshot);
    const bool next_exists = next != frames_.end();
    const bool old = next_exists && next->header.first_ns <= horizon;
    const bool old_end = frames_.front().header.kind == FrameKind::kEnd && frames_.front().header.last_ns <= horizon;
    const bool full = bytes_ > bytes_max_;
    if (!old && !old_end && !full) break;
    drop_front();
    while (next_exists && !begins_snapshot(frames_.front())) drop_front();
  }
  while (sessions_.size() > 1 &&
         (frames_.empty() || frames_.front().header.session > sessions_.front().header.session)) {
    bytes_ -= kFrameHeaderBytes + sessions_.front().payload.size();
    sessions_.pop_front();
  }
}

Expected<void> FlightSink::write_to(FileSink& file) const {
  const std::scoped_lock lock(mutex_);
  auto session = sessions_.begin();
  for (const Frame& frame : frames_) {
    for (; session != sessions_.end() && session->header.session <= frame.header.session; ++session) {
      if (auto done = file.put(session->header, session->payload); !done) return done;
    }
    if (auto done = file.put(frame.header, frame.payload); !done) return done;
  }
  for (; session != sessions_.end(); ++session) {
    if (auto done = file.put(session->header, session->payload); !done) return done;
  }
  return {};
}

u64 FlightSink::frames() const {
  const std::scoped_lock lock(mutex_);
  return frames_.size() + sessions_.size();
}

u64 FlightSink::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

}  // namespace reprise::trace
