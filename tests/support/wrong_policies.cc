// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/wrong_policies.h"

#include <algorithm>
#include <array>

#include "scheduler/core/list.h"

namespace reprise::test {
namespace {

constexpr OptionSpec kOptions[] = {
    {"after", "enqueues", 1, 1'000'000'000, 1, "behaves until it has seen so many"},
};

using Breach = void (*)(Context&, TaskSlot held);

class Wrong final : public Policy {
 public:
  struct State {
    u64 enqueues;
  };

  Wrong(Arena& arena, u64 after, Breach breach)
      : after_(after), breach_(breach), state_(arena.array<State>(1).data()), waiting_(arena) {}

  void enqueue(Context&, TaskSlot task) override {
    state_->enqueues += 1;
    waiting_.push_back(task);
  }
  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      const TaskSlot task = waiting_.pop_front();
      if (state_->enqueues >= after_) {
        breach_(context, task);
      } else {
        context.dispatch(task, kAnyCpu, kNsPerMs, 1);
      }
    }
  }

 private:
  const u64 after_;
  const Breach breach_;
  State* state_;
  SlotList waiting_;
};

std::size_t state_bytes(const Limits& limits) {
  return Arena::bytes<Wrong::State>(1) + SlotList::bytes(limits.max_tasks);
}

template <Breach breach>
constexpr PolicyInfo row(std::string_view name) {
  return {
      .name = name,
      .summary = "breaks the contract",
      .options = kOptions,
      .state_bytes = state_bytes,
      .create = [](Arena& arena, const Limits&, const Options& options) -> Expected<std::unique_ptr<Policy>> {
        return std::make_unique<Wrong>(arena, options.get("after"), breach);
      },
  };
}

void not_held(Context& context, TaskSlot held) { context.dispatch(held == 0 ? 1 : held - 1, kAnyCpu, kNsPerMs, 1); }
void twice(Context& context, TaskSlot held) {
  context.dispatch(held, kAnyCpu, kNsPerMs, 1);
  context.dispatch(held, kAnyCpu, kNsPerMs, 1);
}
void no_such_task(Context& context, TaskSlot) { context.dispatch(kNoTask, kAnyCpu, kNsPerMs, 1); }
void cpu_range(Context& context, TaskSlot held) {
  context.dispatch(held, static_cast<i32>(context.cpus()), kNsPerMs, 1);
}
void cpu_negative(Context& context, TaskSlot held) { context.dispatch(held, -2, kNsPerMs, 1); }
void slice_zero(Context& context, TaskSlot held) { context.dispatch(held, kAnyCpu, 0, 1); }
void unknown_flags(Context& context, TaskSlot held) { context.dispatch(held, kAnyCpu, kNsPerMs, 1, 1u << 31); }
void preempt_any(Context& context, TaskSlot held) { context.dispatch(held, kAnyCpu, kNsPerMs, 1, kDecisionPreempt); }
void preempt_range(Context& context, TaskSlot held) {
  context.dispatch(held, kAnyCpu, kNsPerMs, 1);
  context.preempt(context.cpus());
}

constexpr std::array kWrongPolicies = {
    row<not_held>("not_held"),           row<twice>("twice"),
    row<no_such_task>("no_such_task"),   row<cpu_range>("cpu_range"),
    row<cpu_negative>("cpu_negative"),   row<slice_zero>("slice_zero"),
    row<unknown_flags>("unknown_flags"), row<preempt_any>("preempt_any"),
    row<preempt_range>("preempt_range"),
};

}  // namespace

std::span<const PolicyInfo> wrong_policies() { return kWrongPolicies; }

const PolicyInfo& wrong_policy(std::string_view name) {
  const auto found = std::ranges::find(kWrongPolicies, name, &PolicyInfo::name);
  REPRISE_CHECK(found != kWrongPolicies.end());
  return *found;
}

}  // namespace reprise::test
