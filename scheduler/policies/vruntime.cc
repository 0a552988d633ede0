// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/policies/vruntime.h"

#include "scheduler/policies/place.h"

namespace reprise {

void Vruntime::task_exit(Context&, TaskSlot slot) { time_.forget(slot); }

void Vruntime::enqueue(Context& context, TaskSlot slot) {
  const Task& task = context.task(slot);
  time_.advance(context.now_ns());
  time_.enqueue(slot, task, debit_ns(task));
  waiting_.push(slot, time_.deadline(slot, task, burst_ns(slot, task)));
}

void Vruntime::dequeue(Context&, TaskSlot slot) { waiting_.remove(slot); }

void Vruntime::dispatch(Context& context) {
  while (!waiting_.empty() && context.room() > 0) {
    const SlotHeap::Entry first = waiting_.pop();
    const Task& task = context.task(first.slot);
    const u64 vtime = time_.hand_down(first.key);
    context.dispatch(first.slot, previous_cpu(context, first.slot), slice_ns(first.slot, task), vtime, kDecisionIdle);
  }
}

extern const PolicyInfo kVruntimePolicy;
constinit const PolicyInfo kVruntimePolicy = {
    .name = "vruntime",
    .summary = "CPU time by weight; early deadlines for tasks that need little",
    .options = VirtualTime::kOptions,
    .state_bytes = Vruntime::state_bytes,
    .create = [](Arena& arena, const Limits& limits, const Options& options) -> Expected<std::unique_ptr<Policy>> {
      const Expected<VirtualTime::Config> config = VirtualTime::config(options);
      if (!config) return std::unexpected(config.error());
      return std::make_unique<Vruntime>(arena, limits, *config);
    },
};

}  // namespace reprise
