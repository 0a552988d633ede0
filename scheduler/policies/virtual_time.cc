// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/policies/virtual_time.h"

#include <algorithm>
#include <utility>

namespace reprise {
namespace {

// Epochs in which competing tasks are counted: about a quarter of a second, longer than a round of slices.
constexpr u32 kEpochBits = 28;
// An age is 8.6 s. Who was handed down one to two ages ago goes before all that are handed down now.
constexpr u32 kAgeBits = 33;
// The clock moves with real time in steps of at least this, so that rounding does not stop it...
constexpr u64 kAdvanceMin = kNsPerMs;
// ...and at most this, since after a pause nobody is waiting.
constexpr u64 kAdvanceMax = kNsPerSec;
// CPU time that is charged at once is bounded: a task that ran for longer unseen did so because no one else wanted the
// CPU, or because the dispatcher scheduled by itself.
constexpr u64 kChargeMax = kNsPerSec;

u64 later(u64 a, u64 b) { return before(a, b) ? b : a; }
u64 earlier(u64 a, u64 b) { return before(a, b) ? a : b; }

}  // namespace

Expected<VirtualTime::Config> VirtualTime::config(const Options& options) {
  const Config config{
      .slice_ns = options.get("slice_us") * kNsPerUs,
      .slice_min_ns = options.get("slice_min_us") * kNsPerUs,
      .credit_ns = options.get("credit_us") * kNsPerUs,
      .lag_ns = options.get("lag_us") * kNsPerUs,
  };
  if (config.slice_min_ns > config.slice_ns)
    return fail(ExitCode::kUsage, "slice_min_us is greater than slice_us", options.text());
  return config;
}

VirtualTime::VirtualTime(Arena& arena, const Config& config, u32 cpus)
    : config_(config), cpus_(cpus), state_(arena.array<State>(1).data()), tasks_(arena.per_task<PerTask>()) {
  state_->clock = config.clock_start;
}

void VirtualTime::advance(u64 now_ns) {
  const u64 epoch = (now_ns >> kEpochBits) + 1;
  if (state_->epoch == 0) {
    state_->advanced_ns = now_ns;
    state_->tail = state_->tail_before = state_->floor =
        state_->clock - weighted(config_.lag_ns, kWeightMin);  // no deadline lies before it
  }
  if (epoch != state_->epoch) {
    const bool next = epoch == state_->epoch + 1;
    state_->weight_before = next ? state_->weight : 0;
    state_->busy_before = next ? state_->busy : 0;
    state_->weight = 0;
    state_->busy = 0;
    state_->epoch = epoch;
  }
  if (const u64 age = now_ns >> kAgeBits; age != state_->age) {
    state_->floor = std::exchange(state_->tail_before, state_->tail);
    state_->age = age;
  }
  const u64 elapsed = now_ns - state_->advanced_ns;
  if (elapsed < kAdvanceMin) return;
  state_->advanced_ns = now_ns;
  const u64 weight = std::max<u64>({state_->weight, state_->weight_before, kWeightDefault});
  state_->clock += std::min(elapsed, kAdvanceMax) * kWeightDefault / weight / 2;
}

void VirtualTime::count(PerTask& mine, const Task& task) {
  if (mine.seen_epoch != state_->epoch) {
    mine.seen_epoch = state_->epoch;
    mine.seen_weight = task.weight;
    state_->weight += task.weight;
  }
  if (task.exec_delta_ns == 0 || task.woken()) return;
  // Who was taken off a CPU in the middle of something short does not want all that a great weight entitles to.
  const u64 slices = std::max<u64>(mine.burst_ns / config_.slice_min_ns, 1);
  const u32 counts = static_cast<u32>(std::min<u64>(task.weight, slices * kWeightDefault));
  const u32 counted = mine.busy_epoch == state_->epoch ? mine.busy_weight : 0;
  mine.busy_epoch = state_->epoch;
  if (counts <= counted) return;
  mine.busy_weight = counts;
  state_->busy += counts - counted;
}

void VirtualTime::enqueue(TaskSlot slot, const Task& task, u64 debit_ns) {
  PerTask& mine = tasks_[slot];
  const u64 ran_ns = std::min(task.exec_delta_ns, kChargeMax);
  if (mine.seen_epoch == 0) {
    mine.vruntime = state_->clock + weighted(debit_ns, task.weight);
  } else if (ran_ns > 0) {
    state_->clock = later(state_->clock, mine.vruntime);
  }
  mine.burst_ns = std::min(mine.burst_ns + ran_ns, kChargeMax);
  count(mine, task);

  mine.vruntime += weighted(ran_ns, task.weight);
  const u64 behind_ns = task.woken() ? std::min(config_.credit_ns, config_.lag_ns) : config_.lag_ns;
  mine.vruntime = later(mine.vruntime, state_->clock - weighted(behind_ns, task.weight));
  mine.vruntime = earlier(mine.vruntime, state_->clock + config_.lag_ns);

  if (task.woken()) {
    mine.burst_average_ns =
        mine.burst_average_ns == 0 ? mine.burst_ns : (3 * mine.burst_average_ns + mine.burst_ns) / 4;
    mine.burst_ns = 0;
  }
}

void VirtualTime::forget(TaskSlot slot) {
  PerTask& mine = tasks_[slot];
  const auto uncount = [this](u64 epoch, u64 weight, u64& now, u64& before) {
    if (epoch == state_->epoch) now -= std::min(now, weight);
    if (epoch + 1 == state_->epoch) before -= std::min(before, weight);
  };
  uncount(mine.seen_epoch, mine.seen_weight, state_->weight, state_->weight_before);
  uncount(mine.busy_epoch, mine.busy_weight, state_->busy, state_->busy_before);
  mine = PerTask{};
}

u64 VirtualTime::burst_ns(TaskSlot slot) const {
  return std::max(tasks_[slot].burst_average_ns, tasks_[slot].burst_ns);
}

u64 VirtualTime::share_ns(const Task& task) const {
  const u64 busy_per_cpu = std::max(state_->busy, state_->busy_before) / cpus_;
  return std::max(config_.slice_ns * task.weight / std::max<u64>(task.weight, busy_per_cpu), config_.slice_min_ns);
}

u64 VirtualTime::slice_ns(TaskSlot slot, const Task& task) const {
  const u64 vruntime = tasks_[slot].vruntime;
  const u64 share = share_ns(task);
  u64 behind_ns = 0;
  if (!task.woken() && before(vruntime, state_->clock))
    behind_ns = std::min((state_->clock - vruntime) * task.weight / kWeightDefault, share);
  return share + behind_ns;
}

u64 VirtualTime::deadline(TaskSlot slot, const Task& task, u64 burst_ns) const {
  const u64 deadline = tasks_[slot].vruntime + weighted(std::min(burst_ns, share_ns(task)), task.weight);
  return earlier(deadline, state_->clock + config_.lag_ns);
}

u64 VirtualTime::hand_down(u64 deadline) {
  if (before(deadline + state_->shift, state_->floor)) state_->shift = state_->floor - deadline;
  const u64 vtime = deadline + state_->shift;
  state_->tail = later(state_->tail, vtime);
  return vtime;
}

}  // namespace reprise
