// SPDX-License-Identifier: GPL-2.0-only
// A first-in-first-out queue of tasks: a doubly linked list over slots whose state lies in an engine's block. A task
// is in the list at most once and can be removed from anywhere. All operations: O(1).
//
// Invariant: a slot's links are 0 when it is not in the list, else kEnd or a neighbour's slot + 2. Indices that come
// out of the block are checked, since a snapshot may come from anywhere.
#pragma once

#include "scheduler/core/arena.h"
#include "scheduler/core/check.h"
#include "scheduler/core/types.h"

namespace reprise {

class SlotList {
 public:
  /// What the constructor takes from the arena.
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t max_tasks) {
    return Arena::bytes<Ends>(1) + Arena::bytes<Links>(max_tasks);
  }

  explicit SlotList(Arena& arena) : ends_(arena.array<Ends>(1).data()), links_(arena.per_task<Links>()) {}

  [[nodiscard]] u32 size() const { return ends_->size; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool contains(TaskSlot slot) const { return links_[slot].next != 0; }
  /// The oldest; the list must not be empty.
  [[nodiscard]] TaskSlot front() const {
    REPRISE_CHECK(!empty());
    return slot_of(ends_->first);
  }

  /// `slot` must not be in the list.
  void push_back(TaskSlot slot) {
    REPRISE_CHECK(slot < links_.size() && !contains(slot));
    const bool first = empty();
    links_[slot] = {kEnd, first ? kEnd : ends_->last};
    (first ? ends_->first : links_[slot_of(ends_->last)].next) = slot + 2;
    ends_->last = slot + 2;
    ends_->size += 1;
  }

  /// `slot` must be in the list.
  void remove(TaskSlot slot) {
    REPRISE_CHECK(slot < links_.size() && contains(slot) && ends_->size > 0);
    const Links links = links_[slot];
    (links.previous == kEnd ? ends_->first : links_[slot_of(links.previous)].next) = links.next;
    (links.next == kEnd ? ends_->last : links_[slot_of(links.next)].previous) = links.previous;
    links_[slot] = {};
    ends_->size -= 1;
    if (empty()) *ends_ = {};
  }

  TaskSlot pop_front() {
    const TaskSlot slot = front();
    remove(slot);
    return slot;
  }

 private:
  static constexpr u32 kEnd = 1;
  struct Links {
    u32 next;
    u32 previous;
  };
  struct Ends {
    u32 first;  // as links are
    u32 last;
    u32 size;
    u32 reserved;
  };

  [[nodiscard]] TaskSlot slot_of(u32 link) const {
    REPRISE_CHECK(link >= 2 && link - 2 < links_.size());
    return link - 2;
  }

  Ends* ends_;
  std::span<Links> links_;
};

}  // namespace reprise
