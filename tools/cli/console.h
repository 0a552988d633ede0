// SPDX-License-Identifier: GPL-2.0-only
// What a command prints: results on stdout, everything else on stderr.
//
// A reader of stdout that goes away (`| head`) is no error: what is written after that is dropped and the command may
// stop early (`closed`). Any other failure to write is reported by `finish`.
// Progress is drawn only when stderr is a terminal, and wiped before anything else is printed there.
// Thread safety: none.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::cli {

using Json = nlohmann::ordered_json;

/// What every command takes.
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  int verbosity = 0;
};

class Console {
 public:
  /// `name`: of the command, as errors show it; empty for reprise itself.
  explicit Console(std::string name);

  void set_options(const CommonOptions& options) { options_ = options; }
  [[nodiscard]] bool json() const { return options_.json; }
  [[nodiscard]] int verbosity() const { return options_.verbosity; }
  /// The command line, as a shell takes it.
  void set_command(std::string command) { command_ = std::move(command); }
  [[nodiscard]] const std::string& command() const { return command_; }
  /// "reprise.NAME/1".
  [[nodiscard]] std::string schema() const;

  // stdout

  void write(std::string_view text);
  template <typename... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    write(fmt::format(format, std::forward<Args>(args)...));
  }
  /// One JSON document; bytes that are not UTF-8 are replaced.
  void document(const Json&);
  /// Nobody reads stdout any more.
  [[nodiscard]] bool closed() const { return closed_; }
  /// From here on documents go to where stdout led so far, and stdout itself, which child processes inherit, to stderr.
  void keep_stdout_to_itself();
  /// Writes what is buffered. Error (kIo): not all of stdout could be written.
  Expected<void> finish();

  // stderr

  /// A line, whatever --quiet says.
  void say(std::string_view text);
  /// For people who wait: dropped with --quiet.
  template <typename... Args>
  void message(fmt::format_string<Args...> format, Args&&... args) {
    if (!options_.quiet) say(fmt::format(format, std::forward<Args>(args)...));
  }
  /// Only with -v.
  template <typename... Args>
  void detail(fmt::format_string<Args...> format, Args&&... args) {
    if (options_.verbosity > 0) say(fmt::format(format, std::forward<Args>(args)...));
  }
  /// What changes how a result has to be read; not silenced by --quiet.
  void warning(std::string_view text);
  /// "reprise NAME: what", "  where: ...", "  what to do: ...".
  void error(const Error&);
  /// One line that replaces the last one.
  void progress(std::string_view text);
  [[nodiscard]] bool shows_progress() const { return error_is_terminal_ && !options_.quiet; }

  /// Marks text in an ANSI colour when that stream is a terminal and NO_COLOR is not set.
  enum class Colour { kRed = 31, kGreen = 32, kYellow = 33 };
  [[nodiscard]] std::string out_colour(Colour, std::string_view text) const;

 private:
  void wipe_progress();
  void flush();
  [[nodiscard]] std::string err_colour(Colour, std::string_view text) const;

  std::string name_, command_;
  CommonOptions options_;
  std::string buffer_;
  int out_ = 1;
  bool closed_ = false;
  int write_error_ = 0;     // errno of the first failure
  bool error_is_terminal_;  // and understands escape sequences
  bool out_is_terminal_;
  bool colours_;
  bool progress_shown_ = false;
};

/// {what, where, hint, exit_code}.
[[nodiscard]] Json error_json(const Error&);

/// 1234567 as "1,234,567".
[[nodiscard]] std::string grouped(u64 number);
/// 1.5 s, 12.3 ms, 40 us: three digits that matter.
[[nodiscard]] std::string duration_text(u64 ns);
/// 12.3 MiB.
[[nodiscard]] std::string bytes_text(u64 bytes);
/// Seconds with nine digits, as times are shown in dumps.
[[nodiscard]] std::string seconds_text(u64 ns);
/// "1 step", "2 steps".
[[nodiscard]] std::string counted(u64 number, std::string_view noun);
/// part of whole in percent with two digits; "-" when whole is 0.
[[nodiscard]] std::string percent_text(u64 part, u64 whole);

}  // namespace reprise::cli
