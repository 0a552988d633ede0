// SPDX-License-Identifier: GPL-2.0-only
// A dispatch queue (kernel/sched/ext/ext.c, struct scx_dispatch_q): FIFO, or ordered by vtime and then by insertion.
// Internal.
//
// The FIFO is a list through the tasks. The ordered one is a 4-ary heap whose entries name task and insertion; a task
// that leaves from the middle leaves its entry behind, which is dropped when it comes up. All O(log n), but for a CPU
// that may not run the first tasks: it walks over those, in order, as the kernel does. The children of an entry are one
// cache line: the root is at 3, the children of entry i begin at 4 * (i - 2).
#pragma once

#include <vector>

#include "sim/kernel/task.h"

namespace reprise::sim {

class Dsq {
 public:
  void init(u32 index) { index_ = index; }
  [[nodiscard]] u32 count() const { return count_; }
  [[nodiscard]] bool ordered() const { return count_ != 0 && ordered_; }
  [[nodiscard]] TaskId first_in_fifo() const { return head_; }

  void push_back(TaskTable& tasks, TaskId id);
  void push_front(TaskTable& tasks, TaskId id);
  /// By vtime (scx_dsq_priq_less).
  void insert(TaskTable& tasks, TaskId id, u64 vtime);
  /// scx_task_unlink_from_dsq. The task must be in this queue.
  void remove(TaskTable& tasks, TaskId id);
  /// The first task, in order, for which `fits` holds, taken out; kNoTaskId.
  template <typename Fits>
  TaskId take_first(TaskTable& tasks, Fits&& fits) {
    if (count_ == 0) return kNoTaskId;
    if (!ordered_) {
      for (TaskId id = head_; id != kNoTaskId; id = tasks[id].next)
        if (fits(tasks[id])) {
          remove(tasks, id);
          return id;
        }
      return kNoTaskId;
    }
    drop_stale_top(tasks);
    const Entry top = at(kRoot);
    if (fits(tasks[top.task])) {
      left(tasks[top.task]);
      pop_at(kRoot);
      if (size_ != 0) __builtin_prefetch(&tasks[at(kRoot).task]);  // the next to go
      return top.task;
    }
    walk_.clear();
    walk_push(kRoot);
    while (!walk_.empty()) {
      const u32 place = walk_pop();
      const Entry& entry = at(place);
      Task& task = tasks[entry.task];
      if (valid(task, entry) && fits(task)) {
        const TaskId id = entry.task;
        left(task);
        pop_at(place);
        return id;
      }
      const u32 child = first_child(place);
      for (u32 each = child; each < child + 4 && each < kRoot + size_; ++each) walk_push(each);
    }
    return kNoTaskId;
  }

 private:
  struct Entry {
    u64 vtime;
    u32 sequence;
    TaskId task;
    [[nodiscard]] bool operator<(const Entry& other) const {
      if (vtime != other.vtime) return before(vtime, other.vtime);
      return static_cast<i32>(sequence - other.sequence) < 0;
    }
  };

  static constexpr u32 kRoot = 3;
  struct alignas(64) Line {
    Entry entries[4];
  };
  static_assert(sizeof(Line) == 4 * sizeof(Entry));
  static u32 first_child(u32 place) { return 4 * (place - 2); }
  static u32 parent(u32 place) { return place / 4 + 2; }
  [[nodiscard]] Entry* all() { return reinterpret_cast<Entry*>(heap_.data()); }  // a Line is nothing but entries
  [[nodiscard]] Entry& at(u32 place) { return all()[place]; }

  [[nodiscard]] bool valid(const Task& task, const Entry& entry) const {
    return task.dsq == index_ && task.dsq_seq == entry.sequence;
  }
  void entered(Task& task) {
    task.dsq = index_;
    task.dsq_seq = ++sequence_;
    ++count_;
  }
  void left(Task& task) {
    task.dsq = kNoDsq;
    --count_;
  }
  void drop_stale_top(const TaskTable& tasks);
  void push(const Entry& entry);
  void pop_at(u32 place);
  void sift_up(u32 place, const Entry& entry);
  void sift_down(u32 place, const Entry& entry);
  void walk_push(u32 place);
  u32 walk_pop();

  std::vector<Line> heap_;
  std::vector<u32> walk_;  // places in the heap, the least entry first
  u32 size_ = 0;           // entries of the heap, the stale ones included
  u32 index_ = 0;
  u32 count_ = 0;
  u32 sequence_ = 0;
  TaskId head_ = kNoTaskId, tail_ = kNoTaskId;
  bool ordered_ = false;
};

}  // namespace reprise::sim
