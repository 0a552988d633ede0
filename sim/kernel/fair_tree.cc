// SPDX-License-Identifier: GPL-2.0-only
// A run queue's tree. The kernel's is a red-black tree; this one is a treap, whose shape follows from a sequence of
// numbers and so is the same in every run. Both search by deadline and skip what has no eligible task below it.
#include "sim/kernel/fair.h"

#include <algorithm>

namespace reprise::sim {

// min_vruntime_update.
void Fair::pull(TaskId at) {
  FairEntity& e = of(at);
  e.min_vruntime = e.vruntime;
  e.min_slice = e.max_slice = e.slice;
  if (e.left != kNoTaskId) takes_in(e, entity(e.left));
  if (e.right != kNoTaskId) takes_in(e, entity(e.right));
}

void Fair::split(TaskId at, TaskId by, TaskId& left, TaskId& right) {
  if (at == kNoTaskId) {
    left = right = kNoTaskId;
    return;
  }
  FairEntity& e = of(at);
  if (earlier(entity(by), e)) {
    split(e.left, by, left, e.left);
    right = at;
  } else {
    split(e.right, by, e.right, right);
    left = at;
  }
  pull(at);
}

TaskId Fair::merge(TaskId left, TaskId right) {
  if (left == kNoTaskId) return right;
  if (right == kNoTaskId) return left;
  FairEntity &l = of(left), &r = of(right);
  if (l.priority > r.priority) {
    l.right = merge(l.right, right);
    pull(left);
    return left;
  }
  r.left = merge(left, r.left);
  pull(right);
  return right;
}

void Fair::tree_insert(FairQueue& queue, TaskId id) {
  FairEntity& e = of(id);
  e.sequence = ++queue.sequence;
  e.priority = ++priorities_ * 0x9e3779b1u;  // odd: no two of 2^32 in a row are equal
  e.priority ^= e.priority >> 15;
  e.priority *= 0x85ebca6bu;
  queue.sum_w_vruntime += static_cast<i64>(e.vruntime - queue.zero_vruntime) * e.weight;
  queue.sum_weight += e.weight;
  e.left = e.right = kNoTaskId;
  pull(id);
  TaskId* at = &queue.root;
  while (*at != kNoTaskId && e.priority <= entity(*at).priority) {
    FairEntity& parent = of(*at);
    takes_in(parent, e);
    at = earlier(e, parent) ? &parent.left : &parent.right;
  }
  split(*at, id, e.left, e.right);
  pull(id);
  *at = id;
}

void Fair::tree_remove(FairQueue& queue, TaskId id) {
  FairEntity& e = of(id);
  path_.clear();
  TaskId* at = &queue.root;
  while (*at != id) {
    REPRISE_CHECK(*at != kNoTaskId);
    path_.push_back(*at);
    FairEntity& parent = of(*at);
    at = earlier(e, parent) ? &parent.left : &parent.right;
  }
  *at = merge(e.left, e.right);
  for (; !path_.empty(); path_.pop_back()) pull(path_.back());
  e.left = e.right = kNoTaskId;
  queue.sum_w_vruntime -= static_cast<i64>(e.vruntime - queue.zero_vruntime) * e.weight;
  queue.sum_weight -= e.weight;
}

u32 Fair::last_of(TaskId root, std::array<TaskId, 32>& found, u32 count) const {
  if (root == kNoTaskId || count == found.size()) return count;
  count = last_of(entity(root).right, found, count);
  if (count < found.size()) found[count++] = root;
  return last_of(entity(root).left, found, count);
}

const char* Fair::check_tree(TaskId at, const FairQueue& queue, u32& nodes, i64& sum, i64& weight) const {
  if (at == kNoTaskId) return nullptr;
  const FairEntity& e = entity(at);
  u64 least = e.vruntime;
  for (const TaskId child : {e.left, e.right}) {
    if (child == kNoTaskId) continue;
    if (earlier(entity(child), e) != (child == e.left)) return "a run queue is not in the order of deadlines";
    if (before(entity(child).min_vruntime, least)) least = entity(child).min_vruntime;
    if (const char* what = check_tree(child, queue, nodes, sum, weight)) return what;
  }
  if (least != e.min_vruntime) return "a run queue does not know its least vruntime";
  if (!m_.tasks[at].fair_queued) return "a task that is not queued is in a run queue";
  ++nodes;
  sum += static_cast<i64>(e.vruntime - queue.zero_vruntime) * e.weight;
  weight += e.weight;
  return nullptr;
}

const char* Fair::check(u32 cpu) const {
  const FairQueue& queue = queues_[cpu];
  u32 nodes = 0;
  i64 sum = 0, weight = 0;
  if (const char* what = check_tree(queue.root, queue, nodes, sum, weight)) return what;
  if (on_queue(queue.curr)) ++nodes;
  if (nodes != queue.queued) return "a run queue miscounts its tasks";
  if (sum != queue.sum_w_vruntime || weight != queue.sum_weight) return "a run queue's average is wrong";
  const Cpu& c = m_.cpus[cpu];
  if (c.curr != kNoTaskId && queue.curr == c.curr && queue.queued > 1 && !c.foreign && !c.in_timers) {
    const u64 tick = wanted(cpu, m_.tasks[c.curr]).tick;
    if (m_.clock.time(cpu) > std::max(tick, c.busy_until) + 2 * m_.tick_ns) return "a slice has no end";
  }
  return nullptr;
}

}  // namespace reprise::sim
