// SPDX-License-Identifier: GPL-2.0-only
// edf: earliest deadline first. C. L. Liu and J. W. Layland, "Scheduling Algorithms for Multiprogramming in a
// Hard-Real-Time Environment", JACM 1973. Over all CPUs, with preemption.
//
// A job begins when a task wakes, and its deadline is when the next one is due: the paper's tasks are periodic and must
// be done by the end of their period. Nobody tells us periods, so they are measured: the average of what a task runs
// and sleeps from one wakeup to the next, between shortest_us and longest_us. What it waits for a CPU does not count,
// or who is late would be given ever more time. A task that is not known yet has the longest.
//
// A job that has used a slice, or is not done at its deadline, gets another deadline, a period from then: a task that
// never sleeps has a slice in each longest_us and the rest of the time is behind the others (the constant bandwidth
// server: L. Abeni and G. Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems", RTSS 1998).
// Deadlines are moments in time, and new ones lie in the future: whoever waits is the earliest sooner or later, and
// nobody starves. Under overload edf shares nothing fairly, and it knows no weights; admission control is not its
// business here.
//
// Preemption. A task that wakes when no CPU is idle takes the CPU of the task with the latest deadline that is running
// where it may run, if its own is earlier by a margin. For that the policy is told of every task that starts and stops.
#include <algorithm>

#include "scheduler/core/heap.h"
#include "scheduler/core/policy.h"
#include "scheduler/policies/place.h"

namespace reprise {
namespace {

constexpr OptionSpec kOptions[] = {
    {"slice_us", "us", 100, 1'000'000, 10'000, "how long a job may run before it gets another deadline"},
    {"shortest_us", "us", 100, 1'000'000, 1'000, "from a wakeup to the deadline, at least"},
    {"longest_us", "us", 1'000, 10'000'000, 100'000, "... at most, and for tasks that do not sleep"},
    {"preempt", "0|1", 0, 1, 1, "1: an early deadline takes a CPU from a late one"},
    {"margin_us", "us", 0, 1'000'000, 500, "earlier by so much, or no CPU is taken away"},
};

class Edf final : public Policy {
 public:
  struct PerTask {
    u64 deadline_ns;
    u64 period_ns;  // average; 0: not known yet
    u64 ran_ns;     // of its present job
    u64 used_ns;    // since its deadline was set
    u32 woke;       // 1: a job of it has begun before
    u32 reserved;
  };
  struct Cpu {
    u64 deadline_ns;  // of the task that runs there
    u32 runs;         // its slot and one more; 0: nothing that we know of
    u32 reserved;
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<PerTask>(limits.max_tasks) + Arena::bytes<Cpu>(limits.cpus) + SlotHeap::bytes(limits.max_tasks);
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits& limits, const Options& options) {
    if (options.get("shortest_us") > options.get("longest_us"))
      return fail(ExitCode::kUsage, "shortest_us is greater than longest_us", options.text());
    return std::make_unique<Edf>(arena, limits, options);
  }

  Edf(Arena& arena, const Limits& limits, const Options& options)
      : slice_ns_(options.get("slice_us") * kNsPerUs),
        shortest_ns_(options.get("shortest_us") * kNsPerUs),
        longest_ns_(options.get("longest_us") * kNsPerUs),
        margin_ns_(options.get("margin_us") * kNsPerUs),
        preempts_(options.get("preempt") != 0),
        tasks_(arena.per_task<PerTask>()),
        cpus_(arena.array<Cpu>(limits.cpus)),
        waiting_(arena) {}

  void task_exit(Context&, TaskSlot slot) override { tasks_[slot] = {}; }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    PerTask& mine = tasks_[slot];
    const u64 now_ns = context.now_ns();
    mine.ran_ns += std::min(task.exec_delta_ns, longest_ns_);
    if (task.woken()) {
      if (mine.woke != 0) measure(mine, mine.ran_ns + std::min(task.slept_ns(), longest_ns_));
      mine.woke = 1;
      mine.ran_ns = 0;
    }
    mine.used_ns += std::min(task.exec_delta_ns, slice_ns_);
    if (task.woken() || mine.used_ns >= slice_ns_ || now_ns >= mine.deadline_ns) {
      mine.used_ns = 0;
      mine.deadline_ns = now_ns + (mine.period_ns == 0 ? longest_ns_ : mine.period_ns);
    }
    waiting_.push(slot, mine.deadline_ns);
  }

  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  void running(Context&, TaskSlot slot, const Event& event) override {
    cpus_[event.cpu] = {.deadline_ns = tasks_[slot].deadline_ns, .runs = slot + 1, .reserved = 0};
  }

  void stopping(Context&, TaskSlot slot, const Event& event) override {
    if (cpus_[event.cpu].runs == slot + 1) cpus_[event.cpu] = {};
  }

  void dispatch(Context& context) override {
    u32 idle = context.idle_cpus();
    while (!waiting_.empty() && context.room() > 0) {
      const SlotHeap::Entry first = waiting_.pop();
      if (idle > 0) {
        --idle;
      } else if (const i32 victim = latest(context, first.slot, first.key); victim != kAnyCpu) {
        cpus_[static_cast<u32>(victim)] = {.deadline_ns = first.key, .runs = first.slot + 1, .reserved = 0};
        context.dispatch(first.slot, victim, slice_ns_, first.key, kDecisionPreempt);
        continue;
      }
      context.dispatch(first.slot, previous_cpu(context, first.slot), slice_ns_, first.key, kDecisionIdle);
    }
  }

 private:
  void measure(PerTask& mine, u64 interval_ns) const {
    const u64 average = mine.period_ns == 0 ? interval_ns : mine.period_ns - mine.period_ns / 4 + interval_ns / 4;
    mine.period_ns = std::clamp(average, shortest_ns_, longest_ns_);
  }

  /// The CPU that runs the latest deadline, if that is later than this one by the margin.
  [[nodiscard]] i32 latest(const Context& context, TaskSlot slot, u64 deadline_ns) const {
    if (!preempts_ || !context.task(slot).woken()) return kAnyCpu;
    i32 latest = kAnyCpu;
    u64 latest_ns = deadline_ns + margin_ns_;
    for (u32 cpu = 0; cpu < cpus_.size(); ++cpu) {
      if (cpus_[cpu].runs == 0 || !before(latest_ns, cpus_[cpu].deadline_ns) || !context.allowed(slot, cpu)) continue;
      latest = static_cast<i32>(cpu);
      latest_ns = cpus_[cpu].deadline_ns;
    }
    return latest;
  }

  const u64 slice_ns_;
  const u64 shortest_ns_;
  const u64 longest_ns_;
  const u64 margin_ns_;
  const bool preempts_;
  std::span<PerTask> tasks_;
  std::span<Cpu> cpus_;
  SlotHeap waiting_;
};

}  // namespace

extern const PolicyInfo kEdfPolicy;
constinit const PolicyInfo kEdfPolicy = {
    .name = "edf",
    .summary = "earliest deadline first, which is when the task is due to wake again; preempts",
    .options = kOptions,
    .interests = kInterestRunning,
    .state_bytes = Edf::state_bytes,
    .create = Edf::create,
};

}  // namespace reprise
