// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/fair.h"

#include <algorithm>
#include <tuple>

namespace reprise::sim {
namespace {

constexpr u32 kNice0 = 1024;  // NICE_0_LOAD, without the kernel's ten bits more for groups
constexpr u64 kBaseSliceNs = 700'000;
constexpr u64 kSliceMin = kNsPerMs / 10, kSliceMax = 100 * kNsPerMs;  // of sched_attr::sched_runtime

// sched_prio_to_weight: nice -20 to 19.
constexpr u32 kWeights[] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
                            9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
                            1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
                            110,   87,    70,    56,    45,    36,    29,    23,    18,    15};

// sum / weight, rounded down.
i64 floor_div(i64 sum, i64 weight) { return (sum < 0 ? sum - (weight - 1) : sum) / weight; }

}  // namespace

Fair::Fair(Machine& machine) : m_(machine), queues_(machine.cpu_count()) {
  // get_update_sysctl_factor, SCHED_TUNABLESCALING_LOG.
  const u32 factor = 1 + static_cast<u32>(std::bit_width(std::min(m_.cpu_count(), 8u))) - 1;
  base_slice_ = m_.options.base_slice_ns != 0 ? m_.options.base_slice_ns : kBaseSliceNs * factor;
  for (u32 cpu = 0; cpu < m_.cpu_count(); ++cpu) order_.push_back(static_cast<u16>(cpu));
  std::ranges::sort(order_, {}, [this](u16 cpu) {
    const CpuPlace& p = m_.places[cpu];
    return std::tuple(p.node, p.llc, p.core, cpu);
  });
  for (u32 level = 0; level < kLevels; ++level) {
    for (u32 at = 0; at < order_.size(); ++at) {
      const u32 group = group_of(order_[at], level);
      if (group >= ranges_[level].size()) ranges_[level].resize(group + 1, {0, 0});
      Range& range = ranges_[level][group];
      if (range.begin == range.end) range = {at, at};
      range.end = at + 1;
      smt_ = smt_ || (level == kCore && range.end - range.begin > 1);
    }
  }
  llcs_.resize(ranges_[kLlc].size());
  for (u32 cpu = 0; cpu < m_.cpu_count(); ++cpu) llcs_[m_.places[cpu].llc].set(cpu);
}

// The weight that the kernel gave the task for its nice value, from what it tells sched_ext (sched_weight_to_cgroup);
// else by sched_weight_from_cgroup. Nice 17 and 18 look alike, 17 is taken.
u32 Fair::weight_of(u32 cgroup_weight) {
  for (const u32 weight : kWeights)
    if (std::max((weight * 100 + kNice0 / 2) / kNice0, kWeightMin) == cgroup_weight) return weight;
  return std::max((cgroup_weight * kNice0 + 50) / 100, 2u);
}

u64 Fair::virtual_time(u64 ns, u32 weight) { return weight == kNice0 ? ns : ns * kNice0 / weight; }

void Fair::fork(Task& task, u64 slice_ns) {
  while (entities_.size() <= task.id / kChunk) entities_.push_back(std::make_unique<FairEntity[]>(kChunk));
  FairEntity& e = of(task);
  e = {};
  e.weight = weight_of(task.ts.scx.weight);
  e.custom_slice = slice_ns != 0;
  e.slice = static_cast<u32>(slice_ns ? std::clamp(slice_ns, kSliceMin, kSliceMax) : base_slice_);
  e.recent_cpu = task.cpu;
}

// ---- the average ----

void Fair::shift_zero(FairQueue& queue, i64 delta) {
  queue.sum_w_vruntime -= queue.sum_weight * delta;
  queue.zero_vruntime += static_cast<u64>(delta);
}

Fair::Average Fair::with_curr(const FairQueue& queue) const {
  Average result{queue.sum_w_vruntime, queue.sum_weight};
  if (on_queue(queue.curr)) {
    const FairEntity& curr = entity(queue.curr);
    result.sum += static_cast<i64>(curr.vruntime - queue.zero_vruntime) * curr.weight;
    result.weight += curr.weight;
  }
  return result;
}

u64 Fair::average(FairQueue& queue) {
  if (queue.sum_weight != 0) {
    const Average all = with_curr(queue);
    shift_zero(queue, floor_div(all.sum, all.weight));
  } else if (on_queue(queue.curr)) {
    queue.zero_vruntime = entity(queue.curr).vruntime;
  }
  return queue.zero_vruntime;
}

// ineligible_vruntime: from where on curr would no longer be eligible.
u64 Fair::ineligible_from(const FairQueue& queue) const {
  const i64 delta = queue.sum_weight != 0 ? floor_div(queue.sum_w_vruntime, queue.sum_weight) : 0;
  return queue.zero_vruntime + static_cast<u64>(delta) + 1;
}

// vruntime_eligible: lag >= 0, without the division.
bool Fair::eligible(const FairQueue& queue, const Average& all, u64 vruntime) {
  const i64 key = static_cast<i64>(vruntime - queue.zero_vruntime);
  i64 product;
  if (__builtin_mul_overflow(key, all.weight, &product)) return key <= 0;
  return all.sum >= product;
}
bool Fair::eligible(const FairQueue& queue, TaskId id) const {
  return eligible(queue, with_curr(queue), entity(id).vruntime);
}

u32 Fair::least_slice(const FairQueue& queue) const {
  u32 least = on_queue(queue.curr) ? entity(queue.curr).slice : ~u32{0};
  if (queue.root != kNoTaskId) least = std::min(least, entity(queue.root).min_slice);
  return least;
}
u32 Fair::greatest_slice(const FairQueue& queue) const {
  u32 greatest = on_queue(queue.curr) ? entity(queue.curr).slice : 0;
  if (queue.root != kNoTaskId) greatest = std::max(greatest, entity(queue.root).max_slice);
  return greatest;
}

i64 Fair::bounded_lag(const FairQueue& queue, const FairEntity& e, u64 average_now) const {
  const i64 limit = static_cast<i64>(virtual_time(greatest_slice(queue) + m_.tick_ns, e.weight));
  return std::clamp(static_cast<i64>(average_now - e.vruntime), -limit, limit);
}

// update_entity_lag. True: the lag is not what the vruntime says.
bool Fair::update_lag(FairQueue& queue, Task& task) {
  FairEntity& e = of(task);
  const u64 now_average = average(queue);
  i64 lag = bounded_lag(queue, e, now_average);
  if (task.delayed) lag = std::min(std::max(lag, e.lag), i64{0});  // DELAY_ZERO
  e.lag = lag;
  return now_average - static_cast<u64>(lag) != e.vruntime;
}

// True: the request has been consumed.
bool Fair::update_deadline(FairQueue& queue, FairEntity& e) {
  if (before(e.vruntime, e.deadline)) return false;
  if (!e.custom_slice) e.slice = static_cast<u32>(base_slice_);
  e.deadline = e.vruntime + virtual_time(e.slice, e.weight);
  average(queue);
  return true;
}

// place_entity: where a task joins. Its own weight moves the average, so its lag is inflated such that after joining
// it is what it was.
void Fair::place(FairQueue& queue, FairEntity& e, bool initial) {
  const u64 at = average(queue);
  if (!e.custom_slice) e.slice = static_cast<u32>(base_slice_);
  u64 request = virtual_time(e.slice, e.weight);
  i64 lag = 0, load = 0;
  if (queue.queued != 0 && e.lag != 0) {
    load = std::max(with_curr(queue).weight, i64{1});
    lag = e.lag + e.lag * e.weight / load;
  }
  e.vruntime = at - static_cast<u64>(lag);
  if (lag != 0 && e.weight > load) shift_zero(queue, -lag);
  if (e.rel_deadline) {
    e.deadline += e.vruntime;
    e.rel_deadline = false;
    return;
  }
  if (initial) request /= 2;
  e.deadline = e.vruntime + request;
}

// ---- running ----

void Fair::update_curr(u32 cpu, Task& task, u64 delta) {
  FairQueue& queue = queues_[cpu];
  FairEntity& e = of(task);
  e.ran_at = m_.now;
  e.vruntime += virtual_time(delta, e.weight);
  const bool consumed = update_deadline(queue, e);
  if (queue.queued == 1) return;
  if (consumed || !before(e.vruntime, e.protected_until)) {
    resched_lazy(cpu);
    clear_buddy(queue, task.id);
  }
}

// resched_curr_lazy. On this CPU and not in the task's own system call: on the way back to the task.
void Fair::resched_lazy(u32 cpu) {
  Cpu& c = m_.cpus[cpu];
  if (c.curr == kNoTaskId || (cpu == m_.here && m_.where != Where::kTask)) return m_.resched(cpu);
  if (c.need_resched || c.need_resched_lazy) return;
  c.need_resched_lazy = true;
  if (cpu != m_.here && !c.foreign) m_.program(cpu);
}

Fair::Wanted Fair::wanted(u32 cpu, const Task& task) const {
  const FairQueue& queue = queues_[cpu];
  const Cpu& c = m_.cpus[cpu];
  if (c.need_resched_lazy) return {kNever, m_.now};
  if (queue.queued <= 1) return {kNever, kNever};
  const FairEntity& e = entity(task.id);
  const auto when = [&](u64 vruntime) {
    if (!before(e.vruntime, vruntime)) return m_.now;
    const u64 left = vruntime - e.vruntime;
    return c.exec_start + (e.weight == kNice0 ? left : (left * e.weight + kNice0 - 1) / kNice0);
  };
  const u64 deadline = when(e.deadline);
  const u64 tick = before(e.protected_until, e.deadline) ? when(e.protected_until) : deadline;
  return {m_.options.hrtick ? std::max(deadline, m_.now) : kNever, tick};
}

// Until then it makes no difference how often update_curr is called.
u64 Fair::steady_until(u32 cpu, const Task& task) const {
  const FairEntity& e = entity(task.id);
  if (e.weight != kNice0) return m_.now;  // each call rounds
  u64 until = e.deadline;
  if (queues_[cpu].queued != 1 && before(e.protected_until, until)) until = e.protected_until;
  return before(e.vruntime, until) ? m_.cpus[cpu].exec_start + (until - e.vruntime) : m_.now;
}

void Fair::yield(u32 cpu) {
  FairQueue& queue = queues_[cpu];
  if (queue.queued == 1) return;
  clear_buddy(queue, queue.curr);
  m_.update_curr(cpu);
  if (!eligible(queue, queue.curr)) return;
  FairEntity& e = of(queue.curr);
  e.vruntime = e.deadline;
  update_deadline(queue, e);
}

// ---- joining and leaving ----

void Fair::count_overloaded(u32 cpu, u32 before_it) {
  const u32 queued = queues_[cpu].queued;
  if (before_it < 2 && queued >= 2 && overloaded_++ == 0 && !balancing_ && m_.cpu_count() > 1) {
    balancing_ = true;
    m_.event_at(m_.now + m_.tick_ns, {.kind = EventKind::kBalance});
  }
  if (before_it >= 2 && queued < 2) --overloaded_;
}

void Fair::add(u32 cpu, Task& task, u64 enq_flags) {
  FairQueue& queue = queues_[cpu];
  FairEntity& e = of(task);
  REPRISE_CHECK(!task.fair_queued && queue.curr != task.id);
  m_.update_curr(cpu);
  place(queue, e, (enq_flags & kEnqInitial) != 0);
  task.fair_queued = true;
  ++queue.queued;
  queue.load += e.weight;
  tree_insert(queue, task.id);
  count_overloaded(cpu, queue.queued - 1);
  if (queue.idle_stamp != 0) {  // update_rq_avg_idle
    queue.avg_idle += (m_.now - queue.idle_stamp) / 8 - queue.avg_idle / 8;
    queue.avg_idle = std::min(queue.avg_idle, kNsPerMs);
    queue.idle_stamp = 0;
  }
}

void Fair::enqueue(u32 cpu, Task& task, u64 enq_flags) {
  if (enq_flags & kEnqDelayed)
    requeue_delayed(cpu, task);
  else
    add(cpu, task, enq_flags);
  wakeup_preempt(cpu, task, (enq_flags & kEnqInitial) != 0);
  program(cpu);
}

// hrtick_update: whoever runs there has a rival now, or is to be looked at at another time. The CPU that a system call
// is made on is programmed at the call's end.
void Fair::program(u32 cpu) {
  if (queues_[cpu].curr == kNoTaskId || m_.cpus[cpu].foreign || (cpu == m_.here && m_.where == Where::kTask)) return;
  m_.program(cpu);
}

// requeue_delayed_entity: woken before it had left.
void Fair::requeue_delayed(u32 cpu, Task& task) {
  FairQueue& queue = queues_[cpu];
  m_.update_curr(cpu);
  if (update_lag(queue, task)) {
    --queue.queued;
    if (queue.curr != task.id) tree_remove(queue, task.id);
    place(queue, of(task), false);
    if (queue.curr != task.id) tree_insert(queue, task.id);
    ++queue.queued;
  }
  task.delayed = false;
}

// The second half of __dequeue_task.
void Fair::remove(u32 cpu, Task& task, Leave why) {
  FairQueue& queue = queues_[cpu];
  FairEntity& e = of(task);
  task.fair_queued = task.delayed = false;
  --queue.queued;
  queue.load -= e.weight;
  if (queue.curr != task.id) tree_remove(queue, task.id);
  if (why == Leave::kMove) {
    e.deadline -= e.vruntime;
    e.rel_deadline = true;
  }
  count_overloaded(cpu, queue.queued + 1);
}

void Fair::dequeue(u32 cpu, Task& task, Leave why) {
  FairQueue& queue = queues_[cpu];
  clear_buddy(queue, task.id);
  m_.update_curr(cpu);
  update_lag(queue, task);
  if (why == Leave::kSleep && !eligible(queue, task.id)) {  // set_delayed: it stays until it has paid
    task.delayed = true;
    return;
  }
  remove(cpu, task, why);
}

void Fair::finish_delayed(Task& task) {
  REPRISE_CHECK(task.delayed);
  clear_buddy(queues_[task.cpu], task.id);
  m_.update_curr(task.cpu);
  update_lag(queues_[task.cpu], task);
  remove(task.cpu, task, Leave::kSleep);
}

// reweight_eevdf; then prio_changed_fair.
void Fair::reweight(Task& task, u32 cgroup_weight) {
  FairEntity& e = of(task);
  const u32 weight = weight_of(cgroup_weight);
  const bool lighter = weight < e.weight;
  task.ts.scx.weight = cgroup_weight;
  if (weight == e.weight) return;
  const u32 cpu = task.cpu;
  FairQueue& queue = queues_[cpu];
  const bool runs = queue.curr == task.id;
  u64 at = 0;
  bool protects = false;
  if (task.fair_queued) {
    m_.update_curr(cpu);
    at = average(queue);
    e.lag = bounded_lag(queue, e, at);
    if (!runs) tree_remove(queue, task.id);
    e.deadline -= at;
    protects = runs && before(e.vruntime, e.protected_until);
    if (protects) e.protected_until -= at;
    queue.load = queue.load - e.weight + weight;
  }
  const auto rescale = [&](u64& value) { value = static_cast<u64>(static_cast<i64>(value) * e.weight / weight); };
  e.lag = e.lag * e.weight / weight;
  if (task.fair_queued || e.rel_deadline) rescale(e.deadline);
  if (protects) rescale(e.protected_until);
  e.weight = weight;
  if (!task.fair_queued) return;
  if (protects) e.protected_until += at;
  e.deadline += at;
  e.vruntime = at - static_cast<u64>(e.lag);
  if (!runs) tree_insert(queue, task.id);
  if (queue.queued == 1) return;
  if (!runs)
    wakeup_preempt(cpu, task, false);
  else if (lighter)
    m_.resched(cpu);
  program(cpu);
}

// ---- the pick ----

TaskId Fair::pick_eevdf(FairQueue& queue, bool protect) {
  const bool has_curr = on_queue(queue.curr);
  if (queue.queued == 1) return has_curr ? queue.curr : queue.root;
  const Average all = with_curr(queue);
  if (protect && queue.next != kNoTaskId && eligible(queue, all, entity(queue.next).vruntime)) return queue.next;
  TaskId curr = kNoTaskId;
  if (has_curr && eligible(queue, all, entity(queue.curr).vruntime)) curr = queue.curr;
  if (curr != kNoTaskId && protect && before(entity(curr).vruntime, entity(curr).protected_until)) return curr;
  TaskId best = kNoTaskId;
  for (TaskId at = queue.root; at != kNoTaskId;) {
    const FairEntity& e = entity(at);
    if (e.left != kNoTaskId && eligible(queue, all, entity(e.left).min_vruntime)) {
      at = e.left;
    } else if (eligible(queue, all, e.vruntime)) {
      best = at;
      break;
    } else {
      at = e.right;
    }
  }
  if (best == kNoTaskId || (curr != kNoTaskId && before(entity(curr).deadline, entity(best).deadline))) best = curr;
  return best;
}

// pick_next_entity. kNoTaskId: one that was delayed has left.
TaskId Fair::pick_next(u32 cpu, bool protect) {
  const TaskId id = pick_eevdf(queues_[cpu], protect);
  REPRISE_CHECK(id != kNoTaskId);
  if (!m_.tasks[id].delayed) return id;
  finish_delayed(m_.tasks[id]);
  return kNoTaskId;
}

TaskId Fair::pick(u32 cpu) {
  FairQueue& queue = queues_[cpu];
  for (;;) {
    if (queue.queued == 0 && !newidle(cpu)) return kNoTaskId;
    const TaskId id = pick_next(cpu, true);
    if (id != kNoTaskId) return id;
  }
}

void Fair::put_prev(u32 cpu, Task& task) {
  FairQueue& queue = queues_[cpu];
  REPRISE_CHECK(queue.curr == task.id);
  if (task.fair_queued) m_.update_curr(cpu);
  queue.curr = kNoTaskId;
  if (task.fair_queued) tree_insert(queue, task.id);
}

void Fair::set_next(u32 cpu, Task& task) {
  FairQueue& queue = queues_[cpu];
  FairEntity& e = of(task);
  clear_buddy(queue, task.id);
  tree_remove(queue, task.id);
  queue.curr = task.id;
  e.ran_at = m_.now;
  // set_protect_slice: the request, or where it stops being eligible if somebody has a shorter one.
  e.protected_until = e.deadline;
  if (least_slice(queue) < e.slice) {
    const u64 until = ineligible_from(queue);
    if (before(until, e.protected_until)) e.protected_until = until;
  }
}

// wakeup_preempt and wakeup_preempt_fair.
void Fair::wakeup_preempt(u32 cpu, Task& task, bool fork) {
  FairQueue& queue = queues_[cpu];
  if (m_.cpus[cpu].curr == kNoTaskId) return m_.resched(cpu);  // wakeup_preempt_idle
  if (queue.curr == kNoTaskId || queue.curr == task.id || task.delayed) return;
  m_.update_curr(cpu);
  FairEntity &curr = of(queue.curr), &woken = of(task);
  const bool is_short = woken.slice < curr.slice;
  bool preempts = false;
  if (is_short || !fork) {
    TaskId next;
    do next = pick_next(cpu, !is_short);
    while (next == kNoTaskId);
    preempts = next == task.id || (is_short && eligible(queue, task.id));
  }
  if (!preempts) {  // update_protect_slice
    const u64 now_average = average(queue);
    const u64 from = before(now_average, curr.vruntime) ? now_average : curr.vruntime;
    const u64 until = from + virtual_time(least_slice(queue), curr.weight);
    if (before(until, curr.protected_until)) curr.protected_until = until;
    return;
  }
  if (before(curr.vruntime, curr.protected_until)) curr.protected_until = curr.vruntime;  // cancel_protect_slice
  if (is_short && (queue.next == kNoTaskId || entity(queue.next).slice >= woken.slice)) queue.next = task.id;
  resched_lazy(cpu);
}

}  // namespace reprise::sim
