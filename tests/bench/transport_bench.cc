// SPDX-License-Identifier: GPL-2.0-only
// What a message costs the user-space side, on this machine's own kernel: the queue map of scx_userland, read and
// written by bpf() calls, against the ring buffers of the live runtime, read and written by its own classes.
//
//   up    the kernel has pushed a batch; user space takes it out, each message copied into a variable
//   down  user space puts a batch in; the kernel takes it out afterwards
//
// Only the user-space part is timed, by the time stamp counter where there is one, less the cost of reading it. A
// benchmark's time is the mean over batches; `median_ns` and `system_calls`, both per message, are what counts: other
// work on the machine hardly moves the median. Needs root and a kernel with BTF, no sched_ext.
#include <benchmark/benchmark.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "scheduler/live/ring.h"
#include "transport_bpf.skel.h"

namespace {

using reprise::u32;
using reprise::u64;
using reprise::live::RingReader;
using reprise::live::RingWriter;

constexpr std::array<int, 3> kBatches = {1, 8, 64};
constexpr std::size_t kRingBytes = 4 << 20;
constexpr std::size_t kUserRingBytes = 1 << 20;
constexpr int kMessagesPerRun = 40'000;
constexpr int kCountedBatches = 200;
// What is promised: a message costs so many times less than through the queue map, both ways.
constexpr std::array<double, 3> kPromised = {12, 0, 80};  // by kBatches; 0: nothing
constexpr int kComparedSize = 88;

u64 monotonic_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000'000 + static_cast<u64>(time.tv_nsec);
}

// A clock that costs little: its ticks, how long one is, and what reading it twice costs.
class Ticks {
 public:
  Ticks() {
    const u64 ns = monotonic_ns(), ticks = read();
    while (monotonic_ns() - ns < 50'000'000) continue;
    ns_per_tick_ = static_cast<double>(monotonic_ns() - ns) / static_cast<double>(read() - ticks);
    std::vector<u64> empty(10'001);
    for (u64& each : empty) {
      const u64 before = read();
      each = read() - before;
    }
    std::nth_element(empty.begin(), empty.begin() + 5'000, empty.end());
    overhead_ = empty[5'000];
  }
  static u64 read() {
#if defined(__x86_64__)
    _mm_lfence();
    const u64 now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return monotonic_ns();
#endif
  }
  [[nodiscard]] double ns(u64 ticks) const {
    return static_cast<double>(ticks > overhead_ ? ticks - overhead_ : 0) * ns_per_tick_;
  }

 private:
  double ns_per_tick_ = 1;
  u64 overhead_ = 0;
};

// One kind of message: what the kernel does before or after, and the maps. Programs and maps by name, since they
// differ by their size only.
struct Kind {
  int size;
  int push_queue, drain_queue, push_ring, drain_user_ring;  // programs
  int queue;                                                // map
  RingWriter writer;
};

class Kernel {
 public:
  static std::unique_ptr<Kernel> load() {
    auto kernel = std::make_unique<Kernel>();
    kernel->skeleton_ = transport_bpf__open_and_load();
    if (!kernel->skeleton_) return nullptr;
    auto reader = RingReader::open(bpf_map__fd(kernel->skeleton_->maps.ring), kRingBytes);
    if (!reader) return nullptr;
    kernel->reader = std::move(*reader);
    for (const int size : {40, 80, 88}) {
      const auto program = [&](const char* name) {
        return bpf_program__fd(bpf_object__find_program_by_name(kernel->skeleton_->obj, with(name, size).c_str()));
      };
      const auto map = [&](const char* name) {
        return bpf_object__find_map_fd_by_name(kernel->skeleton_->obj, with(name, size).c_str());
      };
      auto writer = RingWriter::open(map("user_ring_"), kUserRingBytes, static_cast<u32>(size));
      if (!writer) return nullptr;
      kernel->kinds.emplace(size, Kind{size, program("push_queue_"), program("drain_queue_"), program("push_ring_"),
                                       program("drain_user_ring_"), map("queue_"), std::move(*writer)});
    }
    kernel->run(bpf_program__fd(kernel->skeleton_->progs.note_tgid));
    return kernel;
  }
  ~Kernel() { transport_bpf__destroy(skeleton_); }

  static void run(int program) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_prog_test_run_opts(program, &options) != 0) {
      std::perror("BPF_PROG_RUN");
      std::exit(70);
    }
  }
  void set_batch(int batch) { skeleton_->bss->batch = static_cast<u32>(batch); }
  [[nodiscard]] u64 taken() const { return read(skeleton_->bss->taken); }
  [[nodiscard]] u64 failed() const { return read(skeleton_->bss->failed); }
  [[nodiscard]] u64 system_calls() const { return read(skeleton_->bss->system_calls); }
  /// Null where this kernel has no such tracepoint.
  [[nodiscard]] bpf_link* count_system_calls() const {
    return bpf_program__attach(skeleton_->progs.count_system_calls);
  }

  RingReader reader;
  std::map<int, Kind> kinds;

 private:
  static std::string with(const char* name, int size) { return name + std::to_string(size); }
  template <typename T>
  static T read(const T& value) {
    return *static_cast<const volatile T*>(&value);
  }
  transport_bpf* skeleton_ = nullptr;
};

// The four ways, for messages of `size` bytes. Each has what comes before the clock starts, what is timed, and what
// comes after.
struct Way {
  const char* name;
  int size;
  void (*before)(Kernel&, Kind&);
  void (*timed)(Kernel&, Kind&, int batch);
  void (*after)(Kernel&, Kind&);
};

void nothing(Kernel&, Kind&) {}

template <int size>
struct Ways {
  struct Message {
    std::array<u64, size / 8> words;
  };
  static_assert(sizeof(Message) == size);

  // As scx_userland does: until the map says that it is empty.
  static void up_queue(Kernel&, Kind& kind, int) {
    Message message{};
    while (bpf_map_lookup_and_delete_elem(kind.queue, nullptr, &message) == 0) benchmark::DoNotOptimize(message);
  }
  static void up_ring(Kernel& kernel, Kind&, int) {
    kernel.reader.drain([&](const std::byte* record, u32) {
      Message message;
      std::memcpy(&message, record, sizeof(message));
      benchmark::DoNotOptimize(message);
      return true;
    });
  }
  static void down_queue(Kernel&, Kind& kind, int batch) {
    Message message{};
    for (int i = 0; i < batch; ++i) {
      message.words[0] = static_cast<u64>(i);
      bpf_map_update_elem(kind.queue, nullptr, &message, BPF_ANY);
    }
  }
  static void down_ring(Kernel&, Kind& kind, int batch) {
    Message message{};
    RingWriter::Batch out(kind.writer);
    const int fit = std::min(batch, static_cast<int>(out.room()));
    for (int i = 0; i < fit; ++i) {
      message.words[0] = static_cast<u64>(i);
      std::memcpy(out.next(), &message, sizeof(message));
    }
    out.publish();
  }
  static constexpr std::array<Way, 4> kAll = {{
      {"up/queue", size, [](Kernel&, Kind& kind) { Kernel::run(kind.push_queue); }, up_queue, nothing},
      {"up/ring", size, [](Kernel&, Kind& kind) { Kernel::run(kind.push_ring); }, up_ring, nothing},
      {"down/queue", size, nothing, down_queue, [](Kernel&, Kind& kind) { Kernel::run(kind.drain_queue); }},
      {"down/ring", size, nothing, down_ring, [](Kernel&, Kind& kind) { Kernel::run(kind.drain_user_ring); }},
  }};
};

std::optional<double> system_calls_per_message(Kernel& kernel, const Way& way, Kind& kind, int batch) {
  bpf_link* link = kernel.count_system_calls();
  if (!link) return std::nullopt;
  u64 calls = 0;
  for (int i = 0; i < kCountedBatches; ++i) {
    way.before(kernel, kind);
    const u64 before = kernel.system_calls();
    way.timed(kernel, kind, batch);
    calls += kernel.system_calls() - before;
    way.after(kernel, kind);
  }
  bpf_link__destroy(link);
  return static_cast<double>(calls) / kCountedBatches / batch;
}

void measure(benchmark::State& state, Kernel& kernel, const Ticks& ticks, const Way& way, Kind& kind, int batch) {
  std::vector<u64> samples;
  samples.reserve(state.max_iterations);
  kernel.set_batch(batch);
  for ([[maybe_unused]] auto _ : state) {
    way.before(kernel, kind);
    const u64 begin = Ticks::read();
    way.timed(kernel, kind, batch);
    const u64 end = Ticks::read();
    way.after(kernel, kind);
    samples.push_back(end - begin);
    state.SetIterationTime(ticks.ns(end - begin) * 1e-9);
  }
  if (kernel.failed() != 0) state.SkipWithError("the kernel's side had no room");
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2), samples.end());
  state.counters["median_ns"] = ticks.ns(samples[samples.size() / 2]) / batch;
  if (const auto calls = system_calls_per_message(kernel, way, kind, batch)) state.counters["system_calls"] = *calls;
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * batch);
}

// Google Benchmark 1.8 gave the member another name and type.
template <typename Run>
bool failed(const Run& run) {
  if constexpr (requires { run.error_occurred; })
    return run.error_occurred;
  else
    return run.skipped != decltype(run.skipped){};
}

// Shows medians only, and remembers what the comparison at the end needs. The file that --benchmark_out names has all.
class Reporter : public benchmark::ConsoleReporter {
 public:
  Reporter() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> shown;
    for (const Run& run : runs) {
      if (failed(run)) shown.push_back(run);
      if (run.run_type != Run::RT_Aggregate || run.aggregate_name != "median") continue;
      medians[run.run_name.function_name] = run.counters.at("median_ns");
      shown.push_back(run);
    }
    if (!shown.empty()) ConsoleReporter::ReportRuns(shown);
  }
  std::map<std::string, double> medians;
};

std::string name_of(const char* way, int size, int batch) {
  return std::string(way) + "/bytes:" + std::to_string(size) + "/batch:" + std::to_string(batch);
}

void compare(const std::map<std::string, double>& medians) {
  std::printf("\nns per message of %d bytes, user-space side (median)\n%-6s %6s %12s %12s %8s\n", kComparedSize, "way",
              "batch", "queue map", "ring buffer", "ratio");
  for (const char* direction : {"up", "down"}) {
    for (std::size_t i = 0; i < kBatches.size(); ++i) {
      const auto find = [&](const char* by) {
        const auto at = medians.find(name_of((std::string(direction) + by).c_str(), kComparedSize, kBatches[i]));
        return at == medians.end() ? 0.0 : at->second;
      };
      const double queue = find("/queue"), ring = find("/ring");
      if (queue == 0 || ring == 0) continue;  // filtered out
      std::printf("%-6s %6d %12.1f %12.1f %8.1f", direction, kBatches[i], queue, ring, queue / ring);
      if (kPromised[i] > 0)
        std::printf("  promised %.0f: %s", kPromised[i], queue / ring >= kPromised[i] ? "yes" : "NO");
      std::printf("\n");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (geteuid() != 0) {
    std::fprintf(stderr, "reprise_bench_transport: not permitted to load BPF programs; run as root\n");
    return 77;
  }
  const auto kernel = Kernel::load();
  if (!kernel) {
    std::fprintf(stderr,
                 "reprise_bench_transport: this kernel does not take the programs; it needs BTF and 6.1 or newer\n");
    return 69;
  }
  const Ticks ticks;
  // Queue and ring in turn, so that both see the same machine.
  for (const auto& ways : {Ways<40>::kAll, Ways<80>::kAll, Ways<kComparedSize>::kAll})
    for (const int batch : kBatches)
      for (const Way& way : ways)
        benchmark::RegisterBenchmark(name_of(way.name, way.size, batch).c_str(),
                                     [&kernel, &ticks, way, batch](benchmark::State& state) {
                                       measure(state, *kernel, ticks, way, kernel->kinds.at(way.size), batch);
                                     })
            ->UseManualTime()
            ->Iterations(kMessagesPerRun / batch)
            ->Repetitions(7)
            ->ReportAggregatesOnly();
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  compare(reporter.medians);
  return 0;
}
