// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/arguments.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "scheduler/core/options.h"

namespace reprise::cli {
namespace {

constexpr std::size_t kHelpColumn = 30;
constexpr std::size_t kHelpWidth = 100;

// "--slice-us", or "-o,--output" as "-o, --output".
std::string shown_names(const CLI::Option& option) {
  std::string text;
  for (const std::string& name : option.get_snames()) text += (text.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) text += (text.empty() ? "    --" : ", --") + name;
  if (text.empty()) text = option.get_single_name();
  if (option.get_items_expected_max() > 0 && !option.get_positional()) text += ' ' + option.get_type_name();
  return text;
}

// `text` from column `column` on, broken at blanks.
std::string wrapped(std::string_view text, std::size_t column) {
  std::string result;
  std::size_t at = column;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (at + word.size() + 1 > kHelpWidth && at > column) {
      result += '\n' + std::string(column, ' ');
      at = column;
    }
    if (at > column) result += ' ', ++at;
    result += word;
    at += word.size();
  }
  return result;
}

std::string help_row(const CLI::Option& option) {
  std::string row = "  " + shown_names(option);
  if (row.size() + 2 > kHelpColumn) {
    row += '\n' + std::string(kHelpColumn, ' ');
  } else {
    row.resize(kHelpColumn, ' ');
  }
  return row + wrapped(option.get_description(), kHelpColumn) + '\n';
}

std::string first_unknown(const CLI::App& app) {
  for (const std::string& argument : app.remaining())
    if (argument != "--") return argument;
  return {};
}

Error unknown_argument(const CLI::App& app, const std::string& argument) {
  const std::string help = fmt::format("{} --help lists the options and gives an example", app.get_name());
  if (argument.size() < 2 || argument[0] != '-')
    return {ExitCode::kUsage,
            fmt::format("unexpected argument '{}'", argument),
            {},
            app.get_footer().find(" -- ") != std::string::npos ? "a command to run stands after --; " + help : help};
  const std::string name = argument.substr(0, argument.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& candidate : option->get_lnames()) names.push_back("--" + candidate);
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return {ExitCode::kUsage, fmt::format("unknown option '{}'{}", name, suggestion(name, candidates)), {}, help};
}

}  // namespace

void add_common_options(CLI::App& app, CommonOptions& options) {
  app.add_flag("--json", options.json, "one JSON document on stdout, errors included");
  app.add_flag("-q,--quiet", options.quiet, "no messages but warnings and errors");
  app.add_flag_function(
      "-v,--verbose", [&options](std::int64_t count) { options.verbosity = static_cast<int>(count); },
      "say more; may be repeated");
  app.add_flag_function("-h,--help", [](std::int64_t) {}, "this text");
  app.add_flag_function("-V,--version", [](std::int64_t) {}, "version, compiler and hashes of the code that decides");
}

bool wants(std::span<const std::string> arguments, std::initializer_list<std::string_view> names) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (std::ranges::find(names, argument) != names.end()) return true;
  }
  return false;
}

std::string suggestion(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view nearest = nearest_name(name, candidates);
  return nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest);
}

Expected<void> parse(CLI::App& app, std::span<const std::string> arguments) {
  app.allow_extras();
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  std::string complaint;
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    complaint = error.what();
  }
  // An unknown option explains more than what is missing because of it.
  if (const std::string unknown = first_unknown(app); !unknown.empty())
    return std::unexpected(unknown_argument(app, unknown));
  if (complaint.empty()) return {};
  return fail(ExitCode::kUsage, complaint, {},
              fmt::format("{} --help lists the options and gives an example", app.get_name()));
}

void check_number(CLI::Option* option, const NumberRange& range, std::string default_text) {
  option->type_name(std::string(range.unit));
  std::string bounds =
      range.max == ~u64{0} ? fmt::format("from {}", range.min) : fmt::format("{}..{}", range.min, range.max);
  option->description(fmt::format("{} ({}{})", option->get_description(), bounds,
                                  default_text.empty() ? "" : "; default " + default_text));
  option->check(
      [min = range.min, max = range.max, bounds](const std::string& text) {
        u64 number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size() && number >= min && number <= max)
          return std::string();
        return fmt::format("needs a whole number, {}, not '{}'", bounds, text);
      },
      "");
}

std::string help_text(const CLI::App& app, bool takes_trailing) {
  std::string usage = app.get_name();
  std::string positionals;
  std::string rows;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) {
      const std::string name = option->get_single_name();
      usage += option->get_required() ? ' ' + name : " [" + name + ']';
      positionals += help_row(*option);
    } else {
      rows += help_row(*option);
    }
  }
  std::string text = fmt::format("usage: {} [OPTION...]{}\n\n{}\n", usage, takes_trailing ? " [-- COMMAND...]" : "",
                                 app.get_description());
  if (!positionals.empty()) text += "\narguments\n" + positionals;
  text += "\noptions\n" + rows;
  return text + '\n' + app.get_footer() + '\n';
}

}  // namespace reprise::cli
