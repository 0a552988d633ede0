// SPDX-License-Identifier: GPL-2.0-only
// Moving waiting tasks between CPUs: when a CPU runs out of work, and periodically (sched_balance_rq). Periodic
// balancing takes no time from anybody; what a CPU spends looking for work before it goes idle is charged to it.
#include <algorithm>

#include "sim/kernel/fair.h"

namespace reprise::sim {
namespace {
constexpr u64 kMigrationCostNs = 500'000;           // sysctl_sched_migration_cost
constexpr u32 kBusyFactor = 16;                     // sd->busy_factor
constexpr u32 kMigrateAtOnce = 32;                  // sysctl_sched_nr_migrate
constexpr u32 kImbalance[] = {110, 117, 117, 117};  // sd->imbalance_pct, by level
constexpr u32 kHotTries[] = {0, 1, 1, 2};           // sd->cache_nice_tries
}  // namespace

// sched_balance_newidle.
bool Fair::newidle(u32 cpu) {
  FairQueue& queue = queues_[cpu];
  Cpu& c = m_.cpus[cpu];
  if (c.wake_list != kNoTaskId) return false;
  queue.idle_stamp = m_.now;
  const u64 cost = m_.options.costs.balance;
  if (!c.active || overloaded_ == 0 || queue.avg_idle < cost) return false;
  u64 spent = 0;
  for (u32 level = 0; level < kLevels; ++level) {
    if (queue.avg_idle < spent + cost) break;
    const Range span = range_of(cpu, level), below = group_at(span.begin, level);
    if (below.begin == span.begin && below.end == span.end) continue;
    spent += cost;
    m_.charge(cpu, cost);
    if (balance_level(cpu, level, Idle::kNewlyIdle) == 0) continue;
    queue.idle_stamp = 0;
    return true;
  }
  return false;
}

// Only one CPU of a group looks for work on the group's behalf: an idle one, else the first.
bool Fair::should_balance(u32 cpu, u32 level) const {
  u32 at = 0;
  const Range span = range_of(cpu, level);
  for (at = span.begin; order_[at] != cpu;) ++at;
  const Range group = group_at(at, level);
  i32 first = -1, idle_thread = -1;
  for (u32 i = group.begin; i < group.end; ++i) {
    const u32 other = order_[i];
    if (!m_.cpus[other].active) continue;
    if (first < 0) first = static_cast<i32>(other);
    if (!idle_cpu(other)) continue;
    const Range core = range_of(other, kCore);
    bool whole = true;
    for (u32 thread = core.begin; thread < core.end; ++thread) whole = whole && idle_cpu(order_[thread]);
    if (whole || level == kCore) return other == cpu;
    if (idle_thread < 0) idle_thread = static_cast<i32>(other);
  }
  return static_cast<i32>(cpu) == (idle_thread >= 0 ? idle_thread : first);
}

// sched_balance_find_src_group, calculate_imbalance, sched_balance_find_src_rq, detach_tasks.
u32 Fair::balance_level(u32 cpu, u32 level, Idle idle) {
  const Range span = range_of(cpu, level);
  GroupLoad local{}, busiest{};
  Range from{0, 0};
  u64 all_load = 0, all_cpus = 0;
  for (u32 at = span.begin; at < span.end;) {
    const Range group = group_at(at, level);
    const GroupLoad load = load_of(group, nullptr);
    all_load += load.load;
    all_cpus += load.cpus;
    bool is_local = false;
    for (u32 i = group.begin; i < group.end; ++i) is_local = is_local || order_[i] == cpu;
    at = group.end;
    if (is_local) {
      local = load;
      continue;
    }
    if (load.running == 0 || load.cpus == 0) continue;
    const bool busier = from.begin == from.end || load.type() > busiest.type() ||
                        (load.type() == busiest.type() &&
                         (load.type() == 2 ? load.load * busiest.cpus > busiest.load * load.cpus
                                           : load.idle < busiest.idle ||
                                                 (load.idle == busiest.idle && load.running > busiest.running)));
    if (busier) {
      busiest = load;
      from = group;
    }
  }
  if (from.begin == from.end || local.cpus == 0) return 0;
  u32 tasks = ~u32{0};
  u64 load = ~u64{0};
  if (local.type() == 0) {
    // sibling_imbalance, halved.
    if (idle == Idle::kBusy && busiest.type() != 2) return 0;
    const u64 more = u64{busiest.running} * local.cpus, less = u64{local.running} * busiest.cpus;
    u64 imbalance = more > less ? 2 * (more - less) / (u64{local.cpus} + busiest.cpus) : 0;
    if (imbalance <= 1 && local.running == 0 && busiest.running > 1) imbalance = 2;
    tasks = static_cast<u32>(imbalance / 2);
    if (tasks == 0 && idle != Idle::kBusy && busiest.type() == 2) tasks = 1;
    if (tasks == 0) return 0;
  } else {
    // Both are busy: towards the average, if the difference is worth it.
    if (busiest.type() != 2 || busiest.load * all_cpus <= all_load * busiest.cpus ||
        local.load * all_cpus >= all_load * local.cpus ||
        100 * busiest.load * local.cpus <= kImbalance[level] * local.load * busiest.cpus)
      return 0;
    load = std::min((busiest.load * all_cpus - all_load * busiest.cpus) / all_cpus,
                    (all_load * local.cpus - local.load * all_cpus) / all_cpus);
    if (load == 0) return 0;
  }
  i32 src = -1;
  for (u32 at = from.begin; at < from.end; ++at) {
    const u32 other = order_[at];
    const u32 running = m_.cpus[other].runnable;
    if (running < 2 || !m_.cpus[other].active) continue;
    const bool more = src < 0 || (tasks != ~u32{0} ? running > m_.cpus[static_cast<u32>(src)].runnable
                                                   : queues_[other].load > queues_[static_cast<u32>(src)].load);
    if (more) src = static_cast<i32>(other);
  }
  if (src < 0) return 0;
  const u32 moved =
      take_from(static_cast<u32>(src), cpu, level, idle == Idle::kNewlyIdle ? std::min(tasks, 1u) : tasks, load);
  FairQueue& queue = queues_[cpu];
  if (moved != 0)
    queue.failed[level] = 0;
  else if (idle != Idle::kNewlyIdle && queue.failed[level] < 32)
    ++queue.failed[level];
  return moved;
}

// detach_tasks, attach_tasks. The kernel begins with the task that has not run for longest, this with the one whose
// deadline is last.
u32 Fair::take_from(u32 src, u32 dst, u32 level, u32 tasks, u64 load) {
  std::array<TaskId, kMigrateAtOnce> found;
  m_.update_curr(src);
  const u32 failed = queues_[dst].failed[level];
  const u32 count = last_of(queues_[src].root, found, 0);
  u32 moved = 0;
  for (u32 i = 0; i < count && moved < tasks && load != 0; ++i) {
    Task& task = m_.tasks[found[i]];
    const FairEntity& e = entity(task.id);
    if (m_.cpus[src].runnable <= 1) break;
    // can_migrate_task
    if (task.delayed || !may_use(task, dst) || task.migration_disabled) continue;
    if (level != kCore && failed <= kHotTries[level] && e.ran_at != 0 && m_.now - e.ran_at < kMigrationCostNs) continue;
    if (tasks == ~u32{0}) {
      if (e.weight >> std::min(failed, 31u) > load) continue;
      load -= std::min<u64>(load, e.weight);
    }
    clear_buddy(queues_[src], task.id);
    update_lag(queues_[src], task);
    remove(src, task, Leave::kMove);
    --m_.cpus[src].runnable;
    task.cpu = static_cast<u16>(dst);
    ++m_.cpus[dst].runnable;
    if (m_.cpus[dst].curr == kNoTaskId || !on_queue(m_.cpus[dst].curr)) {
      add(dst, task, 0);
      if (m_.where != Where::kTask) m_.resched(dst);
    } else {
      enqueue(dst, task, 0);
    }
    of(task).ran_at = 0;  // it is not hot on its new CPU
    ++moved;
  }
  return moved;
}

void Fair::balance() {
  balancing_ = false;
  if (overloaded_ == 0) return;
  balancing_ = true;
  m_.event_at(m_.now + m_.tick_ns, {.kind = EventKind::kBalance});
  for (u32 cpu = 0; cpu < m_.cpu_count(); ++cpu) {
    FairQueue& queue = queues_[cpu];
    const Cpu& c = m_.cpus[cpu];
    if (queue.next_balance > m_.now || !c.active || c.foreign) continue;
    m_.here = cpu;
    const bool idle = idle_cpu(cpu);
    u64 next = kNever;
    for (u32 level = 0; level < kLevels; ++level) {
      const Range span = range_of(cpu, level), below = group_at(span.begin, level);
      if (below.begin == span.begin && below.end == span.end) continue;
      const u64 interval = u64{span.end - span.begin} * kNsPerMs * (idle ? 1 : kBusyFactor);
      if (m_.now >= queue.balanced_at[level] + interval) {
        queue.balanced_at[level] = m_.now;
        if (should_balance(cpu, level)) balance_level(cpu, level, idle ? Idle::kIdle : Idle::kBusy);
      }
      next = std::min(next, queue.balanced_at[level] + interval);
    }
    // An idle CPU is looked at each tick (nohz_balancer_kick); one that is busy now may be idle then.
    queue.next_balance = idle ? m_.now : std::min(next, m_.now + u64{m_.cpu_count()} * kNsPerMs);
  }
}

}  // namespace reprise::sim
