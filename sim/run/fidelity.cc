// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/fidelity.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "sim/run/sweep.h"

namespace reprise::sim {
namespace {

constexpr FidelityMetric kMetrics[] = {
    {"task_cpu_ns", 100, 50},
    {"context_switches", 150, 70},
    {"migrations", 250, 120, 2},
    {"wakeup_latency_p50_ns", 200, 100, 0, 100},
    {"wakeup_latency_p90_ns", 200, 100, 0, 100},
    {"wakeup_latency_p99_ns", 200, 100, 0, 1000},
    {"run_delay_p50_ns", 200, 100, 0, 100},
    {"run_delay_p90_ns", 200, 100, 0, 100},
    {"run_delay_p99_ns", 200, 100, 0, 1000},
    {"slice_mean_ns", 100, 50},
};
constexpr std::size_t kCount = std::size(kMetrics);
constexpr u32 kJitterPerMille = 2;
constexpr double kMoves = 0.01;  // a smaller change of a metric is none

// One run in numbers, in the order of kMetrics.
struct Values {
  u64 value[kCount] = {};
  u64 count[kCount] = {};
};

// By tid, what ran before the measured time left out.
std::map<i32, u64> cpu_of_tasks(const Metrics& metrics) {
  std::map<i32, u64> cpu;
  for (const TaskMetrics& task : metrics.tasks)
    if (!task.own && task.tid != 0) cpu[task.tid] += task.cpu_ns;
  return cpu;
}

u64 deviation(const Metrics& a, const Metrics& b) {
  const std::map<i32, u64> left = cpu_of_tasks(a), right = cpu_of_tasks(b);
  u64 sum = 0;
  for (const auto& [tid, ns] : left) {
    const auto at = right.find(tid);
    const u64 other = at == right.end() ? 0 : at->second;
    sum += ns > other ? ns - other : other - ns;
  }
  for (const auto& [tid, ns] : right)
    if (!left.contains(tid)) sum += ns;
  return sum;
}

// `recorded`: what CPU times are compared with.
Values values_of(const Metrics& m, const Metrics& recorded) {
  u64 total = 0;
  for (const auto& [tid, ns] : cpu_of_tasks(recorded)) total += ns;
  Values out;
  const u64 values[kCount] = {total + deviation(m, recorded),
                              m.context_switches,
                              m.migrations,
                              m.wakeup_latency_ns.percentile(500),
                              m.wakeup_latency_ns.percentile(900),
                              m.wakeup_latency_ns.percentile(990),
                              m.run_delay_ns.percentile(500),
                              m.run_delay_ns.percentile(900),
                              m.run_delay_ns.percentile(990),
                              m.slice_ns.mean()};
  for (std::size_t i = 0; i < kCount; ++i) {
    out.value[i] = values[i];
    out.count[i] = i >= 6 && i < 9 ? m.run_delay_ns.count() : m.wakeup_latency_ns.count();
  }
  return out;
}

std::vector<u64> sorted(const std::vector<Values>& runs, std::size_t metric) {
  std::vector<u64> values;
  for (const Values& run : runs) values.push_back(run.value[metric]);
  std::ranges::sort(values);
  return values;
}

u64 median_of(const std::vector<Values>& runs, std::size_t metric) { return sorted(runs, metric)[runs.size() / 2]; }

// Greatest less least, of the median. A recording that something else disturbed says nothing of how runs differ: of ten
// the one furthest out on either side does not count.
double spread_of(const std::vector<Values>& runs, std::size_t metric) {
  const std::vector<u64> values = sorted(runs, metric);
  const std::size_t left_out = values.size() / 10;
  const u64 least = values[left_out], most = values[values.size() - 1 - left_out], median = values[values.size() / 2];
  return median == 0 ? 0 : static_cast<double>(most - least) / static_cast<double>(median);
}

double off(u64 value, u64 reference) {
  if (value == reference) return 0;
  const double difference = static_cast<double>(value > reference ? value - reference : reference - value);
  return reference == 0 ? 1 : difference / static_cast<double>(reference);
}

double median_of(std::vector<double> values) {
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

bool within(const FidelityCell& cell, double difference, u64 simulated) {
  const u64 absolute = simulated > cell.recorded ? simulated - cell.recorded : cell.recorded - simulated;
  return std::abs(difference) <= cell.allowed || absolute <= cell.metric->tolerance_absolute;
}

Program longer(const Program& program) {
  Program copy = program;
  for (Op& op : copy.ops)
    if (op.code == OpCode::kRun) op.value = op.value * 13 / 10;
  return copy;
}

Costs doubled(Costs costs) {
  for (const CostField& field : cost_fields())
    if (field.field != &Costs::restart) costs.*field.field *= 2;
  return costs;
}

// What is run for each recording.
enum Variant : u8 { kAsRecorded, kOccupancy, kWrongPolicy, kCosts, kVariants };

struct Runs {
  std::vector<Values> recorded;
  std::vector<std::vector<Values>> simulated[kVariants];  // by recording
  std::vector<u64> hashes;
};

// Of all recordings' simulations.
u64 median_simulated(const Runs& runs, Variant variant, std::size_t metric) {
  std::vector<Values> all;
  for (const std::vector<Values>& of_one : runs.simulated[variant]) all.insert(all.end(), of_one.begin(), of_one.end());
  return median_of(all, metric);
}

// Of a recording's simulations from it, as a part of it; the median over the recordings.
double difference_of(const Runs& runs, Variant variant, std::size_t metric) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < runs.recorded.size(); ++i) {
    const u64 recorded = runs.recorded[i].value[metric], simulated = median_of(runs.simulated[variant][i], metric);
    differences.push_back(simulated < recorded ? -off(simulated, recorded) : off(simulated, recorded));
  }
  return median_of(std::move(differences));
}

Expected<Runs> run_all(std::span<const Recorded> recordings, const FidelityOptions& options) {
  std::deque<Program> changed;
  std::vector<Job> jobs;
  std::vector<Variant> variants;  // of the jobs
  std::vector<u32> of;            // their recordings
  for (u32 r = 0; r < recordings.size(); ++r) {
    const Recorded& recording = recordings[r];
    const auto add = [&](Variant variant, const Program& program) {
      Job job;
      job.program = &program;
      job.options.machine = recording.machine;
      job.options.machine.policy = variant == kWrongPolicy ? options.wrong : options.policy;
      job.options.machine.policy_options = variant == kWrongPolicy ? Options{} : options.policy_options;
      if (variant == kCosts) job.options.machine.costs = doubled(recording.machine.costs);
      job.options.duration_ns = options.max_ns != 0 ? options.max_ns : recording.program.duration_ns * 10;
      jobs.push_back(std::move(job));
      variants.push_back(variant);
      of.push_back(r);
    };
    for (const Variant variant : {kAsRecorded, kWrongPolicy, kCosts}) add(variant, recording.program);
    add(kOccupancy, changed.emplace_back(longer(recording.program)));
    for (u32 run = 1; run < options.runs; ++run) {
      jitter(changed.emplace_back(recording.program), kJitterPerMille, Prng::seeded(run).split("fidelity.jitter"));
      add(kAsRecorded, changed.back());
    }
  }
  const std::vector<JobResult> results = sweep(jobs);
  Runs runs;
  for (auto& by_recording : runs.simulated) by_recording.resize(recordings.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& result = results[i].result;
    const Recorded& recording = recordings[of[i]];
    if (!result) return std::unexpected(result.error());
    if (jobs[i].program == &recording.program && variants[i] == kAsRecorded) {
      runs.recorded.push_back(values_of(recording.metrics, recording.metrics));
      runs.hashes.push_back(result->state_hash);
    }
    runs.simulated[variants[i]][of[i]].push_back(values_of(result->metrics, recording.metrics));
  }
  return runs;
}

FidelityCell judge(const Runs& runs, std::size_t i) {
  FidelityCell cell;
  cell.metric = &kMetrics[i];
  cell.recorded = median_of(runs.recorded, i);
  cell.simulated = median_simulated(runs, kAsRecorded, i);
  u64 count = ~u64{0};
  for (const Values& run : runs.recorded) count = std::min(count, run.count[i]);
  cell.spread = spread_of(runs.recorded, i);
  cell.difference = difference_of(runs, kAsRecorded, i);
  cell.error = std::abs(cell.difference);
  cell.allowed = std::max(kMetrics[i].tolerance_per_mille / 1000.0, cell.spread);
  if (count < kMetrics[i].min_count) {
    cell.reason = "only " + std::to_string(count) + " values; needs " + std::to_string(kMetrics[i].min_count);
    return cell;
  }
  double moved = 0;
  for (const Variant variant : {kWrongPolicy, kCosts, kOccupancy}) {
    if (variant == kOccupancy && i != 0) continue;  // CPU time follows from the workload, not from the policy
    moved = std::max(moved, off(median_simulated(runs, variant, i), cell.simulated));
  }
  if (moved < kMoves) {
    cell.reason = "does not move with the policy or the costs";
    return cell;
  }
  const bool agrees = within(cell, cell.difference, cell.simulated);
  cell.verdict = agrees ? MetricVerdict::kAgree : MetricVerdict::kDisagree;
  cell.goal = agrees && (cell.error <= kMetrics[i].goal_per_mille / 1000.0 || cell.error == 0);
  return cell;
}

// Rejected when a measured metric is out of what is allowed.
void decide(Control& control, const Fidelity& result, const Runs& runs, Variant variant) {
  control.applies = variant == kOccupancy;
  for (std::size_t i = 0; i < kCount; ++i) {
    const FidelityCell& cell = result.cells[i];
    if (cell.verdict == MetricVerdict::kNotMeasured) continue;
    const u64 value = median_simulated(runs, variant, i);
    if (off(value, cell.simulated) > cell.allowed) control.applies = true;
    if (within(cell, difference_of(runs, variant, i), value) || control.rejected) continue;
    control.rejected = true;
    control.metric = cell.metric->name;
  }
}

}  // namespace

std::span<const FidelityMetric> fidelity_metrics() { return kMetrics; }

std::string_view name(MetricVerdict verdict) {
  return verdict == MetricVerdict::kAgree ? "agree" : verdict == MetricVerdict::kDisagree ? "disagree" : "not_measured";
}
std::string_view name(Verdict verdict) {
  return verdict == Verdict::kAgree ? "agree" : verdict == Verdict::kDisagree ? "disagree" : "void";
}

Expected<Fidelity> fidelity(std::span<const Recorded> recordings, const FidelityOptions& options) {
  auto runs = run_all(recordings, options);
  if (!runs) return std::unexpected(runs.error());
  Fidelity result;
  result.state_hashes = runs->hashes;
  for (std::size_t i = 0; i < kCount; ++i) result.cells.push_back(judge(*runs, i));
  const std::string right(options.policy ? options.policy->name : "eevdf");
  result.controls = {{.name = "occupancy", .what = "all run times 1.3 times as long", .metric = {}},
                     {.name = "policy",
                      .what = std::string(options.wrong ? options.wrong->name : "eevdf") + " instead of " + right,
                      .metric = {}}};
  decide(result.controls[0], result, *runs, kOccupancy);
  decide(result.controls[1], result, *runs, kWrongPolicy);

  bool measured = false, agrees = true, rejected = true;
  for (const FidelityCell& cell : result.cells) {
    measured = measured || cell.verdict != MetricVerdict::kNotMeasured;
    agrees = agrees && cell.verdict != MetricVerdict::kDisagree;
  }
  for (const Control& control : result.controls) rejected = rejected && (control.rejected || !control.applies);
  result.verdict = !measured || !rejected ? Verdict::kVoid : agrees ? Verdict::kAgree : Verdict::kDisagree;
  return result;
}

}  // namespace reprise::sim
