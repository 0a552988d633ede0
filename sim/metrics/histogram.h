// SPDX-License-Identifier: GPL-2.0-only
// A distribution of times, counted in buckets that are one nanosecond wide at first and, from 2^(kBits + 1) ns on, at
// most 1/2^kBits of their value: percentiles are too high by no more than that, never too low. Integers only, so the
// same values give the same bytes everywhere; least, greatest and mean are exact. Memory grows with the greatest value.
#pragma once

#include <vector>

#include "scheduler/core/types.h"

namespace reprise::sim {

/// Values above the last bucket's bound, up to this one's.
struct HistogramBucket {
  u64 upper_ns = 0;
  u64 count = 0;
};

template <u32 kBits>
class LogHistogram {
 public:
  void add(u64 value);
  void add(const LogHistogram&);

  [[nodiscard]] u64 count() const { return count_; }
  [[nodiscard]] u64 min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] u64 max() const { return max_; }
  [[nodiscard]] u64 mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  /// The smallest value that at least `per_mille` thousandths of all values do not exceed; nearest rank, 0..1000.
  [[nodiscard]] u64 percentile(u32 per_mille) const;
  /// Those that are not empty, 2^coarser of them taken as one where they are wider than a nanosecond.
  [[nodiscard]] std::vector<HistogramBucket> buckets(u32 coarser = 0) const;

 private:
  static constexpr u32 kExact = 2u << kBits;  // values below have a bucket each
  static constexpr u32 kPerOctave = kExact / 2;
  static u32 bucket_of(u64 value);
  static u64 last_of(u32 bucket);  // largest value in it
  void add_largest(u64 value);     // beyond the last bucket

  std::vector<u64> buckets_;  // up to that of the greatest value
  u64 count_ = 0, min_ = ~u64{0}, max_ = 0, sum_ = 0;
};

extern template class LogHistogram<7>;
extern template class LogHistogram<5>;

using Histogram = LogHistogram<7>;       // at most 0.8 % too high
using SmallHistogram = LogHistogram<5>;  // at most 3.2 %, in a quarter of the memory

}  // namespace reprise::sim
