// SPDX-License-Identifier: GPL-2.0-only
#include "traces/frame.h"

#include <xxhash.h>
#include <zstd.h>

#include <cstring>

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

template <typename T>
void put(u8* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<u8>(value >> (8 * i));
}

template <typename T>
T get(const u8* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | static_cast<T>(T{at[i]} << (8 * i)));
  return value;
}

}  // namespace

u64 checksum(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

bool starts_with(ByteView bytes, ByteView magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

std::array<u8, kFileHeaderBytes> encode(const FileHeader& header) {
  std::array<u8, kFileHeaderBytes> out{};
  std::memcpy(out.data(), kFileMagic.data(), kFileMagic.size());
  put<u16>(&out[8], header.format);
  put<u16>(&out[10], header.schema);
  put<u32>(&out[12], 0);  // reserved
  put<u64>(&out[16], checksum({out.data(), 16}));
  return out;
}

std::optional<FileHeader> decode_file_header(std::span<const u8, kFileHeaderBytes> in) {
  if (!starts_with(in, kFileMagic) || get<u64>(&in[16]) != checksum(in.first(16))) return std::nullopt;
  return FileHeader{get<u16>(&in[8]), get<u16>(&in[10])};
}

std::array<u8, kFrameHeaderBytes> encode(const FrameHeader& header) {
  std::array<u8, kFrameHeaderBytes> out{};
  std::memcpy(out.data(), kFrameMagic.data(), kFrameMagic.size());
  put<u16>(&out[4], static_cast<u16>(header.kind));
  put<u16>(&out[6], static_cast<u16>(header.codec));
  put<u32>(&out[8], header.payload_bytes);
  put<u32>(&out[12], header.raw_bytes);
  put<u32>(&out[16], header.number);
  put<u32>(&out[20], header.session);
  put<u64>(&out[24], header.first_ns);
  put<u64>(&out[32], header.last_ns);
  put<u64>(&out[40], header.first_step);
  put<u64>(&out[48], header.payload_checksum);
  put<u32>(&out[56], header.items);
  put<u32>(&out[60], static_cast<u32>(checksum({out.data(), 60})));
  return out;
}

std::optional<FrameHeader> decode_frame_header(std::span<const u8, kFrameHeaderBytes> in) {
  if (!starts_with(in, kFrameMagic) || get<u32>(&in[60]) != static_cast<u32>(checksum(in.first(60)))) {
    return std::nullopt;
  }
  FrameHeader header;
  header.kind = static_cast<FrameKind>(get<u16>(&in[4]));
  header.codec = static_cast<Codec>(get<u16>(&in[6]));
  header.payload_bytes = get<u32>(&in[8]);
  header.raw_bytes = get<u32>(&in[12]);
  header.number = get<u32>(&in[16]);
  header.session = get<u32>(&in[20]);
  header.first_ns = get<u64>(&in[24]);
  header.last_ns = get<u64>(&in[32]);
  header.first_step = get<u64>(&in[40]);
  header.payload_checksum = get<u64>(&in[48]);
  header.items = get<u32>(&in[56]);
  if (header.payload_bytes > kMaxPayloadBytes || header.raw_bytes > kMaxRawBytes) return std::nullopt;
  return header;
}

std::array<u8, kTrailerBytes> encode(const Trailer& trailer) {
  std::array<u8, kTrailerBytes> out{};
  std::memcpy(out.data(), kTrailerMagic.data(), kTrailerMagic.size());
  put<u64>(&out[8], trailer.index_offset);
  put<u32>(&out[16], trailer.frames);
  put<u32>(&out[20], 0);  // reserved
  put<u64>(&out[24], checksum({out.data(), 24}));
  return out;
}

std::optional<Trailer> decode_trailer(std::span<const u8, kTrailerBytes> in) {
  if (!starts_with(in, kTrailerMagic) || get<u64>(&in[24]) != checksum(in.first(24))) return std::nullopt;
  return Trailer{get<u64>(&in[8]), get<u32>(&in[16])};
}

Compressor::Compressor(int level) : context_(ZSTD_createCCtx()), level_(level) { REPRISE_CHECK(context_ != nullptr); }
Compressor::~Compressor() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

void Compressor::pack(ByteView raw, FrameHeader& header, Bytes& payload) {
  REPRISE_CHECK(raw.size() <= kMaxRawBytes);
  header.codec = Codec::kPlain;
  if (level_ > 0) {
    payload.resize(ZSTD_compressBound(raw.size()));
    const std::size_t size = ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(context_), payload.data(), payload.size(),
                                               raw.data(), raw.size(), level_);
    if (ZSTD_isError(size) == 0 && size < raw.size()) {
      header.codec = Codec::kZstd;
      payload.resize(size);
    }
  }
  if (header.codec == Codec::kPlain) payload.assign(raw.begin(), raw.end());
  header.raw_bytes = static_cast<u32>(raw.size());
  header.payload_bytes = static_cast<u32>(payload.size());
  header.payload_checksum = checksum(payload);
}

Decompressor::Decompressor() : context_(ZSTD_createDCtx()) { REPRISE_CHECK(context_ != nullptr); }
Decompressor::~Decompressor() { ZSTD_freeDCtx(static_cast<ZSTD_DCtx*>(context_)); }

const char* Decompressor::unpack(const FrameHeader& header, ByteView payload, std::vector<u64>& raw) {
  if (checksum(payload) != header.payload_checksum) return "fails its checksum";
  if (header.raw_bytes % 8 != 0) return "holds no whole message";
  raw.resize(header.raw_bytes / 8);
  switch (header.codec) {
    case Codec::kPlain:
      if (payload.size() != header.raw_bytes) return "has two sizes";
      if (!payload.empty()) std::memcpy(raw.data(), payload.data(), payload.size());
      return nullptr;
    case Codec::kZstd:
      // Its own idea of its size must agree before anything is unpacked.
      if (ZSTD_getFrameContentSize(payload.data(), payload.size()) != header.raw_bytes) return "has two sizes";
      if (ZSTD_decompressDCtx(static_cast<ZSTD_DCtx*>(context_), raw.data(), header.raw_bytes, payload.data(),
                              payload.size()) != header.raw_bytes) {
        return "cannot be unpacked";
      }
      return nullptr;
  }
  return "is packed in a way that this program does not know";
}

}  // namespace reprise::trace
