// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/gates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scheduler/core/options.h"

namespace reprise::sim {
namespace {

constexpr double kUs = kNsPerUs, kMs = kNsPerMs;
using enum Unit;
using enum Better;

// What a default gate lets pass is what repeats of one run differ by on a quiet machine, and a little more.
constexpr MetricInfo kMetrics[] = {
    {"context_switches", "context_switches", "", kCount, 0, kLess, 0.10, 100},
    {"voluntary_switches", "voluntary_switches", "", kCount},
    {"involuntary_switches", "involuntary_switches", "", kCount},
    {"migrations", "migrations", "", kCount, 0, kLess, 0.25, 50},
    {"cpu_utilisation", "cpu_utilisation", "", kRatio},
    {"makespan_ns", "makespan_ns", "", kNs, 0, kLess, 0.02, kMs},
    {"fairness_jain", "fairness_jain", "", kRatio, 0, kMore, 0.02, 0.01},
    {"max_wait_ns", "max_wait_ns", "", kNs, 0, kLess, 0.25, kMs},
    {"min_wakeup_latency_ns", "wakeup_latency_ns", "min", kNs},
    {"mean_wakeup_latency_ns", "wakeup_latency_ns", "mean", kNs, 100, kLess, 0.10, 20 * kUs},
    {"p50_wakeup_latency_ns", "wakeup_latency_ns", "p50", kNs, 100, kLess, 0.10, 20 * kUs},
    {"p90_wakeup_latency_ns", "wakeup_latency_ns", "p90", kNs, 100, kLess, 0.10, 50 * kUs},
    {"p95_wakeup_latency_ns", "wakeup_latency_ns", "p95", kNs, 200},
    {"p99_wakeup_latency_ns", "wakeup_latency_ns", "p99", kNs, 1'000, kLess, 0.10, 50 * kUs},
    {"p999_wakeup_latency_ns", "wakeup_latency_ns", "p999", kNs, 10'000, kLess, 0.20, 200 * kUs},
    {"max_wakeup_latency_ns", "wakeup_latency_ns", "max", kNs},
    {"min_run_delay_ns", "run_delay_ns", "min", kNs},
    {"mean_run_delay_ns", "run_delay_ns", "mean", kNs, 100, kLess, 0.10, 20 * kUs},
    {"p50_run_delay_ns", "run_delay_ns", "p50", kNs, 100, kLess, 0.10, 20 * kUs},
    {"p90_run_delay_ns", "run_delay_ns", "p90", kNs, 100, kLess, 0.10, 50 * kUs},
    {"p95_run_delay_ns", "run_delay_ns", "p95", kNs, 200},
    {"p99_run_delay_ns", "run_delay_ns", "p99", kNs, 1'000, kLess, 0.10, 50 * kUs},
    {"p999_run_delay_ns", "run_delay_ns", "p999", kNs, 10'000, kLess, 0.20, 200 * kUs},
    {"max_run_delay_ns", "run_delay_ns", "max", kNs},
    {"min_slice_ns", "slice_ns", "min", kNs},
    {"mean_slice_ns", "slice_ns", "mean", kNs, 100},
    {"p50_slice_ns", "slice_ns", "p50", kNs, 100},
    {"p90_slice_ns", "slice_ns", "p90", kNs, 100},
    {"p95_slice_ns", "slice_ns", "p95", kNs, 200},
    {"p99_slice_ns", "slice_ns", "p99", kNs, 1'000},
    {"p999_slice_ns", "slice_ns", "p999", kNs, 10'000},
    {"max_slice_ns", "slice_ns", "max", kNs},
};

constexpr std::pair<std::string_view, double> kTimeUnits[] = {{"ns", 1}, {"us", kUs}, {"ms", kMs}, {"s", kNsPerSec}};

std::string_view without_unit(std::string_view name) {
  return name.ends_with("_ns") ? name.substr(0, name.size() - 3) : name;
}

double part_of(const Histogram& histogram, std::string_view part) {
  constexpr std::pair<std::string_view, u32> kPercentiles[] = {
      {"p50", 500}, {"p90", 900}, {"p95", 950}, {"p99", 990}, {"p999", 999}};
  for (const auto& [name, per_mille] : kPercentiles)
    if (part == name) return static_cast<double>(histogram.percentile(per_mille));
  if (part == "min") return static_cast<double>(histogram.min());
  if (part == "mean") return static_cast<double>(histogram.mean());
  return static_cast<double>(histogram.max());
}

// "10%", "50us", "less" into `gate`.
Expected<void> apply_term(Gate& gate, std::string_view term, std::string_view text) {
  constexpr std::pair<std::string_view, Better> kDirections[] = {{"less", kLess}, {"more", kMore}, {"same", kSame}};
  for (const auto& [name, better] : kDirections)
    if (term == name) return gate.better = better, Expected<void>{};
  const auto refuse = [&](std::string_view why) {
    return fail(ExitCode::kUsage, fmt::format("gate '{}': {}", text, why), {},
                fmt::format("as {}={}", without_unit(gate.metric->name),
                            gate.metric->unit == kNs      ? "10%,50us"
                            : gate.metric->unit == kCount ? "10%,100"
                                                          : "2%,0.01"));
  };
  double number = 0;
  const char* end = term.data() + term.size();
  const auto [at, error] = std::from_chars(term.data(), end, number);
  if (error != std::errc() || !(number >= 0 && number <= 1e18))
    return refuse(fmt::format("'{}' is neither a threshold nor less, more or same", term));
  const std::string_view unit(at, static_cast<std::size_t>(end - at));
  if (unit == "%") return gate.relative = number / 100, Expected<void>{};
  if (gate.metric->unit != kNs) {
    if (!unit.empty()) return refuse(fmt::format("{} has no unit, and '{}' has one", gate.metric->name, term));
    return gate.absolute = number, Expected<void>{};
  }
  for (const auto& [name, factor] : kTimeUnits)
    if (unit == name) return gate.absolute = number * factor, Expected<void>{};
  return refuse(fmt::format("'{}' needs a unit: %, ns, us, ms or s", term));
}

double median(std::span<const MetricValue> runs) {
  std::vector<double> values;
  for (const MetricValue& run : runs) values.push_back(run.value);
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double spread(std::span<const MetricValue> runs) {
  const auto [least, greatest] = std::ranges::minmax(runs, {}, &MetricValue::value);
  return greatest.value - least.value;
}

}  // namespace

std::span<const MetricInfo> metric_table() { return kMetrics; }

Expected<const MetricInfo*> find_metric(std::string_view name, std::span<const MetricInfo> table) {
  std::vector<std::string_view> names;
  for (const MetricInfo& metric : table) {
    if (name == metric.name || name == without_unit(metric.name)) return &metric;
    if (!metric.part.empty() && without_unit(name) == fmt::format("{}_{}", without_unit(metric.key), metric.part))
      return &metric;
    names.push_back(without_unit(metric.name));
  }
  const std::string_view nearest = nearest_name(without_unit(name), names);
  return fail(ExitCode::kUsage,
              fmt::format("unknown metric '{}'{}", name,
                          nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
              {}, fmt::format("one of: {}", fmt::join(names, ", ")));
}

MetricValue value_of(const Metrics& metrics, const MetricInfo& metric) {
  if (metric.key == "context_switches") return {static_cast<double>(metrics.context_switches)};
  if (metric.key == "voluntary_switches") return {static_cast<double>(metrics.voluntary_switches)};
  if (metric.key == "involuntary_switches") return {static_cast<double>(metrics.involuntary_switches)};
  if (metric.key == "migrations") return {static_cast<double>(metrics.migrations)};
  if (metric.key == "cpu_utilisation") return {metrics.cpu_utilisation()};
  if (metric.key == "makespan_ns") return {static_cast<double>(metrics.makespan_ns)};
  if (metric.key == "fairness_jain") return {metrics.fairness_jain()};
  if (metric.key == "max_wait_ns") return {static_cast<double>(metrics.max_wait_ns)};
  const Histogram& histogram = metric.key == "wakeup_latency_ns" ? metrics.wakeup_latency_ns
                               : metric.key == "run_delay_ns"    ? metrics.run_delay_ns
                                                                 : metrics.slice_ns;
  return {part_of(histogram, metric.part), histogram.count()};
}

std::vector<Gate> default_gates(std::span<const MetricInfo> table) {
  std::vector<Gate> gates;
  for (const MetricInfo& metric : table)
    if (metric.better) gates.push_back({&metric, *metric.better, metric.relative, metric.absolute});
  return gates;
}

Expected<void> apply_gate(std::vector<Gate>& gates, std::string_view text, std::span<const MetricInfo> table) {
  if (text == "none") return gates.clear(), Expected<void>{};
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals + 1 == text.size())
    return fail(ExitCode::kUsage, fmt::format("gate '{}' is not NAME=THRESHOLD,...", text), {},
                "as p99_run_delay=10%,50us, or migrations=off, or none");
  const auto metric = find_metric(text.substr(0, equals), table);
  if (!metric) return std::unexpected(metric.error());
  const MetricInfo& info = **metric;
  std::erase_if(gates, [&](const Gate& gate) { return gate.metric == &info; });
  std::string_view rest = text.substr(equals + 1);
  if (rest == "off") return {};
  Gate gate{.metric = &info, .better = info.better.value_or(kLess), .relative = 0, .absolute = 0};
  bool directed = info.better.has_value();
  while (!rest.empty()) {
    const std::string_view term = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), term.size() + 1));
    if (auto applied = apply_term(gate, term, text); !applied) return applied;
    directed = directed || term == "less" || term == "more" || term == "same";
  }
  if (!directed)
    return fail(ExitCode::kUsage, fmt::format("gate '{}': less of {} may be better, or more", text, info.name), {},
                fmt::format("add ,less or ,more or ,same"));
  // In the order of the table, whatever the order of the command line.
  const auto at = std::ranges::find_if(gates, [&](const Gate& other) { return other.metric > gate.metric; });
  gates.insert(at, gate);
  return {};
}

std::string text_of(const Gate& gate) {
  std::string absolute = fmt::format("{:g}", gate.absolute);
  if (gate.metric->unit == kNs)
    for (const auto& [name, factor] : kTimeUnits)
      if (gate.absolute >= factor || factor == 1) absolute = fmt::format("{:g} {}", gate.absolute / factor, name);
  return fmt::format("{:g} %, {}, {}", gate.relative * 100, absolute,
                     gate.better == kLess   ? "less is better"
                     : gate.better == kMore ? "more is better"
                                            : "either way is worse");
}

std::string_view name(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::kPass:
      return "pass";
    case GateVerdict::kFail:
      return "fail";
    case GateVerdict::kUndecided:
      return "undecided";
  }
  return "unknown";
}

Judgement compare(std::span<const MetricValue> base, std::span<const MetricValue> now) {
  Judgement result;
  result.base = median(base);
  result.now = median(now);
  result.spread = std::max(spread(base), spread(now));
  result.worse = std::max(result.now, result.base) - std::min(result.now, result.base);
  result.allowed = result.spread;
  return result;
}

Judgement judge(const Gate& gate, std::span<const MetricValue> base, std::span<const MetricValue> now) {
  Judgement result = compare(base, now);
  if (gate.better == kLess) result.worse = result.now - result.base;
  if (gate.better == kMore) result.worse = result.base - result.now;
  result.allowed = std::max({gate.relative * std::abs(result.base), gate.absolute, result.spread});
  u64 fewest = ~u64{0};
  for (const auto& side : {base, now})
    for (const MetricValue& run : side) fewest = std::min(fewest, run.count);
  if (gate.metric->min_count != 0 && fewest < gate.metric->min_count) {
    result.verdict = GateVerdict::kUndecided;
    result.reason = fmt::format("{} values, {} needed", fewest, gate.metric->min_count);
  } else if (result.worse > result.allowed) {
    result.verdict = GateVerdict::kFail;
  }
  return result;
}

}  // namespace reprise::sim
