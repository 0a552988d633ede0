// SPDX-License-Identifier: GPL-2.0-only
// reprise test: holds policies to a suite and says what got worse, by how much, and how to see it again.
#include <stdlib.h>
#include <time.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "sim/run/save.h"
#include "sim/suite/pool.h"
#include "sim/suite/results.h"
#include "sim/suite/run_suite.h"
#include "sim/suite/sample.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/suite_policies.h"
#include "tools/cli/test_report.h"
#include "traces/export.h"
#include "traces/reader.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kTestDescription[] =
    "Simulates every case of a suite, each in a process of its own, and holds the results to what the suite expects "
    "and\n"
    "to the approved results beside it (SUITE.baseline.toml). docs/suite.md says how to write one.";
constexpr char kTestFooter[] =
    "examples\n"
    "  reprise test tests/suite.toml\n"
    "  reprise test tests/suite.toml --case 'hackbench*' --artifacts failed/\n"
    "  reprise test tests/suite.toml --update                 approve what came out; then look at git diff\n"
    "  reprise test tests/suite.toml --junit junit.xml --json > results.json\n\n"
    "In GitHub Actions it writes annotations and the step's summary.\n\n"
    "exit status\n"
    "  0 all passed, or were undecided   1 a case failed   2 usage   65 the suite or its baseline is not right";
constexpr std::size_t kTimelines = 5;  // of the worst cases

std::string utc_now() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Expected<void> write_file(const std::string& path, const std::string& text, bool append = false) {
  std::ofstream out(path, append ? std::ios::binary | std::ios::app : std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(ExitCode::kIo, "cannot be written", path, "is the folder there, and the disk not full?");
  return {};
}

std::string file_name_of(const std::string& name) {
  std::string file;
  for (const char c : name) file += isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' ? c : '_';
  return file;
}

class Test final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<void> write_results(Console&, const TestView&, const sim::SuiteReport&, bool complete) const;
  Expected<void> tell_github(Console&, const TestView&) const;
  std::vector<std::string> timelines(Console&, const sim::Suite&, const sim::SuiteReport&) const;

  std::string file_, junit_, output_, artifacts_;
  u64 seed_offset_ = 0;
  sim::SuiteRunOptions options_;
};

void Test::declare(CLI::App& app) {
  app.description(kTestDescription);
  app.footer(kTestFooter);
  app.add_option("SUITE", file_, "a suite (.toml)")->required();
  app.add_option("--case", options_.cases, "only this case, by name or as a pattern with * and ?; repeatable")
      ->type_name("NAME");
  app.add_flag("--short", options_.without_long, "without the cases that the suite calls long");
  app.add_flag("--update", options_.update, "approve what comes out: writes the baseline");
  app.add_option("--junit", junit_, "write JUnit XML")->type_name("FILE");
  app.add_option("-o,--output", output_, "write what --json prints to a file, for reprise live --require")
      ->type_name("FILE");
  app.add_option("--artifacts", artifacts_, "write traces and timelines (.pftrace) of the worst cases into this folder")
      ->type_name("DIR");
  add_number(app, "-j,--jobs", options_.processes, {"N", 0, 4096, false},
             "processes at a time; one per CPU when not given");
  add_number(app, "--seed-offset", seed_offset_, {"N", 0, 1'000'000'000, false},
             "add to every seed: the same suite on other accidents");
}

// A run is made again and stored, in a process of its own: it may be one that crashes.
std::vector<std::string> Test::timelines(Console& console, const sim::Suite& suite,
                                         const sim::SuiteReport& report) const {
  std::vector<std::string> written(report.cases.size());
  if (artifacts_.empty()) return written;
  std::error_code error;
  std::filesystem::create_directories(artifacts_, error);
  std::vector<std::size_t> worst;
  for (std::size_t i = 0; i < report.cases.size(); ++i)
    if (report.cases[i].verdict == sim::CaseVerdict::kFail &&
        suite.setups[suite.cases[report.cases[i].index].setup].source != sim::Source::kReplay)
      worst.push_back(i);
  std::ranges::sort(worst, {}, [&](std::size_t i) {
    const std::vector<sim::Finding>& findings = report.cases[i].findings;
    return std::pair(findings.empty() ? 0.0 : -findings.front().severity(), i);
  });
  worst.resize(std::min(worst.size(), kTimelines));
  std::vector<sim::PoolJob> jobs;
  for (const std::size_t i : worst) {
    sim::PoolJob job;
    const sim::Case& item = suite.cases[report.cases[i].index];
    const sim::Setup& setup = suite.setups[item.setup];
    const std::string base = (std::filesystem::path(artifacts_) / file_name_of(item.name)).string();
    job.cpu_limit_s = setup.time_limit_s;
    job.work = [&setup, seed = report.cases[i].seed, base](const std::function<bool(const std::string&)>& line) {
      const auto done = save_timeline(setup, seed, base);
      if (!done) throw std::runtime_error(done.error().what);
      line(base + ".pftrace");
    };
    jobs.push_back(std::move(job));
  }
  sim::PoolEvents events;
  events.line = [&](std::size_t job, const std::string& line) { written[worst[job]] = line; };
  events.ended = [&](std::size_t job, const std::string& failure) {
    if (!failure.empty())
      console.warning(fmt::format("no timeline of {}: {}", suite.cases[report.cases[worst[job]].index].name, failure));
  };
  sim::run_pool(jobs, 1, events);
  return written;
}

Expected<void> Test::write_results(Console& console, const TestView& view, const sim::SuiteReport& report,
                                   bool complete) const {
  const std::string at = utc_now();
  if (!junit_.empty())
    if (auto written = write_file(junit_, junit_xml(view, at)); !written) return written;
  if (!console.json() && output_.empty()) return {};
  const Json document =
      sim::results_document(view.suite, report, find_suite_policy,
                            {at, kVersion, kCompiler, kBuildType, kEngineHash, kPoliciesHash, kDispatcherHash,
                             console.command(), [&view](const sim::CaseReport& one) { return again(view, one); }},
                            complete);
  if (console.json()) console.document(document);
  if (output_.empty()) return {};
  return write_file(output_, document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Expected<void> Test::tell_github(Console& console, const TestView& view) const {
  const char* actions = getenv("GITHUB_ACTIONS");
  if (!actions || std::string_view(actions) != "true") return {};
  const std::string annotations = github_annotations(view);
  // Workflow commands are read from both streams; a document on stdout stays whole.
  if (console.json())
    fmt::print(stderr, "{}", annotations);
  else
    console.write(annotations);
  const char* summary = getenv("GITHUB_STEP_SUMMARY");
  if (!summary || *summary == 0) return {};
  return write_file(summary, github_summary(view), true);
}

Expected<ExitCode> Test::run(Console& console) {
  const auto began = std::chrono::steady_clock::now();
  auto suite = sim::read_suite(file_, find_suite_policy, {.seed_offset = seed_offset_});
  if (!suite) return std::unexpected(suite.error());
  if (options_.update && seed_offset_ != 0)
    return fail(ExitCode::kUsage, "--update and --seed-offset exclude each other", {},
                "a baseline holds the seeds that the suite names");
  if (console.shows_progress())
    options_.progress = [&](std::size_t done, std::size_t all) {
      console.progress(fmt::format("{} of {} simulated", done, counted(all, "setup")));
    };
  auto report = sim::run_suite(*suite, find_suite_policy, options_);
  if (!report) return std::unexpected(report.error());
  TestView view{*suite, *report, 0, seed_offset_, {}};
  view.wall_ns = static_cast<u64>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began).count());
  view.timelines = timelines(console, *suite, *report);
  if (!console.json()) console.write(table_text(console, view));
  if (auto told = tell_github(console, view); !told) return std::unexpected(told.error());
  if (auto written = write_results(console, view, *report, seed_offset_ == 0); !written)
    return std::unexpected(written.error());
  if (options_.update)
    console.message("{} of the baseline changed: {}", counted(report->updated, "case"), suite->baseline_path());
  return report->verdict > sim::CaseVerdict::kUndecided ? ExitCode::kExpectationFailed : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_test() { return std::make_unique<Test>(); }

}  // namespace reprise::cli
