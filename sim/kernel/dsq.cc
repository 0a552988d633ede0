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
  if (count_ == 0) heap_.clear();
  ordered_ = true;
  if (heap_.size() >= 64 && heap_.size() > 4 * std::size_t{count_}) {  // mostly stale
    std::vector<Entry> kept;
    for (const Entry& entry : heap_)
      if (valid(tasks[entry.task], entry)) kept.push_back(entry);
    std::sort(kept.begin(), kept.end());
    heap_.assign(kept.begin(), kept.end());
  }
  entered(tasks[id]);
  heap_.push_back({});
  sift_up(heap_.size() - 1, {vtime, tasks[id].dsq_seq, id});
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
  while (!valid(tasks[heap_.front().task], heap_.front())) pop_at(0);
}

void Dsq::pop_at(std::size_t at) {
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && last < heap_[(at - 1) / 4])
    sift_up(at, last);
  else
    sift_down(at, last);
}

void Dsq::sift_up(std::size_t at, const Entry& entry) {
  while (at > 0) {
    const std::size_t parent = (at - 1) / 4;
    if (!(entry < heap_[parent])) break;
    heap_[at] = heap_[parent];
    at = parent;
  }
  heap_[at] = entry;
}

void Dsq::sift_down(std::size_t at, const Entry& entry) {
  const std::size_t size = heap_.size();
  for (std::size_t child = at * 4 + 1; child < size; child = at * 4 + 1) {
    const std::size_t end = std::min(child + 4, size);
    std::size_t least = child;
    for (std::size_t other = child + 1; other < end; ++other)
      if (heap_[other] < heap_[least]) least = other;
    if (!(heap_[least] < entry)) break;
    heap_[at] = heap_[least];
    at = least;
  }
  heap_[at] = entry;
}

void Dsq::walk_push(u32 at) {
  walk_.push_back(at);
  std::ranges::push_heap(walk_, [this](u32 a, u32 b) { return heap_[b] < heap_[a]; });
}

u32 Dsq::walk_pop() {
  std::ranges::pop_heap(walk_, [this](u32 a, u32 b) { return heap_[b] < heap_[a]; });
  const u32 at = walk_.back();
  walk_.pop_back();
  return at;
}

}  // namespace reprise::sim
