// SPDX-License-Identifier: GPL-2.0-only
// Where a task goes that wakes up or is new (select_task_rq_fair). Domains are: the threads of a core, the cores of a
// cache, the caches of a node, the nodes of the machine.
#include <algorithm>

#include "sim/kernel/fair.h"

namespace reprise::sim {
namespace {
constexpr u64 kWakeFork = 4, kWakeTtwu = 2;  // WF_FORK, WF_TTWU
constexpr u32 kImbalanceLlc = 117;           // sd->imbalance_pct
}  // namespace

u32 Fair::group_of(u32 cpu, u32 level) const {
  const CpuPlace& place = m_.places[cpu];
  return level == kCore ? place.core : level == kLlc ? place.llc : level == kNode ? place.node : 0;
}

Fair::Range Fair::group_at(u32 at, u32 level) const {
  return level == kCore ? Range{at, at + 1} : range_of(order_[at], level - 1);
}

// available_idle_cpu.
bool Fair::idle_cpu(u32 cpu) const {
  const Cpu& c = m_.cpus[cpu];
  return m_.idle.test(cpu) && c.active && !c.foreign && c.runnable == 0 && c.wake_list == kNoTaskId;
}

// update_sg_wakeup_stats, update_sg_lb_stats.
Fair::GroupLoad Fair::load_of(Range range, const Task* for_task) const {
  GroupLoad result;
  for (u32 at = range.begin; at < range.end; ++at) {
    const u32 cpu = order_[at];
    if (!m_.cpus[cpu].active) continue;
    ++result.cpus;
    if (for_task && may_use(*for_task, cpu)) ++result.allowed;
    result.running += m_.cpus[cpu].runnable;
    result.load += queues_[cpu].load;
    if (idle_cpu(cpu)) ++result.idle;
  }
  return result;
}

// sched_balance_find_dst_cpu: for a new task, the idlest CPU of the idlest group, level by level.
u32 Fair::find_dst_cpu(const Task& task, u32 cpu) const {
  for (u32 level = kLevels; level-- > 0;) {
    const Range span = range_of(cpu, level);
    GroupLoad local{}, idlest{};
    Range idlest_at{0, 0};
    u32 groups = 0;
    for (u32 at = span.begin; at < span.end;) {  // sched_balance_find_dst_group
      const Range group = group_at(at, level);
      ++groups;
      at = group.end;
      const GroupLoad load = load_of(group, &task);
      const bool is_local = group_of(order_[group.begin], level == kCore ? u32{kCore} : level - 1) ==
                                group_of(cpu, level == kCore ? u32{kCore} : level - 1) &&
                            (level != kCore || order_[group.begin] == cpu);
      if (load.allowed == 0) continue;
      if (is_local) {
        local = load;
        continue;
      }
      const bool better =
          idlest_at.begin == idlest_at.end || load.type() < idlest.type() ||
          (load.type() == idlest.type() &&
           (load.type() == 0 ? load.idle > idlest.idle : load.load * idlest.cpus < idlest.load * load.cpus));
      if (better) {
        idlest = load;
        idlest_at = group;
      }
    }
    if (groups < 2 || idlest_at.begin == idlest_at.end) continue;
    if (local.allowed != 0) {
      if (local.type() < idlest.type()) continue;
      if (local.type() == idlest.type()) {
        if (local.type() == 0) {
          if (local.idle >= idlest.idle) continue;
        } else {
          const u64 allowance = 1024 * (kImbalanceLlc - 100) / 100;
          const u64 here_avg = local.load / local.cpus, there_avg = idlest.load / idlest.cpus;
          if (there_avg >= here_avg + allowance || 100 * here_avg <= kImbalanceLlc * there_avg) continue;
        }
      }
    }
    // sched_balance_find_dst_group_cpu: the one that became idle last, else the one with the least load.
    i32 idle = -1, least = -1;
    for (u32 at = idlest_at.begin; at < idlest_at.end; ++at) {
      const u32 other = order_[at];
      if (!may_use(task, other) || !m_.cpus[other].active) continue;
      if (idle_cpu(other)) {
        if (idle < 0 || m_.cpus[other].idle_since > m_.cpus[static_cast<u32>(idle)].idle_since)
          idle = static_cast<i32>(other);
      } else if (least < 0 || queues_[other].load < queues_[static_cast<u32>(least)].load) {
        least = static_cast<i32>(other);
      }
    }
    cpu = static_cast<u32>(idle >= 0 ? idle : least);
  }
  return cpu;
}

void Fair::record_wakee(Task& waker, const Task& wakee) {
  FairEntity& e = of(waker);
  if (m_.now > e.flips_halved_at + kNsPerSec) {
    e.wakee_flips >>= 1;
    e.flips_halved_at = m_.now;
  }
  if (e.last_wakee == wakee.id) return;
  e.last_wakee = wakee.id;
  ++e.wakee_flips;
}

bool Fair::wake_wide(const Task& waker, const Task& wakee) const {
  u32 master = entity(waker.id).wakee_flips, slave = entity(wakee.id).wakee_flips;
  if (master < slave) std::swap(master, slave);
  const Range llc = range_of(m_.here, kLlc);
  const u32 factor = llc.end - llc.begin;
  return slave >= factor && master >= slave * factor;
}

// wake_affine: the waker's CPU, or where the task was.
u32 Fair::wake_affine(const Task& task, u32 here, u32 prev, bool sync) const {
  const Cpu& c = m_.cpus[here];
  if (idle_cpu(here) && share_cache(here, prev)) return idle_cpu(prev) ? prev : here;
  if (sync && c.runnable == 1) return here;
  if (idle_cpu(prev)) return prev;
  // wake_affine_weight
  i64 here_load = static_cast<i64>(queues_[here].load), prev_load = static_cast<i64>(queues_[prev].load);
  if (sync && c.curr != kNoTaskId) {
    const i64 current = entity(c.curr).weight;
    if (current > here_load) return here;
    here_load -= current;
  }
  here_load = (here_load + entity(task.id).weight) * 100;
  prev_load = prev_load * (100 + (kImbalanceLlc - 100) / 2) + (sync ? 1 : 0);
  return here_load < prev_load ? here : prev;
}

// The first idle CPU of the target's cache behind the target; one whose core is idle comes first.
i32 Fair::select_idle_cpu(const Task& task, u32 target) const {
  const CpuMask& llc = llcs_[m_.places[target].llc];
  const u32 words = (m_.cpu_count() + 63) / 64, first = (target + 1) / 64 % words, shift = (target + 1) % 64;
  i32 found = -1;
  for (u32 i = 0; i <= words; ++i) {
    const u32 word = (first + i) % words;
    u64 bits = llc.words[word] & m_.idle.cpus().words[word] & task.ts.cpus_ptr->bits[word];
    if (i == 0) bits &= ~u64{0} << shift;
    if (i == words) bits &= ~(~u64{0} << shift);
    for (; bits != 0; bits &= bits - 1) {
      const u32 cpu = word * 64 + static_cast<u32>(std::countr_zero(bits));
      if (!idle_cpu(cpu)) continue;
      if (!smt_) return static_cast<i32>(cpu);
      const Range core = range_of(cpu, kCore);
      bool all = true;
      for (u32 at = core.begin; at < core.end; ++at) all = all && idle_cpu(order_[at]);
      if (all) return static_cast<i32>(cpu);
      if (found < 0) found = static_cast<i32>(cpu);
    }
  }
  return found;
}

u32 Fair::select_idle_sibling(Task& task, u32 prev, u32 target) {
  if (idle_cpu(target)) return target;
  if (prev != target && share_cache(prev, target) && idle_cpu(prev)) return prev;
  const TaskId waker = m_.where == Where::kTask ? m_.cpus[m_.here].curr : kNoTaskId;
  if (waker != kNoTaskId && (m_.tasks[waker].ts.flags & PF_KTHREAD) && m_.tasks[waker].ts.nr_cpus_allowed == 1 &&
      prev == m_.here && m_.cpus[prev].runnable <= 1)
    return prev;
  FairEntity& e = of(task);
  const u32 recent = e.recent_cpu;
  e.recent_cpu = static_cast<u16>(prev);
  if (recent != prev && recent != target && share_cache(recent, target) && idle_cpu(recent) && may_use(task, recent))
    return recent;
  const i32 idle = select_idle_cpu(task, target);
  return idle >= 0 ? static_cast<u32>(idle) : target;
}

u32 Fair::select_cpu(Task& task, u64 wake_flags) {
  const u32 here = m_.here, prev = task.cpu;
  if (wake_flags & kWakeFork) return find_dst_cpu(task, here);
  if (!(wake_flags & kWakeTtwu)) return prev;
  bool affine = may_use(task, here);
  bool sync = (wake_flags & kWakeSync) != 0;
  const TaskId curr = m_.where == Where::kOutside ? kNoTaskId : m_.cpus[here].curr;
  if (curr != kNoTaskId) {
    Task& waker = m_.tasks[curr];
    record_wakee(waker, task);
    affine = affine && !wake_wide(waker, task);
    sync = sync && !waker.exiting;
  }
  const u32 target = affine && here != prev ? wake_affine(task, here, prev, sync) : prev;
  return select_idle_sibling(task, prev, target);
}

}  // namespace reprise::sim
