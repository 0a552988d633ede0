// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/sim_options.h"

#include <algorithm>
#include <charconv>

#include "scheduler/load/load.h"
#include "tools/cli/arguments.h"

namespace reprise::cli {
namespace {

constexpr std::size_t kMaxNumbers = 10'000;

std::string fault_names() {
  std::string names;
  for (const sim::FaultField& field : sim::fault_fields())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", field.name);
  return names;
}

struct NamedValue {
  std::string_view name;
  u64 value;
};
// "name=value,name=value"
Expected<std::vector<NamedValue>> parse_pairs(std::string_view option, const std::vector<std::string>& texts) {
  std::vector<NamedValue> pairs;
  for (const std::string& text : texts) {
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      const std::size_t equals = item.find('=');
      u64 value = 0;
      const char* end = item.data() + item.size();
      if (equals == item.npos) return fail(ExitCode::kUsage, fmt::format("{}: '{}' is not NAME=VALUE", option, item));
      const auto [at, error] = std::from_chars(item.data() + equals + 1, end, value);
      if (error != std::errc() || at != end)
        return fail(ExitCode::kUsage, fmt::format("{}: '{}' has no whole number for a value", option, item));
      pairs.push_back({item.substr(0, equals), value});
    }
  }
  return pairs;
}

}  // namespace

std::vector<std::string> split_policies(std::string_view text) {
  std::vector<std::string> policies;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const bool option = item.find('=') != item.npos && item.find(':') == item.npos;
    if (option && !policies.empty())
      policies.back() += fmt::format(",{}", item);
    else
      policies.emplace_back(item);
  }
  return policies;
}

Expected<std::vector<u64>> parse_numbers(std::string_view option, std::string_view text, u64 min, u64 max) {
  const auto refuse = [&] {
    return fail(ExitCode::kUsage, fmt::format("{} '{}' is not a list of numbers within {}..{}", option, text, min, max),
                {}, "as 4, or 1,2,4, or 1-8");
  };
  std::vector<u64> numbers;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    u64 first = 0;
    const char* end = item.data() + item.size();
    auto parsed = std::from_chars(item.data(), end, first);
    u64 last = first;
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-')
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    if (parsed.ec != std::errc() || parsed.ptr != end || first < min || last > max || last < first) return refuse();
    if (numbers.size() + (last - first) >= kMaxNumbers) return refuse();
    for (u64 number = first; number <= last; ++number) numbers.push_back(number);
  }
  if (numbers.empty()) return refuse();
  return numbers;
}

void SimSelection::declare(CLI::App& app) {
  // One value each time, so that FILE may follow them.
  app.add_option("-p,--policy", policy_text_, "policies to try, as NAME:KEY=VALUE,...; repeatable")
      ->required()
      ->type_name("P[,P...]")
      ->allow_extra_args(false);
  app.add_option("--seed", seed_text_, "seeds, as 1 or 1,2 or 1-8 (1)")->type_name("LIST");
  app.add_option("--jitter", jitter_pct_, "by how much a seed changes run times; 0.1 is the least (0)")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 90.0));
  app.add_option("--cpus", cpus_text_, "CPU counts, as 4 or 1,2,4 (as recorded)")->type_name("LIST");
  app.add_option("--topology", topology_text_, "nodes, caches per node, cores per cache, threads, as 1n2l4c2t")
      ->type_name("TOPOLOGY");
  app.add_option("--duration", duration_text_, "simulated time (until the workload has ended)")->type_name("SECONDS");
  add_number(app, "--hz", hz_, {"N", 100, 10'000, false}, "ticks per second; as recorded when not given");
  add_number(app, "--session", session, {"N", 1, 1'000'000, false}, "of the trace; the first when not given");
  app.add_option("--cost", cost_text_, "set costs by name, in ns; --costs shows them")
      ->type_name("NAME=NS,...")
      ->allow_extra_args(false);
  app.add_flag("--default-costs", default_costs, "do not fit the costs to the recording");
  app.add_option("--costs-from", costs_from, "fit the costs on this recording instead")->type_name("FILE");
  app.add_option("--fault", fault_text_, "what goes wrong, from the seed: " + fault_names())
      ->type_name("NAME=N,...")
      ->allow_extra_args(false);
  app.add_flag("--check", check_, "hold all invariants after every event; slow");
  add_number(app, "--check-every", check_every_, {"N", 1, 4'000'000'000, false}, "... after every N events");
}

Expected<void> SimSelection::parse() {
  for (const std::string& text : policy_text_)
    for (std::string& policy : split_policies(text)) policies_.push_back(std::move(policy));
  if (policies_.empty()) return fail(ExitCode::kUsage, "--policy names none", {}, "reprise policies lists them");
  if (jitter_pct_ != 0 && jitter_per_mille() == 0)
    return fail(ExitCode::kUsage, fmt::format("--jitter {} is below 0.1 percent, the least there is", jitter_pct_));
  auto seeds = parse_numbers("--seed", seed_text_, 0, ~u64{0} - 1);
  if (!seeds) return std::unexpected(seeds.error());
  seeds_ = std::move(*seeds);
  if (!cpus_text_.empty()) {
    if (!topology_text_.empty()) return fail(ExitCode::kUsage, "--cpus and --topology exclude each other");
    auto cpus = parse_numbers("--cpus", cpus_text_, 1, kMaxCpus);
    if (!cpus) return std::unexpected(cpus.error());
    cpus_ = std::move(*cpus);
  }
  if (!duration_text_.empty()) {
    double seconds = 0;
    const char* end = duration_text_.data() + duration_text_.size();
    const auto [at, error] = std::from_chars(duration_text_.data(), end, seconds);
    if (error != std::errc() || at != end || !(seconds > 0 && seconds <= 1e6))
      return fail(ExitCode::kUsage, fmt::format("--duration '{}' is not a number of seconds above 0", duration_text_));
    duration_ns_ = static_cast<u64>(seconds * 1e9);
  }
  auto costs = parse_pairs("--cost", cost_text_);
  if (!costs) return std::unexpected(costs.error());
  for (const NamedValue& pair : *costs) {
    std::string_view name = pair.name;
    if (name.ends_with("_ns")) name.remove_suffix(3);
    std::vector<std::string_view> names;
    for (const sim::CostField& field : sim::cost_fields()) names.push_back(field.name);
    const auto at = std::ranges::find(sim::cost_fields(), name, &sim::CostField::name);
    if (at == sim::cost_fields().end())
      return fail(ExitCode::kUsage, fmt::format("--cost: no cost '{}'{}", name, suggestion(name, names)), {},
                  "--costs lists them");
    if (pair.value > 10 * kNsPerSec)
      return fail(ExitCode::kUsage, fmt::format("--cost: {} ns is too much", pair.value));
    costs_.emplace_back(at->field, pair.value);
  }
  auto faults = parse_pairs("--fault", fault_text_);
  if (!faults) return std::unexpected(faults.error());
  for (const NamedValue& pair : *faults) {
    const auto at = std::ranges::find(sim::fault_fields(), pair.name, &sim::FaultField::name);
    if (at == sim::fault_fields().end())
      return fail(ExitCode::kUsage, fmt::format("--fault: no fault '{}'", pair.name), {}, "one of " + fault_names());
    if (pair.value > at->max)
      return fail(ExitCode::kUsage, fmt::format("--fault: {} is out of range; 0..{}", pair.name, at->max));
    at->set(faults_, pair.value * at->scale);
  }
  return {};
}

u32 SimSelection::least_cpus(u32 otherwise) const {
  if (auto topology = sim::Topology::parse(topology_text_); topology) return topology->size();
  return cpus_.empty() ? otherwise : static_cast<u32>(std::ranges::min(cpus_));
}

sim::Costs SimSelection::costs(sim::Costs base) const {
  for (const auto& [field, value] : costs_) base.*field = value;
  return base;
}

Expected<std::vector<SimSelection::Machine>> SimSelection::machines(const sim::SimOptions& base) const {
  std::vector<sim::Topology> topologies;
  if (!topology_text_.empty()) {
    auto topology = sim::Topology::parse(topology_text_);
    if (!topology) return std::unexpected(topology.error());
    topologies.push_back(std::move(*topology));
  } else if (!cpus_.empty()) {
    for (const u64 cpus : cpus_)
      topologies.push_back(cpus == base.topology.size() ? base.topology : sim::Topology::flat(static_cast<u32>(cpus)));
  } else {
    topologies.push_back(base.topology);
  }
  std::vector<Machine> machines;
  for (const std::string& policy : policies_) {
    PolicySpec spec;
    if (policy != kKernelDefault) {
      auto parsed = loader::load_policy(policy);
      if (!parsed) return std::unexpected(parsed.error());
      spec = std::move(*parsed);
    }
    for (const sim::Topology& topology : topologies)
      for (const u64 seed : seeds_) {
        sim::SimOptions options = base;
        options.topology = topology;
        options.seed = seed;
        if (hz_ != 0) options.hz = hz_;
        options.costs = costs(base.costs);
        options.policy = spec.info;
        options.policy_options = spec.options;
        options.faults = faults_;
        options.check_every = check_every_ != 0 ? check_every_ : check_ ? 1 : 0;
        machines.push_back({policy, spec.info ? spec.text() : policy, spec.code, options});
      }
  }
  return machines;
}

}  // namespace reprise::cli
