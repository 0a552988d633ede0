// SPDX-License-Identifier: GPL-2.0-only
// What recording costs the scheduler's thread and the recorder's, what a trace weighs, how fast it is read and
// replayed.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/replay/trace_maker.h"
#include "traces/recorder.h"

namespace reprise::trace {
namespace {

using test::finder;
using test::make_trace;
using test::reader_of;
using test::Recording;

/// 400 tasks that wake each other's CPUs up all the time, as in hackbench; steps of 8 events on average.
const Recording& talk() {
  static const Recording recording({.policy = "vruntime",
                                    .machine = {.cpus = 2, .max_tasks = 1024, .seed = 3, .step_interval_ns = 50'000},
                                    .tasks = 400,
                                    .run_ns = 8'000,
                                    .duration_ns = 400 * kNsPerMs});
  return recording;
}

std::string scratch_file() {
  return (std::filesystem::temp_directory_path() / ("reprise_bench_" + std::to_string(::getpid()) + ".rtrace"))
      .string();
}

/// The scheduler's thread: copying a step into the ring. The recorder's thread is kept from it, as it has a CPU of its
/// own on most machines: batches fit into the ring, and it empties it between them.
void BM_PushStep(benchmark::State& state) {
  const Recording& run = talk();
  std::vector<StepOutput> outputs(run.steps().size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].clear();
    std::ranges::copy(run.steps()[i].decisions, outputs[i].decision_storage.begin());
    outputs[i].decision_count = static_cast<u32>(run.steps()[i].decisions.size());
  }
  const std::string path = scratch_file();
  auto recorder =
      Recorder::start({.path = path, .ring_bytes = 256u << 20, .wake_interval_ns = kNsPerSec}, run.session());
  u64 number = 0;
  u64 events = 0;
  u64 lost = 0;
  for (auto _ : state) {
    state.PauseTiming();
    (void)(*recorder)->begin_session(run.session(), nullptr);
    number = 0;
    state.ResumeTiming();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      StepInput input = run.steps()[i].input;
      input.events = run.steps()[i].events;
      input.idle = run.steps()[i].idle;
      input.number = ++number;
      lost += (*recorder)->push_step(input, outputs[i], input.now_ns, 0) ? 0 : 1;
      events += input.events.size();
    }
  }
  (void)(*recorder)->stop({});
  std::filesystem::remove(path);
  state.SetItemsProcessed(static_cast<i64>(events));
  state.counters["lost"] = static_cast<double>(lost);
}
BENCHMARK(BM_PushStep)->Unit(benchmark::kMillisecond);

/// The recorder's thread: columns, compression, checksum; into memory.
void BM_Encode(benchmark::State& state) {
  const Recording& run = talk();
  std::vector<std::vector<KernelEvent>> kernel;
  for (std::size_t i = 0; i < run.steps().size(); ++i) kernel.push_back(run.events_of(i));
  u64 events = 0;
  u64 bytes = 0;
  for (auto _ : state) {
    Bytes out;
    const auto writer = test::writer_to(out);
    (void)writer->begin_session(run.session());
    for (std::size_t i = 0; i < run.steps().size(); ++i) {
      (void)writer->add_step(run.record(i));
      (void)writer->add_events(kernel[i]);
    }
    (void)writer->finish();
    events += writer->totals().events + writer->totals().kernel_events;
    bytes += out.size();
  }
  state.SetItemsProcessed(static_cast<i64>(events));
  state.counters["bytes_per_event"] = static_cast<double>(bytes) / static_cast<double>(events);
}
BENCHMARK(BM_Encode)->Unit(benchmark::kMillisecond);

void BM_Read(benchmark::State& state) {
  const Bytes bytes = make_trace(talk(), {.writer = {}});
  u64 events = 0;
  for (auto _ : state) {
    Reader reader = reader_of(bytes);
    while (reader.next() != Item::kEnd) {
    }
    events += reader.totals().items.events + reader.totals().items.kernel_events;
  }
  state.SetItemsProcessed(static_cast<i64>(events));
}
BENCHMARK(BM_Read)->Unit(benchmark::kMillisecond);

/// From a file, as `reprise replay` does it. Items are decisions.
void BM_Replay(benchmark::State& state) {
  const std::string path = scratch_file();
  const Bytes bytes = make_trace(talk(), {.hash_every = 1000, .writer = {}});
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  u64 decisions = 0;
  for (auto _ : state) {
    auto reader = Reader::open(path);
    const auto result = replay(*reader, finder());
    if (!result || result->first_divergence) state.SkipWithError("diverged");
    decisions += result ? result->decisions : 0;
  }
  std::filesystem::remove(path);
  state.SetItemsProcessed(static_cast<i64>(decisions));
}
BENCHMARK(BM_Replay)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace reprise::trace
