// SPDX-License-Identifier: GPL-2.0-only
// fifo: first come, first served. The smallest policy there is, and the one to copy when you write your own.
//
// How a policy works. The kernel hands a task up whenever it becomes runnable. From then on the policy *holds* it: the
// task runs when, and only when, the policy hands it back down.
//
//   enqueue(task)   the policy now holds the task. Note it down.
//   dequeue(task)   the kernel took the task back (it exits, or its affinity changed). Forget it; if it becomes
//                   runnable again, there will be another enqueue.
//   dispatch()      once at the end of each step, and a step is one batch of events. Hand down what should run
//                   next, with a slice (how long it may run before it is handed up again) and a vtime.
//
// What to do with more tasks than CPUs? Hand them all down. The dispatcher in the kernel keeps them in a queue ordered
// by vtime, smallest first, and a CPU that falls idle takes the first one that it may run, without asking user space
// again. So the policy decides the *order*, in advance, and the vtime says it: here it is a number that counts up.
// A policy that holds tasks back instead has to be awake when a CPU falls idle, and pays a round trip for that.
//
// context.room() says how many decisions the way down can take in this step. What found no room stays here; there will
// be another step.
//
// Where the state is. All that a policy remembers lies in memory from the Arena: plain structs of integers without
// pointers. That memory is hashed, stored and compared; it is what makes a recorded run replay exactly. SlotList
// (scheduler/core/list.h) and SlotHeap (heap.h) are queues that live there. Member variables such as slice_ns_ may
// hold what never changes after construction, and nothing else.
//
// Three things make it a policy that users can choose: the class, the PolicyInfo at the end of this file, and its row
// in table.cc.
#include "scheduler/core/list.h"
#include "scheduler/core/policy.h"

namespace reprise {
namespace {

// The default slice: long against the cost of a decision (some 10 us for the way up and down, so below 1 %), short
// against the patience of a user (with 10 runnable tasks per CPU each one gets its turn every 200 ms).
constexpr OptionSpec kOptions[] = {
    {"slice_us", "us", 100, 1'000'000, 20'000, "how long a task may run before the next one's turn"},
};

class Fifo final : public Policy {
 public:
  struct State {
    u64 dispatched;  // so far; the vtime of the next one
  };

  static std::size_t state_bytes(const Limits& limits) {
    return Arena::bytes<State>(1) + SlotList::bytes(limits.max_tasks);
  }

  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits&, const Options& options) {
    return std::make_unique<Fifo>(arena, options);
  }

  Fifo(Arena& arena, const Options& options)
      : slice_ns_(options.get("slice_us") * kNsPerUs), state_(arena.array<State>(1).data()), waiting_(arena) {}

  void enqueue(Context&, TaskSlot task) override { waiting_.push_back(task); }

  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }

  void dispatch(Context& context) override {
    while (!waiting_.empty() && context.room() > 0) {
      context.dispatch(waiting_.pop_front(), kAnyCpu, slice_ns_, state_->dispatched++);
    }
  }

 private:
  const u64 slice_ns_;
  State* state_;
  SlotList waiting_;
};

}  // namespace

extern const PolicyInfo kFifoPolicy;
constinit const PolicyInfo kFifoPolicy = {
    .name = "fifo",
    .summary = "first come, first served; the template for a policy of your own",
    .options = kOptions,
    .state_bytes = Fifo::state_bytes,
    .create = Fifo::create,
};

}  // namespace reprise
