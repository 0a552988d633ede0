// SPDX-License-Identifier: GPL-2.0-only
// A fast 64-bit hash of bytes: XXH64 (Yann Collet, https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md), written
// here so that the core depends on nothing. Not cryptographic. Equal to the xxhash library's XXH64.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "scheduler/core/types.h"

namespace reprise {

static_assert(std::endian::native == std::endian::little, "state is hashed and stored as it lies in memory");

namespace hash_detail {
inline constexpr u64 kPrime1 = 0x9E3779B185EBCA87;
inline constexpr u64 kPrime2 = 0xC2B2AE3D27D4EB4F;
inline constexpr u64 kPrime3 = 0x165667B19E3779F9;
inline constexpr u64 kPrime4 = 0x85EBCA77C2B2AE63;
inline constexpr u64 kPrime5 = 0x27D4EB2F165667C5;

template <typename T>
inline T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
inline u64 round(u64 lane, u64 input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }
inline u64 merge(u64 hash, u64 lane) { return (hash ^ round(0, lane)) * kPrime1 + kPrime4; }
}  // namespace hash_detail

[[nodiscard]] inline u64 hash_bytes(std::span<const std::byte> bytes, u64 seed = 0) {
  using namespace hash_detail;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  u64 hash = seed + kPrime5;
  if (left >= 32) {
    u64 a = seed + kPrime1 + kPrime2, b = seed + kPrime2, c = seed, d = seed - kPrime1;
    for (; left >= 32; p += 32, left -= 32) {
      a = round(a, load<u64>(p));
      b = round(b, load<u64>(p + 8));
      c = round(c, load<u64>(p + 16));
      d = round(d, load<u64>(p + 24));
    }
    hash = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  }
  hash += bytes.size();
  for (; left >= 8; p += 8, left -= 8) hash = std::rotl(hash ^ round(0, load<u64>(p)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    hash = std::rotl(hash ^ (u64{load<u32>(p)} * kPrime1), 23) * kPrime2 + kPrime3;
    p += 4, left -= 4;
  }
  for (; left > 0; ++p, --left) hash = std::rotl(hash ^ (std::to_integer<u64>(*p) * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

[[nodiscard]] inline u64 hash_text(std::string_view text, u64 seed = 0) {
  return hash_bytes(std::as_bytes(std::span(text.data(), text.size())), seed);
}

}  // namespace reprise
