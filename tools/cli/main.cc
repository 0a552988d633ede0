// SPDX-License-Identifier: GPL-2.0-only
// reprise: one program, a subcommand each for what it does. This file finds the subcommand and reports its errors.
#include <signal.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/console.h"
#include "tools/cli/result_details.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr CommandRow kCommands[] = {
    {"live", "schedule this machine with a policy, and record it", make_live},
    {"record", "record what this machine does under the scheduler that it has", make_record},
    {"replay", "decide a trace again and compare every decision", make_replay},
    {"sim", "run a recorded workload again under any policy, on a model of the kernel", make_sim},
    {"test", "hold policies to a suite of workloads, and to results that were approved", make_test},
    {"shrink", "make a failing case small", make_shrink},
    {"fidelity", "simulated against recorded, metric by metric", make_fidelity},
    {"report", "results as one page for a browser", make_report},
    {"compare", "two traces or results, metric by metric, with gates", make_compare},
    {"info", "what a trace holds, who made it and on what", make_info},
    {"dump", "the steps, events and decisions of a trace", make_dump},
    {"cut", "take a piece out of a trace that still replays", make_cut},
    {"export", "a trace for Perfetto, as CSV or JSON, or without names", make_export},
    {"import", "a trace from the text of perf script or trace-cmd report", make_import},
    {"policies", "the policies there are, with their options", make_policies},
    {"doctor", "what this machine lacks for live scheduling", make_doctor},
};

std::string version_text() {
#ifdef REPRISE_LIVE
  constexpr std::string_view kLive = "yes";
#else
  constexpr std::string_view kLive = "no";
#endif
  return fmt::format("reprise {} ({}, {}; live runtime: {})\nengine      {}\npolicies    {}\ndispatcher  {}\n",
                     kVersion, kCompiler, kBuildType, kLive, kEngineHash, kPoliciesHash, kDispatcherHash);
}

std::string overview() {
  std::string text =
      "usage: reprise COMMAND [OPTION...]\n\n"
      "Develops CPU scheduling policies offline and deploys them unchanged on sched_ext.\n\ncommands\n";
  for (const CommandRow& row : kCommands) text += fmt::format("  {:<10}{}\n", row.name, row.summary);
  text +=
      "\nreprise COMMAND --help explains a command and gives an example; reprise --version says what this build is.\n\n"
      "exit status\n"
      "  0 done  1 an expectation failed  2 usage  3 replay diverged  65 bad or corrupt input\n"
      "  69 no sched_ext here  70 internal error  74 input or output failed  77 not permitted\n";
  return text;
}

const CommandRow* find_command(std::string_view name) {
  const auto* row = std::ranges::find(kCommands, name, &CommandRow::name);
  return row == std::end(kCommands) ? nullptr : row;
}

Error unknown_command(std::string_view name) {
  std::array<std::string_view, std::size(kCommands)> names;
  std::ranges::transform(kCommands, names.begin(), &CommandRow::name);
  return {ExitCode::kUsage,
          fmt::format("unknown command '{}'{}", name, suggestion(name, names)),
          {},
          fmt::format("one of: {}", fmt::join(names, ", "))};
}

Expected<ExitCode> parse_and_run(const CommandRow& row, std::vector<std::string> arguments, Console& console) {
  const std::unique_ptr<Command> command = row.make();
  CLI::App app("", fmt::format("reprise {}", row.name));
  app.set_help_flag();
  CommonOptions common;
  common.json = wants(arguments, {"--json"});  // for errors of parsing, too
  console.set_options(common);
  command->declare(app);
  add_common_options(app, common);
  if (wants(arguments, {"-h", "--help"})) {
    console.write(help_text(app, command->takes_trailing()));
    return ExitCode::kDone;
  }
  if (wants(arguments, {"-V", "--version"})) {
    console.write(version_text());
    return ExitCode::kDone;
  }
  if (command->takes_trailing()) {
    const auto dashes = std::ranges::find(arguments, "--");
    if (dashes != arguments.end()) {
      command->set_trailing({dashes + 1, arguments.end()});
      arguments.erase(dashes, arguments.end());
    }
  }
  if (auto parsed = parse(app, arguments); !parsed) return std::unexpected(parsed.error());
  console.set_options(common);
  return command->run(console);
}

ExitCode report(const Error& error, Console& console) {
  console.error(error);
  if (console.json()) console.document({{"schema", console.schema()}, {"error", error_json(error)}});
  return error.code;
}

ExitCode finish(ExitCode code, Console& console) {
  if (auto finished = console.finish(); !finished) {
    console.error(finished.error());
    if (code == ExitCode::kDone) code = finished.error().code;
  }
  return code;
}

ExitCode run_command(const CommandRow& row, std::vector<std::string> arguments) {
  Console console{std::string(row.name)};
  std::string command = fmt::format("reprise {}", row.name);
  for (const std::string& argument : arguments) command += " " + shell_quoted(argument);
  console.set_command(std::move(command));
  Expected<ExitCode> code = ExitCode::kDone;
  // Libraries may throw; here it ends.
  try {
    code = parse_and_run(row, std::move(arguments), console);
  } catch (const std::bad_alloc&) {
    code = fail(ExitCode::kInternal, "out of memory", {}, "try a smaller piece of the trace (reprise cut)");
  } catch (const std::exception& error) {
    code = fail(ExitCode::kInternal, fmt::format("internal error: {}", error.what()), {},
                "this is a bug of reprise; please report it with the command line");
  }
  return finish(code ? *code : report(code.error(), console), console);
}

// What stands before the command: options that each command takes, or a question to reprise itself.
ExitCode run(std::vector<std::string> arguments) {
  Console console{std::string()};
  constexpr std::string_view kForCommand[] = {"-q", "--quiet", "-v", "--verbose", "--json"};
  const auto name = std::ranges::find_if(
      arguments, [&](const std::string& a) { return std::ranges::find(kForCommand, a) == std::end(kForCommand); });
  if (name == arguments.end()) {
    console.message("{}", overview());
    return ExitCode::kUsage;
  }
  if (*name == "help" && name + 1 != arguments.end()) {
    *name = *(name + 1);
    *(name + 1) = "--help";
  }
  if (*name == "-h" || *name == "--help" || *name == "help") {
    console.write(overview());
    return finish(ExitCode::kDone, console);
  }
  if (*name == "-V" || *name == "--version") {
    console.write(version_text());
    return finish(ExitCode::kDone, console);
  }
  const std::string wanted = *name;
  arguments.erase(name);
  if (const CommandRow* row = find_command(wanted)) return run_command(*row, std::move(arguments));
  console.set_options({.json = wants(arguments, {"--json"})});
  Error error = unknown_command(wanted);
  if (wanted.starts_with('-')) error.what = fmt::format("unknown option '{}'", wanted);
  return finish(report(error, console), console);
}

// A handler that does nothing: writes to a closed pipe then fail with EPIPE, and child processes, unlike with
// SIG_IGN, start with the default again.
void outlive_closed_pipes() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace
}  // namespace reprise::cli

int main(int argc, char** argv) {
  reprise::cli::outlive_closed_pipes();
  return static_cast<int>(reprise::cli::run({argv + (argc > 0), argv + argc}));
}
