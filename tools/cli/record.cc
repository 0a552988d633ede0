// SPDX-License-Identifier: GPL-2.0-only
// reprise record: records what any kernel with BTF does, under the scheduler that it has.
#include <bit>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/trace_text.h"

#ifdef REPRISE_LIVE
#include "scheduler/live/passive.h"
#include "tools/cli/live_report.h"
#endif

namespace reprise::cli {
namespace {

constexpr char kRecordDescription[] =
    "Records who woke whom, what ran where and for how long, interrupts, timers, and the system calls by which tasks\n"
    "wait and wake, until COMMAND ends, --duration has passed or ^C. Changes nothing and needs no sched_ext: any "
    "kernel\n"
    "with BTF will do. Needs root. Messages go to stderr; with --json, COMMAND's stdout does, too.";
constexpr char kRecordFooter[] =
    "examples\n"
    "  sudo reprise record -o run.rtrace -- make -j8\n"
    "  sudo reprise record -o run.rtrace --duration 10\n"
    "  reprise info run.rtrace --metrics --latency\n\n"
    "exit status\n"
    "  0 done   1 COMMAND failed   69 no BTF here   74 the recording failed   77 not permitted";

class Record final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kRecordDescription);
    app.footer(kRecordFooter);
    app.add_option("-o,--output", path_, "record into FILE; one that exists is overwritten")
        ->type_name("FILE")
        ->required();
    add_number(app, "-d,--duration", duration_s_, {"S", 1, 31'536'000, false}, "end after S seconds");
    app.add_flag("--no-syscalls", no_syscalls_, "do not record system calls that wait or wake");
    add_number(app, "--recording-kib", ring_kib_, {"KIB", 64, 1 << 20}, "ring of the events, a power of two");
  }
  Expected<ExitCode> run(Console&) override;
  [[nodiscard]] bool takes_trailing() const override { return true; }
  void set_trailing(std::vector<std::string> command) override { command_ = std::move(command); }

 private:
  Expected<ExitCode> record(Console&);

  std::string path_;
  u64 duration_s_ = 0, ring_kib_ = 64 << 10;
  bool no_syscalls_ = false;
  std::vector<std::string> command_;
};

Expected<ExitCode> Record::run(Console& console) {
  if (!std::has_single_bit(ring_kib_))
    return fail(ExitCode::kUsage, fmt::format("--recording-kib needs a power of two, not {}", ring_kib_), {},
                fmt::format("for example --recording-kib {}", std::bit_ceil(ring_kib_)));
  return record(console);
}

#ifdef REPRISE_LIVE

Json record_json(const std::string& path, const live::PassiveResult& result) {
  Json error = nullptr;
  if (result.recording.error) error = error_json(*result.recording.error);
  return {{"schema", "reprise.record/1"},
          {"file", path},
          {"ended_by", result.ended_by},
          {"command_status", result.command_status},
          {"time_ns", result.time_ns},
          {"bytes", result.recording.bytes},
          {"kernel_events", result.recording.totals.kernel_events},
          {"records_lost", result.recording.kernel_events_lost},
          {"losses", losses_json(result.losses)},
          {"loss_causes", loss_causes_json(result.loss_causes)},
          {"absent_tracepoints", result.absent},
          {"failed", result.recording.failed},
          {"error", error}};
}

Expected<ExitCode> Record::record(Console& console) {
  if (console.json()) console.keep_stdout_to_itself();
  const live::PassiveOptions options{.path = path_,
                                     .command = command_,
                                     .duration_s = duration_s_,
                                     .syscalls = !no_syscalls_,
                                     .ring_bytes = ring_kib_ << 10};
  auto result = live::run_passive(options, [&](const std::string& text) { console.message("{}", text); });
  if (!result) return std::unexpected(result.error());
  const trace::RecorderStatus& status = result->recording;
  for (const std::string& name : result->absent)
    console.warning(fmt::format("this kernel has no tracepoint {}: its events are missing", name));
  console.message("{}: {}, {} in {}, {:.1f} bytes per event; {}", path_, bytes_text(status.bytes),
                  counted(status.totals.kernel_events, "event"), duration_text(result->time_ns),
                  status.totals.kernel_events == 0
                      ? 0.0
                      : static_cast<double>(status.bytes) / static_cast<double>(status.totals.kernel_events),
                  status.kernel_events_lost == 0
                      ? "nothing lost"
                      : "LOST: " + counted(status.kernel_events_lost, "event") + loss_causes_text(result->loss_causes));
  console.message("next  reprise info {} --metrics --latency", path_);
  std::optional<Error> error;
  if (status.failed)
    error = status.error.value_or(Error{ExitCode::kIo, "the recording failed", path_, "see whether the disk is full"});
  else if (result->ended_by == "command" && result->command_status != 0)
    error =
        Error{ExitCode::kExpectationFailed, fmt::format("the command failed with status {}", result->command_status),
              fmt::format("{}", fmt::join(command_, " ")), "see what it printed; the recording is whole"};
  if (error) console.error(*error);
  if (console.json()) {
    Json json = record_json(path_, *result);
    if (error) json["error"] = error_json(*error);
    console.document(json);
  }
  return error ? error->code : ExitCode::kDone;
}

#else

Expected<ExitCode> Record::record(Console&) {
  return fail(ExitCode::kNoSchedExt, "this build has no live runtime", {},
              "build with -DREPRISE_LIVE=ON (tools/dev build); replaying and inspecting traces work here");
}

#endif

}  // namespace

std::unique_ptr<Command> make_record() { return std::make_unique<Record>(); }

}  // namespace reprise::cli
