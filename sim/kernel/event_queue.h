// SPDX-License-Identifier: GPL-2.0-only
// What happens when: a 4-ary heap ordered by (time, order of scheduling), a total order. Each event has a slot, which
// stays valid while it is not queued; a slot is in the queue at most once, and can be moved or cancelled. Slots are
// used again, so that a simulation in its steady state allocates nothing.
#pragma once

#include <vector>

#include "scheduler/core/check.h"
#include "scheduler/core/types.h"

namespace reprise::sim {

class EventQueue {
 public:
  using Slot = u32;
  static constexpr u32 kMaxSlots = 1u << 24;

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] u64 next_time() const { return heap_.front().time; }
  [[nodiscard]] Slot next_slot() const { return static_cast<Slot>(heap_.front().order & (kMaxSlots - 1)); }
  [[nodiscard]] bool queued(Slot slot) const { return positions_[slot] != 0; }
  [[nodiscard]] u64 time_of(Slot slot) const { return heap_[positions_[slot] - 1].time; }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

  /// A slot that is not queued. Slots are given out from 0 on.
  [[nodiscard]] Slot take_slot() {
    if (!free_.empty()) {
      const Slot slot = free_.back();
      free_.pop_back();
      return slot;
    }
    REPRISE_CHECK(positions_.size() < kMaxSlots);
    positions_.push_back(0);
    return static_cast<Slot>(positions_.size() - 1);
  }
  /// Must not be queued.
  void give_slot(Slot slot) {
    REPRISE_CHECK(positions_[slot] == 0);
    free_.push_back(slot);
  }

  /// Queues the slot, or moves it. An event moved to the time that it has keeps its place.
  void set(Slot slot, u64 time) {
    const u32 position = positions_[slot];
    if (position == 0) {
      heap_.push_back({});
      sift_up(heap_.size() - 1, {time, (sequence_++ << 24) | slot});
      return;
    }
    const std::size_t at = position - 1;
    if (heap_[at].time == time) return;
    replace(at, {time, (sequence_++ << 24) | slot});
  }

  void cancel(Slot slot) {
    const u32 position = positions_[slot];
    if (position == 0) return;
    positions_[slot] = 0;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (position - 1 < heap_.size()) replace(position - 1, last);
  }

 private:
  struct Entry {
    u64 time;
    u64 order;  // sequence << 24 | slot
    [[nodiscard]] bool operator<(const Entry& other) const {
      return time != other.time ? time < other.time : order < other.order;
    }
  };

  void place(std::size_t at, const Entry& entry) {
    heap_[at] = entry;
    positions_[entry.order & (kMaxSlots - 1)] = static_cast<u32>(at) + 1;
  }
  void replace(std::size_t at, const Entry& entry) {
    if (at > 0 && entry < heap_[(at - 1) / 4])
      sift_up(at, entry);
    else
      sift_down(at, entry);
  }
  void sift_up(std::size_t at, const Entry& entry) {
    while (at > 0) {
      const std::size_t parent = (at - 1) / 4;
      if (!(entry < heap_[parent])) break;
      place(at, heap_[parent]);
      at = parent;
    }
    place(at, entry);
  }
  void sift_down(std::size_t at, const Entry& entry) {
    const std::size_t size = heap_.size();
    for (std::size_t child = at * 4 + 1; child < size; child = at * 4 + 1) {
      const std::size_t end = child + 4 < size ? child + 4 : size;
      std::size_t least = child;
      for (std::size_t other = child + 1; other < end; ++other)
        if (heap_[other] < heap_[least]) least = other;
      if (!(heap_[least] < entry)) break;
      place(at, heap_[least]);
      at = least;
    }
    place(at, entry);
  }

  std::vector<Entry> heap_;
  std::vector<u32> positions_;  // by slot; plus one
  std::vector<Slot> free_;
  u64 sequence_ = 0;
};

}  // namespace reprise::sim
