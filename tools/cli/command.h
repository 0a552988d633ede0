// SPDX-License-Identifier: GPL-2.0-only
// A subcommand: declares its options, then runs. One file each; the table is in main.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "tools/cli/console.h"

namespace CLI {
class App;
}

namespace reprise::cli {

class Command {
 public:
  virtual ~Command() = default;
  /// Adds options and positionals (their variables are members), the description and, as footer, the examples.
  virtual void declare(CLI::App&) = 0;
  /// Error: for the caller to print, as text and with --json as a document. A command that has a result beside its
  /// error prints both itself and returns the exit code.
  virtual Expected<ExitCode> run(Console&) = 0;
  /// What follows `--` is a command of the user's, for `set_trailing`.
  [[nodiscard]] virtual bool takes_trailing() const { return false; }
  virtual void set_trailing(std::vector<std::string>) {}
};

struct CommandRow {
  std::string_view name;
  std::string_view summary;  // a line for `reprise --help`
  std::unique_ptr<Command> (*make)();
};

std::unique_ptr<Command> make_compare();
std::unique_ptr<Command> make_cut();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_dump();
std::unique_ptr<Command> make_export();
std::unique_ptr<Command> make_import();
std::unique_ptr<Command> make_fidelity();
std::unique_ptr<Command> make_info();
std::unique_ptr<Command> make_live();
std::unique_ptr<Command> make_record();
std::unique_ptr<Command> make_policies();
std::unique_ptr<Command> make_replay();
std::unique_ptr<Command> make_report();
std::unique_ptr<Command> make_shrink();
std::unique_ptr<Command> make_sim();
std::unique_ptr<Command> make_test();

}  // namespace reprise::cli
