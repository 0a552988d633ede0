// SPDX-License-Identifier: GPL-2.0-only
#include "tests/fuzz/mutate_trace.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "scheduler/core/prng.h"
#include "tests/support/sealed_snapshot.h"
#include "traces/frame.h"

namespace reprise::test {
namespace {

using trace::Bytes;
using trace::ByteView;

struct Frame {
  trace::FrameHeader header;
  Bytes message;
};

/// The frames that can be read, one after another.
std::vector<Frame> frames_of(ByteView file) {
  std::vector<Frame> frames;
  trace::Decompressor decompressor;
  std::vector<u64> raw;
  std::size_t at = trace::kFileHeaderBytes;
  while (file.size() >= at + trace::kFrameHeaderBytes && frames.size() < 64) {
    const auto header = trace::decode_frame_header(
        std::span<const u8, trace::kFrameHeaderBytes>(file.data() + at, trace::kFrameHeaderBytes));
    at += trace::kFrameHeaderBytes;
    if (!header || header->payload_bytes > file.size() - at || header->raw_bytes > (1u << 20)) break;
    if (decompressor.unpack(*header, file.subspan(at, header->payload_bytes), raw) == nullptr) {
      const u8* const bytes = reinterpret_cast<const u8*>(raw.data());
      frames.push_back({*header, Bytes(bytes, bytes + header->raw_bytes)});
    }
    at += header->payload_bytes;
  }
  return frames;
}

void change_header(trace::FrameHeader& header, Prng& random) {
  const u64 value = random.next() >> random.below(64);
  switch (random.below(8)) {
    case 0:
      header.kind = static_cast<trace::FrameKind>(random.below(9));
      break;
    case 1:
      header.first_step = value;
      break;
    case 2:
      header.items = static_cast<u32>(value);
      break;
    case 3:
      header.session = static_cast<u32>(random.below(4));
      break;
    case 4:
      header.number = static_cast<u32>(value);
      break;
    case 5:
      header.first_ns = value;
      break;
    case 6:
      header.last_ns = value;
      break;
    default:
      header.first_step += random.below(3) - 1;
      break;
  }
}

/// The state of an engine has a checksum of its own.
void seal(Bytes& message) {
  for (std::size_t at = 0; at + kSnapshotHeaderBytes <= message.size(); at += 8)
    seal_snapshot(std::as_writable_bytes(std::span(message)).subspan(at));
}

Bytes file_of(const std::vector<Frame>& frames, bool number_them) {
  const auto head = trace::encode(trace::FileHeader{});
  Bytes file(head.begin(), head.end());
  trace::Compressor compressor(1);
  Bytes payload;
  u32 number = 0;
  u64 index = 0;
  for (const Frame& frame : frames) {
    trace::FrameHeader header = frame.header;
    if (number_them) header.number = number++;
    if (header.kind == trace::FrameKind::kIndex) index = file.size();
    compressor.pack(frame.message, header, payload);
    const auto bytes = trace::encode(header);
    file.insert(file.end(), bytes.begin(), bytes.end());
    file.insert(file.end(), payload.begin(), payload.end());
  }
  const auto tail = trace::encode(trace::Trailer{index, number});
  file.insert(file.end(), tail.begin(), tail.end());
  return file;
}

}  // namespace

std::size_t mutate_trace(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed,
                         const MutateBytes& mutate) {
  Prng random = Prng::seeded(seed);
  std::vector<Frame> frames = frames_of({data, size});
  if (frames.empty() || random.chance(1, 8)) return mutate(data, size, max_size);
  const std::size_t which = random.below(frames.size());
  bool number_them = true;
  switch (random.below(8)) {
    case 0:
      change_header(frames[which].header, random);
      number_them = random.chance(3, 4);
      break;
    case 1:
      std::swap(frames[which], frames[random.below(frames.size())]);
      break;
    case 2:
      frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(which));
      break;
    case 3:
      frames.push_back(frames[which]);
      break;
    default: {
      Bytes& message = frames[which].message;
      const std::size_t before = message.size();
      message.resize(before + 64);
      message.resize(mutate(message.data(), before, message.size()));
      message.resize((message.size() + 7) / 8 * 8);
      if (frames[which].header.kind == trace::FrameKind::kSnapshot) seal(message);
    }
  }
  const Bytes file = file_of(frames, number_them);
  if (file.size() > max_size) return mutate(data, size, max_size);
  std::memcpy(data, file.data(), file.size());
  return file.size();
}

}  // namespace reprise::test
