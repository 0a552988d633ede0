// SPDX-License-Identifier: GPL-2.0-only
// The command line of a subcommand: CLI11 parses, the messages and the help text are ours.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"
#include "tools/cli/console.h"

namespace reprise::cli {

/// --json, -q, -v, -h, -V. The last two are seen by `wants` before anything is parsed.
void add_common_options(CLI::App&, CommonOptions&);

/// One of `names` stands among the arguments before `--`.
[[nodiscard]] bool wants(std::span<const std::string> arguments, std::initializer_list<std::string_view> names);

/// Error (kUsage): an option that is not known (names the nearest), a value that does not do, something missing.
Expected<void> parse(CLI::App&, std::span<const std::string> arguments);

[[nodiscard]] std::string help_text(const CLI::App&, bool takes_trailing);

/// `name` in quotes is not one of `candidates`: "; did you mean X?", or nothing.
[[nodiscard]] std::string suggestion(std::string_view name, std::span<const std::string_view> candidates);

/// A whole number within min..max; range and default are added to the description. `unit` stands for the value.
struct NumberRange {
  std::string_view unit;
  u64 min = 0;
  u64 max = ~u64{0};
  bool show_default = true;
};
void check_number(CLI::Option*, const NumberRange&, std::string default_text);

template <typename Number>
CLI::Option* add_number(CLI::App& app, const std::string& names, Number& variable, const NumberRange& range,
                        const std::string& description) {
  const std::string default_text = range.show_default ? std::to_string(variable) : std::string();
  CLI::Option* option = app.add_option(names, variable, description);
  check_number(option, range, default_text);
  return option;
}

}  // namespace reprise::cli
