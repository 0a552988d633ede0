// SPDX-License-Identifier: GPL-2.0-only
// Pseudo-random integers: xoshiro256** seeded by splitmix64 (Blackman and Vigna, https://prng.di.unimi.it). Plain
// data, so it can lie in an engine's block. The same seed gives the same numbers everywhere, for ever.
//
// Each subsystem takes a generator of its own by `split`, so that one which draws more does not disturb the others.
#pragma once

#include <array>
#include <bit>
#include <string_view>

#include "scheduler/core/check.h"
#include "scheduler/core/hash.h"
#include "scheduler/core/types.h"

namespace reprise {

/// The next value of a splitmix64 sequence.
[[nodiscard]] constexpr u64 splitmix64(u64& state) {
  u64 z = (state += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

struct Prng {
  std::array<u64, 4> s;

  [[nodiscard]] static constexpr Prng seeded(u64 seed) {
    Prng prng{};
    for (u64& word : prng.s) word = splitmix64(seed);
    return prng;
  }

  [[nodiscard]] constexpr u64 next() {
    const u64 result = std::rotl(s[1] * 5, 7) * 9;
    const u64 t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = std::rotl(s[3], 45);
    return result;
  }

  /// Uniform in 0..n-1; n > 0. Draws again, seldom, so that no value is more likely than another (Lemire 2019).
  [[nodiscard]] constexpr u64 below(u64 n) {
    __extension__ using u128 = unsigned __int128;
    REPRISE_CHECK(n > 0);
    u128 product = static_cast<u128>(next()) * n;
    if (static_cast<u64>(product) < n) {
      const u64 threshold = (0 - n) % n;
      while (static_cast<u64>(product) < threshold) product = static_cast<u128>(next()) * n;
    }
    return static_cast<u64>(product >> 64);
  }

  /// Uniform in low..high, both included.
  [[nodiscard]] constexpr u64 between(u64 low, u64 high) {
    REPRISE_CHECK(low <= high);
    const u64 span = high - low + 1;
    return span == 0 ? next() : low + below(span);
  }

  /// True in `part` of `whole` cases.
  [[nodiscard]] constexpr bool chance(u64 part, u64 whole) { return below(whole) < part; }

  /// A generator for the subsystem of that name. Does not draw from this one.
  [[nodiscard]] Prng split(std::string_view name) const {
    return seeded(hash_text(name, hash_bytes(std::as_bytes(std::span(s)))));
  }
};

}  // namespace reprise
