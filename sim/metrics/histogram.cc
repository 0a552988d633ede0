// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/histogram.h"

#include <algorithm>
#include <bit>

namespace reprise::sim {

u32 Histogram::bucket_of(u64 value) {
  if (value < kExact) return static_cast<u32>(value);
  const u32 shift = static_cast<u32>(std::bit_width(value)) - 8;  // value >> shift is in [kExact / 2, kExact)
  return kExact + (shift - 1) * kPerOctave + static_cast<u32>(value >> shift) - kPerOctave;
}

u64 Histogram::last_of(u32 bucket) {
  if (bucket < kExact) return bucket;
  const u32 shift = (bucket - kExact) / kPerOctave + 1;
  const u64 head = (bucket - kExact) % kPerOctave + kPerOctave;
  return (head << shift) + ((u64{1} << shift) - 1);
}

void Histogram::add(u64 value) {
  ++buckets_[bucket_of(value)];
  ++count_;
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Histogram::add(const Histogram& other) {
  for (u32 i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

u64 Histogram::percentile(u32 per_mille) const {
  if (count_ == 0) return 0;
  // count * per_mille could wrap only beyond 10^16 values.
  const u64 rank = std::max<u64>((count_ * per_mille + 999) / 1000, 1);
  u64 seen = 0;
  for (u32 i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(last_of(i), min(), max_);
  }
  return max_;
}

}  // namespace reprise::sim
