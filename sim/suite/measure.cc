// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace reprise::sim {
namespace {

using enum Unit;
using enum Better;

constexpr MetricInfo kOwn[] = {
    {"throughput", "throughput", "", kRatio, 0, kMore, 0.02, 0.01},
    {"weight_error_pct", "weight_error_pct", "", kRatio, 2, kLess, 0.20, 1.0},
    {"spread_pct", "spread_pct", "", kRatio, 2, kLess, 0.25, 5.0},
    {"migration_ratio", "migration_ratio", "", kRatio, 0, std::nullopt, 0.0, 0.0},
    {"migration_rate", "migration_rate", "", kRatio, 0, std::nullopt, 0.0, 0.0},
    {"context_switch_rate", "context_switch_rate", "", kRatio, 0, std::nullopt, 0.0, 0.0},
};

// One array, so that gates are ordered by it.
const std::vector<MetricInfo>& all() {
  static const std::vector<MetricInfo> table = [] {
    std::vector<MetricInfo> made(metric_table().begin(), metric_table().end());
    made.insert(made.end(), std::begin(kOwn), std::end(kOwn));
    return made;
  }();
  return table;
}

std::string_view without_unit(std::string_view name) {
  for (const std::string_view unit : {"_ns", "_us", "_ms", "_s", "_pct"})
    if (name.ends_with(unit)) return name.substr(0, name.size() - unit.size());
  return name;
}

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

MetricValue weight_error(std::span<const WeightedTask> tasks, u64 makespan_ns) {
  double cpu = 0, weights = 0;
  u64 count = 0;
  const auto competes = [&](const WeightedTask& task) {
    return task.cpu_ns + task.delay_ns >= makespan_ns / 10 * 9 && task.cpu_ns + task.delay_ns != 0;
  };
  for (const WeightedTask& task : tasks)
    if (competes(task)) cpu += static_cast<double>(task.cpu_ns), weights += task.weight, ++count;
  if (count < 2 || cpu == 0) return {0, 0};
  double off = 0;
  for (const WeightedTask& task : tasks)
    if (competes(task)) off += std::abs(static_cast<double>(task.cpu_ns) - cpu * task.weight / weights);
  return {off / 2 / cpu * 100, count};
}

MetricValue spread(std::span<const WeightedTask> tasks, u64 makespan_ns) {
  double least = 2, most = -1;
  u64 count = 0;
  for (const WeightedTask& task : tasks) {
    const u64 asked = task.cpu_ns + task.delay_ns;
    if (asked == 0 || asked < makespan_ns / 100) continue;
    const double part = ratio(static_cast<double>(task.cpu_ns), static_cast<double>(asked));
    least = std::min(least, part), most = std::max(most, part), ++count;
  }
  return count < 2 ? MetricValue{0, 0} : MetricValue{(most - least) * 100, count};
}

}  // namespace

std::span<const MetricInfo> measures() { return all(); }

const MetricInfo* find_measure(std::string_view name) {
  const std::string_view bare = without_unit(name);
  if (bare == "gap") return find_measure("max_wait");
  const auto at = std::ranges::find(all(), bare, [](const MetricInfo& metric) { return without_unit(metric.name); });
  return at == all().end() ? nullptr : &*at;
}

std::size_t index_of(const MetricInfo& metric) { return static_cast<std::size_t>(&metric - all().data()); }

std::vector<Gate> suite_gates() {
  std::vector<Gate> gates;
  for (const MetricInfo& metric : all())
    if (metric.better) gates.push_back({&metric, *metric.better, metric.relative, metric.absolute});
  return gates;
}

std::vector<MetricValue> measure(const Metrics& metrics, std::span<const WeightedTask> tasks) {
  std::vector<MetricValue> values;
  for (const MetricInfo& metric : metric_table()) values.push_back(value_of(metrics, metric));
  double cpu = 0, runs = 0;
  u64 switches = 0, migrations = 0;
  for (const WeightedTask& task : tasks) {
    cpu += static_cast<double>(task.cpu_ns);
    switches += task.switches, migrations += task.migrations;
  }
  runs = static_cast<double>(switches);
  const double span = static_cast<double>(metrics.makespan_ns);
  values.push_back({ratio(cpu, span), 0});
  values.push_back(weight_error(tasks, metrics.makespan_ns));
  values.push_back(spread(tasks, metrics.makespan_ns));
  values.push_back({ratio(static_cast<double>(migrations), runs), 0});
  values.push_back({ratio(static_cast<double>(metrics.migrations) * 1e9, span), 0});
  values.push_back({ratio(static_cast<double>(metrics.context_switches) * 1e9, span), 0});
  return values;
}

bool per_task(const MetricInfo& metric) {
  constexpr std::string_view kOthers[] = {"max_wait_ns", "fairness_jain", "throughput", "weight_error_pct",
                                          "spread_pct"};
  return !metric.part.empty() || std::ranges::find(kOthers, metric.name) != std::end(kOthers);
}

std::string value_text(const MetricInfo& metric, double value) {
  if (metric.unit == kNs) {
    for (const auto& [unit, factor] : {std::pair{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}})
      if (value >= factor) return fmt::format("{:.3g} {}", value / factor, unit);
    return fmt::format("{:.0f} ns", value);
  }
  if (metric.name.ends_with("_pct")) return fmt::format("{:.2f} %", value);
  return metric.unit == kCount ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

}  // namespace reprise::sim
