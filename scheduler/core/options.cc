// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/options.h"

#include <algorithm>
#include <charconv>

#include "scheduler/core/check.h"

namespace reprise {
namespace {

std::size_t index_of(std::span<const OptionSpec> specs, std::string_view name) {
  const auto found = std::ranges::find(specs, name, &OptionSpec::name);
  return static_cast<std::size_t>(found - specs.begin());
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string known_keys(std::span<const OptionSpec> specs) {
  if (specs.empty()) return "there are no options here";
  std::string text = "known options:";
  for (const OptionSpec& spec : specs) {
    text += &spec == specs.data() ? " " : ", ";
    text += spec.name;
  }
  return text;
}

std::unexpected<Error> unknown_key(std::span<const OptionSpec> specs, std::string_view key) {
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : specs) names.push_back(spec.name);
  const std::string_view nearest = nearest_name(key, names);
  return fail(ExitCode::kUsage, "unknown option " + quoted(key), {},
              nearest.empty() ? known_keys(specs) : "did you mean " + quoted(nearest) + "? " + known_keys(specs));
}

Expected<u64> parse_value(const OptionSpec& spec, std::string_view text) {
  const std::string range =
      spec.unit.empty() ? std::to_string(spec.min) + ".." + std::to_string(spec.max)
                        : std::to_string(spec.min) + ".." + std::to_string(spec.max) + " " + std::string(spec.unit);
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size() || error == std::errc::invalid_argument)
    return fail(ExitCode::kUsage, "option " + quoted(spec.name) + " takes a whole number, not " + quoted(text), {},
                "range: " + range);
  if (error == std::errc::result_out_of_range || value < spec.min || value > spec.max)
    return fail(ExitCode::kUsage, "option " + quoted(spec.name) + ": " + std::string(text) + " is out of range", {},
                "range: " + range);
  return value;
}

}  // namespace

Options::Options(std::span<const OptionSpec> specs) : specs_(specs) {
  values_.reserve(specs.size());
  for (const OptionSpec& spec : specs) {
    REPRISE_CHECK(spec.min <= spec.default_value && spec.default_value <= spec.max);
    values_.push_back(spec.default_value);
  }
}

Expected<Options> Options::parse(std::span<const OptionSpec> specs, std::string_view text) {
  Options options(specs);
  std::vector<bool> given(specs.size(), false);
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    if (comma != text.npos && comma + 1 == text.size())
      return fail(ExitCode::kUsage, "options end in a comma", {}, "write key=value,key=value");
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);

    const std::size_t equals = item.find('=');
    if (equals == item.npos || equals == 0)
      return fail(ExitCode::kUsage, quoted(item) + " is not of the form key=value", {}, known_keys(specs));
    const std::string_view key = item.substr(0, equals);
    const std::size_t index = index_of(specs, key);
    if (index == specs.size()) return unknown_key(specs, key);
    if (given[index]) return fail(ExitCode::kUsage, "option " + quoted(key) + " is given twice");
    given[index] = true;

    Expected<u64> value = parse_value(specs[index], item.substr(equals + 1));
    if (!value) return std::unexpected(value.error());
    options.values_[index] = *value;
  }
  return options;
}

u64 Options::get(std::string_view name) const {
  const std::size_t index = index_of(specs_, name);
  REPRISE_CHECK(index < values_.size());
  return values_[index];
}

std::string Options::text() const {
  std::string text;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (i != 0) text += ',';
    text += std::string(specs_[i].name) + "=" + std::to_string(values_[i]);
  }
  return text;
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  // Levenshtein's distance, one row at a time; names are short.
  const auto distance = [name](std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t replace = diagonal + (name[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replace}));
      }
    }
    return row.back();
  };
  std::string_view best;
  std::size_t best_distance = 0;
  for (std::string_view candidate : candidates) {
    const std::size_t d = distance(candidate);
    if (2 * d > std::max(name.size(), candidate.size())) continue;  // more than half of it is different
    if (best.empty() || d < best_distance) best = candidate, best_distance = d;
  }
  return best;
}

}  // namespace reprise
