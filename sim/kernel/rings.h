// SPDX-License-Identifier: GPL-2.0-only
// The two rings between dispatcher and scheduler, with the capacity in bytes that the real ones have
// (kernel/bpf/ringbuf.c). Internal.
#pragma once

#include <memory>
#include <vector>

#include "scheduler/core/types.h"
#include "sim/kernel/native.h"

namespace reprise::sim {

/// Records of one size. Storage grows up to the capacity and is used again from its start whenever the ring has been
/// emptied, so that a ring that is never full stays in the cache.
template <typename Record, u64 kHeader = 8>
class Ring {
 public:
  static constexpr u64 kRecordBytes = sizeof(Record) + kHeader;
  static_assert(kRecordBytes % 8 == 0);

  void init(u64 bytes) {
    capacity_ = (bytes - 1) / kRecordBytes;
    records_.clear();
    first_ = count_ = 0;
  }
  [[nodiscard]] u64 count() const { return count_; }
  [[nodiscard]] u64 bytes() const { return count_ * kRecordBytes; }
  [[nodiscard]] u64 room() const { return capacity_ - count_; }

  /// Null: full. `commit` makes it visible.
  Record* reserve() {
    if (count_ >= capacity_) return nullptr;
    if (count_ == records_.size()) grow();
    return &records_[index(count_)];
  }
  void commit() { ++count_; }
  /// The i-th waiting record.
  [[nodiscard]] const Record& at(u64 i) const { return records_[index(i)]; }
  void drop(u64 n) {
    count_ -= n;
    first_ = count_ == 0 ? 0 : (first_ + n) % records_.size();
  }

 private:
  [[nodiscard]] u64 index(u64 i) const {
    const u64 at = first_ + i;
    return at < records_.size() ? at : at - records_.size();
  }
  void grow() {
    u64 size = records_.empty() ? 64 : records_.size() * 2;
    if (size > capacity_) size = capacity_;
    std::vector<Record> larger(size);
    for (u64 i = 0; i < count_; ++i) larger[i] = records_[index(i)];
    records_.swap(larger);
    first_ = 0;
  }

  std::vector<Record> records_;
  u64 capacity_ = 0;
  u64 first_ = 0;
  u64 count_ = 0;
};

using EventRing = Ring<wire_event>;
using MessageRing = Ring<wire_message>;

}  // namespace reprise::sim
