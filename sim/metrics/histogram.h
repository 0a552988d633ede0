// SPDX-License-Identifier: GPL-2.0-only
// A distribution of times, counted in buckets that are one nanosecond wide below 256 ns and at most 1/128 of their
// value above: percentiles are at most 0.8 % too high, never too low. Integers only, so the same values give the same
// bytes everywhere; least, greatest and mean are exact.
#pragma once

#include <vector>

#include "scheduler/core/types.h"

namespace reprise::sim {

class Histogram {
 public:
  Histogram() : buckets_(kBuckets) {}

  void add(u64 value);
  void add(const Histogram&);

  [[nodiscard]] u64 count() const { return count_; }
  [[nodiscard]] u64 min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] u64 max() const { return max_; }
  [[nodiscard]] u64 mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  /// The smallest value that at least `per_mille` thousandths of all values do not exceed; nearest rank, 0..1000.
  [[nodiscard]] u64 percentile(u32 per_mille) const;

 private:
  static constexpr u32 kExact = 256;  // values below have a bucket each
  static constexpr u32 kPerOctave = kExact / 2;
  static constexpr u32 kBuckets = kExact + (64 - 8) * kPerOctave;
  static u32 bucket_of(u64 value);
  static u64 last_of(u32 bucket);  // largest value in it

  std::vector<u64> buckets_;
  u64 count_ = 0, sum_ = 0, min_ = ~u64{0}, max_ = 0;
};

}  // namespace reprise::sim
