// SPDX-License-Identifier: GPL-2.0-only
// What a decision costs: Engine::step with as many tasks queued as the case says. Each step brings a batch of enqueues
// and has room for as many decisions, so the depth of the queue stays the same.
#include <benchmark/benchmark.h>

#include <vector>

#include "scheduler/core/engine.h"
#include "scheduler/policies/table.h"
#include "tests/support/events.h"

namespace reprise {
namespace {

constexpr u32 kCpus = 64;

class Bench {
 public:
  Bench(std::string_view policy, u32 queued, u32 batch) : batch_(batch), random_(Prng::seeded(1)) {
    const Expected<PolicySpec> spec = parse_policy(policy);
    REPRISE_CHECK(spec.has_value());
    const Limits limits{kCpus, queued + batch};
    engine_ = std::move(*Engine::create({.limits = limits, .seed = 1}, *spec->info, spec->options));
    exec_ns_.resize(limits.max_tasks);
    std::vector<Event> events;
    for (TaskSlot slot = 0; slot < limits.max_tasks; ++slot) {
      events.push_back(test::task_new(slot, static_cast<u32>(random_.between(20, 500))));
      events.push_back(next_enqueue(slot));
      if (events.size() == kMaxEventsPerStep || slot + 1 == limits.max_tasks) step(std::exchange(events, {}), 0);
    }
    step({}, batch);
  }

  /// The tasks of the last decisions come back, and as many others are handed down.
  void round() {
    events_.clear();
    for (const Decision& decision : output_.decisions()) events_.push_back(next_enqueue(decision.task));
    step(events_, batch_);
    REPRISE_CHECK(output_.decision_count == batch_);
  }

  Engine& engine() { return *engine_; }

 private:
  Event next_enqueue(TaskSlot slot) {
    const bool sleepy = slot % 2 == 0;
    exec_ns_[slot] += random_.between(10'000, sleepy ? 500'000 : 20'000'000);
    Event made = test::enqueue(slot, 1, exec_ns_[slot], sleepy ? kEnqueueWakeup : kEnqueueSliceEnd, 100);
    made.enqueue.prev_cpu = static_cast<i32>(slot % kCpus);
    return made;
  }

  void step(std::span<const Event> events, u32 room) {
    now_ns_ += 50'000;
    const StepInput input{.number = ++number_, .now_ns = now_ns_, .events = events, .room = room};
    REPRISE_CHECK(engine_->step(input, output_).has_value());
  }

  u32 batch_;
  Prng random_;
  std::unique_ptr<Engine> engine_;
  std::vector<u64> exec_ns_;
  std::vector<Event> events_;
  StepOutput output_;
  u64 number_ = 0;
  u64 now_ns_ = kNsPerSec;
};

void step(benchmark::State& state, const char* policy) {
  const u32 batch = static_cast<u32>(state.range(1));
  Bench bench(policy, static_cast<u32>(state.range(0)), batch);
  for (int i = 0; i < 1000; ++i) bench.round();
  for (auto _ : state) bench.round();
  state.SetItemsProcessed(state.iterations() * batch);  // decisions
  state.counters["bytes_per_task"] =
      static_cast<double>(bench.engine().memory().size()) / static_cast<double>(bench.engine().limits().max_tasks);
}

void state_hash(benchmark::State& state) {
  Bench bench("vruntime", static_cast<u32>(state.range(0)), 8);
  for (auto _ : state) benchmark::DoNotOptimize(bench.engine().state_hash());
}

void snapshot(benchmark::State& state) {
  Bench bench("vruntime", static_cast<u32>(state.range(0)), 8);
  std::vector<std::byte> bytes;
  for (auto _ : state) bench.engine().snapshot(bytes);
  state.counters["bytes"] = static_cast<double>(bytes.size());
}

BENCHMARK_CAPTURE(step, vruntime, "vruntime")
    ->ArgNames({"queued", "batch"})
    ->ArgsProduct({{10, 100, 1'000, 10'000, 100'000}, {1, 8, 64}});
BENCHMARK_CAPTURE(step, newcomer, "newcomer")->ArgNames({"queued", "batch"})->ArgsProduct({{1'000}, {8}});
BENCHMARK_CAPTURE(step, fifo, "fifo")->ArgNames({"queued", "batch"})->ArgsProduct({{10, 1'000, 100'000}, {8}});
BENCHMARK(state_hash)->ArgName("tasks")->Arg(100)->Arg(1'000)->Arg(10'000)->Arg(100'000);
BENCHMARK(snapshot)->ArgName("tasks")->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace reprise
