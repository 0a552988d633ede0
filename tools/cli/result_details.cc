// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/result_details.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <tuple>

#include "tools/cli/trace_text.h"
#include "traces/digest.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr std::size_t kTasksListed = 100;
constexpr u32 kCoarser = 2;  // of Histogram's buckets four as one: at most 1/32 of their value wide

Json histogram_json(const sim::Histogram& histogram) {
  Json upper = Json::array(), counts = Json::array();
  for (const sim::HistogramBucket& bucket : histogram.buckets(kCoarser)) {
    upper.push_back(bucket.upper_ns);
    counts.push_back(bucket.count);
  }
  return {{"upper_ns", upper}, {"count", counts}};
}

std::string comm_of(const sim::TaskMetrics& task) { return task.comm.data(); }

Json task_json(const sim::TaskMetrics& task, const sim::TaskDetails& details) {
  Json latency = nullptr;
  if (details.wakeup_latency_ns.count() != 0)
    latency = {{"p50", details.wakeup_latency_ns.percentile(500)},
               {"p99", details.wakeup_latency_ns.percentile(990)},
               {"max", details.wakeup_latency_ns.max()}};
  return {{"comm", comm_of(task)},
          {"tid", task.tid},
          {"own", task.own},
          {"cpu_ns", task.cpu_ns},
          {"switches", task.switches},
          {"wakeups", details.wakeups},
          {"migrations", task.migrations},
          {"wakeup_latency_ns", latency},
          {"max_run_delay_ns", task.max_delay_ns},
          {"max_run_delay_at_ns", task.max_delay_at_ns}};
}

// Those that waited longest for a CPU first.
std::vector<u32> worst_tasks(const sim::Metrics& metrics) {
  std::vector<u32> order;
  for (u32 i = 0; i < metrics.tasks.size(); ++i)
    if (metrics.tasks[i].switches != 0 || metrics.tasks[i].delays != 0) order.push_back(i);
  std::ranges::sort(order, [&](u32 a, u32 b) {
    const sim::TaskMetrics &left = metrics.tasks[a], &right = metrics.tasks[b];
    return std::tie(right.max_delay_ns, left.tid, a) < std::tie(left.max_delay_ns, right.tid, b);
  });
  return order;
}

Json stay_json(const sim::Metrics& metrics, const sim::Stay& stay) {
  Json json = {{"begin_ns", stay.begin_ns}, {"end_ns", stay.end_ns}};
  const bool several = stay.task == sim::WorstMoment::kSeveral;
  json["comm"] = several ? Json(nullptr) : Json(comm_of(metrics.tasks[stay.task]));
  json["tid"] = several ? Json(nullptr) : Json(metrics.tasks[stay.task].tid);
  if (stay.stays > 1) json["stays"] = stay.stays, json["busy_ns"] = stay.busy_ns;
  return json;
}

Json worst_json(const sim::Metrics& metrics) {
  const sim::WorstMoment& worst = metrics.details->worst;
  if (worst.task == sim::WorstMoment::kNone) return nullptr;
  const auto cpu_json = [](u32 cpu) { return cpu == sim::WorstMoment::kNone ? Json(nullptr) : Json(cpu); };
  Json cpus = Json::array();
  for (const sim::CpuLane& lane : worst.lanes) {
    Json stays = Json::array();
    for (const sim::Stay& stay : lane.stays) stays.push_back(stay_json(metrics, stay));
    cpus.push_back({{"cpu", lane.cpu}, {"stays", stays}});
  }
  const sim::TaskMetrics& task = metrics.tasks[worst.task];
  return {{"comm", comm_of(task)},
          {"tid", task.tid},
          {"wait_ns", worst.running_ns - worst.runnable_ns},
          {"runnable_ns", worst.runnable_ns},
          {"running_ns", worst.over ? Json(worst.running_ns) : Json(nullptr)},
          {"cpu_before", cpu_json(worst.cpu_before)},
          {"cpu_after", cpu_json(worst.cpu_after)},
          {"from_ns", worst.from_ns},
          {"to_ns", worst.to_ns},
          {"merged_below_ns", worst.merged_below_ns},
          {"cpus", cpus},
          {"cpus_left_out", worst.cpus_left_out}};
}

}  // namespace

Json details_json(const sim::Metrics& metrics) {
  if (!metrics.details) return nullptr;
  const std::vector<u32> order = worst_tasks(metrics);
  const std::size_t listed = std::min(order.size(), kTasksListed);
  Json tasks = Json::array();
  for (std::size_t i = 0; i < listed; ++i)
    tasks.push_back(task_json(metrics.tasks[order[i]], metrics.details->tasks[order[i]]));
  return {{"histograms",
           {{"wakeup_latency_ns", histogram_json(metrics.wakeup_latency_ns)},
            {"run_delay_ns", histogram_json(metrics.run_delay_ns)},
            {"slice_ns", histogram_json(metrics.slice_ns)}}},
          {"tasks", tasks},
          {"tasks_left_out", order.size() - listed},
          {"worst_moment", worst_json(metrics)}};
}

Json provenance_json(const Console& console) {
  return {{"command", console.command()},
          {"version", kVersion},
          {"compiler", kCompiler},
          {"build_type", kBuildType},
          {"code", {{"engine", kEngineHash}, {"policies", kPoliciesHash}, {"dispatcher", kDispatcherHash}}}};
}

Json recording_json(const std::string& file, const trace::SessionInfo& info) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  return {
      {"file", file},
      {"sha256", in ? Json(trace::sha256_hex(bytes)) : Json(nullptr)},
      {"policy", policy_text(info.policy, info.options)},
      {"seed", info.seed},
      {"cpus", info.cpus},
      {"kernel", info.kernel_release},
      {"preemption", info.preemption},
      {"hz", info.hz},
      {"machine", info.machine},
      {"cpu_model", info.cpu_model},
      {"version", info.version},
      {"code", {{"engine", info.engine_hash}, {"policies", info.policies_hash}, {"dispatcher", info.dispatcher_hash}}}};
}

std::string shell_quoted(const std::string& text) {
  const bool plain =
      !text.empty() &&
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@:=,") == text.npos;
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace reprise::cli
