// SPDX-License-Identifier: GPL-2.0-only
// central_fifo_preempt: one first-in-first-out queue for all CPUs, and no task stays on a CPU beyond a slice while
// others wait. K. Kaffes and others, "Shinjuku: Preemptive Scheduling for microsecond-scale Tail Latency", NSDI 2019;
// as a ghOSt policy in J. T. Humphries and others, "ghOSt: Fast & Flexible User-Space Delegation of Linux Scheduling",
// SOSP 2021, section 4.2. It is for requests of which a few are long: those who are short do not wait behind these.
//
// The kernel ends slices at its ticks only, some ms apart. A slice shorter than that ends here: the policy is told of
// every task that starts and stops, asks to be woken when the first slice ends (Context::wake_at), and preempts the CPU
// then (Context::preempt), but only while somebody waits.
//
// Who has used a slice goes to the end of the queue. Who was preempted before, because the scheduler itself needed
// the CPU, keeps its place and goes on with what is left.
//
// ghOSt's agent spins on a CPU of its own. Here the scheduler is a task like any other, so waking it at the end of a
// slice takes a CPU from a task, on a machine with one CPU from the very one that is to be preempted.
#include <algorithm>

#include "scheduler/core/list.h"
#include "scheduler/core/policy.h"

namespace reprise {
namespace {

constexpr OptionSpec kOptions[] = {
    {"slice_us", "us", 50, 1'000'000, 1'000, "longest stay on a CPU while others wait"},
};

// Less than this part of a slice is not worth another turn.
constexpr u64 kRest = 8;

class CentralFifoPreempt final : public Policy {
 public:
  struct State {
    u64 arrivals;  // the number of the next place in the queue
    u32 waiting;   // tasks that were handed down and do not run yet
    u32 reserved;
  };
  struct PerTask {
    u64 place;    // in the queue
    u64 used_ns;  // of its slice
    u32 waits;    // 1: handed down, does not run yet
    u32 has_place;
  };
  struct Cpu {
    u64 until_ns;   // the end of the slice
    u32 runs;       // its slot and one more; 0: nothing that we know of
    u32 preempted;  // 1: has been asked to choose again
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + Arena::bytes<PerTask>(limits.max_tasks) + Arena::bytes<Cpu>(limits.cpus) +
           SlotList::bytes(limits.max_tasks);
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits& limits, const Options& options) {
    return std::make_unique<CentralFifoPreempt>(arena, limits, options);
  }

  CentralFifoPreempt(Arena& arena, const Limits& limits, const Options& options)
      : slice_ns_(options.get("slice_us") * kNsPerUs),
        state_(arena.array<State>(1).data()),
        tasks_(arena.per_task<PerTask>()),
        cpus_(arena.array<Cpu>(limits.cpus)),
        waiting_(arena) {}

  void task_exit(Context&, TaskSlot slot) override {
    waits(slot, false);
    tasks_[slot] = {};
  }

  void enqueue(Context& context, TaskSlot slot) override {
    const Task& task = context.task(slot);
    PerTask& mine = tasks_[slot];
    waits(slot, false);
    mine.used_ns += std::min(task.exec_delta_ns, slice_ns_);
    if (mine.has_place == 0 || task.woken() || mine.used_ns + slice_ns_ / kRest >= slice_ns_)
      mine = {.place = state_->arrivals++, .used_ns = 0, .waits = 0, .has_place = 1};
    waiting_.push_back(slot);
  }

  void dequeue(Context&, TaskSlot slot) override { waiting_.remove(slot); }

  void running(Context& context, TaskSlot slot, const Event& event) override {
    waits(slot, false);
    // Not later than now, whatever the event says.
    const u64 since_ns = std::min(event.time_ns, context.now_ns());
    cpus_[event.cpu] = {.until_ns = since_ns + slice_ns_ - tasks_[slot].used_ns, .runs = slot + 1, .preempted = 0};
  }

  void stopping(Context&, TaskSlot slot, const Event& event) override {
    if (cpus_[event.cpu].runs == slot + 1) cpus_[event.cpu] = {};
  }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const TaskSlot slot = waiting_.pop_front();
      context.dispatch(slot, kAnyCpu, slice_ns_ - tasks_[slot].used_ns, tasks_[slot].place);
      waits(slot, true);
    }
    if (state_->waiting > 0) end_slices(context);
  }

 private:
  void end_slices(Context& context) {
    u64 next_ns = ~u64{0};
    for (u32 cpu = 0; cpu < cpus_.size(); ++cpu) {
      Cpu& it = cpus_[cpu];
      if (it.runs == 0 || it.preempted != 0) continue;
      if (context.now_ns() < it.until_ns)
        next_ns = std::min(next_ns, it.until_ns);
      else
        it.preempted = context.preempt(cpu);
    }
    if (next_ns != ~u64{0}) context.wake_at(next_ns);
  }

  void waits(TaskSlot slot, bool now) {
    PerTask& mine = tasks_[slot];
    state_->waiting += u32{now} - mine.waits;
    mine.waits = now;
  }

  const u64 slice_ns_;
  State* state_;
  std::span<PerTask> tasks_;
  std::span<Cpu> cpus_;
  SlotList waiting_;
};

}  // namespace

extern const PolicyInfo kCentralFifoPreemptPolicy;
constinit const PolicyInfo kCentralFifoPreemptPolicy = {
    .name = "central_fifo_preempt",
    .summary = "one queue for all CPUs, slices shorter than a tick, preempted while others wait",
    .options = kOptions,
    .interests = kInterestRunning,
    .state_bytes = CentralFifoPreempt::state_bytes,
    .create = CentralFifoPreempt::create,
};

}  // namespace reprise
