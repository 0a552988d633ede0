// SPDX-License-Identifier: GPL-2.0-only
// mine: a policy of your own. As it stands it prefers tasks that ran shortly the last time. The rules:
// scheduler/core/policy.h, which is short. In a few words:
//
//   enqueue(task)   the task is runnable and you hold it until you hand it down.
//   dequeue(task)   the kernel took it back. Forget it.
//   dispatch()      at the end of each batch of events: hand down, while there is room. The vtime orders the queue in
//                   the kernel, smallest first; a CPU that falls idle takes the first task that it may run.
//
// All that you remember lies in memory from the Arena: plain structs of integers. Time is context.now_ns(), randomness
// context.random(), and there is nothing else to ask. Break ties by slot. What a task ran is Task::exec_delta_ns.
#include "scheduler/core/list.h"
#include "scheduler/core/module.h"

namespace {

using namespace reprise;

constexpr OptionSpec kOptions[] = {
    // name, unit, least, most, default, what it is
    {"slice_us", "us", 100, 1'000'000, 10'000, "how long a task may run before the next one's turn"},
};

class Mine final : public Policy {
 public:
  // Say how many bytes the constructor takes from the arena.
  static std::size_t state_bytes(const Limits& limits) { return SlotList::bytes(limits.max_tasks); }

  Mine(Arena& arena, const Options& options) : slice_ns_(options.get("slice_us") * kNsPerUs), waiting_(arena) {}

  void enqueue(Context&, TaskSlot task) override { waiting_.push_back(task); }

  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const TaskSlot task = waiting_.pop_front();
      // The present time as its base keeps a long burst from waiting for ever.
      const u64 vtime = context.now_ns() + context.task(task).exec_delta_ns;
      context.dispatch(task, kAnyCpu, slice_ns_, vtime);
    }
  }

 private:
  const u64 slice_ns_;  // members hold what never changes after construction
  SlotList waiting_;
};

constinit const PolicyInfo kMinePolicy = {
    .name = "mine",
    .summary = "the shortest burst first",
    .options = kOptions,
    .interests = 0,  // kInterestRunning: be told of every start and stop, too
    .state_bytes = Mine::state_bytes,
    .create = [](Arena& arena, const Limits&, const Options& options) -> Expected<std::unique_ptr<Policy>> {
      return std::make_unique<Mine>(arena, options);
    },
};

}  // namespace

REPRISE_POLICY(kMinePolicy);
