// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/planned_policy.h"

#include <vector>

#include "scheduler/core/list.h"

namespace reprise::test {
namespace {

thread_local Plan plan_now;

class Planned final : public Policy {
 public:
  explicit Planned(Arena& arena) : waiting_(arena) {}
  void enqueue(Context&, TaskSlot task) override { waiting_.push_back(task); }
  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }
  void dispatch(Context& context) override {
    for (u32 left = waiting_.size(); left > 0 && context.room() > 0; --left) {
      const TaskSlot task = waiting_.pop_front();
      const std::optional<Verdict> verdict = plan_now(context, task);
      if (verdict)
        context.dispatch(task, verdict->cpu, verdict->slice_ns, verdict->vtime, verdict->flags);
      else
        waiting_.push_back(task);
    }
  }

 private:
  SlotList waiting_;
};

constexpr PolicyInfo kPlanned = {
    .name = "planned",
    .summary = "does what a test says",
    .options = {},
    .state_bytes = [](const Limits& limits) { return SlotList::bytes(limits.max_tasks); },
    .create = [](Arena& arena, const Limits&, const Options&) -> Expected<std::unique_ptr<Policy>> {
      return std::make_unique<Planned>(arena);
    },
};

}  // namespace

const PolicyInfo& planned(Plan plan) {
  plan_now = std::move(plan);
  return kPlanned;
}

}  // namespace reprise::test
