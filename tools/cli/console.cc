// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace reprise::cli {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;

// errno, or 0 when all was written.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// It understands escape sequences.
bool terminal_is_capable() {
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
}

bool wants_colours() {
  const char* no_colour = std::getenv("NO_COLOR");  // https://no-color.org
  return (no_colour == nullptr || *no_colour == '\0') && terminal_is_capable();
}

std::string paint(Console::Colour colour, std::string_view text, bool on) {
  return on ? fmt::format("\x1b[{}m{}\x1b[0m", static_cast<int>(colour), text) : std::string(text);
}

}  // namespace

Console::Console(std::string name)
    : name_(std::move(name)),
      error_is_terminal_(isatty(2) == 1 && terminal_is_capable()),
      out_is_terminal_(isatty(1) == 1),
      colours_(wants_colours()) {}

std::string Console::schema() const { return fmt::format("reprise.{}/1", name_.empty() ? "error" : name_); }

void Console::write(std::string_view text) {
  if (closed_) return;
  buffer_.append(text);
  if (buffer_.size() >= kBufferBytes || out_is_terminal_) flush();
}

void Console::document(const Json& json) {
  write(json.dump(2, ' ', false, Json::error_handler_t::replace));
  write("\n");
}

void Console::flush() {
  if (!closed_ && !buffer_.empty()) {
    wipe_progress();
    write_error_ = write_all(out_, buffer_);
    closed_ = write_error_ != 0;
  }
  buffer_.clear();
}

void Console::keep_stdout_to_itself() {
  const int copy = fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return;
  out_ = copy;
  dup2(2, 1);
}

Expected<void> Console::finish() {
  flush();
  wipe_progress();
  if (write_error_ == 0 || write_error_ == EPIPE) return {};
  return fail(ExitCode::kIo, fmt::format("cannot write the output: {}", std::strerror(write_error_)), "standard output",
              "see whether the disk is full");
}

void Console::say(std::string_view text) {
  wipe_progress();
  if (out_is_terminal_) flush();
  write_all(2, fmt::format("{}\n", text));
}

void Console::warning(std::string_view text) {
  say(fmt::format("{} {}", err_colour(Colour::kYellow, "warning:"), text));
}

void Console::error(const Error& error) {
  std::string text =
      err_colour(Colour::kRed, name_.empty() ? std::string("reprise:") : fmt::format("reprise {}:", name_));
  text += ' ' + error.what;
  if (!error.where.empty()) text += "\n  where: " + error.where;
  if (!error.hint.empty()) text += "\n  what to do: " + error.hint;
  say(text);
}

void Console::progress(std::string_view text) {
  if (!shows_progress()) return;
  write_all(2, fmt::format("\r\x1b[K{}", text));
  progress_shown_ = true;
}

void Console::wipe_progress() {
  if (!progress_shown_) return;
  progress_shown_ = false;
  write_all(2, "\r\x1b[K");
}

std::string Console::out_colour(Colour colour, std::string_view text) const {
  return paint(colour, text, colours_ && out_is_terminal_);
}

std::string Console::err_colour(Colour colour, std::string_view text) const {
  return paint(colour, text, colours_ && error_is_terminal_);
}

Json error_json(const Error& error) {
  return {
      {"what", error.what}, {"where", error.where}, {"hint", error.hint}, {"exit_code", static_cast<int>(error.code)}};
}

std::string grouped(u64 number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string duration_text(u64 ns) {
  struct Unit {
    u64 ns;
    std::string_view name;
  };
  for (const Unit& unit : {Unit{kNsPerSec, "s"}, {kNsPerMs, "ms"}, {kNsPerUs, "us"}}) {
    if (ns < unit.ns) continue;
    const u64 whole = ns / unit.ns;
    if (whole >= 100) return fmt::format("{} {}", grouped(whole), unit.name);
    return fmt::format("{:.{}f} {}", static_cast<double>(ns) / static_cast<double>(unit.ns), whole >= 10 ? 1 : 2,
                       unit.name);
  }
  return fmt::format("{} ns", ns);
}

std::string bytes_text(u64 bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1u << 30) return fmt::format("{:.2f} GiB", value / (1u << 30));
  if (bytes >= 1u << 20) return fmt::format("{:.1f} MiB", value / (1u << 20));
  if (bytes >= 1u << 10) return fmt::format("{:.1f} KiB", value / (1u << 10));
  return counted(bytes, "byte");
}

std::string seconds_text(u64 ns) { return fmt::format("{}.{:09}", ns / kNsPerSec, ns % kNsPerSec); }

std::string counted(u64 number, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string percent_text(u64 part, u64 whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.2f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace reprise::cli
