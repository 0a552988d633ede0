// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "scheduler/core/options.h"
#include "sim/kernel/topology.h"
#include "sim/suite/suite.h"
#include "sim/suite/suite_expect.h"
#include "sim/suite/toml_layers.h"
#include "sim/workload/generate.h"
#include "traces/digest.h"

namespace reprise::sim {
namespace {

constexpr std::string_view kSchema = "reprise.suite/1";
constexpr std::string_view kTopKeys[] = {"schema", "name", "defaults", "profiles", "case"};
constexpr std::string_view kLayerKeys[] = {
    "use",      "workload", "trace",  "load",   "rtapp",       "replay",       "session", "policy",
    "topology", "cpus",     "hz",     "seeds",  "duration_ms", "faults",       "check",   "jitter_pct",
    "bound_ms", "tasks",    "expect", "versus", "gate",        "time_limit_s", "long",    "decisions_sha256"};
constexpr std::pair<std::string_view, Source> kSources[] = {{"trace", Source::kTrace},
                                                            {"load", Source::kLoad},
                                                            {"rtapp", Source::kRtapp},
                                                            {"workload", Source::kWorkload},
                                                            {"replay", Source::kReplay}};

std::vector<std::string_view> with_name() {
  std::vector<std::string_view> keys(std::begin(kLayerKeys), std::end(kLayerKeys));
  keys.push_back("name");
  return keys;
}

Expected<std::string> contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || std::filesystem::is_directory(path) || !(text << in.rdbuf()))
    return fail(ExitCode::kIo, "cannot be read", path, "is the path right?");
  return std::move(text).str();
}

// A shared object, by its path and maybe options: what scheduler/load takes for one.
bool names_object(std::string_view policy) {
  const std::string_view name = policy.substr(0, policy.find(':'));
  return name.contains('/') || name.ends_with(".so");
}

class SuiteReader {
 public:
  SuiteReader(const std::string& path, const SuitePolicyFinder& find, const ReadSuiteOptions& options)
      : find_(find), options_(options) {
    suite_.path = path;
  }

  Expected<Suite> read(const toml::table& top) {
    const std::string& file = suite_.path;
    if (auto known = check_keys(file, top, kTopKeys, "the suite"); !known) return std::unexpected(known.error());
    Layers whole(file);
    whole.add(top);
    auto schema = whole.text("schema", std::string(kSchema));
    auto name = whole.text("name", std::filesystem::path(file).stem().string());
    if (!schema) return std::unexpected(schema.error());
    if (!name) return std::unexpected(name.error());
    if (*schema != kSchema)
      return refuse(file, *top.get("schema"), fmt::format("schema is '{}'; this program reads {}", *schema, kSchema));
    suite_.name = *name;
    auto profiles = whole.sub("profiles");
    if (!profiles) return std::unexpected(profiles.error());
    for (const std::string& profile : profiles->keys()) {
      const toml::node* node = profiles->find(profile);
      if (!node->is_table()) return refuse(file, *node, fmt::format("profile {} must be a table", profile));
      if (auto known = check_keys(file, *node->as_table(), kLayerKeys, "profile " + profile); !known)
        return std::unexpected(known.error());
      profiles_[profile] = node->as_table();
    }
    if (const toml::node* node = top.get("defaults")) {
      if (!node->is_table()) return refuse(file, *node, "defaults must be a table");
      defaults_ = node->as_table();
      if (auto known = check_keys(file, *defaults_, kLayerKeys, "defaults"); !known)
        return std::unexpected(known.error());
    }
    const toml::node* cases = top.get("case");
    const auto* list = cases ? cases->as_array() : nullptr;
    if (!list || list->empty())
      return fail(ExitCode::kBadInput, "the suite has no cases, so it proves nothing", file,
                  "add a [[case]]; docs/suite.md has an example");
    for (const toml::node& node : *list) {
      if (!node.is_table()) return refuse(file, node, "a case must be a table: [[case]]");
      if (auto added = add(*node.as_table()); !added) return std::unexpected(added.error());
    }
    return std::move(suite_);
  }

 private:
  // Defaults, then the profiles that it names, then the case itself.
  Expected<Layers> layers_of(const toml::table& table) {
    Layers layers(suite_.path);
    if (defaults_) layers.add(*defaults_);
    Layers own(suite_.path);
    own.add(table);
    auto used = own.texts("use");
    if (!used) return std::unexpected(used.error());
    for (const std::string& profile : *used) {
      const auto at = profiles_.find(profile);
      if (at == profiles_.end()) {
        std::vector<std::string_view> names;
        for (const auto& [name, unused] : profiles_) names.push_back(name);
        const std::string_view nearest = nearest_name(profile, names);
        return refuse(suite_.path, *own.find("use"),
                      fmt::format("no profile '{}'{}", profile,
                                  nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                      "define it: [profiles." + profile + "]");
      }
      layers.add(*at->second);
    }
    layers.add(table);
    return layers;
  }

  Expected<void> source(const toml::table& table, const Layers& layers, Setup& setup) {
    // The nearest layer that names a source counts; within one layer there may be but one.
    const toml::node* found = nullptr;
    for (const auto& [key, kind] : kSources) {
      const toml::node* own = table.get(key);
      if (!own) continue;
      if (found)
        return refuse(suite_.path, *own, "a case has one workload: one of trace, load, rtapp, workload and replay");
      found = own, setup.source = kind;
    }
    for (const auto& [key, kind] : kSources) {
      if (found) break;
      if ((found = layers.find(key))) setup.source = kind;
    }
    if (!found)
      return refuse(suite_.path, table, "the case has no workload",
                    "give one of trace, load, rtapp, workload and replay");
    if (!found->is_string()) return refuse(suite_.path, *found, "a workload must be a text in quotes");
    setup.file = found->as_string()->get();
    if (setup.source == Source::kLoad) return generator(*found, setup.file);
    setup.file = (std::filesystem::path(suite_.path).parent_path() / setup.file).lexically_normal().string();
    auto bytes = contents(setup.file);
    if (!bytes)
      return refuse(suite_.path, *found, fmt::format("{} cannot be read", setup.file),
                    "paths are relative to the suite's own folder; traces/samples/record makes the samples again");
    auto [at, fresh] = digests_.try_emplace(setup.file);
    if (fresh) at->second = trace::sha256_hex(*bytes);
    setup.file_sha256 = at->second;
    return {};
  }

  Expected<void> generator(const toml::node& node, const std::string& text) {
    const std::string name = text.substr(0, text.find(':'));
    if (std::ranges::find(generators(), name) != generators().end()) return {};
    const std::string_view nearest = nearest_name(name, generators());
    return refuse(suite_.path, node,
                  fmt::format("no generator '{}'{}", name,
                              nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                  fmt::format("as NAME:TASKS; names are {}", fmt::join(generators(), ", ")));
  }

  Expected<void> seeds(const Layers& layers, Setup& setup) {
    const toml::node* node = layers.find("seeds");
    if (!node) return setup.seeds = {1 + options_.seed_offset}, Expected<void>{};
    const auto bad = [&] {
      return refuse(suite_.path, *node,
                    fmt::format("seeds must be a number within 1..{}, or a list of seeds that differ", kMaxSeeds));
    };
    if (const auto* count = node->as_integer()) {
      if (count->get() < 1 || count->get() > static_cast<i64>(kMaxSeeds)) return bad();
      for (u64 seed = 1; seed <= static_cast<u64>(count->get()); ++seed) setup.seeds.push_back(seed);
    } else if (const auto* list = node->as_array()) {
      for (const toml::node& item : *list) {
        if (!item.is_integer() || item.as_integer()->get() < 0) return bad();
        setup.seeds.push_back(static_cast<u64>(item.as_integer()->get()));
      }
    }
    if (setup.seeds.empty() || setup.seeds.size() > kMaxSeeds ||
        std::set<u64>(setup.seeds.begin(), setup.seeds.end()).size() != setup.seeds.size())
      return bad();
    for (u64& seed : setup.seeds) seed += options_.seed_offset;
    return {};
  }

  Expected<void> faults(const Layers& layers, FaultOptions& faults) {
    auto table = layers.sub("faults");
    if (!table) return std::unexpected(table.error());
    std::vector<std::string_view> names;
    for (const FaultField& field : fault_fields()) names.push_back(field.name);
    for (const std::string& key : table->keys()) {
      const auto field = std::ranges::find(fault_fields(), key, &FaultField::name);
      if (field == fault_fields().end()) {
        const std::string_view nearest = nearest_name(key, names);
        return refuse(suite_.path, *table->find(key),
                      fmt::format("no fault '{}'{}", key,
                                  nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                      fmt::format("one of {}", fmt::join(names, ", ")));
      }
      auto value = table->whole(key, 0, 0, field->max);
      if (!value) return std::unexpected(value.error());
      field->set(faults, *value * field->scale);
    }
    return {};
  }

  Expected<void> numbers(const Layers& layers, Setup& setup) {
    struct Field {
      std::string_view key;
      u64 least, greatest;
      std::function<void(u64)> set;
    };
    const Field fields[] = {
        {"session", 1, 1'000'000, [&](u64 v) { setup.session = static_cast<u32>(v); }},
        {"hz", 100, 10'000, [&](u64 v) { setup.hz = static_cast<u32>(v); }},
        {"duration_ms", 1, 1'000'000'000, [&](u64 v) { setup.duration_ns = v * kNsPerMs; }},
        {"bound_ms", 1, 1'000'000, [&](u64 v) { setup.bound_ns = v * kNsPerMs; }},
        {"time_limit_s", 1, 86'400, [&](u64 v) { setup.time_limit_s = static_cast<u32>(v); }},
    };
    for (const Field& field : fields) {
      if (!layers.find(field.key)) continue;
      auto value = layers.whole(field.key, 0, field.least, field.greatest);
      if (!value) return std::unexpected(value.error());
      field.set(*value);
    }
    auto jitter = layers.number("jitter_pct", setup.jitter_per_mille / 10.0, 0, 90);
    if (!jitter) return std::unexpected(jitter.error());
    setup.jitter_per_mille = static_cast<u32>(*jitter * 10 + 0.5);
    if (const toml::node* check = layers.find("check"); check && check->is_integer()) {
      auto every = layers.whole("check", 0, 0, 4'000'000'000);
      if (!every) return std::unexpected(every.error());
      setup.check_every = static_cast<u32>(*every);
    } else {
      auto every = layers.flag("check", false);
      if (!every) return std::unexpected(every.error());
      setup.check_every = *every ? 1 : 0;
    }
    return {};
  }

  Expected<void> groups(const Layers& layers, Setup& setup) {
    auto table = layers.sub("tasks");
    if (!table) return std::unexpected(table.error());
    for (const std::string& name : table->keys()) {
      auto patterns = table->texts(name);
      if (!patterns) return std::unexpected(patterns.error());
      setup.groups.push_back({name, std::move(*patterns)});
    }
    if (setup.groups.size() > kMaxGroups)
      return refuse(suite_.path, *layers.find("tasks"), fmt::format("more than {} groups of tasks", kMaxGroups));
    return {};
  }

  Expected<std::vector<std::string>> topologies(const Layers& layers) {
    std::vector<std::string> texts;
    if (const toml::node* node = layers.find("cpus")) {
      if (layers.find("topology")) return refuse(suite_.path, *node, "cpus and topology exclude each other");
      const auto one = [&](const toml::node& item) {
        if (item.is_integer()) texts.push_back(fmt::format("{}", item.as_integer()->get()));
        return item.is_integer();
      };
      const auto* list = node->as_array();
      if (list ? list->empty() || !std::ranges::all_of(*list, one) : !one(*node))
        return refuse(suite_.path, *node, "cpus must be a whole number, or a list of them");
    } else if (layers.find("topology")) {
      auto given = layers.texts("topology");
      if (!given) return std::unexpected(given.error());
      texts = std::move(*given);
    }
    for (const std::string& text : texts)
      if (auto parsed = Topology::parse(text); !parsed)
        return refuse(suite_.path, *layers.find(layers.find("cpus") ? "cpus" : "topology"), parsed.error().what,
                      parsed.error().hint);
    if (texts.empty()) texts.emplace_back();
    return texts;
  }

  // As the finder takes it: a shared object's path, which is relative to the suite, from here.
  Expected<std::string> policy(const Layers& layers, std::string_view key, const std::string& given) {
    const std::string text =
        names_object(given) ? (std::filesystem::path(suite_.path).parent_path() / given).lexically_normal().string()
                            : given;
    auto found = find_(text);
    if (found) return text;
    const toml::node* node = layers.find(key);
    return fail(ExitCode::kBadInput, found.error().what, node ? place(suite_.path, *node) : suite_.path,
                found.error().hint);
  }

  u32 index(const Setup& setup) {
    const auto [at, fresh] = setups_.try_emplace(setup.key(), static_cast<u32>(suite_.setups.size()));
    if (fresh) suite_.setups.push_back(setup);
    // The more patient of two cases decides.
    u32& limit = suite_.setups[at->second].time_limit_s;
    limit = std::max(limit, setup.time_limit_s);
    return at->second;
  }

  Expected<void> add(const toml::table& table) {
    const std::string& file = suite_.path;
    static const std::vector<std::string_view> kKeys = with_name();
    if (auto known = check_keys(file, table, kKeys, "the case"); !known) return known;
    auto layers = layers_of(table);
    if (!layers) return std::unexpected(layers.error());
    Setup setup;
    Case made;
    made.line = line_of(table);
    auto name = layers->text("name");
    if (!name) return std::unexpected(name.error());
    const auto plain = [](unsigned char c) { return c >= 0x20 && c != 0x7f && c != '"' && c != '\\' && c != '\''; };
    if (!std::ranges::all_of(*name, plain))
      return refuse(file, *table.get("name"), "a case's name may not hold quotes, backslashes and control characters");
    if (!table.get("name") || name->empty())
      return refuse(file, table, "the case has no name", "every case needs one of its own: name = \"...\"");
    if (auto done = source(table, *layers, setup); !done) return done;
    if (auto done = seeds(*layers, setup); !done) return done;
    if (auto done = faults(*layers, setup.faults); !done) return done;
    if (auto done = numbers(*layers, setup); !done) return done;
    if (auto done = groups(*layers, setup); !done) return done;
    auto is_long = layers->flag("long", false);
    if (!is_long) return std::unexpected(is_long.error());
    made.is_long = *is_long;
    auto sha = layers->text("decisions_sha256");
    if (!sha) return std::unexpected(sha.error());
    made.decisions_sha256 = *sha;
    auto policies = layers->texts("policy");
    if (!policies) return std::unexpected(policies.error());
    if (policies->empty() && setup.source != Source::kReplay)
      return refuse(file, table, "the case has no policy", "policy = \"vruntime\", here or in [defaults]");
    if (setup.source == Source::kReplay) {
      // What is in defaults is meant for simulations.
      policies = {std::string()};
      if (table.get("policy")) policies = layers->texts("policy");
      setup.seeds = {1};
    }
    auto machines = topologies(*layers);
    if (!machines) return std::unexpected(machines.error());
    const bool many_policies = policies->size() > 1, many_machines = machines->size() > 1;
    for (const std::string& policy_text : *policies) {
      setup.policy = policy_text;
      if (!policy_text.empty()) {
        auto found = policy(*layers, "policy", policy_text);
        if (!found) return std::unexpected(found.error());
        setup.policy = *found;
      }
      for (const std::string& machine : *machines) {
        setup.topology = setup.source == Source::kReplay ? std::string() : machine;
        made.name = *name;
        if (many_policies) made.name += "/" + policy_text;
        if (many_machines)
          made.name += "@" + machine + (machine.find_first_not_of("0123456789") == machine.npos ? "c" : "");
        if (auto done = expectations(*layers, setup, made); !done) return done;
      }
    }
    return {};
  }

  Expected<void> expectations(const Layers& layers, const Setup& setup, Case made) {
    made.setup = index(setup);
    if (!names_.insert(made.name).second)
      return fail(ExitCode::kBadInput, fmt::format("two cases are called '{}'", made.name),
                  fmt::format("{}:{}", suite_.path, made.line), "rename one of them");
    auto bounds = read_bounds(layers, setup);
    if (!bounds) return std::unexpected(bounds.error());
    made.bounds = std::move(*bounds);
    auto gates = read_gates(layers);
    if (!gates) return std::unexpected(gates.error());
    made.gates = std::move(*gates);
    auto versus = layers.sub("versus");
    if (!versus) return std::unexpected(versus.error());
    for (const std::string& other : versus->keys()) {
      auto found = policy(*versus, other, other);
      if (!found) return std::unexpected(found.error());
      if (*found == setup.policy) continue;  // from a layer: a policy is not held against itself
      Setup against = setup;
      against.policy = *found;
      auto limits = read_factors(*versus, other, setup);
      if (!limits) return std::unexpected(limits.error());
      made.versus.push_back({index(against), other, std::move(*limits)});
    }
    // A replay has no metrics; what defaults say is meant for simulations.
    if (setup.source == Source::kReplay) made.gates.clear(), made.versus.clear(), made.bounds.clear();
    if (suite_.cases.size() >= kMaxCases)
      return fail(ExitCode::kBadInput, fmt::format("more than {} cases", kMaxCases), suite_.path);
    suite_.cases.push_back(std::move(made));
    return {};
  }

  const SuitePolicyFinder& find_;
  ReadSuiteOptions options_;
  Suite suite_;
  const toml::table* defaults_ = nullptr;
  std::map<std::string, const toml::table*, std::less<>> profiles_;
  std::map<std::string, u32> setups_;  // by key
  std::map<std::string, std::string> digests_;
  std::set<std::string> names_;
};

}  // namespace

std::string Setup::key() const {
  std::string text = fmt::format("{} {} {} {} {} {} {} {} {} {} {}", static_cast<int>(source), file, file_sha256,
                                 policy, topology, session, hz, duration_ns, jitter_per_mille, bound_ns, check_every);
  text += fmt::format(" {} {} {} {} {} {} {} {} {} {}", faults.late_per_mille, faults.late_ns, faults.lost_per_mille,
                      faults.full_per_mille, faults.busy_per_mille, faults.requeue_per_mille, faults.stale_per_mille,
                      faults.hotplug_every_ns, faults.storm_every_ns, faults.storm_ns);
  // What came later stands there only where it is used: the baselines of suites without it stay valid.
  if (faults.renice_per_mille != 0) text += fmt::format(" renice {}", faults.renice_per_mille);
  for (const TaskGroup& group : groups) text += fmt::format(" {}={}", group.name, fmt::join(group.patterns, "|"));
  return text + fmt::format(" {}", fmt::join(seeds, ","));
}

std::string Suite::baseline_path() const {
  return std::filesystem::path(path).replace_extension(".baseline.toml").string();
}

std::string metric_name(const Setup& setup, u32 group, const MetricInfo& metric) {
  return group == 0 ? std::string(metric.name) : fmt::format("{}.{}", setup.groups[group - 1].name, metric.name);
}

Expected<Suite> read_suite(const std::string& path, const SuitePolicyFinder& find, const ReadSuiteOptions& options) {
  auto text = contents(path);
  if (!text) return std::unexpected(text.error());
  SuiteReader reader(path, find, options);
  try {
    const toml::table top = toml::parse(*text, path);
    auto suite = reader.read(top);
    if (suite) suite->sha256 = trace::sha256_hex(*text);
    return suite;
  } catch (const toml::parse_error& error) {
    return fail(ExitCode::kBadInput, fmt::format("no TOML: {}", error.description()),
                fmt::format("{}:{}", path, error.source().begin.line), "docs/suite.md describes the format");
  }
}

}  // namespace reprise::sim
