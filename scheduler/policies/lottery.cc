// SPDX-License-Identifier: GPL-2.0-only
// lottery: who runs next is drawn by lot, with a task's weight as the number of its tickets. C. A. Waldspurger and W.
// E. Weihl, "Lottery Scheduling: Flexible Proportional-Share Resource Management", OSDI 1994.
//
// How it fits a queue that is filled in advance. Instead of drawing a winner each time a CPU falls idle, each task
// draws the moment at which it would win, on a clock of its own: an exponentially distributed time with its tickets as
// the rate. The smallest of several such times belongs to each task with the probability of its share of the tickets,
// which is the lottery (P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", IPL 2006).
// The distribution has no memory: the times that others have left are as if they had just been drawn, so only who has
// run draws again, from where the clock is then. Newcomers come in the same way. Nothing has to be held back.
//
// The kernel takes the next task before it hands up the one that ran, so none could win twice in a row. How often it
// would have is drawn, too, when it is handed down, and its slice is as many times as long.
//
// To know where the clock is and whose tickets are in the drum, the policy is told of every task that starts and stops.
//
// Compensation tickets (section 3.4 of the paper): who uses only a part of its slice, because it sleeps or is
// preempted, has its tickets multiplied by slice / part for the next draw, else it would get less than its share.
//
// The logarithm is done in integers, bit by bit: the same draws on every machine.
#include <algorithm>
#include <bit>

#include "scheduler/core/list.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/aging.h"
#include "scheduler/policies/place.h"

namespace reprise {
namespace {

constexpr OptionSpec kOptions[] = {
    {"slice_us", "us", 100, 1'000'000, 10'000, "what a winning ticket is worth"},
    {"compensation", "", 1, 1'000, 100, "at most so many times the tickets for who used a part of its slice; 1: none"},
};

constexpr u64 kClockStart = kNsPerSec;
constexpr u32 kFractionBits = 24;
constexpr u64 kWinsMax = 64;  // in a row, and no longer than:
constexpr u64 kRowMax = kNsPerSec;

/// -log2(u / 2^64) in units of 2^-kFractionBits, for u > 0: digit by digit, by squaring.
u64 minus_log2(u64 u) {
  __extension__ using u128 = unsigned __int128;
  const u32 zeros = static_cast<u32>(std::countl_zero(u));
  u64 mantissa = u << zeros;  // 1.0 to 2.0, with the point after the first bit
  u64 fraction = 0;
  for (u32 digit = 0; digit < kFractionBits; ++digit) {
    const u128 square = static_cast<u128>(mantissa) * mantissa;
    const bool two = (square >> 127) != 0;
    fraction = fraction << 1 | static_cast<u64>(two);
    mantissa = static_cast<u64>(two ? square >> 64 : square >> 63);
  }
  return (u64{zeros + 1} << kFractionBits) - fraction;
}

class Lottery final : public Policy {
 public:
  struct State {
    u64 clock;    // the latest moment at which a task has won
    u64 tickets;  // of all tasks that run or wait
    u64 running;  // of those that run
    u64 tasks;    // how many
  };
  struct PerTask {
    u64 won_at;   // on the clock; 0: none drawn yet
    u32 tickets;  // that are in the drum; 0: it sleeps
    u32 running;  // as many while it runs
    u32 kept;     // 1: it was taken back before its turn, and keeps what it drew
    u32 reserved;
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + Arena::bytes<PerTask>(limits.max_tasks) + SlotList::bytes(limits.max_tasks) +
           Aging::bytes();
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits& limits, const Options& options) {
    return std::make_unique<Lottery>(arena, limits, options);
  }

  Lottery(Arena& arena, const Limits& limits, const Options& options)
      : cpus_(limits.cpus),
        slice_ns_(options.get("slice_us") * kNsPerUs),
        compensation_(options.get("compensation")),
        state_(arena.array<State>(1).data()),
        tasks_(arena.per_task<PerTask>()),
        waiting_(arena),
        aging_(arena, kClockStart) {
    state_->clock = kClockStart;
  }

  void task_exit(Context&, TaskSlot slot) override {
    put_tickets(tasks_[slot], 0);
    runs(tasks_[slot], false);
    tasks_[slot] = {};
  }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    runs(tasks_[slot], false);
    put_tickets(tasks_[slot], task.weight);
    tasks_[slot].kept = task.exec_delta_ns == 0 && tasks_[slot].won_at != 0;
    waiting_.push_back(slot);
  }

  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  void running(Context&, TaskSlot slot, const Event&) override {
    runs(tasks_[slot], true);
    const u64 won_at = tasks_[slot].won_at;
    if (won_at != 0 && before(state_->clock, won_at)) state_->clock = won_at;
  }

  void stopping(Context&, TaskSlot slot, const Event& event) override {
    runs(tasks_[slot], false);
    if (event.stopping.runnable == 0) put_tickets(tasks_[slot], 0);
  }

  // Drawn here and not in `enqueue`: by now it is known who has won meanwhile.
  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const TaskSlot slot = waiting_.pop_front();
      PerTask& mine = tasks_[slot];
      if (mine.kept == 0 || before(mine.won_at, state_->clock)) mine.won_at = draw(context, context.task(slot));
      context.dispatch(slot, previous_cpu(context, slot), stretch_ns(context, mine),
                       aging_.vtime(context.now_ns(), mine.won_at), kDecisionIdle);
    }
  }

 private:
  void put_tickets(PerTask& mine, u32 tickets) {
    state_->tickets += u64{tickets} - mine.tickets;
    state_->tasks += u64{tickets != 0} - u64{mine.tickets != 0};
    mine.tickets = tickets;
  }

  void runs(PerTask& mine, bool now) {
    const u32 tickets = now ? mine.tickets : 0;
    state_->running += u64{tickets} - mine.running;
    mine.running = tickets;
  }

  // In units of which a task of default weight waits for 2^kFractionBits / ln 2 on the average.
  [[nodiscard]] u64 draw(Context& context, const Task& task) const {
    __extension__ using u128 = unsigned __int128;
    const u64 time = minus_log2(context.random() | 1) * kWeightDefault / task.weight;
    const u64 used_ns = task.exec_delta_ns > 0 ? task.exec_delta_ns : slice_ns_;
    const u64 part_ns = std::clamp(used_ns, slice_ns_ / compensation_, slice_ns_);
    return state_->clock + std::max<u64>(static_cast<u64>(static_cast<u128>(time) * part_ns / slice_ns_), 1);
  }

  // At the end of a slice it competes with those who wait now and one of those who run now.
  [[nodiscard]] u64 stretch_ns(Context& context, const PerTask& mine) const {
    if (state_->tasks <= cpus_ || state_->tasks < 2) return slice_ns_;
    const u64 others = state_->tickets - state_->running - mine.tickets + state_->running / cpus_;
    u64 wins = 1;
    while (wins < kWinsMax && (context.random() >> 40) * (mine.tickets + others) < u64{mine.tickets} << 24) ++wins;
    return std::max(std::min(wins * slice_ns_, kRowMax), slice_ns_);
  }

  const u64 cpus_;
  const u64 slice_ns_;
  const u64 compensation_;
  State* state_;
  std::span<PerTask> tasks_;
  SlotList waiting_;
  Aging aging_;
};

}  // namespace

extern const PolicyInfo kLotteryPolicy;
constinit const PolicyInfo kLotteryPolicy = {
    .name = "lottery",
    .summary = "drawn by lot, a task's weight being its number of tickets; from --seed",
    .options = kOptions,
    .interests = kInterestRunning,
    .state_bytes = Lottery::state_bytes,
    .create = Lottery::create,
};

}  // namespace reprise
