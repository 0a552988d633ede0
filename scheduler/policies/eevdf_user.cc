// SPDX-License-Identifier: GPL-2.0-only
// eevdf_user: earliest eligible virtual deadline first, decided in user space. I. Stoica and H. Abdel-Wahab, "Earliest
// Eligible Virtual Deadline First", Old Dominion University TR-95-22, 1995; the rules as in the kernel's fair class
// (kernel/sched/fair.c of 7.3: avg_vruntime, entity_eligible, update_deadline, place_entity, entity_lag). What the
// simulator calls eevdf is a model of that class itself, without a round trip; this is the same idea as a policy.
//
//   vruntime   CPU time by weight. V, the average of all who compete, weighted, is where each would be in a fair world.
//   lag        V - vruntime: what a task is owed. Who is owed nothing, lag < 0, is not eligible: others go first.
//   deadline   vruntime + slice / weight, set when a request begins. Of those eligible the earliest goes first, so a
//              light task waits for longer, and who asks for little at a time waits for less.
//   sleep      lag is kept over a sleep, within two slices. Who is owed and sleeps is still owed; debts are paid off
//   while V
//              moves on (the kernel lets such a task compete until it is eligible: DELAY_DEQUEUE).
//   joining    moves V so that the lags of all sum up to zero, and a task's lag is enlarged so that it is what it was
//              after that (place_entity).
//
// Where this differs, because the queue in the kernel is filled in advance:
//   - All CPUs share one queue, and V is one for all.
//   - Eligibility is looked at when a task is handed down. Who is not eligible then goes behind as if it had asked
//     for a slice more. Deadlines do not change while a task waits.
//   - The kernel takes the next task before it hands up the one that ran, so none runs twice in a row. What a heavy
//     task would get as several requests in a row it gets as one: slices are in proportion to weights, the average
//     being slice_us, and more or less by what lag says. Deadlines are those of a single request.
//
// To know who competes, the policy is told of every task that starts and stops.
#include <algorithm>

#include "scheduler/core/heap.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/aging.h"
#include "scheduler/policies/place.h"

namespace reprise {
namespace {

constexpr OptionSpec kOptions[] = {
    {"slice_us", "us", 100, 100'000, 3'000, "of one request, as the kernel's base_slice_ns"},
    {"slice_min_us", "us", 50, 100'000, 500, "no slice is shorter, for the sake of throughput"},
};

constexpr u64 kClockStart = 1000 * kNsPerSec;  // the lightest task may lag that much behind it
constexpr u64 kChargeMax = kNsPerSec;          // at once; longer unseen, nobody else wanted the CPU

constexpr i64 kNice0 = kWeightDefault;

class EevdfUser final : public Policy {
 public:
  struct State {
    u64 average;  // V
    u64 weight;   // of all who compete
    u64 count;    // of them
  };
  struct PerTask {
    u64 vruntime;  // while it competes
    u64 deadline;
    i64 lag;      // while it does not: as of when it left
    u64 left_at;  // V then
    u64 exec_ns;  // CPU time since birth that has been charged
    u32 weight;   // that it competes with; 0: it does not
    u32 known;    // 1: exec_ns is valid
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + Arena::bytes<PerTask>(limits.max_tasks) + SlotHeap::bytes(limits.max_tasks) +
           Aging::bytes();
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits&, const Options& options) {
    if (options.get("slice_min_us") > options.get("slice_us"))
      return fail(ExitCode::kUsage, "slice_min_us is greater than slice_us", options.text());
    return std::make_unique<EevdfUser>(arena, options);
  }

  EevdfUser(Arena& arena, const Options& options)
      : slice_ns_(static_cast<i64>(options.get("slice_us") * kNsPerUs)),
        slice_min_ns_(static_cast<i64>(options.get("slice_min_us") * kNsPerUs)),
        state_(arena.array<State>(1).data()),
        tasks_(arena.per_task<PerTask>()),
        waiting_(arena),
        aging_(arena, 0) {
    state_->average = kClockStart;
  }

  void task_exit(Context&, TaskSlot slot) override {
    leave(tasks_[slot]);
    tasks_[slot] = {};
  }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    PerTask& mine = tasks_[slot];
    const bool first = mine.known == 0;
    if (first) {
      mine.exec_ns = task.exec_total_ns - task.exec_delta_ns;
      mine.known = 1;
    }
    charge(mine, task.exec_total_ns);
    if (task.woken() || mine.weight != task.weight) leave(mine);
    if (mine.weight == 0) {
      join(mine, task.weight);
      // A new task's first request is half as long (PLACE_DEADLINE_INITIAL), so that it gets going.
      mine.deadline = mine.vruntime + virtual_ns(first ? slice_ns_ / 2 : slice_ns_, task.weight);
    } else if (!before(mine.vruntime, mine.deadline)) {
      mine.deadline = mine.vruntime + virtual_ns(slice_ns_, task.weight);
    }
    const bool eligible = !before(state_->average, mine.vruntime);
    waiting_.push(slot, mine.deadline + (eligible ? 0 : virtual_ns(slice_ns_, kWeightDefault)));
  }

  // Its lag is kept: it will be back.
  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  void stopping(Context&, TaskSlot slot, const Event& event) override {
    PerTask& mine = tasks_[slot];
    charge(mine, event.stopping.exec_total_ns);
    if (event.stopping.runnable == 0) leave(mine);
  }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const SlotHeap::Entry first = waiting_.pop();
      context.dispatch(first.slot, previous_cpu(context, first.slot), slice_ns(tasks_[first.slot]),
                       aging_.vtime(context.now_ns(), first.key), kDecisionIdle);
    }
  }

 private:
  // Modulo 2^64: state that came from a file may be anything.
  [[nodiscard]] static i64 sum(i64 a, i64 b) { return static_cast<i64>(static_cast<u64>(a) + static_cast<u64>(b)); }
  [[nodiscard]] static i64 product(i64 a, i64 b) { return static_cast<i64>(static_cast<u64>(a) * static_cast<u64>(b)); }
  [[nodiscard]] static u64 virtual_ns(i64 exec_ns, u32 weight) {
    return static_cast<u64>(product(exec_ns, kNice0) / static_cast<i64>(weight));
  }
  [[nodiscard]] i64 lag(const PerTask& mine) const { return static_cast<i64>(state_->average - mine.vruntime); }
  [[nodiscard]] i64 lag_max(u32 weight) const { return static_cast<i64>(virtual_ns(2 * slice_ns_, weight)); }

  void charge(PerTask& mine, u64 exec_total_ns) {
    if (mine.known == 0 || exec_total_ns <= mine.exec_ns) return;
    const u64 ran_ns = std::min(exec_total_ns - mine.exec_ns, kChargeMax);
    mine.exec_ns = exec_total_ns;
    if (mine.weight == 0) return;
    mine.vruntime += virtual_ns(static_cast<i64>(ran_ns), mine.weight);
    REPRISE_CHECK(state_->weight > 0);
    state_->average += ran_ns * kWeightDefault / state_->weight;
    // With several CPUs a task's share may be more, or less, than one CPU can give: then lag would grow for ever.
    const i64 most = lag_max(mine.weight), now = lag(mine), kept = std::clamp(now, -most, most);
    mine.vruntime += static_cast<u64>(sum(now, -kept));
    move_average(product(sum(now, -kept), mine.weight), state_->weight);
  }

  void join(PerTask& mine, u32 weight) {
    i64 owed = mine.lag;
    if (owed < 0) owed = std::min<i64>(0, sum(owed, static_cast<i64>(state_->average - mine.left_at)));
    const i64 others = static_cast<i64>(state_->weight), own = static_cast<i64>(weight);
    REPRISE_CHECK(others >= 0);
    if (others == 0) owed = 0;
    const i64 placed = others == 0 ? 0 : sum(owed, product(owed, own) / others);
    mine.vruntime = state_->average - static_cast<u64>(placed);
    mine.weight = weight;
    state_->weight += weight;
    state_->count += 1;
    move_average(product(placed, -own), state_->weight);
  }

  void leave(PerTask& mine) {
    if (mine.weight == 0) return;
    const i64 most = lag_max(mine.weight), owed = lag(mine);
    state_->weight -= mine.weight;
    state_->count -= 1;
    if (state_->weight != 0) move_average(product(owed, mine.weight), state_->weight);
    mine.lag = std::clamp(owed, -most, most);
    mine.left_at = state_->average;
    mine.weight = 0;
  }

  void move_average(i64 weighted, u64 weight) {
    REPRISE_CHECK(static_cast<i64>(weight) > 0);
    state_->average += static_cast<u64>(weighted / static_cast<i64>(weight));
  }

  [[nodiscard]] u64 slice_ns(const PerTask& mine) const {
    if (mine.weight == 0) return static_cast<u64>(slice_ns_);
    const i64 weight = static_cast<i64>(mine.weight);
    const i64 all = static_cast<i64>(state_->weight);
    REPRISE_CHECK(all > 0);
    const i64 share = std::max(product(slice_ns_ * weight, static_cast<i64>(state_->count)) / all, slice_min_ns_);
    const i64 owed_ns = product(lag(mine), weight) / kNice0;
    return static_cast<u64>(std::max(sum(share, std::clamp(owed_ns, -share, share)), slice_min_ns_));
  }

  const i64 slice_ns_;
  const i64 slice_min_ns_;
  State* state_;
  std::span<PerTask> tasks_;
  SlotHeap waiting_;
  Aging aging_;
};

}  // namespace

extern const PolicyInfo kEevdfUserPolicy;
constinit const PolicyInfo kEevdfUserPolicy = {
    .name = "eevdf_user",
    .summary = "earliest eligible virtual deadline first, as the kernel's own class, in user space",
    .options = kOptions,
    .interests = kInterestRunning,
    .state_bytes = EevdfUser::state_bytes,
    .create = EevdfUser::create,
};

}  // namespace reprise
