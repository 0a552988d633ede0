// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/suite_expect.h"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/core/options.h"
#include "sim/suite/measure.h"

namespace reprise::sim {
namespace {

constexpr std::pair<std::string_view, double> kTimeUnits[] = {{"_ns", 1}, {"_us", 1e3}, {"_ms", 1e6}, {"_s", 1e9}};

// What a suite may expect, for messages and for the nearest one: with the unit that people use.
const std::vector<std::string>& bound_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (const MetricInfo& metric : measures()) {
      std::string name(metric.name);
      if (metric.unit == Unit::kNs) name.replace(name.size() - 2, 2, "us");
      made.push_back("max_" + name);
      made.push_back("min_" + name);
    }
    made.emplace_back("max_gap_ms");
    return made;
  }();
  return names;
}

std::string known_names() {
  return "max_ or min_, a metric, a unit: as max_p99_wakeup_latency_us, max_gap_ms, min_throughput, "
         "max_weight_error_pct; docs/suite.md lists them";
}

// "max_p99_run_delay_us" into `bound`, all but the value. `unit`: a time must have one.
Expected<void> read_name(const Layers& layers, const std::string& key, bool unit, Bound& bound, double& factor) {
  const toml::node& node = *layers.find(key);
  const auto unknown = [&] {
    std::vector<std::string_view> names(bound_names().begin(), bound_names().end());
    std::string_view nearest = nearest_name(key, names);
    return refuse(layers.file(), node,
                  fmt::format("unknown expectation '{}'{}", key,
                              nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                  known_names());
  };
  if (!key.starts_with("max_") && !key.starts_with("min_")) return unknown();
  bound.upper = key.starts_with("max_");
  const std::string_view name = std::string_view(key).substr(4);
  bound.metric = find_measure(name);
  if (!bound.metric) return unknown();
  bound.key = key;
  bound.line = line_of(node);
  factor = 1;
  if (!unit || bound.metric->unit != Unit::kNs) return {};
  for (const auto& [suffix, ns] : kTimeUnits)
    if (name.ends_with(suffix)) return factor = ns, Expected<void>{};
  return refuse(layers.file(), node, fmt::format("{} has no unit", key), "end it in _ns, _us, _ms or _s");
}

Expected<void> read_one(const Layers& layers, const std::string& key, bool unit, u32 group,
                        std::vector<Bound>& bounds) {
  Bound bound;
  double factor = 1;
  if (auto named = read_name(layers, key, unit, bound, factor); !named) return named;
  auto value = layers.number(key, 0, 0, 1e18);
  if (!value) return std::unexpected(value.error());
  bound.group = group;
  bound.value = *value * factor;
  for (const Bound& other : bounds) {
    if (other.metric != bound.metric || other.group != group) continue;
    if (other.upper == bound.upper)
      return refuse(layers.file(), *layers.find(key),
                    fmt::format("{} and {} (line {}) say the same thing twice", key, other.key, other.line),
                    "leave one of them out");
    const Bound &most = bound.upper ? bound : other, &least = bound.upper ? other : bound;
    if (least.value > most.value)
      return refuse(layers.file(), *layers.find(key),
                    fmt::format("{} (line {}) and {} (line {}) contradict each other", least.key, least.line, most.key,
                                most.line),
                    "no run can keep both; correct one of them");
  }
  bounds.push_back(std::move(bound));
  return {};
}

Expected<std::vector<Bound>> read_table(const Layers& layers, const Setup& setup, bool unit) {
  std::vector<Bound> bounds;
  for (const std::string& key : layers.keys()) {
    if (!layers.find(key)->is_table()) {
      if (auto read = read_one(layers, key, unit, 0, bounds); !read) return std::unexpected(read.error());
      continue;
    }
    const auto group = std::ranges::find(setup.groups, key, &TaskGroup::name);
    if (group == setup.groups.end())
      return refuse(layers.file(), *layers.find(key), fmt::format("no group of tasks is called '{}'", key),
                    fmt::format("define it: tasks = {{ {} = \"NAME*\" }}", key));
    auto below = layers.sub(key);
    if (!below) return std::unexpected(below.error());
    for (const std::string& name : below->keys()) {
      const u32 number = static_cast<u32>(group - setup.groups.begin()) + 1;
      if (auto read = read_one(*below, name, unit, number, bounds); !read) return std::unexpected(read.error());
    }
  }
  return bounds;
}

}  // namespace

Expected<std::vector<Bound>> read_bounds(const Layers& layers, const Setup& setup) {
  auto table = layers.sub("expect");
  if (!table) return std::unexpected(table.error());
  return read_table(*table, setup, true);
}

Expected<std::vector<Bound>> read_factors(const Layers& versus, std::string_view policy, const Setup& setup) {
  auto table = versus.sub(policy);
  if (!table) return std::unexpected(table.error());
  return read_table(*table, setup, false);
}

Expected<std::vector<Gate>> read_gates(const Layers& layers) {
  auto table = layers.sub("gate");
  if (!table) return std::unexpected(table.error());
  std::vector<Gate> gates = suite_gates();
  auto all = table->text("all", "on");
  if (!all) return std::unexpected(all.error());
  if (*all == "off") gates.clear();
  if (*all != "off" && *all != "on")
    return refuse(layers.file(), *table->find("all"), fmt::format("all must be \"on\" or \"off\", not \"{}\"", *all));
  for (const std::string& key : table->keys()) {
    if (key == "all") continue;
    auto text = table->text(key);
    if (!text) return std::unexpected(text.error());
    const MetricInfo* metric = find_measure(key);
    if (!metric) {
      std::vector<std::string_view> names;
      for (const MetricInfo& known : measures()) names.push_back(known.name);
      const std::string_view nearest = nearest_name(key, names);
      return refuse(layers.file(), *table->find(key),
                    fmt::format("unknown metric '{}'{}", key,
                                nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)));
    }
    std::string bare;
    for (const char c : *text)
      if (c != ' ') bare += c;
    if (auto applied = apply_gate(gates, fmt::format("{}={}", metric->name, bare), measures()); !applied)
      return refuse(layers.file(), *table->find(key), applied.error().what, applied.error().hint);
  }
  return gates;
}

}  // namespace reprise::sim
