// SPDX-License-Identifier: GPL-2.0-only
// reprise export: a trace in the formats of other tools, and without what tells whose it is.
#include "traces/export.h"

#include <filesystem>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/trace_text.h"

namespace reprise::cli {
namespace {

constexpr char kExportDescription[] =
    "Writes what FILE holds in another format, which the ending of OUT chooses:\n"
    "  .pftrace  Perfetto: CPUs, threads, queue and scheduler's steps on a timeline (ui.perfetto.dev)\n"
    "  .csv      a row per kernel event, with a header\n"
    "  .jsonl    a JSON object per kernel event and per step\n"
    "  .rtrace   the trace again; with --anonymize\n"
    "--anonymize takes out names of tasks, tids, wall clock and build strings. Policy, decisions and times stay, so "
    "an\n"
    ".rtrace still replays. OUT is overwritten when it exists, unless it is FILE itself.";
constexpr char kExportFooter[] =
    "examples\n"
    "  reprise export run.rtrace -o run.pftrace\n"
    "  reprise export run.rtrace -o share.rtrace --anonymize && reprise replay share.rtrace\n\n"
    "exit status\n"
    "  0 done   2 an unknown ending   65 FILE is damaged (what can be read is written)   74 I/O";

class Export final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kExportDescription);
    app.footer(kExportFooter);
    app.add_option("FILE", file_, "a trace (.rtrace)")->required();
    app.add_option("-o,--output", out_, "what to write; its ending says in which format")->type_name("OUT")->required();
    app.add_flag("--anonymize", anonymize_, "leave out what tells whose trace it is");
  }
  Expected<ExitCode> run(Console&) override;

 private:
  std::string file_, out_;
  bool anonymize_ = false;
};

Expected<ExitCode> Export::run(Console& console) {
  auto form = trace::export_form_of(out_);
  if (!form) return std::unexpected(form.error());
  std::error_code ignored;
  if (std::filesystem::equivalent(file_, out_, ignored))
    return fail(ExitCode::kUsage, "OUT is FILE itself, which would be lost", out_, "choose another name with -o");
  auto reader = open_trace(file_);
  if (!reader) return std::unexpected(reader.error());
  auto done = trace::export_trace(*reader, out_, {.form = *form, .anonymize = anonymize_});
  show_problems(console, reader->problems());
  if (!done) return std::unexpected(about_trace(done.error()));
  if (done->late_events != 0)
    console.warning(fmt::format("{} came out of order by more than half a second and stand where they stood",
                                counted(done->late_events, "event")));
  std::optional<Error> error;
  if (reader->damaged()) error = damage_error(*reader, "what could be read is written");
  if (console.json()) {
    Json json = {{"schema", console.schema()},
                 {"file", file_},
                 {"output", out_},
                 {"anonymized", anonymize_},
                 {"sessions", done->sessions},
                 {"kernel_events", done->kernel_events},
                 {"switches", done->switches},
                 {"steps", done->steps},
                 {"late_events", done->late_events},
                 {"snapshots_left_out", done->snapshots_left},
                 {"bytes", done->bytes},
                 {"problems", problems_json(reader->problems())}};
    if (error) json["error"] = error_json(*error);
    console.document(json);
  } else {
    console.print("{}: {} ({}), {}, {}\n", out_, counted(done->kernel_events, "kernel event"),
                  done->switches == 1 ? "1 switch" : grouped(done->switches) + " switches",
                  counted(done->steps, "step"), bytes_text(done->bytes));
    if (*form == trace::ExportForm::kPerfetto) console.message("next: open it in https://ui.perfetto.dev");
    if (*form == trace::ExportForm::kTrace && done->steps != 0) console.message("next: reprise replay {}", out_);
  }
  if (error) console.error(*error);
  return error ? error->code : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_export() { return std::make_unique<Export>(); }

}  // namespace reprise::cli
