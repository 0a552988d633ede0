// SPDX-License-Identifier: GPL-2.0-only
// reprise shrink: makes a failing case of a suite small.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/suite/measure.h"
#include "sim/suite/run_suite.h"
#include "sim/suite/shrink_goal.h"
#include "sim/suite/workload_file.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/suite_policies.h"

namespace reprise::cli {
namespace {

constexpr char kShrinkDescription[] =
    "Takes away from a failing case what the failure does not need: simulated time, tasks, faults, loops, operations,\n"
    "events from outside, for as long as it still fails in the same way. Where the case is worse than its baseline,\n"
    "--good names a policy that does it right; the small workload still separates the two.\n"
    "Writes OUT.workload, which a suite takes as `workload = FILE`, and OUT.rtrace, its run under the failing policy.";
constexpr char kShrinkFooter[] =
    "examples\n"
    "  reprise shrink tests/suite.toml --case pinned/mine@2c -o small\n"
    "  reprise shrink tests/suite.toml --case nice/mine@1c --good vruntime -o small\n\n"
    "exit status\n"
    "  0 done   1 the case does not fail   2 usage   65 the suite is not right";

class Shrink final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<void> write(const sim::Setup&, const sim::ShrinkOutcome&, const std::string& note) const;

  std::string file_, case_, good_, out_;
  u64 seed_ = ~u64{0};
  u32 max_runs_ = 2000;
};

void Shrink::declare(CLI::App& app) {
  app.description(kShrinkDescription);
  app.footer(kShrinkFooter);
  app.add_option("SUITE", file_, "a suite (.toml)")->required();
  app.add_option("--case", case_, "the case that fails")->required()->type_name("NAME");
  app.add_option("--good", good_, "a policy that does not fail")->type_name("P");
  app.add_option("-o,--output", out_, "write OUT.workload and OUT.rtrace")->required()->type_name("OUT");
  add_number(app, "--seed", seed_, {"N", 0, ~u64{0} - 1, false}, "of the suite's seeds; the one that failed worst");
  add_number(app, "--max-runs", max_runs_, {"N", 1, 10'000'000}, "stop after so many tries");
}

Expected<void> Shrink::write(const sim::Setup& setup, const sim::ShrinkOutcome& outcome,
                             const std::string& note) const {
  const std::string path = out_ + ".workload";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << sim::write_workload({outcome.small.program, note});
  file.close();
  if (!file) return fail(ExitCode::kIo, "cannot be written", path, "is the folder there, and the disk not full?");
  return save_run(setup, outcome.small.program, outcome.small.options, out_ + ".rtrace");
}

// Whether the stored run, read as any recording, fails in the same way: then it is as good a case as the workload.
bool trace_fails(const sim::ShrinkCase& what, const sim::ShrinkGoal& goal, const std::string& path, u64 duration_ns) {
  sim::ShrinkCase traced = what;
  traced.setup.source = sim::Source::kTrace;
  traced.setup.file = path;
  traced.setup.topology.clear();
  traced.setup.jitter_per_mille = 0;
  traced.setup.duration_ns = duration_ns;
  auto loaded = sim::SetupRun::load(traced.setup, find_suite_policy);
  if (!loaded) return false;
  auto program = loaded->program(what.seed);
  if (!program) return false;
  return sim::try_goal(traced, goal, find_suite_policy, find_suite_policy, *program, loaded->options(what.seed)).holds;
}

Expected<ExitCode> Shrink::run(Console& console) {
  auto suite = sim::read_suite(file_, find_suite_policy);
  if (!suite) return std::unexpected(suite.error());
  if (!good_.empty())
    if (auto found = find_suite_policy(good_); !found) return std::unexpected(found.error());
  sim::SuiteRunOptions only;
  only.cases = {case_};
  auto report = sim::run_suite(*suite, find_suite_policy, only);
  if (!report) return std::unexpected(report.error());
  if (report->cases.size() != 1) return fail(ExitCode::kUsage, "--case names more than one case", case_);
  const sim::CaseReport& failed = report->cases.front();
  if (failed.verdict != sim::CaseVerdict::kFail)
    return fail(ExitCode::kExpectationFailed, fmt::format("the case does not fail: {}", name(failed.verdict)), case_,
                "only what fails can be made smaller");
  const sim::Case& item = suite->cases[failed.index];
  auto goal = sim::goal_of(*suite, item, failed.findings.front(), !good_.empty());
  if (!goal) return std::unexpected(goal.error());
  console.message("{}", goal->text);
  sim::ShrinkCase what;
  what.setup = suite->setups[item.setup];
  what.good_policy = good_;
  what.seed = seed_ != ~u64{0} ? seed_ : failed.seed;
  what.try_limit_s = std::min(what.setup.time_limit_s, 60u);
  sim::ShrinkOptions options;
  options.max_runs = max_runs_;
  if (console.shows_progress())
    options.progress = [&](u32 runs, const sim::Program& program, const sim::RunOptions& with) {
      console.progress(fmt::format("{} tries: {}, {}, {} of simulated time", runs,
                                   counted(program.tasks.size(), "task"), counted(program.ops.size(), "operation"),
                                   duration_text(with.duration_ns)));
    };
  auto outcome = sim::shrink_case(what, *goal, find_suite_policy, find_suite_policy, options);
  if (!outcome) return std::unexpected(outcome.error());
  const std::string note = fmt::format("{} of {}, seed {}: {}", case_, file_, what.seed, goal->text);
  if (auto written = write(what.setup, *outcome, note); !written) return std::unexpected(written.error());

  const sim::Shrunk& small = outcome->small;
  const bool as_trace = trace_fails(what, *goal, out_ + ".rtrace", small.options.duration_ns);
  const u64 duration_ms = (small.options.duration_ns + kNsPerMs - 1) / kNsPerMs;
  if (console.json()) {
    console.document({{"schema", "reprise.shrink/1"},
                      {"case", case_},
                      {"seed", what.seed},
                      {"failure", goal->text},
                      {"tries", small.runs},
                      {"smallest", small.whole},
                      {"events_before", outcome->events_before},
                      {"events_after", outcome->events_after},
                      {"tasks", small.program.tasks.size()},
                      {"operations", small.program.ops.size()},
                      {"simulated_ns", small.options.duration_ns},
                      {"workload", out_ + ".workload"},
                      {"trace", out_ + ".rtrace"},
                      {"trace_fails", as_trace}});
    return ExitCode::kDone;
  }
  console.print("{} of {} left ({}), after {}{}\n{}, {}, {} of simulated time\n",
                counted(outcome->events_after, "event"), grouped(outcome->events_before),
                percent_text(outcome->events_after, outcome->events_before), counted(small.runs, "run"),
                small.whole ? "" : "; more tries may leave less (--max-runs)",
                counted(small.program.tasks.size(), "task"), counted(small.program.ops.size(), "operation"),
                duration_text(small.options.duration_ns));
  if (!outcome->plain)
    console.print("it fails only when the workload begins {} ns after a tick, which a suite cannot ask for\n",
                  outcome->phase_ns);
  console.print("{}.rtrace {}\n", out_,
                as_trace ? "fails in the same way when it is read as a recording"
                         : "does not fail when it is read as a recording: it tells less than the workload");
  std::string base = case_;
  std::ranges::replace(base, '/', '-');
  console.print(
      "as a case of its own:\n\n[[case]]\nname = \"{}\"\nworkload = \"{}.workload\"\njitter_pct = 0\nseeds = [{}]\n"
      "duration_ms = {}\ntopology = \"{}\"\npolicy = \"{}\"\n",
      "small-" + base, std::filesystem::path(out_).filename().string(), what.seed, duration_ms,
      small.options.machine.topology.text(), what.setup.policy);
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_shrink() { return std::make_unique<Shrink>(); }

}  // namespace reprise::cli
