// SPDX-License-Identifier: GPL-2.0-only
// reprise import: a trace from what perf or trace-cmd have recorded.
#include "traces/import.h"

#include <filesystem>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/trace_text.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kImportDescription[] =
    "Makes a trace from FILE, the text that `perf script` prints of a `perf sched record`, or `trace-cmd report`, or "
    "the\n"
    "kernel's own trace file. The trace is like one of `reprise record --no-syscalls`: who woke whom and what ran "
    "where.\n"
    "What is not understood is counted and said. OUT is overwritten when it exists, unless it is FILE itself.";
constexpr char kImportFooter[] =
    "examples\n"
    "  perf sched record -o perf.data -- make; perf script --ns -i perf.data > run.txt\n"
    "  reprise import run.txt -o run.rtrace\n"
    "  reprise info run.rtrace --metrics --timehist\n\n"
    "exit status\n"
    "  0 done   65 nothing in FILE is understood, or its times are out of order   74 I/O";

class Import final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kImportDescription);
    app.footer(kImportFooter);
    app.add_option("FILE", file_, "text of perf script or trace-cmd report")->required();
    app.add_option("-o,--output", out_, "the trace (.rtrace)")->type_name("OUT")->required();
  }
  Expected<ExitCode> run(Console&) override;

 private:
  std::string file_, out_;
};

Expected<ExitCode> Import::run(Console& console) {
  std::error_code ignored;
  if (std::filesystem::equivalent(file_, out_, ignored))
    return fail(ExitCode::kUsage, "OUT is FILE itself, which would be lost", out_, "choose another name with -o");
  auto done = trace::import_text(file_, out_, {.version = kVersion});
  if (!done) {
    Error error = done.error();
    if (error.code == ExitCode::kUsage) error.hint = "write the text to a file first: it is read twice";
    return std::unexpected(error);
  }
  if (done->not_understood != 0)
    console.warning(
        fmt::format("{} not understood: {} {}{}; the first is: {}", counted(done->not_understood, "line"),
                    done->not_understood == 1 ? "number" : "numbers", fmt::join(done->not_understood_at, ", "),
                    done->not_understood > done->not_understood_at.size() ? "..." : "", done->first_not_understood));
  if (done->lost != 0) console.warning(fmt::format("whoever recorded it lost {}", counted(done->lost, "event")));
  if (console.json()) {
    console.document({{"schema", console.schema()},
                      {"file", file_},
                      {"output", out_},
                      {"lines", done->lines},
                      {"events", done->events},
                      {"switches", done->switches},
                      {"unneeded", done->unneeded},
                      {"comments", done->comments},
                      {"not_understood", done->not_understood},
                      {"not_understood_lines", done->not_understood_at},
                      {"lost", done->lost},
                      {"cpus", done->cpus},
                      {"tasks", done->tasks},
                      {"duration_ns", done->last_ns - done->first_ns},
                      {"bytes", done->bytes}});
    return ExitCode::kDone;
  }
  console.print("{}: {} ({} switches) of {} and {} in {}, {}\n", out_, counted(done->events, "event"),
                grouped(done->switches), counted(done->tasks, "task"), counted(done->cpus, "CPU"),
                duration_text(done->last_ns - done->first_ns), bytes_text(done->bytes));
  if (done->unneeded != 0)
    console.message("{} of events that a trace has no place for are left out", counted(done->unneeded, "line"));
  console.message("next: reprise info {} --metrics --latency", out_);
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_import() { return std::make_unique<Import>(); }

}  // namespace reprise::cli
