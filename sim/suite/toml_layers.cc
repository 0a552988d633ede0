// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/toml_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "scheduler/core/options.h"

namespace reprise::sim {

u32 line_of(const toml::node& node) { return node.source().begin.line; }

std::string place(const std::string& file, const toml::node& node) {
  return line_of(node) == 0 ? file : fmt::format("{}:{}", file, line_of(node));
}

std::unexpected<Error> refuse(const std::string& file, const toml::node& node, std::string what, std::string hint) {
  return fail(ExitCode::kBadInput, std::move(what), place(file, node), std::move(hint));
}

Expected<void> check_keys(const std::string& file, const toml::table& table, std::span<const std::string_view> known,
                          std::string_view what) {
  for (const auto& [key, value] : table) {
    if (std::ranges::find(known, std::string_view(key.str())) != known.end()) continue;
    const std::string_view nearest = nearest_name(key.str(), known);
    return fail(ExitCode::kBadInput,
                fmt::format("unknown key '{}' in {}{}", key.str(), what,
                            nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                fmt::format("{}:{}", file, key.source().begin.line),
                fmt::format("known are {}", fmt::join(known, ", ")));
  }
  return {};
}

const toml::node* Layers::find(std::string_view key) const {
  for (auto table = tables_.rbegin(); table != tables_.rend(); ++table)
    if (const toml::node* node = (*table)->get(key)) return node;
  return nullptr;
}

Expected<Layers> Layers::sub(std::string_view key) const {
  Layers below(file_);
  for (const toml::table* table : tables_) {
    const toml::node* node = table->get(key);
    if (!node) continue;
    if (!node->is_table()) return refuse(file_, *node, fmt::format("{} must be a table", key));
    below.add(*node->as_table());
  }
  return below;
}

std::vector<std::string> Layers::keys() const {
  std::set<std::string> keys;
  for (const toml::table* table : tables_)
    for (const auto& [key, value] : *table) keys.emplace(key.str());
  return {keys.begin(), keys.end()};
}

Expected<std::string> Layers::text(std::string_view key, std::string otherwise) const {
  const toml::node* node = find(key);
  if (!node) return otherwise;
  if (!node->is_string()) return refuse(file_, *node, fmt::format("{} must be a text in quotes", key));
  return node->as_string()->get();
}

Expected<double> Layers::number(std::string_view key, double otherwise, double least, double greatest) const {
  const toml::node* node = find(key);
  if (!node) return otherwise;
  const auto value = node->value<double>();
  if (!node->is_number() || !value || !(*value >= least && *value <= greatest))
    return refuse(file_, *node, fmt::format("{} must be a number within {:g}..{:g}", key, least, greatest));
  return *value;
}

Expected<u64> Layers::whole(std::string_view key, u64 otherwise, u64 least, u64 greatest) const {
  const toml::node* node = find(key);
  if (!node) return otherwise;
  const auto* value = node->as_integer();
  if (!value || value->get() < 0 || static_cast<u64>(value->get()) < least || static_cast<u64>(value->get()) > greatest)
    return refuse(file_, *node, fmt::format("{} must be a whole number within {}..{}", key, least, greatest));
  return static_cast<u64>(value->get());
}

Expected<bool> Layers::flag(std::string_view key, bool otherwise) const {
  const toml::node* node = find(key);
  if (!node) return otherwise;
  if (!node->is_boolean()) return refuse(file_, *node, fmt::format("{} must be true or false", key));
  return node->as_boolean()->get();
}

Expected<std::vector<std::string>> Layers::texts(std::string_view key) const {
  std::vector<std::string> all;
  const toml::node* node = find(key);
  if (!node) return all;
  const auto refused = [&] {
    return refuse(file_, *node, fmt::format("{} must be a text in quotes, or a list of them that is not empty", key));
  };
  if (const auto* text = node->as_string()) return all.push_back(text->get()), all;
  const auto* array = node->as_array();
  if (!array || array->empty()) return refused();
  for (const toml::node& item : *array) {
    if (!item.is_string()) return refused();
    all.push_back(item.as_string()->get());
  }
  return all;
}

}  // namespace reprise::sim
