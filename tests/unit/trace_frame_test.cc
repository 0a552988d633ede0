// SPDX-License-Identifier: GPL-2.0-only
#include "traces/frame.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>

namespace reprise::trace {
namespace {

FrameHeader some_header() {
  FrameHeader h;
  h.kind = FrameKind::kSteps;
  h.codec = Codec::kZstd;
  h.payload_bytes = 1234, h.raw_bytes = 5678, h.number = 9, h.session = 2;
  h.first_ns = 0x1122334455667788, h.last_ns = 0x2122334455667788, h.first_step = 77;
  h.payload_checksum = 0xfedcba9876543210, h.items = 42;
  return h;
}

TEST(TraceFrameTest, HeadersAndTrailersComeBack) {
  const auto file = decode_file_header(encode(FileHeader{3, 4}));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->format, 3);
  EXPECT_EQ(file->schema, 4);
  const FrameHeader h = some_header();
  const auto frame = decode_frame_header(encode(h));
  ASSERT_TRUE(frame);
  EXPECT_EQ(encode(*frame), encode(h));
  EXPECT_EQ(frame->first_step, 77u);
  EXPECT_EQ(frame->items, 42u);
  const auto trailer = decode_trailer(encode(Trailer{123456, 78}));
  ASSERT_TRUE(trailer);
  EXPECT_EQ(trailer->index_offset, 123456u);
  EXPECT_EQ(trailer->frames, 78u);
}

template <std::size_t N, typename Decode>
void expect_every_bit_matters(std::array<u8, N> bytes, Decode decode) {
  for (std::size_t bit = 0; bit < 8 * N; ++bit) {
    bytes[bit / 8] = static_cast<u8>(bytes[bit / 8] ^ (1u << (bit % 8)));
    EXPECT_FALSE(decode(bytes)) << "bit " << bit;
    bytes[bit / 8] = static_cast<u8>(bytes[bit / 8] ^ (1u << (bit % 8)));
  }
}

TEST(TraceFrameTest, EveryBitOfAHeaderIsCoveredByItsChecksum) {
  expect_every_bit_matters(encode(FileHeader{}), [](const auto& b) { return decode_file_header(b).has_value(); });
  expect_every_bit_matters(encode(some_header()), [](const auto& b) { return decode_frame_header(b).has_value(); });
  expect_every_bit_matters(encode(Trailer{1, 2}), [](const auto& b) { return decode_trailer(b).has_value(); });
}

TEST(TraceFrameTest, ASizeAboveItsLimitIsRefusedWhateverTheChecksumSays) {
  FrameHeader h = some_header();
  h.raw_bytes = kMaxRawBytes + 1;
  EXPECT_FALSE(decode_frame_header(encode(h)));
  h = some_header();
  h.payload_bytes = kMaxPayloadBytes + 1;
  EXPECT_FALSE(decode_frame_header(encode(h)));
}

TEST(TraceFrameTest, PayloadsComeBackAndDamageIsSeen) {
  Compressor compressor(1);
  Decompressor decompressor;
  std::vector<u64> raw;
  for (const std::size_t size : {8u, 800u, 80'000u}) {
    Bytes message(size);
    for (std::size_t i = 0; i < size; ++i) message[i] = static_cast<u8>(size > 8 ? i / 100 : i * 37);
    FrameHeader header;
    Bytes payload;
    compressor.pack(message, header, payload);
    EXPECT_EQ(header.codec, size > 8 ? Codec::kZstd : Codec::kPlain);  // compressed only where that is smaller
    ASSERT_EQ(decompressor.unpack(header, payload, raw), nullptr);
    ASSERT_EQ(raw.size() * 8, size);
    EXPECT_EQ(std::memcmp(raw.data(), message.data(), size), 0);
    payload.back() ^= 1;
    EXPECT_STREQ(decompressor.unpack(header, payload, raw), "fails its checksum");
  }
}

TEST(TraceFrameTest, ACompressedPayloadOfAnotherSizeIsNotUnpacked) {
  Compressor compressor(1);
  Decompressor decompressor;
  FrameHeader header;
  Bytes payload;
  compressor.pack(Bytes(1 << 20, 7), header, payload);
  std::vector<u64> raw;
  header.raw_bytes = 64;  // as a hostile header would say it
  EXPECT_STREQ(decompressor.unpack(header, payload, raw), "has two sizes");
  EXPECT_LE(raw.capacity(), 64u);
  header.codec = static_cast<Codec>(9);
  EXPECT_NE(decompressor.unpack(header, payload, raw), nullptr);
}

TEST(TraceFrameTest, TheChecksumIsXxh3SoThatOtherToolsCanCheckIt) {
  const Bytes bytes = {1, 2, 3};
  EXPECT_EQ(checksum(bytes), XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace
}  // namespace reprise::trace
