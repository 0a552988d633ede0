// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/sample.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "sim/run/from_trace.h"
#include "sim/suite/measure.h"
#include "sim/suite/workload_file.h"
#include "sim/workload/generate.h"
#include "sim/workload/rtapp.h"
#include "traces/reader.h"
#include "traces/replay.h"

namespace reprise::sim {
namespace {

// Checkpoints lie so far apart, as a part of the decisions so far: a divergence is known to an eighth of its time.
constexpr u64 kCheckpointPart = 8;
constexpr u32 kTasksLeast = 1024;
// Simulated time after which a workload that should end is taken not to.
constexpr u64 kLongestNs = 3600 * kNsPerSec;

u64 cpu_now() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<u64>(now.tv_sec) * kNsPerSec + static_cast<u64>(now.tv_nsec);
}

// The metrics of some tasks only: to its MetricsBuilder all others are the recorder's own.
class GroupMetrics {
 public:
  GroupMetrics(const TaskGroup& group, u32 cpus) : group_(group), builder_(cpus) {}
  void mark_own(i32 tid) { builder_.mark_own(tid); }
  void event(const trace::KernelEvent& e) {
    builder_.event(e);
    if (e.type != trace::KernelEventType::kName) return;
    char comm[17] = {};
    std::memcpy(comm, &e.b, 8);
    std::memcpy(comm + 8, &e.c, 8);
    const auto fits = [&](const std::string& pattern) { return fnmatch(pattern.c_str(), comm, 0) == 0; };
    if (std::ranges::none_of(group_.patterns, fits)) builder_.mark_own(e.tid);
  }
  Metrics finish(u64 end_ns) { return builder_.finish(end_ns); }

 private:
  const TaskGroup& group_;
  MetricsBuilder builder_;
};

class Sinks final : public EventSink, public StepSink {
 public:
  Sinks(const Setup& setup, const SimOptions& machine, bool checkpoints, EventSink* events, StepSink* steps)
      : start_ns_(machine.start_ns), checkpoints_(checkpoints), events_(events), steps_(steps) {
    for (const TaskGroup& group : setup.groups) groups.emplace_back(group, machine.topology.size());
    for (GroupMetrics& group : groups) group.mark_own(machine.scheduler_tid);
  }
  void event(const trace::KernelEvent& e) override {
    for (GroupMetrics& group : groups) group.event(e);
    if (events_) events_->event(e);
  }
  void step(const StepInput& input, const StepOutput& output, u64 end_ns) override {
    if (checkpoints_) {
      for (const Decision& decision : output.decisions()) {
        hash_ = hash_bytes(std::as_bytes(std::span(&decision, 1)), hash_);
        if (++decisions_ < next_) continue;
        next_ = decisions_ + std::max<u64>(1, decisions_ / kCheckpointPart);
        found.push_back({decisions_, input.now_ns - std::min(input.now_ns, start_ns_), static_cast<u16>(hash_)});
      }
    }
    if (steps_) steps_->step(input, output, end_ns);
  }
  /// Null: nobody wants to see them, and they need not be made.
  EventSink* events() { return groups.empty() && !events_ ? nullptr : this; }
  StepSink* steps() { return !checkpoints_ && !steps_ ? nullptr : this; }

  std::vector<GroupMetrics> groups;
  std::vector<Checkpoint> found;

 private:
  u64 start_ns_;
  bool checkpoints_;
  EventSink* events_;
  StepSink* steps_;
  u64 hash_ = 0, decisions_ = 0, next_ = 1;
};

std::vector<WeightedTask> weighted(const Metrics& metrics, const std::unordered_map<i32, u32>& weights) {
  std::vector<WeightedTask> tasks;
  for (const TaskMetrics& task : metrics.tasks) {
    if (task.own || task.tid == 0) continue;
    const auto at = weights.find(task.tid);
    tasks.push_back({task.cpu_ns, task.delay_ns, task.switches, task.migrations,
                     at == weights.end() ? kWeightDefault : at->second});
  }
  return tasks;
}

void append(std::vector<MetricValue>& values, const Metrics& metrics, const std::unordered_map<i32, u32>& weights) {
  const std::vector<MetricValue> more = measure(metrics, weighted(metrics, weights));
  values.insert(values.end(), more.begin(), more.end());
}

void find_worst(Sample& sample, const Metrics& metrics, u64 start_ns) {
  for (const TaskMetrics& task : metrics.tasks) {
    if (task.own || task.max_delay_ns <= sample.worst_wait_ns) continue;
    sample.worst_tid = task.tid;
    sample.worst_comm = task.comm.data();
    sample.worst_wait_ns = task.max_delay_ns;
    sample.worst_at_ns = task.max_delay_at_ns - std::min(task.max_delay_at_ns, start_ns);
  }
}

Expected<std::string> text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return fail(ExitCode::kIo, "cannot be read", path);
  return std::move(text).str();
}

}  // namespace

const MetricValue& Sample::value(u32 group, const MetricInfo& metric) const {
  return values[group * measures().size() + index_of(metric)];
}

Expected<SetupRun> SetupRun::load(const Setup& setup, const SuitePolicyFinder& find) {
  SetupRun run;
  run.setup_ = setup;
  run.find_ = find;
  if (!setup.policy.empty()) {
    auto policy = find(setup.policy);
    if (!policy) return std::unexpected(policy.error());
    run.policy_ = std::move(*policy);
  }
  if (setup.source == Source::kReplay) return run;
  run.machine_.topology = Topology::flat(4);
  if (setup.source == Source::kTrace) {
    FromTraceOptions how;
    how.session = setup.session;
    auto recorded = from_trace(setup.file, how);
    if (!recorded) return std::unexpected(recorded.error());
    run.program_ = std::move(recorded->program);
    run.machine_ = recorded->machine;
    run.session_ = std::move(recorded->session);
  }
  if (!setup.topology.empty()) {
    auto topology = Topology::parse(setup.topology);
    if (!topology) return std::unexpected(topology.error());
    // The same number of CPUs as recorded: caches stay as recorded, too.
    if (setup.source != Source::kTrace || topology->size() != run.machine_.topology.size() ||
        setup.topology.find_first_not_of("0123456789") != setup.topology.npos)
      run.machine_.topology = std::move(*topology);
  }
  if (setup.source == Source::kRtapp) {
    auto text = text_of(setup.file);
    if (!text) return std::unexpected(text.error());
    auto program = read_rtapp(*text, setup.file, {.cpus = run.machine_.topology.size()});
    if (!program) return std::unexpected(program.error());
    run.program_ = std::move(*program);
  }
  if (setup.source == Source::kWorkload) {
    auto text = text_of(setup.file);
    if (!text) return std::unexpected(text.error());
    auto file = read_workload(*text, setup.file);
    if (!file) return std::unexpected(file.error());
    run.program_ = std::move(file->program);
  }
  if (setup.hz != 0) run.machine_.hz = setup.hz;
  if (setup.bound_ns != 0) run.machine_.bound_ns = setup.bound_ns;
  run.machine_.policy = run.policy_.info;
  run.machine_.policy_options = run.policy_.options;
  run.machine_.faults = setup.faults;
  run.machine_.check_every = setup.check_every;
  return run;
}

Expected<Program> SetupRun::program(u64 seed) const {
  Program program;
  if (setup_.source == Source::kLoad) {
    const std::size_t colon = setup_.file.find(':');
    u32 tasks = 100;
    if (colon != setup_.file.npos) {
      const char* end = setup_.file.data() + setup_.file.size();
      const auto [at, error] = std::from_chars(setup_.file.data() + colon + 1, end, tasks);
      if (error != std::errc() || at != end || tasks == 0)
        return fail(ExitCode::kBadInput, "'" + setup_.file + "' is not NAME:TASKS");
    }
    auto made = generate(setup_.file.substr(0, colon), tasks, seed);
    if (!made) return std::unexpected(made.error());
    program = std::move(*made);
  } else {
    program = program_;
  }
  jitter(program, setup_.jitter_per_mille, Prng::seeded(seed).split("suite.jitter"));
  return program;
}

RunOptions SetupRun::options(u64 seed) const {
  RunOptions options;
  options.machine = machine_;
  options.machine.seed = seed;
  options.duration_ns = setup_.duration_ns;
  if (setup_.jitter_per_mille != 0) {
    options.machine.start_ns += Prng::seeded(seed).split("suite.phase").below(kNsPerSec / machine_.hz);
  }
  return options;
}

Sample SetupRun::run(u64 seed, bool checkpoints, EventSink* events, StepSink* steps) const {
  if (setup_.source == Source::kReplay) return replay();
  auto made = program(seed);
  if (made) return run_sample(setup_, *made, options(seed), seed, checkpoints, events, steps);
  Sample sample;
  sample.seed = seed;
  sample.error = made.error();
  return sample;
}

Sample run_sample(const Setup& setup, const Program& program, const RunOptions& given, u64 seed, bool checkpoints,
                  EventSink* events, StepSink* steps) {
  const u64 began = cpu_now();
  Sample sample;
  sample.seed = seed;
  RunOptions options = given;
  if (options.duration_ns == 0 && !program.endless) options.duration_ns = kLongestNs;
  // A table for the tasks that there are: setting up a large one takes longer than a short run.
  if (setup.source != Source::kTrace)
    options.machine.max_tasks = std::clamp(std::bit_ceil(program.max_instances + 64), kTasksLeast, kMaxTasks);
  Sinks sinks(setup, options.machine, checkpoints, events, steps);
  auto result = sim::run(program, options, sinks.events(), sinks.steps());
  sample.cpu_ns = cpu_now() - began;
  sample.checkpoints = std::move(sinks.found);
  if (!result) {
    sample.error = result.error();
    return sample;
  }
  if (!result->finished && given.duration_ns == 0 && result->stuck == 0 && result->simulated_ns >= kLongestNs)
    sample.error = Error{ExitCode::kExpectationFailed,
                         "the workload did not end within an hour of simulated time",
                         {},
                         "give the case a duration_ms, or look for what its tasks wait for"};
  if (result->stuck != 0)
    sample.notes.push_back(fmt::format("{} tasks waited for what the workload does not tell, helped along {} times",
                                       result->stuck, result->workload.relieved));
  sample.events = result->events;
  sample.decisions = result->counters.decisions;
  sample.simulated_ns = result->simulated_ns;
  sample.state_hash = result->state_hash;
  std::unordered_map<i32, u32> weights;
  for (std::size_t i = 0; i < result->metrics.tasks.size(); ++i)
    if (result->task_entry[i] != kNoTaskId)
      weights[result->metrics.tasks[i].tid] = program.tasks[result->task_entry[i]].weight;
  append(sample.values, result->metrics, weights);
  for (GroupMetrics& group : sinks.groups)
    append(sample.values, group.finish(options.machine.start_ns + result->simulated_ns), weights);
  find_worst(sample, result->metrics, options.machine.start_ns);
  return sample;
}

Sample SetupRun::replay() const {
  const u64 began = cpu_now();
  Sample sample;
  sample.seed = setup_.seeds.front();
  const trace::PolicyFinder find = [this](std::string_view text) -> Expected<trace::ChosenPolicy> {
    auto found = find_(text);
    if (!found) return std::unexpected(found.error());
    if (!found->info) return fail(ExitCode::kUsage, "the kernel's own scheduler cannot be replayed");
    return trace::ChosenPolicy{found->info, found->options};
  };
  auto reader = trace::Reader::open(setup_.file, {.kinds = trace::kReadSteps | trace::kReadSnapshots});
  if (!reader) return sample.error = reader.error(), sample;
  auto result = trace::replay(*reader, find, {.policy = setup_.policy});
  sample.cpu_ns = cpu_now() - began;
  if (!result) return sample.error = result.error(), sample;
  sample.decisions = result->decisions;
  sample.decisions_sha256 = result->decisions_sha256;
  if (result->contract) sample.error = result->contract;
  if (!result->gaps.empty() || reader->damaged())
    sample.error =
        Error{ExitCode::kBadInput, "the trace is damaged or has a gap", setup_.file, "reprise info shows where"};
  if (result->first_divergence) sample.notes.push_back(result->first_divergence->sentence);
  return sample;
}

}  // namespace reprise::sim
