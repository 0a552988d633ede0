// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/baseline.h"

#include <errno.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/suite/measure.h"
#include "sim/suite/toml_layers.h"
#include "traces/digest.h"

namespace reprise::sim {
namespace {

constexpr std::string_view kSchema = "reprise.baseline/1";

std::string number_text(double value) {
  if (value == static_cast<double>(static_cast<i64>(value))) return fmt::format("{}", static_cast<i64>(value));
  return fmt::format("{:.6g}", value);
}

Expected<void> read_metrics(const std::string& file, const toml::table& table, const std::string& prefix,
                            BaselineCase& into) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const auto* group = node.as_table()) {
      if (auto read = read_metrics(file, *group, name + ".", into); !read) return read;
      continue;
    }
    if (prefix.empty() && (name == "setup" || name == "seeds" || name == "decisions" || name == "decisions_sha256"))
      continue;
    const auto* list = node.as_array();
    std::vector<double>& values = into.metrics[name];
    if (list)
      for (const toml::node& item : *list)
        if (const auto value = item.value<double>(); value && item.is_number()) values.push_back(*value);
    if (!list || values.size() != list->size() || values.size() != into.seeds.size())
      return refuse(file, node, fmt::format("{} must have a number for each of {} seeds", name, into.seeds.size()),
                    "make the baseline again with --update");
  }
  return {};
}

Expected<BaselineCase> read_case(const std::string& file, const toml::table& table) {
  BaselineCase made;
  Layers layers(file);
  layers.add(table);
  auto setup = layers.text("setup"), decisions = layers.text("decisions"), sha = layers.text("decisions_sha256");
  for (const auto* text : {&setup, &decisions, &sha})
    if (!*text) return std::unexpected(text->error());
  made.setup = *setup;
  made.decisions_sha256 = *sha;
  if (const toml::node* seeds = table.get("seeds"))
    if (const auto* list = seeds->as_array())
      for (const toml::node& seed : *list)
        if (const auto* value = seed.as_integer(); value && value->get() >= 0)
          made.seeds.push_back(static_cast<u64>(value->get()));
  for (std::size_t at = 0; at + 4 <= decisions->size(); at += 4)
    made.checkpoints.push_back(static_cast<u16>(strtoul(decisions->substr(at, 4).c_str(), nullptr, 16)));
  if (auto read = read_metrics(file, table, "", made); !read) return std::unexpected(read.error());
  return made;
}

Expected<Baseline> read_tables(const std::string& path, const toml::table& top) {
  Baseline baseline;
  const toml::node* schema = top.get("schema");
  const std::string found = schema && schema->is_string() ? schema->as_string()->get() : std::string();
  if (found != kSchema)
    return fail(ExitCode::kBadInput,
                found.empty() ? std::string("this is no baseline: it has no schema")
                              : fmt::format("schema is {}; this program reads {}", found, kSchema),
                schema ? place(path, *schema) : path, "make the baseline again with --update");
  for (const auto& [key, node] : top) {
    if (key.str() == "schema") continue;
    if (!node.is_table()) return refuse(path, node, fmt::format("'{}' must be a table", key.str()));
    auto made = read_case(path, *node.as_table());
    if (!made) return std::unexpected(made.error());
    baseline.cases.emplace(key.str(), std::move(*made));
  }
  return baseline;
}

}  // namespace

std::string setup_digest(const Setup& setup) {
  Setup without = setup;
  without.seeds.clear();
  // Where the suite lies does not matter, only what its files hold.
  if (!without.file_sha256.empty()) without.file = std::filesystem::path(without.file).filename().string();
  if (const std::size_t slash = without.policy.rfind('/', without.policy.find(':')); slash != without.policy.npos)
    without.policy.erase(0, slash + 1);  // a shared object
  return trace::sha256_hex(without.key()).substr(0, 16);
}

Expected<Baseline> read_baseline(const std::string& path) {
  if (!std::filesystem::exists(path)) return Baseline{};
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return fail(ExitCode::kIo, "cannot be read", path);
  try {
    auto baseline = read_tables(path, toml::parse(text.str(), path));
    if (baseline) baseline->sha256 = trace::sha256_hex(text.str());
    return baseline;
  } catch (const toml::parse_error& error) {
    return fail(ExitCode::kBadInput, fmt::format("no TOML: {}", error.description()),
                fmt::format("{}:{}", path, error.source().begin.line), "make the baseline again with --update");
  }
}

Expected<void> write_baseline(const std::string& path, const Suite& suite, const Baseline& baseline) {
  std::string text = fmt::format(
      "# SPDX-License-Identifier: GPL-2.0-only\n"
      "# Approved results of {}: a value per seed. Made by: reprise test {} --update. Look at what changes before you "
      "commit it.\nschema = \"{}\"\n",
      std::filesystem::path(suite.path).filename().string(), std::filesystem::path(suite.path).filename().string(),
      kSchema);
  for (const auto& [name, made] : baseline.cases) {
    text += fmt::format("\n[\"{}\"]\nsetup = \"{}\"\n", name, made.setup);
    if (!made.decisions_sha256.empty()) text += fmt::format("decisions_sha256 = \"{}\"\n", made.decisions_sha256);
    if (!made.seeds.empty()) text += fmt::format("seeds = [{}]\n", fmt::join(made.seeds, ", "));
    if (!made.checkpoints.empty()) {
      text += "decisions = \"";
      for (const u16 hash : made.checkpoints) text += fmt::format("{:04x}", hash);
      text += "\"\n";
    }
    for (const auto& [metric, values] : made.metrics) {
      std::vector<std::string> texts;
      for (const double value : values) texts.push_back(number_text(value));
      text += fmt::format("{} = [{}]\n", metric, fmt::join(texts, ", "));
    }
  }
  const std::string fresh = path + ".new";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  const auto failed = [&] {
    const int error = errno;
    std::remove(fresh.c_str());
    return fail(error == EACCES || error == EPERM ? ExitCode::kNotPermitted : ExitCode::kIo,
                fmt::format("the baseline was not written: {}", strerror(error)), path);
  };
  if (!out) return failed();
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return failed();
  return {};
}

BaselineCase approve(const Setup& setup, const std::vector<Gate>& gates, const std::vector<Sample>& samples) {
  BaselineCase made;
  made.setup = setup_digest(setup);
  if (setup.source == Source::kReplay) {
    made.decisions_sha256 = samples.front().decisions_sha256;
    return made;
  }
  for (const Sample& sample : samples) made.seeds.push_back(sample.seed);
  for (const Checkpoint& at : samples.front().checkpoints) made.checkpoints.push_back(at.hash);
  for (u32 group = 0; group <= setup.groups.size(); ++group) {
    for (const Gate& gate : gates) {
      if (group != 0 && !per_task(*gate.metric)) continue;
      u64 count = 0;
      std::vector<double> values;
      for (const Sample& sample : samples) {
        const MetricValue& value = sample.value(group, *gate.metric);
        count += value.count;
        values.push_back(value.value);
      }
      if (count >= gate.metric->min_count) made.metrics[metric_name(setup, group, *gate.metric)] = std::move(values);
    }
  }
  return made;
}

}  // namespace reprise::sim
