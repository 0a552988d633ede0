// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/dsq.h"

#include <algorithm>

namespace reprise::sim {

void Dsq::push_back(TaskTable& tasks, TaskId id) {
  REPRISE_CHECK(count_ == 0 || !ordered_);
  ordered_ = false;
  Task& task = tasks[id];
  task.next = kNoTaskId;
  task.prev = tail_;
  (tail_ == kNoTaskId ? head_ : tasks[tail_].next) = id;
  tail_ = id;
  entered(task);
}

void Dsq::push_front(TaskTable& tasks, TaskId id) {
  REPRISE_CHECK(count_ == 0 || !ordered_);
  ordered_ = false;
  Task& task = tasks[id];
  task.prev = kNoTaskId;
  task.next = head_;
  (head_ == kNoTaskId ? tail_ : tasks[head_].prev) = id;
  head_ = id;
  entered(task);
}

void Dsq::insert(TaskTable& tasks, TaskId id, u64 vtime) {
  REPRISE_CHECK(count_ == 0 || ordered_);
  if (count_ == 0) size_ = 0;
  ordered_ = true;
  if (size_ >= 64 && size_ > 4 * count_) {  // mostly stale
    std::vector<Entry> kept;
    for (u32 place = kRoot; place < kRoot + size_; ++place)
      if (valid(tasks[at(place).task], at(place))) kept.push_back(at(place));
    std::sort(kept.begin(), kept.end());
    size_ = 0;
    for (const Entry& entry : kept) push(entry);
  }
  entered(tasks[id]);
  push({vtime, tasks[id].dsq_seq, id});
}

void Dsq::remove(TaskTable& tasks, TaskId id) {
  Task& task = tasks[id];
  REPRISE_CHECK(task.dsq == index_);
  if (!ordered_) {
    (task.prev == kNoTaskId ? head_ : tasks[task.prev].next) = task.next;
    (task.next == kNoTaskId ? tail_ : tasks[task.next].prev) = task.prev;
  }
  left(task);  // an ordered queue finds the stale entry later
}

void Dsq::drop_stale_top(const TaskTable& tasks) {
  while (!valid(tasks[at(kRoot).task], at(kRoot))) pop_at(kRoot);
}

void Dsq::push(const Entry& entry) {
  const u32 place = kRoot + size_++;
  while (place / 4 >= heap_.size()) heap_.emplace_back();
  sift_up(place, entry);
}

void Dsq::pop_at(u32 place) {
  const u32 end = kRoot + --size_;
  if (place == end) return;
  const Entry last = at(end);
  if (place > kRoot && last < at(parent(place)))
    sift_up(place, last);
  else
    sift_down(place, last);
}

void Dsq::sift_up(u32 place, const Entry& entry) {
  Entry* const entries = all();
  while (place > kRoot) {
    const u32 above = parent(place);
    if (!(entry < entries[above])) break;
    entries[place] = entries[above];
    place = above;
  }
  entries[place] = entry;
}

void Dsq::sift_down(u32 place, const Entry& entry) {
  Entry* const entries = all();
  const u32 end = kRoot + size_;
  for (u32 child = first_child(place); child < end; child = first_child(place)) {
    u32 least = child;
    for (u32 other = child + 1; other < std::min(child + 4, end); ++other)
      if (entries[other] < entries[least]) least = other;
    if (!(entries[least] < entry)) break;
    entries[place] = entries[least];
    place = least;
  }
  entries[place] = entry;
}

void Dsq::walk_push(u32 place) {
  walk_.push_back(place);
  std::ranges::push_heap(walk_, [this](u32 a, u32 b) { return at(b) < at(a); });
}

u32 Dsq::walk_pop() {
  std::ranges::pop_heap(walk_, [this](u32 a, u32 b) { return at(b) < at(a); });
  const u32 place = walk_.back();
  walk_.pop_back();
  return place;
}

}  // namespace reprise::sim
