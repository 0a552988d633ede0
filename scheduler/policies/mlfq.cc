// SPDX-License-Identifier: GPL-2.0-only
// mlfq: multi-level feedback queue. F. J. Corbato and others, "An Experimental Time-Sharing System", AFIPS 1962; the
// rules as in R. and A. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 8:
//
//   1, 2  a task of a higher level goes first; within a level, first come, first served;
//   3     a new task starts at the highest level;
//   4     who has used up its allotment at a level goes down by one, however often it slept in between: a task cannot
//         stay at the top by giving up the CPU just before its slice ends;
//   5     after each period all tasks are at the highest level again, so nobody starves and who has changed its ways is
//         found out.
//
// Slices double from level to level: who is far down is there because it runs for long. The allotment of a level is
// one slice, more or less by the task's weight.
//
// How it fits a queue ordered by vtime that is filled in advance: the vtime is the number of the period plus the level,
// then the order of arrival. So whoever waits goes up by one level, in relation to those who come later, with each
// period that passes. That is rule 5 for those who wait: they cannot be called back. For those who run it is as it
// stands there.
#include <algorithm>

#include "scheduler/core/check.h"
#include "scheduler/core/list.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/place.h"

namespace reprise {
namespace {

constexpr u32 kArrivalBits = 44;  // of the vtime

constexpr OptionSpec kOptions[] = {
    {"levels", "", 1, 8, 8, "priorities; a new task has the highest"},
    {"slice_us", "us", 100, 100'000, 2'000, "of the highest level; doubles with each level down"},
    {"slice_max_us", "us", 100, 1'000'000, 40'000, "no slice is longer"},
    {"period_us", "us", 10'000, 2'000'000, 500'000, "after which all tasks are at the highest level again"},
};

class Mlfq final : public Policy {
 public:
  struct State {
    u64 arrivals;  // handed down so far
  };
  struct PerTask {
    u64 period;   // in which it was last seen
    u64 used_ns;  // of its allotment at its level
    u32 level;    // 0: the highest
    u32 reserved;
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + Arena::bytes<PerTask>(limits.max_tasks) + SlotList::bytes(limits.max_tasks);
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits&, const Options& options) {
    if (options.get("slice_us") > options.get("slice_max_us"))
      return fail(ExitCode::kUsage, "slice_us is greater than slice_max_us", options.text());
    return std::make_unique<Mlfq>(arena, options);
  }

  Mlfq(Arena& arena, const Options& options)
      : levels_(static_cast<u32>(options.get("levels"))),
        slice_ns_(options.get("slice_us") * kNsPerUs),
        slice_max_ns_(options.get("slice_max_us") * kNsPerUs),
        period_ns_(options.get("period_us") * kNsPerUs),
        state_(arena.array<State>(1).data()),
        tasks_(arena.per_task<PerTask>()),
        waiting_(arena) {}

  void task_exit(Context&, TaskSlot slot) override { tasks_[slot] = {}; }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    PerTask& mine = tasks_[slot];
    const u64 period = context.now_ns() / period_ns_ + 1;
    if (mine.period != period)
      mine = {.period = period, .used_ns = 0, .level = 0, .reserved = 0};  // what it ran before is forgiven
    else
      mine.used_ns += std::min(task.exec_delta_ns, period_ns_);
    while (mine.used_ns >= allotment_ns(mine.level, task.weight) && mine.level + 1 < levels_) {
      mine.used_ns -= allotment_ns(mine.level, task.weight);
      mine.level += 1;
    }
    waiting_.push_back(slot);
  }

  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  // In the order of arrival: the levels are for the queue in the kernel to sort.
  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const TaskSlot slot = waiting_.pop_front();
      const PerTask& mine = tasks_[slot];
      context.dispatch(slot, previous_cpu(context, slot), slice_ns(mine.level),
                       ((mine.period + mine.level) << kArrivalBits) + state_->arrivals++, kDecisionIdle);
    }
  }

 private:
  [[nodiscard]] u64 slice_ns(u32 level) const {
    REPRISE_CHECK(level < levels_);
    return std::min(slice_ns_ << level, slice_max_ns_);
  }
  [[nodiscard]] u64 allotment_ns(u32 level, u32 weight) const {
    return std::max<u64>(slice_ns(level) * weight / kWeightDefault, 1);
  }

  const u32 levels_;
  const u64 slice_ns_;
  const u64 slice_max_ns_;
  const u64 period_ns_;
  State* state_;
  std::span<PerTask> tasks_;
  SlotList waiting_;
};

}  // namespace

extern const PolicyInfo kMlfqPolicy;
constinit const PolicyInfo kMlfqPolicy = {
    .name = "mlfq",
    .summary = "feedback queues: who uses much goes down, all go up again after a period",
    .options = kOptions,
    .state_bytes = Mlfq::state_bytes,
    .create = Mlfq::create,
};

}  // namespace reprise
