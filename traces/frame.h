// SPDX-License-Identifier: GPL-2.0-only
// How a trace lies in its file: a header, frames that stand for themselves, a trailer. docs/trace_format.md is the
// same as grammar with an example. All numbers are little endian.
//
// Every byte of a file is covered by a checksum: the header, each frame's header, each payload, the trailer. A
// frame's header has a checksum of its own, so that the size in it can be trusted before the payload is read, and so
// that a search for the next frame after damage takes time in proportion to the file.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::trace {

using Bytes = std::vector<u8>;
using ByteView = std::span<const u8>;

inline constexpr u16 kFormatVersion = 1;  // of header, frames and trailer
inline constexpr u16 kSchemaVersion = 1;  // of the messages; only grows when an old reader would read them wrongly

inline constexpr std::size_t kFileHeaderBytes = 24;
inline constexpr std::size_t kFrameHeaderBytes = 64;
inline constexpr std::size_t kTrailerBytes = 32;

/// As PNG does it: a byte above 127, line ends of both kinds and an end-of-file mark show a file that was mangled.
inline constexpr std::array<u8, 8> kFileMagic = {0x89, 'R', 'P', 'R', 0x0d, 0x0a, 0x1a, 0x0a};
inline constexpr std::array<u8, 4> kFrameMagic = {0xf7, 'R', 'P', 'F'};
inline constexpr std::array<u8, 8> kTrailerMagic = {0xf7, 'R', 'P', 'E', 'N', 'D', 0x0d, 0x0a};

/// Limits. A frame that claims more is damaged.
inline constexpr std::size_t kMaxRawBytes = 16u << 20;
inline constexpr std::size_t kMaxPayloadBytes = kMaxRawBytes + (kMaxRawBytes >> 8) + 1024;  // ZSTD_compressBound
inline constexpr u32 kMaxStepsPerFrame = 32'768;
inline constexpr u32 kMaxEventsPerFrame = 32'768;
inline constexpr u32 kMaxDecisionsPerFrame = 32'768;
inline constexpr u32 kMaxIdleWordsPerFrame = kMaxStepsPerFrame * kCpuWords;
inline constexpr u32 kMaxIndexEntries = 4096;
inline constexpr std::size_t kSnapshotPartBytes = 4u << 20;
inline constexpr u32 kMaxSnapshotParts = 64;
inline constexpr std::size_t kMaxSnapshotBytes = kSnapshotPartBytes * kMaxSnapshotParts;

enum class FrameKind : u16 {
  kSession = 1,
  kSteps = 2,
  kEvents = 3,
  kSnapshot = 4,
  kLosses = 5,
  kEnd = 6,
  kIndex = 7,
};

enum class Codec : u16 { kPlain = 0, kZstd = 1 };

struct FileHeader {
  u16 format = kFormatVersion;
  u16 schema = kSchemaVersion;
};

struct FrameHeader {
  FrameKind kind{};
  Codec codec = Codec::kPlain;
  u32 payload_bytes = 0;  // in the file
  u32 raw_bytes = 0;      // of the message
  u32 number = 0;         // from 0, without gaps
  u32 session = 0;        // from 1
  u64 first_ns = 0;       // of what is in it
  u64 last_ns = 0;
  u64 first_step = 0;  // steps: the first one's number; snapshot: the step after which it was taken; else 0
  u64 payload_checksum = 0;
  u32 items = 0;  // steps, kernel events, tasks, losses, entries; of a snapshot the number of its part
};

struct Trailer {
  u64 index_offset = 0;  // of the last index frame; 0: none
  u32 frames = 0;        // in the file, index frames included
};

[[nodiscard]] std::array<u8, kFileHeaderBytes> encode(const FileHeader&);
[[nodiscard]] std::array<u8, kFrameHeaderBytes> encode(const FrameHeader&);
[[nodiscard]] std::array<u8, kTrailerBytes> encode(const Trailer&);

/// nullopt: magic or checksum is wrong, or (frame) a size is above its limit. Versions are not judged here.
[[nodiscard]] std::optional<FileHeader> decode_file_header(std::span<const u8, kFileHeaderBytes>);
[[nodiscard]] std::optional<FrameHeader> decode_frame_header(std::span<const u8, kFrameHeaderBytes>);
[[nodiscard]] std::optional<Trailer> decode_trailer(std::span<const u8, kTrailerBytes>);

[[nodiscard]] bool starts_with(ByteView bytes, ByteView magic);

/// xxh3, 64 bits, seed 0.
[[nodiscard]] u64 checksum(ByteView);

/// `level`: zstd's, 0: packs nothing. Fills in header.codec, sizes and payload_checksum; `payload` gets what goes to
/// the file: compressed where that is smaller. `raw` is at most kMaxRawBytes.
class Compressor {
 public:
  explicit Compressor(int level);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  void pack(ByteView raw, FrameHeader& header, Bytes& payload);

 private:
  void* context_;
  int level_;
};

/// Checks the payload and unpacks it into `raw`. Nullptr, or what is wrong with it.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  /// Eight-byte aligned, as Cap'n Proto wants it.
  [[nodiscard]] const char* unpack(const FrameHeader& header, ByteView payload, std::vector<u64>& raw);

 private:
  void* context_;
};

}  // namespace reprise::trace
