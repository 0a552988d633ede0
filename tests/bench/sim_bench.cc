// SPDX-License-Identifier: GPL-2.0-only
// The simulator's speed: wakeups and switches per second on one core, dispatcher, engine and policy included.
// Counters: `events/s`; `ns` per event; `allocations` per event after the first tenth; `bytes/task` of the kernel
// model.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <bit>

#include "scheduler/policies/table.h"
#include "sim/run/from_trace.h"
#include "sim/run/run.h"
#include "sim/workload/generate.h"
#include "tests/sim/loads.h"
#include "tests/support/allocation_counter.h"

namespace reprise::test {
namespace {

void report(benchmark::State& state, sim::KernelModel& kernel, u64 step_ns) {
  const auto events = [&] { return kernel.counters().wakeups + kernel.counters().switches; };
  u64 until = kernel.now() + 20 * step_ns;
  if (!kernel.run_until(until)) return state.SkipWithError("the simulation failed");
  const u64 before = events(), allocated = allocations();
  for (auto _ : state) {
    until += step_ns;
    if (!kernel.run_until(until)) return state.SkipWithError("the simulation failed");
  }
  const double count = static_cast<double>(events() - before);
  state.SetItemsProcessed(static_cast<i64>(count));
  state.counters["ns"] = benchmark::Counter(count * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["allocations"] = static_cast<double>(allocations() - allocated) / count;
  state.counters["bytes/task"] = static_cast<double>(kernel.bytes_per_task());
  state.counters["inner/event"] = static_cast<double>(kernel.counters().events) / static_cast<double>(events());
  state.counters["steps/event"] = static_cast<double>(kernel.counters().steps) / static_cast<double>(events());
}

const char* const kPolicies[] = {"fifo", "vruntime", "newcomer", "eevdf"};

// hackbench: groups of five senders and five receivers. Arguments: policy, CPUs, tasks, simulated time per iteration.
void hackbench(benchmark::State& state) {
  const u32 tasks = static_cast<u32>(state.range(2));
  sim::SimOptions options = machine_of(static_cast<u32>(state.range(1)), kPolicies[state.range(0)]);
  options.max_tasks = tasks + 16;
  Load load(1);
  auto kernel = sim::KernelModel::create(options, load);
  if (!kernel) return state.SkipWithError("no kernel");
  // One thread schedules the whole machine: what many CPUs do must be coarse enough for it, or they idle.
  load.groups(**kernel, tasks / 10, 5, state.range(1) > 64 ? 400'000 : 2'000, true);
  report(state, **kernel, static_cast<u64>(state.range(3)) * kNsPerUs);
  state.SetLabel(kPolicies[state.range(0)]);
}

void ping_pong(benchmark::State& state) {
  sim::SimOptions options = machine_of(static_cast<u32>(state.range(1)), kPolicies[state.range(0)]);
  Load load(1);
  auto kernel = sim::KernelModel::create(options, load);
  if (!kernel) return state.SkipWithError("no kernel");
  for (int i = 0; i < 50; ++i) load.ping_pong(**kernel, 2'000);
  report(state, **kernel, kNsPerMs);
  state.SetLabel(kPolicies[state.range(0)]);
}

// The recorded hackbench, simulated from its trace: all of `run`, from an empty machine to the metrics.
void sample(benchmark::State& state, const char* file) {
  static const auto recorded = sim::from_trace(std::string(REPRISE_SOURCE_DIR "/traces/samples/") + file);
  if (!recorded) return state.SkipWithError("the sample cannot be simulated");
  sim::RunOptions options;
  options.machine = recorded->machine;
  const std::string_view policy = kPolicies[state.range(0)];
  options.machine.policy = policy == "eevdf" ? nullptr : *find_policy(policy);
  u64 events = 0, inner = 0, ops = 0;
  for (auto _ : state) {
    const auto result = sim::run(recorded->program, options);
    if (!result) return state.SkipWithError("the simulation failed");
    events += result->events;
    inner += result->counters.events;
    ops += result->workload.takes + result->workload.posts;
  }
  const double count = static_cast<double>(events);
  state.SetItemsProcessed(static_cast<i64>(events));
  state.counters["ns"] = benchmark::Counter(count * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["inner/event"] = static_cast<double>(inner) / count;
  state.counters["calls/event"] = static_cast<double>(ops) / count;
  state.SetLabel(std::string(policy));
}

class Measured final : public sim::EventSink {
 public:
  explicit Measured(u32 cpus) : builder_(cpus) {}
  void event(const trace::KernelEvent& e) override { builder_.event(e); }

 private:
  sim::MetricsBuilder builder_;
};

// The same without what comes before and after: only the loop over events, metrics included.
void sample_loop(benchmark::State& state, const char* file) {
  constexpr u64 kLookNs = 10 * kNsPerMs;
  const auto recorded = sim::from_trace(std::string(REPRISE_SOURCE_DIR "/traces/samples/") + file);
  if (!recorded) return state.SkipWithError("the sample cannot be simulated");
  sim::SimOptions machine = recorded->machine;
  const std::string_view policy = kPolicies[state.range(0)];
  machine.policy = policy == "eevdf" ? nullptr : *find_policy(policy);
  u64 events = 0;
  for (auto _ : state) {
    state.PauseTiming();
    {
      sim::Workload workload(recorded->program);
      Measured measured(machine.topology.size());
      auto kernel = sim::KernelModel::create(machine, workload, &measured);
      if (!kernel) return state.SkipWithError("no kernel");
      workload.begin(**kernel);
      state.ResumeTiming();
      while (!workload.finished()) {
        if (!(*kernel)->run_until((*kernel)->now() + kLookNs)) return state.SkipWithError("the simulation failed");
        if (!workload.finished() && (*kernel)->quiet() && !workload.relieve(**kernel)) break;
      }
      state.PauseTiming();
      events += (*kernel)->counters().wakeups + (*kernel)->counters().switches;
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<i64>(events));
  state.counters["ns"] =
      benchmark::Counter(static_cast<double>(events) * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetLabel(std::string(policy));
}

// So many tasks that sleep: what one of them takes of memory, all in all.
void memory(benchmark::State& state) {
  const u32 tasks = static_cast<u32>(state.range(0));
  const sim::Program program =
      sim::generate(sim::Sleepers{.tasks = tasks, .rounds = 1, .sleep_ns_min = kNsPerSec, .sleep_ns_max = kNsPerSec},
                    Prng::seeded(1));
  for (auto _ : state) {
    sim::RunOptions options;
    options.machine.topology = sim::Topology::flat(64);
    options.machine.policy = *find_policy("vruntime");
    options.machine.max_tasks = std::bit_ceil(tasks + 16);
    options.duration_ns = kNsPerSec / 10;
    if (!sim::run(program, options)) return state.SkipWithError("the simulation failed");
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

BENCHMARK_CAPTURE(sample, hackbench, "hackbench.rtrace")->ArgName("policy")->DenseRange(0, 3);
BENCHMARK_CAPTURE(sample_loop, hackbench, "hackbench.rtrace")->ArgName("policy")->DenseRange(0, 3);
BENCHMARK(memory)->ArgName("tasks")->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(hackbench)->ArgNames({"policy", "cpus", "tasks", "us"})->Args({0, 4, 100, 1000})->Args({1, 4, 100, 1000});
BENCHMARK(hackbench)
    ->ArgNames({"policy", "cpus", "tasks", "us"})
    ->Args({0, 1024, 100'000, 1000})
    ->Args({1, 1024, 100'000, 1000});
BENCHMARK(ping_pong)->ArgNames({"policy", "cpus"})->Args({0, 4})->Args({1, 4});

}  // namespace
}  // namespace reprise::test
