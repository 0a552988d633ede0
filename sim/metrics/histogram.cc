// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/histogram.h"

#include <algorithm>
#include <bit>

namespace reprise::sim {

template <u32 kBits>
u32 LogHistogram<kBits>::bucket_of(u64 value) {
  if (value < kExact) return static_cast<u32>(value);
  // value >> shift is in [kExact / 2, kExact)
  const u32 shift = static_cast<u32>(std::bit_width(value)) - (kBits + 1);
  return kExact + (shift - 1) * kPerOctave + static_cast<u32>(value >> shift) - kPerOctave;
}

template <u32 kBits>
u64 LogHistogram<kBits>::last_of(u32 bucket) {
  if (bucket < kExact) return bucket;
  const u32 shift = (bucket - kExact) / kPerOctave + 1;
  const u64 head = (bucket - kExact) % kPerOctave + kPerOctave;
  return (head << shift) + ((u64{1} << shift) - 1);
}

// Apart from `add`, which is called for every event and needs no stack without it.
template <u32 kBits>
[[gnu::noinline]] void LogHistogram<kBits>::add_largest(u64 value) {
  buckets_.resize(bucket_of(value) + 1);
  add(value);
}

template <u32 kBits>
void LogHistogram<kBits>::add(u64 value) {
  const u32 bucket = bucket_of(value);
  if (bucket >= buckets_.size()) return add_largest(value);
  ++buckets_[bucket];
  ++count_;
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

template <u32 kBits>
void LogHistogram<kBits>::add(const LogHistogram& other) {
  buckets_.resize(std::max(buckets_.size(), other.buckets_.size()));
  for (std::size_t i = 0; i < other.buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

template <u32 kBits>
u64 LogHistogram<kBits>::percentile(u32 per_mille) const {
  if (count_ == 0) return 0;
  // count * per_mille could wrap only beyond 10^16 values.
  const u64 rank = std::max<u64>((count_ * per_mille + 999) / 1000, 1);
  u64 seen = 0;
  for (u32 i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::clamp(last_of(i), min(), max_);
  }
  return max_;
}

template <u32 kBits>
std::vector<HistogramBucket> LogHistogram<kBits>::buckets(u32 coarser) const {
  std::vector<HistogramBucket> all;
  for (u32 i = 0; i < buckets_.size();) {
    // kExact is a multiple of each width, so no group has buckets of two octaves.
    const u32 width = i < kExact ? 1 : 1u << coarser;
    HistogramBucket bucket{std::min(last_of(i + width - 1), max_), 0};
    for (const u32 end = std::min(i + width, static_cast<u32>(buckets_.size())); i < end; ++i)
      bucket.count += buckets_[i];
    if (bucket.count != 0) all.push_back(bucket);
  }
  return all;
}

template class LogHistogram<7>;
template class LogHistogram<5>;

}  // namespace reprise::sim
