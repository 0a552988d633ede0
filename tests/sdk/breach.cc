// SPDX-License-Identifier: GPL-2.0-only
// A policy that breaks the contract in a way that is chosen: what the engine must catch wherever it runs.
#include "scheduler/core/list.h"
#include "scheduler/core/module.h"

namespace {

using namespace reprise;

constexpr OptionSpec kOptions[] = {
    {"how", "", 1, 3, 1, "1 hands a task down twice, 2 one that it does not hold, 3 to a CPU that there is not"},
};

class Breach final : public Policy {
 public:
  static std::size_t state_bytes(const Limits& limits) { return SlotList::bytes(limits.max_tasks); }

  Breach(Arena& arena, const Limits& limits, const Options& options)
      : how_(options.get("how")), last_slot_(limits.max_tasks - 1), waiting_(arena) {}

  void enqueue(Context&, TaskSlot task) override { waiting_.push_back(task); }
  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 1) {
      const TaskSlot task = waiting_.pop_front();
      if (how_ == 2) context.dispatch(last_slot_, kAnyCpu, kNsPerMs, 1);
      context.dispatch(task, how_ == 3 ? static_cast<i32>(context.cpus()) : kAnyCpu, kNsPerMs, 1);
      if (how_ == 1) context.dispatch(task, kAnyCpu, kNsPerMs, 1);
    }
  }

 private:
  const u64 how_;
  const TaskSlot last_slot_;
  SlotList waiting_;
};

constinit const PolicyInfo kBreachPolicy = {
    .name = "breach",
    .summary = "breaks the contract",
    .options = kOptions,
    .interests = 0,
    .state_bytes = Breach::state_bytes,
    .create = [](Arena& arena, const Limits& limits, const Options& options) -> Expected<std::unique_ptr<Policy>> {
      return std::make_unique<Breach>(arena, limits, options);
    },
};

}  // namespace

REPRISE_POLICY(kBreachPolicy);
