// SPDX-License-Identifier: GPL-2.0-only
// A priority queue of tasks: an indexed 4-ary min-heap whose state lies in an engine's block.
//
// Order: key (compared with `before`, so keys may wrap but must lie less than 2^63 apart), then tie (32 bits, wraps
// likewise), then slot: a total order, so equal histories pop equal sequences. A task is in the heap at most once and
// can be removed from anywhere. push, pop, remove: O(log n); all else O(1).
//
// Keys lie in the heap itself, and the four children of a node in one cache line. Invariant: position(slot) is where
// the slot's entry is, plus one; 0 for slots that are not in the heap; entries beyond the size are zero. Indices that
// come out of the block are checked, since a snapshot may come from anywhere.
#pragma once

#include "scheduler/core/arena.h"
#include "scheduler/core/check.h"
#include "scheduler/core/types.h"

namespace reprise {

class SlotHeap {
 public:
  struct Entry {
    u64 key;
    u32 tie;
    TaskSlot slot;
  };

  /// What the constructor takes from the arena.
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t max_tasks) {
    return Arena::bytes<Size>(1) + Arena::bytes<Entry>(max_tasks + kOffset) + Arena::bytes<u32>(max_tasks);
  }

  explicit SlotHeap(Arena& arena)
      : size_(arena.array<Size>(1).data()),
        entries_(arena.per_task<Entry>(kOffset)),
        positions_(arena.per_task<u32>()) {}

  [[nodiscard]] u32 size() const { return size_->count; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool contains(TaskSlot slot) const { return positions_[slot] != 0; }
  /// The first one; the heap must not be empty.
  [[nodiscard]] const Entry& min() const {
    REPRISE_CHECK(!empty());
    return at(0);
  }

  /// `slot` must not be in the heap.
  void push(TaskSlot slot, u64 key, u32 tie = 0) {
    REPRISE_CHECK(slot < positions_.size() && positions_[slot] == 0 && size() < positions_.size());
    sift_up(size_->count++, {key, tie, slot});
  }

  /// Takes the first one out; the heap must not be empty.
  Entry pop() {
    const Entry first = min();
    remove_at(0);
    return first;
  }

  /// Takes a task out; `slot` must be in the heap.
  void remove(TaskSlot slot) {
    REPRISE_CHECK(slot < positions_.size() && positions_[slot] != 0);
    remove_at(positions_[slot] - 1);
  }

 private:
  struct Size {
    u32 count;
    u32 reserved;
  };
  static constexpr u32 kArity = 4;
  static constexpr std::size_t kOffset = 3;  // brings the children of a node, 4i+1 to 4i+4, into one cache line

  [[nodiscard]] static bool less(const Entry& a, const Entry& b) {
    if (a.key != b.key) return before(a.key, b.key);
    if (a.tie != b.tie) return static_cast<i32>(a.tie - b.tie) < 0;
    return a.slot < b.slot;
  }

  [[nodiscard]] Entry& at(u32 index) const { return entries_[index + kOffset]; }

  void place(u32 index, const Entry& entry) {
    REPRISE_CHECK(entry.slot < positions_.size());
    at(index) = entry;
    positions_[entry.slot] = index + 1;
  }

  void sift_up(u32 index, const Entry& entry) {
    while (index > 0) {
      const u32 parent = (index - 1) / kArity;
      if (!less(entry, at(parent))) break;
      place(index, at(parent));
      index = parent;
    }
    place(index, entry);
  }

  void sift_down(u32 index, const Entry& entry) {
    const u32 count = size();
    for (u32 child = index * kArity + 1; child < count; child = index * kArity + 1) {
      const u32 end = child + kArity < count ? child + kArity : count;
      u32 least = child;
      for (u32 other = child + 1; other < end; ++other)
        if (less(at(other), at(least))) least = other;
      if (!less(at(least), entry)) break;
      place(index, at(least));
      index = least;
    }
    place(index, entry);
  }

  void remove_at(u32 index) {
    REPRISE_CHECK(index < size() && size() <= positions_.size() && at(index).slot < positions_.size());
    positions_[at(index).slot] = 0;
    const u32 last_index = --size_->count;
    const Entry last = at(last_index);
    at(last_index) = Entry{};
    if (index == last_index) return;
    // The last entry fills the hole; it may belong above it as well as below.
    if (index > 0 && less(last, at((index - 1) / kArity))) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }

  Size* size_;
  std::span<Entry> entries_;
  std::span<u32> positions_;  // by slot
};

}  // namespace reprise
