// SPDX-License-Identifier: GPL-2.0-only
// lavd_lite: latency-criticality aware virtual deadlines. The idea is that of scx_lavd (C. Min, sched-ext/scx,
// scheds/rust/scx_lavd), in its smallest form and written anew: without its parts for energy, core kinds and
// frequencies.
//
// A task in the middle of a chain, which is woken often and wakes others often, delays all of the chain when it has to
// wait; one that runs for long at a time notices little. So
//
//   criticality   logarithms, added up: of how often it is woken, of how often it wakes others, and of how short it
//   runs
//                 at a time. A task takes over half of what its waker has more: the chain is as critical as its parts.
//   greed         what it had of late by weight, over the average of all; counts when it is more than that
//   deadline      clock + what it runs at a time * greed / criticality
//
// The clock is the latest deadline that is known to have begun to run. Whoever waits keeps its deadline while the clock
// gets nearer; what is beyond all patience is seen to by Aging.
//
// Slices share out a target latency among the tasks seen of late, more or less by weight.
#include <algorithm>
#include <bit>

#include "scheduler/core/heap.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/aging.h"
#include "scheduler/policies/place.h"

namespace reprise {
namespace {

constexpr OptionSpec kOptions[] = {
    {"target_us", "us", 1'000, 1'000'000, 15'000, "the time in which all tasks of a CPU should have run once"},
    {"slice_min_us", "us", 50, 1'000'000, 500, "no slice is shorter"},
    {"slice_max_us", "us", 50, 1'000'000, 20'000, "... or longer"},
};

constexpr u64 kClockStart = kNsPerSec;
constexpr u32 kEpochBits = 28;  // a quarter of a second, in which service is measured
constexpr u64 kBurstMin = 20 * kNsPerUs;
constexpr u64 kBurstLong = 16 * kNsPerMs;  // who runs so long at a time is not critical for it
constexpr u64 kGreedOne = 256;
constexpr u64 kGreedMax = 8 * kGreedOne;

/// A frequency, from the average time between two events.
class Frequency {
 public:
  u64 last_ns;      // 0: none yet
  u64 interval_ns;  // average; 0: not known

  void count(u64 now_ns) {
    if (last_ns != 0) {
      const u64 interval = std::clamp<u64>(now_ns - last_ns, 1, kNsPerSec);
      interval_ns = interval_ns == 0 ? interval : std::max<u64>((7 * interval_ns + interval) / 8, 1);
    }
    last_ns = now_ns;
  }
  /// The binary logarithm of events per second, and one; 0 for less than one. It falls while nothing happens.
  [[nodiscard]] u32 magnitude(u64 now_ns) const {
    if (interval_ns == 0) return 0;
    return static_cast<u32>(std::bit_width(kNsPerSec / std::max(interval_ns, (now_ns - last_ns) / 8)));
  }
};

class LavdLite final : public Policy {
 public:
  struct Service {
    u64 now;     // CPU time by weight, in this epoch
    u64 before;  // in the one before
  };
  struct State {
    u64 clock;
    u64 epoch;
    Service service;  // of all tasks
    u64 tasks;        // seen in this epoch
    u64 tasks_before;
  };
  struct PerTask {
    Frequency woken;
    Frequency wakes;
    u64 deadline;
    u64 burst_ns;  // CPU time since it last slept
    u64 burst_average_ns;
    u64 epoch;  // in which it was last seen; 0: never
    Service service;
    u32 criticality;
    u32 reserved;
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + Arena::bytes<PerTask>(limits.max_tasks) + SlotHeap::bytes(limits.max_tasks) +
           Aging::bytes();
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits& limits, const Options& options) {
    if (options.get("slice_min_us") > options.get("slice_max_us"))
      return fail(ExitCode::kUsage, "slice_min_us is greater than slice_max_us", options.text());
    return std::make_unique<LavdLite>(arena, limits, options);
  }

  LavdLite(Arena& arena, const Limits& limits, const Options& options)
      : cpus_(limits.cpus),
        target_ns_(options.get("target_us") * kNsPerUs),
        slice_min_ns_(options.get("slice_min_us") * kNsPerUs),
        slice_max_ns_(options.get("slice_max_us") * kNsPerUs),
        state_(arena.array<State>(1).data()),
        tasks_(arena.per_task<PerTask>()),
        waiting_(arena),
        aging_(arena, kClockStart) {
    state_->clock = kClockStart;
  }

  void task_exit(Context&, TaskSlot slot) override { tasks_[slot] = {}; }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    const u64 now_ns = context.now_ns();
    PerTask& mine = tasks_[slot];
    begin_epoch(now_ns);
    if (task.exec_delta_ns > 0 && mine.deadline != 0 && before(state_->clock, mine.deadline))
      state_->clock = mine.deadline;
    charge(mine, task);
    if (task.woken()) {
      mine.woken.count(now_ns);
      // Who wakes itself, by a timer that it set, wakes nobody.
      if (task.waker != kNoTask && task.waker != slot && context.task(task.waker).known())
        tasks_[task.waker].wakes.count(now_ns);
    }
    mine.criticality = criticality(mine, task, now_ns);
    mine.deadline = state_->clock + std::max<u64>(expected_ns(mine) * greed(mine) / kGreedOne / mine.criticality, 1);
    waiting_.push(slot, mine.deadline);
  }

  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const SlotHeap::Entry first = waiting_.pop();
      context.dispatch(first.slot, previous_cpu(context, first.slot), slice_ns(context.task(first.slot)),
                       aging_.vtime(context.now_ns(), first.key), kDecisionIdle);
    }
  }

 private:
  void begin_epoch(u64 now_ns) {
    const u64 epoch = (now_ns >> kEpochBits) + 1;
    if (epoch == state_->epoch) return;
    const bool next = epoch == state_->epoch + 1;
    state_->service = {.now = 0, .before = next ? state_->service.now : 0};
    state_->tasks_before = next ? state_->tasks : 0;
    state_->tasks = 0;
    state_->epoch = epoch;
  }

  void charge(PerTask& mine, const Task& task) {
    if (mine.epoch != state_->epoch) {
      mine.service = {.now = 0, .before = mine.epoch + 1 == state_->epoch ? mine.service.now : 0};
      mine.epoch = state_->epoch;
      state_->tasks += 1;
    }
    const u64 ran_ns = std::min(task.exec_delta_ns, kNsPerSec);
    mine.service.now += ran_ns * kWeightDefault / task.weight;
    state_->service.now += ran_ns * kWeightDefault / task.weight;
    mine.burst_ns = std::min(mine.burst_ns + ran_ns, kNsPerSec);
    if (!task.woken()) return;
    mine.burst_average_ns =
        mine.burst_average_ns == 0 ? mine.burst_ns : (3 * mine.burst_average_ns + mine.burst_ns) / 4;
    mine.burst_ns = 0;
  }

  /// What it is likely to run before it sleeps. Of a task that has never slept nothing is known: as long as can be.
  [[nodiscard]] u64 expected_ns(const PerTask& mine) const {
    const u64 expected = std::max(mine.burst_average_ns, mine.burst_ns);
    return mine.burst_average_ns == 0 ? kBurstLong : std::clamp(expected, kBurstMin, kBurstLong);
  }

  [[nodiscard]] u32 criticality(const PerTask& mine, const Task& task, u64 now_ns) const {
    const u32 shortness = static_cast<u32>(std::bit_width(kBurstLong / expected_ns(mine)));
    const u32 own = shortness + mine.woken.magnitude(now_ns) + mine.wakes.magnitude(now_ns);
    const u32 waker = task.woken() && task.waker != kNoTask ? tasks_[task.waker].criticality : 0;
    return waker > own ? own + (waker - own) / 2 : own;
  }

  [[nodiscard]] u64 greed(const PerTask& mine) const {
    const u64 tasks = std::max<u64>(std::max(state_->tasks, state_->tasks_before), 1);
    const u64 average = (state_->service.now + state_->service.before) / tasks;
    const u64 own = mine.service.now + mine.service.before;
    return average == 0 ? kGreedOne : std::clamp(own * kGreedOne / average, kGreedOne, kGreedMax);
  }

  [[nodiscard]] u64 slice_ns(const Task& task) const {
    const u64 per_cpu = std::max<u64>(std::max(state_->tasks, state_->tasks_before) / cpus_, 1);
    return std::clamp(target_ns_ / per_cpu * task.weight / kWeightDefault, slice_min_ns_, slice_max_ns_);
  }

  const u32 cpus_;
  const u64 target_ns_;
  const u64 slice_min_ns_;
  const u64 slice_max_ns_;
  State* state_;
  std::span<PerTask> tasks_;
  SlotHeap waiting_;
  Aging aging_;
};

}  // namespace

extern const PolicyInfo kLavdLitePolicy;
constinit const PolicyInfo kLavdLitePolicy = {
    .name = "lavd_lite",
    .summary = "early deadlines for tasks in chains: woken often, waking others often, running shortly",
    .options = kOptions,
    .state_bytes = LavdLite::state_bytes,
    .create = LavdLite::create,
};

}  // namespace reprise
