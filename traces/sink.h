// SPDX-License-Identifier: GPL-2.0-only
// Where encoded frames go: into a file, or into memory that keeps the last seconds (the flight recorder).
//
// Frames are numbered here, since a flight recorder's file leaves some out. Thread safety: none, but see FlightSink.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "traces/columns.h"
#include "traces/file.h"

namespace reprise::trace {

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /// Takes a frame; its number is filled in here. After an Error (kIo) nothing more may come.
  virtual Expected<void> put(FrameHeader header, ByteView payload) = 0;
  /// Orderly end: what is left of the index, trailer.
  virtual Expected<void> finish() = 0;
  [[nodiscard]] virtual u64 frames() const = 0;
  [[nodiscard]] virtual u64 bytes() const = 0;
};

/// Writes a trace to a file. Bounded memory: the index goes out as a frame every kMaxIndexEntries frames, each of
/// which names the one before.
class FileSink : public FrameSink {
 public:
  /// Writes the file's header.
  static Expected<std::unique_ptr<FileSink>> create(std::unique_ptr<WritableFile>, int index_compression_level = 3);

  /// On failure the file is cut back to its last whole frame.
  Expected<void> put(FrameHeader header, ByteView payload) override;
  Expected<void> finish() override;
  [[nodiscard]] u64 frames() const override { return frames_; }
  [[nodiscard]] u64 bytes() const override { return bytes_; }

 private:
  FileSink(std::unique_ptr<WritableFile> file, int level) : file_(std::move(file)), compressor_(level) {}
  Expected<void> write_frame(const FrameHeader&, ByteView payload);
  Expected<void> write_index();
  void add_to_index(const FrameHeader&);

  std::unique_ptr<WritableFile> file_;
  u64 bytes_ = 0;
  u32 frames_ = 0;
  u64 last_index_ = 0;
  u32 entries_ = 0;
  ColumnsEncoder<kIndexColumns> index_;
  FrameHeader previous_;  // entry of the index
  u64 previous_offset_ = 0;
  Compressor compressor_;
  Bytes raw_, packed_;
};

/// Keeps the frames of the last seconds, from the newest snapshot that is older than that, and at most so many bytes.
/// put and finish belong to one thread; write_to may be called from another one meanwhile.
class FlightSink : public FrameSink {
 public:
  FlightSink(u64 last_ns, std::size_t bytes_max) : window_ns_(last_ns), bytes_max_(bytes_max) {}

  Expected<void> put(FrameHeader header, ByteView payload) override;
  Expected<void> finish() override { return {}; }
  [[nodiscard]] u64 frames() const override;
  [[nodiscard]] u64 bytes() const override;

  /// What is kept, as a trace. Error: of the sink.
  Expected<void> write_to(FileSink&) const;

 private:
  struct Frame {
    FrameHeader header;
    Bytes payload;
  };
  void prune();
  void drop_front();

  const u64 window_ns_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::deque<Frame> sessions_;  // session frames, of which only the kept frames' are needed
  std::deque<Frame> frames_;
  std::size_t bytes_ = 0;
  u64 newest_ns_ = 0;
};

}  // namespace reprise::trace
