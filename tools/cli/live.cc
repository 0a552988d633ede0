// SPDX-License-Identifier: GPL-2.0-only
// reprise live: schedules this machine with a policy until a command ends, a time has passed or ^C.
#include "scheduler/live/live.h"

#include <bit>
#include <charconv>
#include <fstream>

#include "scheduler/load/load.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/live_report.h"
#include "tools/cli/require.h"

namespace reprise::cli {
namespace {

constexpr char kLiveDescription[] =
    "Loads the dispatcher into the kernel and schedules this machine with a policy, until COMMAND ends, --duration\n"
    "has passed or ^C; then the kernel's default scheduler is back, as it is after a crash. With --record, all that "
    "is\n"
    "needed to decide again goes to a trace. Needs root and a kernel with sched_ext (reprise doctor).\n"
    "Messages and statistics go to stderr; with --json, COMMAND's stdout does, too.";
constexpr char kLiveFooter[] =
    "examples\n"
    "  sudo reprise live --policy vruntime --record run.rtrace -- hackbench -l 1000\n"
    "  sudo reprise live --policy fifo:slice_us=2000 --duration 10 --stats 1\n"
    "  sudo reprise live --policy vruntime --record-last 30 crash.rtrace       (until ^C; keeps the last 30 s)\n\n"
    "exit status\n"
    "  0 done   1 COMMAND failed, the policy broke its contract, did not pass what --require asks for, or somebody\n"
    "  detached the scheduler (SysRq-S)\n"
    "  69 no sched_ext here   70 the kernel threw the scheduler out   74 the recording failed   77 not permitted";

#ifdef REPRISE_LIVE
Expected<live::LiveResult> run_here(const live::LiveOptions& options,
                                    const std::function<void(const live::LiveStats&)>& stats,
                                    const std::function<void(const std::string&)>& note) {
  return live::run_live(options, stats, note);
}
#else
Expected<live::LiveResult> run_here(const live::LiveOptions&, const std::function<void(const live::LiveStats&)>&,
                                    const std::function<void(const std::string&)>&) {
  return fail(ExitCode::kNoSchedExt, "this build has no live runtime", {},
              "build with -DREPRISE_LIVE=ON (tools/dev build); replaying and inspecting traces work here");
}
#endif

class Live final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;
  [[nodiscard]] bool takes_trailing() const override { return true; }
  void set_trailing(std::vector<std::string> command) override { options_.command = std::move(command); }

 private:
  void declare_dispatcher(CLI::App&);
  Expected<void> complete_options();
  Expected<ExitCode> finish(Console&, const live::LiveResult&) const;
  [[nodiscard]] std::optional<Error> judge(const live::LiveResult&) const;
  void keep_dump(Console&, const std::string& dump) const;

  // In the units of the options; the settings' own defaults.
  struct Settings {
    u64 slice_us = live::DispatcherSettings{}.slice_default_ns / kNsPerUs;
    u64 scheduler_slice_us = live::DispatcherSettings{}.slice_scheduler_ns / kNsPerUs;
    u64 heartbeat_ms = live::DispatcherSettings{}.heartbeat_ns / kNsPerMs;
    u64 fallback_ms = live::DispatcherSettings{}.fallback_ns / kNsPerMs;
    u64 events_kib = live::DispatcherSettings{}.events_bytes >> 10;
    u64 decisions_kib = live::DispatcherSettings{}.decisions_bytes >> 10;
    u64 recording_kib = live::DispatcherSettings{}.recording_bytes >> 10;
    std::string kick = live::DispatcherSettings{}.kick_preempt ? "preempt" : "none";
  };

  live::LiveOptions options_;
  Settings settings_;
  std::string policy_;
  std::string require_;
  std::vector<std::string> record_last_;
  bool no_syscalls_ = false;
};

void Live::declare(CLI::App& app) {
  app.description(kLiveDescription);
  app.footer(stats_legend() + "\n\n" + kLiveFooter);
  app.add_option(
         "-p,--policy", policy_,
         "what decides, as NAME or NAME:KEY=VALUE,... (reprise policies lists them), or as the path of a shared object")
      ->type_name("P")
      ->required();
  CLI::Option* record =
      app.add_option("--record", options_.record_path, "record into FILE; one that exists is overwritten")
          ->type_name("FILE");
  app.add_option("--record-last", record_last_,
                 "flight recorder: keep the last S seconds in memory (1..3600), write them to FILE at the end, also "
                 "when the kernel throws the scheduler out")
      ->expected(2)
      ->type_name("S FILE")
      ->excludes(record);
  app.add_option("--require", require_,
                 "load only what has passed: RESULTS is what reprise test --json wrote, for this policy with these "
                 "options, its code, engine and dispatcher")
      ->type_name("RESULTS");
  add_number(app, "-d,--duration", options_.duration_s, {"S", 1, 31'536'000, false}, "end after S seconds");
  add_number(app, "--stats", options_.stats_interval_s, {"S", 1, 86'400, false},
             "a line of statistics every S seconds");
  add_number(app, "--seed", options_.seed, {"N"}, "of the policy's random numbers");
  app.add_flag("--partial", options_.dispatcher.partial,
               "schedule only tasks of class SCHED_EXT; COMMAND is started as one");
  app.add_flag("--no-syscalls", no_syscalls_, "do not record system calls that wait or wake");
  declare_dispatcher(app);
}

void Live::declare_dispatcher(CLI::App& app) {
  add_number(app, "--slice-us", settings_.slice_us, {"US", 100, 1'000'000},
             "time slice of tasks that the dispatcher decides on itself");
  add_number(app, "--scheduler-slice-us", settings_.scheduler_slice_us, {"US", 100, 1'000'000},
             "time slice of the scheduler's own thread");
  app.add_option("--kick", settings_.kick,
                 "when a task waits for a decision and no CPU is idle: take a CPU from a task so that the scheduler "
                 "runs (preempt), or wait for a slice to end (none) (default preempt)")
      ->type_name("none|preempt")
      ->check(CLI::IsMember({"none", "preempt"}).description(""));
  add_number(app, "--kick-interval-us", options_.dispatcher.kick_interval_us, {"US", 1, 1'000'000},
             "where tasks queue, wakeups preempt one this often at most so that the scheduler runs");
  add_number(app, "--fallback-ms", settings_.fallback_ms, {"MS", 1, 10'000},
             "unanswered for so long, the dispatcher schedules by itself");
  add_number(app, "--heartbeat-ms", settings_.heartbeat_ms, {"MS", 10, 10'000}, "an idle scheduler runs this often");
  add_number(app, "--timeout-ms", options_.dispatcher.timeout_ms, {"MS", 100, 30'000},
             "watchdog: a runnable task that does not run for so long ends the run");
  add_number(app, "--max-tasks", options_.max_tasks, {"N", 64, kMaxTasks}, "slots of the task table");
  add_number(app, "--events-kib", settings_.events_kib, {"KIB", 64, 1 << 20}, "ring up to the policy, a power of two");
  add_number(app, "--decisions-kib", settings_.decisions_kib, {"KIB", 64, 1 << 20}, "ring down, a power of two");
  add_number(app, "--recording-kib", settings_.recording_kib, {"KIB", 64, 1 << 20},
             "ring of the recording-only events, a power of two");
}

Expected<u64> parse_seconds(const std::string& text) {
  u64 seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 1 || seconds > 3600)
    return fail(ExitCode::kUsage, fmt::format("--record-last needs seconds, 1..3600, not '{}'", text), {},
                "for example: --record-last 30 crash.rtrace");
  return seconds;
}

Expected<void> Live::complete_options() {
  auto policy = loader::load_policy(policy_);
  if (!policy) return std::unexpected(policy.error());
  options_.policy = std::move(*policy);
  options_.record_syscalls = !no_syscalls_;
  if (!record_last_.empty()) {
    const auto seconds = parse_seconds(record_last_[0]);
    if (!seconds) return std::unexpected(seconds.error());
    options_.record_last_s = *seconds;
    options_.record_path = record_last_[1];
  }
  live::DispatcherSettings& dispatcher = options_.dispatcher;
  for (const auto& [name, kib, bytes] : {std::tuple{"--events-kib", settings_.events_kib, &dispatcher.events_bytes},
                                         {"--decisions-kib", settings_.decisions_kib, &dispatcher.decisions_bytes},
                                         {"--recording-kib", settings_.recording_kib, &dispatcher.recording_bytes}}) {
    if (!std::has_single_bit(kib))
      return fail(ExitCode::kUsage, fmt::format("{} needs a power of two, not {}", name, kib), {},
                  fmt::format("for example {} {}", name, std::bit_ceil(kib)));
    *bytes = kib << 10;
  }
  dispatcher.slice_default_ns = settings_.slice_us * kNsPerUs;
  dispatcher.slice_scheduler_ns = settings_.scheduler_slice_us * kNsPerUs;
  dispatcher.heartbeat_ns = settings_.heartbeat_ms * kNsPerMs;
  dispatcher.fallback_ns = settings_.fallback_ms * kNsPerMs;
  dispatcher.kick_preempt = settings_.kick == "preempt";
  for (const auto& [name, value] :
       {std::pair{"--heartbeat-ms", settings_.heartbeat_ms}, {"--fallback-ms", settings_.fallback_ms}})
    if (value * 2 > dispatcher.timeout_ms)
      return fail(ExitCode::kUsage,
                  fmt::format("{} {} is more than half of --timeout-ms {}", name, value, dispatcher.timeout_ms), {},
                  "the watchdog would end the run before the dispatcher can help; lower the one or raise the other");
  return {};
}

Expected<ExitCode> Live::run(Console& console) {
  if (auto complete = complete_options(); !complete) return std::unexpected(complete.error());
  if (!require_.empty()) {
    auto passed = require_passed(require_, options_.policy);
    if (!passed) return std::unexpected(passed.error());
    console.message("{}", *passed);
  }
  if (console.json()) console.keep_stdout_to_itself();
  console.message("seed {}", options_.seed);
  StatsTable table;
  auto result = run_here(
      options_, [&](const live::LiveStats& stats) { console.say(table.line(stats)); },
      [&](const std::string& note) { console.message("{}", note); });
  if (!result) return std::unexpected(result.error());
  return finish(console, *result);
}

Expected<ExitCode> Live::finish(Console& console, const live::LiveResult& result) const {
  const std::optional<Error> error = judge(result);
  show_summary(console, options_, result);
  if (error) console.error(*error);
  if (result.exit.error) keep_dump(console, result.exit.dump);
  if (console.json()) {
    Json json = live_json(options_, result);
    if (error) json["error"] = error_json(*error);
    console.document(json);
  }
  return error ? error->code : ExitCode::kDone;
}

// The worst first.
std::optional<Error> Live::judge(const live::LiveResult& result) const {
  if (result.exit.error)
    return Error{ExitCode::kInternal,
                 fmt::format("the kernel threw the scheduler out: {}", exit_kind_text(result.exit.kind)),
                 fmt::format("{}: {}", result.exit.reason, result.exit.message),
                 result.recorded ? fmt::format("reprise replay {} shows what the policy decided", options_.record_path)
                                 : "run it again with --record-last 30 FILE to see what led to it"};
  if (result.ended_by == "kernel")
    return Error{ExitCode::kExpectationFailed,
                 fmt::format("detached before the end: {}", exit_kind_text(result.exit.kind)), result.exit.message,
                 "somebody took the scheduler away; what was recorded until then is whole"};
  if (result.recording.failed)
    return result.recording.error.value_or(
        Error{ExitCode::kIo, "the recording failed", options_.record_path, "see whether the disk is full"});
  if (result.ended_by == "command" && result.command_status != 0)
    return Error{ExitCode::kExpectationFailed, fmt::format("the command failed with status {}", result.command_status),
                 fmt::format("{}", fmt::join(options_.command, " ")),
                 "see what it printed; the scheduler itself is fine"};
  return {};
}

// What the kernel had to say about the state of all CPUs and tasks: long, so into a file where there is one.
void Live::keep_dump(Console& console, const std::string& dump) const {
  if (dump.empty()) return;
  if (options_.record_path.empty()) {
    console.detail("{}", dump);
    if (console.verbosity() == 0) console.message("-v also shows the kernel's dump of CPUs and tasks");
    return;
  }
  const std::string path = options_.record_path + ".dump";
  std::ofstream(path) << dump << '\n';
  console.message("the kernel's dump of CPUs and tasks: {}", path);
}

}  // namespace

std::unique_ptr<Command> make_live() { return std::make_unique<Live>(); }

}  // namespace reprise::cli
