// SPDX-License-Identifier: GPL-2.0-only
// The kernel's default class (kernel/sched/fair.c of Linux 7.3): EEVDF, as a baseline that decides inside the modelled
// kernel, at no round trip. Internal.
//
//   fair.cc          time, lag, deadlines, eligibility, the pick, preemption by wakeups
//   fair_tree.cc     the run queue's tree: by deadline, with the least vruntime below each node (struct cfs_rq)
//   fair_place.cc    which CPU a woken or new task goes to (select_task_rq_fair)
//   fair_balance.cc  what an idle CPU, and now and then every CPU, takes from others (sched_balance_rq)
//
// Preemption is lazy (PREEMPT_LAZY, x86's default): resched_curr_lazy takes effect when the CPU next returns to user
// space: from a system call, an interrupt, or the tick. Another CPU is not interrupted for it.
//
// Features (kernel/sched/features.h) as they are by default: PLACE_LAG, PLACE_DEADLINE_INITIAL, PLACE_REL_DEADLINE,
// RUN_TO_PARITY, PREEMPT_SHORT, DELAY_DEQUEUE, DELAY_ZERO, WAKEUP_PREEMPTION, HRTICK (an option), WA_IDLE, WA_WEIGHT.
//
// Not modelled: autogroups and cgroups (all tasks share one queue per CPU), SCHED_BATCH and SCHED_IDLE, PELT (where
// the kernel takes an average of load, this takes the load of now), SIS_UTIL's limit on the search for an idle CPU,
// NI_RANDOM, NUMA balancing, cache-aware balancing, active balancing, capacities that differ. Run queues that become
// so long and so uneven that the kernel's sums would overflow its s64 are out of range here, too.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "sim/kernel/machine.h"

namespace reprise::sim {

/// struct sched_entity.
struct FairEntity {
  u64 vruntime = 0;
  u64 deadline = 0;         // while rel_deadline: counted from vruntime
  u64 min_vruntime = 0;     // of the subtree
  u64 protected_until = 0;  // vprot: the vruntime up to which it is not asked to make way
  i64 lag = 0;              // vlag: average vruntime minus its own, as of its last dequeue
  u64 ran_at = 0;           // when it last had a CPU (exec_start)
  u32 weight = 0;
  u32 slice = 0, min_slice = 0, max_slice = 0;  // ns; of the subtree
  TaskId left = kNoTaskId, right = kNoTaskId;
  u32 sequence = 0;  // among equal deadlines the first comes first
  u32 priority = 0;  // in the tree, as in a heap
  bool custom_slice = false;
  bool rel_deadline = false;
  u16 recent_cpu = 0;  // recent_used_cpu
  TaskId last_wakee = kNoTaskId;
  u32 wakee_flips = 0;
  u64 flips_halved_at = 0;
};

/// struct cfs_rq, with what the balancer keeps per CPU.
struct FairQueue {
  u64 zero_vruntime = 0;   // near the average; what the sum is relative to
  i64 sum_w_vruntime = 0;  // over the tree: (vruntime - zero_vruntime) * weight
  i64 sum_weight = 0;      // over the tree
  TaskId root = kNoTaskId;
  TaskId curr = kNoTaskId;  // not in the tree
  TaskId next = kNoTaskId;  // buddy
  u32 queued = 0;           // h_nr_queued: the tree, and curr if it is queued; delayed ones too
  u32 sequence = 0;
  u64 load = 0;  // of those queued
  u64 idle_stamp = 0;
  u64 avg_idle = kNsPerMs;
  u64 next_balance = 0;
  std::array<u64, 4> balanced_at{};  // by level
  std::array<u8, 4> failed{};        // nr_balance_failed
};

enum class Leave : u8 { kMove, kSleep, kDead };

class Fair {
 public:
  explicit Fair(Machine& machine);

  void fork(Task&, u64 slice_ns);               // sched_fork
  void enqueue(u32 cpu, Task&, u64 enq_flags);  // enqueue_task_fair, wakeup_preempt
  void dequeue(u32 cpu, Task&, Leave why);      // dequeue_task_fair
  void finish_delayed(Task&);                   // dequeue_task_fair with DEQUEUE_DELAYED
  TaskId pick(u32 cpu);                         // pick_task_fair; kNoTaskId: idle
  void put_prev(u32 cpu, Task&);                // put_prev_task_fair
  void set_next(u32 cpu, Task&);                // set_next_task_fair
  void update_curr(u32 cpu, Task&, u64 delta);
  void yield(u32 cpu);                    // yield_task_fair
  void reweight(Task&, u32 weight);       // reweight_task_fair, prio_changed_fair
  u32 select_cpu(Task&, u64 wake_flags);  // select_task_rq_fair
  void balance();                         // sched_balance_domains on every CPU that is due

  /// When the CPU's running task has to be looked at: `exact` by hrtick_start_fair's timer, `tick` by the next tick
  /// from then on. kNever.
  struct Wanted {
    u64 exact, tick;
  };
  [[nodiscard]] Wanted wanted(u32 cpu, const Task&) const;
  [[nodiscard]] u64 steady_until(u32 cpu, const Task&) const;

  // For tests.
  [[nodiscard]] const FairEntity& entity(TaskId id) const { return entities_[id / kChunk][id % kChunk]; }
  [[nodiscard]] const FairQueue& queue(u32 cpu) const { return queues_[cpu]; }
  [[nodiscard]] u64 base_slice() const { return base_slice_; }
  /// Holds what the tree and the sums must keep to; null, or what does not hold.
  [[nodiscard]] const char* check(u32 cpu) const;

 private:
  static constexpr u32 kChunk = 64;
  enum Level : u32 { kCore, kLlc, kNode, kMachine, kLevels };
  enum class Idle : u8 { kBusy, kIdle, kNewlyIdle };

  [[nodiscard]] FairEntity& of(TaskId id) { return entities_[id / kChunk][id % kChunk]; }
  [[nodiscard]] FairEntity& of(const Task& task) { return of(task.id); }

  // ---- fair_tree.cc ----
  void tree_insert(FairQueue&, TaskId);  // __enqueue_entity
  void tree_remove(FairQueue&, TaskId);  // __dequeue_entity
  /// entity_before, and among equals the order of insertion.
  [[nodiscard]] static bool earlier(const FairEntity& a, const FairEntity& b) {
    if (a.deadline != b.deadline) return before(a.deadline, b.deadline);
    return static_cast<i32>(a.sequence - b.sequence) < 0;
  }
  TaskId merge(TaskId left, TaskId right);
  void split(TaskId at, TaskId by, TaskId& left, TaskId& right);
  void pull(TaskId at);
  static void takes_in(FairEntity& parent, const FairEntity& child) {  // into what it knows of its subtree
    if (before(child.min_vruntime, parent.min_vruntime)) parent.min_vruntime = child.min_vruntime;
    if (child.min_slice < parent.min_slice) parent.min_slice = child.min_slice;
    if (child.max_slice > parent.max_slice) parent.max_slice = child.max_slice;
  }
  /// The last of the tree by deadline, last first.
  u32 last_of(TaskId root, std::array<TaskId, 32>& found, u32 count) const;
  [[nodiscard]] const char* check_tree(TaskId at, const FairQueue&, u32& nodes, i64& sum, i64& weight) const;

  // ---- fair.cc ----
  [[nodiscard]] static u64 virtual_time(u64 ns, u32 weight);  // calc_delta_fair
  [[nodiscard]] static u32 weight_of(u32 cgroup_weight);
  [[nodiscard]] bool on_queue(TaskId id) const { return id != kNoTaskId && m_.tasks[id].fair_queued; }
  void shift_zero(FairQueue&, i64 delta);
  u64 average(FairQueue&);  // avg_vruntime
  [[nodiscard]] u64 ineligible_from(const FairQueue&) const;
  struct Average {
    i64 sum, weight;
  };
  [[nodiscard]] Average with_curr(const FairQueue&) const;
  [[nodiscard]] static bool eligible(const FairQueue&, const Average&, u64 vruntime);
  [[nodiscard]] bool eligible(const FairQueue&, TaskId) const;
  [[nodiscard]] i64 bounded_lag(const FairQueue&, const FairEntity&, u64 average) const;  // entity_lag
  bool update_lag(FairQueue&, Task&);
  [[nodiscard]] u32 least_slice(const FairQueue&) const;
  [[nodiscard]] u32 greatest_slice(const FairQueue&) const;
  bool update_deadline(FairQueue&, FairEntity&);
  void place(FairQueue&, FairEntity&, bool initial);
  TaskId pick_eevdf(FairQueue&, bool protect);
  TaskId pick_next(u32 cpu, bool protect);
  void add(u32 cpu, Task&, u64 enq_flags);  // without the preemption
  void remove(u32 cpu, Task&, Leave why);
  void requeue_delayed(u32 cpu, Task&);
  void wakeup_preempt(u32 cpu, Task&, bool fork);
  void resched_lazy(u32 cpu);
  void program(u32 cpu);
  void count_overloaded(u32 cpu, u32 queued_before);
  void clear_buddy(FairQueue& queue, TaskId id) {
    if (queue.next == id) queue.next = kNoTaskId;
  }

  // ---- fair_place.cc ----
  struct GroupLoad {
    u32 cpus = 0, allowed = 0, idle = 0, running = 0;
    u64 load = 0;
    [[nodiscard]] u32 type() const { return running < cpus ? 0 : running == cpus ? 1 : 2; }  // enum group_type
  };
  [[nodiscard]] u32 group_of(u32 cpu, u32 level) const;
  struct Range {
    u32 begin, end;  // in order_
  };
  [[nodiscard]] Range range_of(u32 cpu, u32 level) const { return ranges_[level][group_of(cpu, level)]; }
  /// The group of the level below that order_[at] is in: a CPU at the lowest level.
  [[nodiscard]] Range group_at(u32 at, u32 level) const;
  [[nodiscard]] GroupLoad load_of(Range, const Task* for_task) const;
  [[nodiscard]] bool idle_cpu(u32 cpu) const;
  [[nodiscard]] bool share_cache(u32 a, u32 b) const { return m_.places[a].llc == m_.places[b].llc; }
  void record_wakee(Task& waker, const Task& wakee);
  [[nodiscard]] bool wake_wide(const Task& waker, const Task& wakee) const;
  [[nodiscard]] u32 wake_affine(const Task&, u32 here, u32 prev, bool sync) const;
  u32 select_idle_sibling(Task&, u32 prev, u32 target);
  [[nodiscard]] i32 select_idle_cpu(const Task&, u32 target) const;
  [[nodiscard]] u32 find_dst_cpu(const Task&, u32 cpu) const;

  // ---- fair_balance.cc ----
  bool newidle(u32 cpu);  // sched_balance_newidle
  u32 balance_level(u32 cpu, u32 level, Idle idle);
  u32 take_from(u32 src, u32 dst, u32 level, u32 tasks, u64 load);
  [[nodiscard]] bool should_balance(u32 cpu, u32 level) const;

  Machine& m_;
  std::vector<std::unique_ptr<FairEntity[]>> entities_;
  std::vector<FairQueue> queues_;
  u64 base_slice_ = 0;
  u32 overloaded_ = 0;  // CPUs with more than one task (rd->overloaded)
  bool balancing_ = false;
  bool smt_ = false;
  std::vector<u16> order_;  // CPUs by node, cache, core: every group is a range of it
  std::array<std::vector<Range>, kLevels> ranges_;
  std::vector<CpuMask> llcs_;
  u32 priorities_ = 0;
  std::vector<TaskId> path_;  // of a removal
};

}  // namespace reprise::sim
