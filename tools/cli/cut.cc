// SPDX-License-Identifier: GPL-2.0-only
// reprise cut: takes a piece out of a trace that still replays.
#include "traces/cut.h"

#include <array>
#include <charconv>
#include <filesystem>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/trace_text.h"

namespace reprise::cli {
namespace {

constexpr char kCutDescription[] =
    "Writes the part of FILE between --from and --to to OUT, so that it still replays: OUT begins at the start of the\n"
    "session or at the newest snapshot at or before --from, so perhaps earlier than asked, and says where.\n"
    "A position is a step's number (1200), or a time after the first session began, with its unit (1.5s, 800ms,\n"
    "20us). OUT is overwritten when it exists, unless it is FILE itself.";
constexpr char kCutFooter[] =
    "examples\n"
    "  reprise cut run.rtrace -o part.rtrace --from 10s --to 12.5s\n"
    "  reprise cut run.rtrace -o part.rtrace --to 50000\n\n"
    "exit status\n"
    "  0 done   2 the range is empty   65 nothing of FILE lies in the range, or FILE is damaged there   74 I/O";

struct Position {
  bool is_time = false;
  u64 value = 0;  // a step, or ns after the start
};

struct Unit {
  std::string_view name;
  u64 ns;
};
constexpr std::array kUnits = {Unit{"ns", 1}, Unit{"us", kNsPerUs}, Unit{"ms", kNsPerMs}, Unit{"s", kNsPerSec}};

// Decimal digits with an optional fraction, in integers: 1.5 and 1e9 give 1,500,000,000.
bool parse_decimal(std::string_view text, u64 scale, u64& result) {
  const std::string_view whole = text.substr(0, text.find('.'));
  u64 value = 0;
  if (const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
      error != std::errc() || end != whole.data() + whole.size() || value > (~u64{0} >> 1) / scale)
    return false;
  result = value * scale;
  if (whole.size() == text.size()) return true;
  const std::string_view fraction = text.substr(whole.size() + 1);
  if (fraction.empty()) return false;
  for (const char digit : fraction) {
    if (digit < '0' || digit > '9') return false;
    scale /= 10;
    result += static_cast<u64>(digit - '0') * scale;
  }
  return true;
}

Expected<Position> parse_position(std::string_view option, std::string_view text) {
  const auto refuse = [&] {
    return fail(ExitCode::kUsage, fmt::format("{} does not understand '{}'", option, text), {},
                "give a step (1200) or a time after the start with its unit (1.5s, 800ms, 20us, 5ns)");
  };
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, digits);
  const std::string_view unit = text.substr(digits);
  Position position;
  position.is_time = !unit.empty();
  if (unit.empty()) {
    if (number.find('.') != std::string_view::npos || !parse_decimal(number, 1, position.value)) return refuse();
    return position;
  }
  const auto* known = std::ranges::find(kUnits, unit, &Unit::name);
  if (known == kUnits.end() || !parse_decimal(number, known->ns, position.value)) return refuse();
  return position;
}

class Cut final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<trace::CutRange> range() const;
  Expected<u64> start_of_trace() const;

  std::string file_, out_, from_, to_;
  u32 session_ = 1;
};

void Cut::declare(CLI::App& app) {
  app.description(kCutDescription);
  app.footer(kCutFooter);
  app.add_option("FILE", file_, "a trace (.rtrace)")->required();
  app.add_option("-o,--output", out_, "the new trace")->type_name("OUT")->required();
  app.add_option("--from", from_, "first step or time (default: the start)")->type_name("POS");
  app.add_option("--to", to_, "last step or time (default: the end)")->type_name("POS");
  add_number(app, "--session", session_, {"N", 1, ~u32{0}}, "of a trace with several sessions");
}

Expected<u64> Cut::start_of_trace() const {
  auto reader = open_trace(file_, 0);
  if (!reader) return std::unexpected(reader.error());
  for (trace::Item item = reader->next(); item != trace::Item::kEnd; item = reader->next())
    if (item == trace::Item::kSession) return reader->session().start_ns;
  return fail(ExitCode::kBadInput, "the trace holds no session", file_, "reprise info shows what can be read of it");
}

Expected<trace::CutRange> Cut::range() const {
  trace::CutRange range;
  range.session = session_;
  if (from_.empty() && to_.empty())
    return fail(ExitCode::kUsage, "neither --from nor --to is given", {}, "for example: --from 10s --to 12.5s");
  for (const auto& [name, text, step, time] :
       {std::tuple{"--from", &from_, &range.from_step, &range.from_ns}, {"--to", &to_, &range.to_step, &range.to_ns}}) {
    if (text->empty()) continue;
    auto position = parse_position(name, *text);
    if (!position) return std::unexpected(position.error());
    if (!position->is_time) {
      *step = position->value;
      continue;
    }
    auto start = start_of_trace();
    if (!start) return std::unexpected(start.error());
    *time = *start + position->value;
  }
  if (range.from_step > range.to_step || range.from_ns > range.to_ns)
    return fail(ExitCode::kUsage, fmt::format("the range is empty: --from {} lies after --to {}", from_, to_));
  return range;
}

Expected<ExitCode> Cut::run(Console& console) {
  std::error_code ignored;
  if (std::filesystem::equivalent(file_, out_, ignored))
    return fail(ExitCode::kUsage, "OUT is FILE itself, which would be lost", out_, "choose another name with -o");
  auto wanted = range();
  if (!wanted) return std::unexpected(wanted.error());
  auto done = trace::cut(file_, out_, *wanted);
  if (!done) return std::unexpected(about_trace(done.error()));
  if (console.json()) {
    console.document({{"schema", "reprise.cut/1"},
                      {"file", file_},
                      {"output", out_},
                      {"session", session_},
                      {"first_step", done->first_step},
                      {"last_step", done->last_step},
                      {"after_snapshot", done->after_snapshot},
                      {"steps", done->steps},
                      {"events", done->events},
                      {"decisions", done->decisions},
                      {"kernel_events", done->kernel_events},
                      {"bytes", done->bytes}});
    return ExitCode::kDone;
  }
  console.print("{}: steps {}..{}, from {}; {}, {}\n", out_, done->first_step, done->last_step,
                done->after_snapshot == 0 ? "the session's start"
                                          : fmt::format("the snapshot after step {}", done->after_snapshot),
                counted(done->decisions, "decision"), bytes_text(done->bytes));
  console.message("next: reprise replay {}", out_);
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_cut() { return std::make_unique<Cut>(); }

}  // namespace reprise::cli
