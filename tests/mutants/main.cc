// SPDX-License-Identifier: GPL-2.0-only
// reprise_mutants: runs a suite with one broken policy after the other in the place of the real one, and shows which
// the suite notices, and by which case; with --shrink also how small a workload still tells the two apart.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "sim/suite/run_suite.h"
#include "sim/suite/shrink_goal.h"
#include "tests/mutants/mutants.h"
#include "tools/cli/suite_policies.h"

namespace reprise {
namespace {

constexpr char kUsage[] =
    "usage: reprise_mutants SUITE.toml [--mutant NAME]... [--case PREFIX] [--short] [--shrink] [-j N]\n"
    "exit status: 0 at least 95 % were noticed, 1 fewer, 2 usage\n";
constexpr std::size_t kCasesShown = 3;

struct Arguments {
  std::string suite, cases;
  std::vector<std::string> mutants;
  bool without_long = false;
  bool shrinks = false;
  u32 processes = 0;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--mutant" && more)
      out.mutants.emplace_back(argv[++i]);
    else if (word == "--case" && more)
      out.cases = argv[++i];
    else if (word == "--short")
      out.without_long = true;
    else if (word == "--shrink")
      out.shrinks = true;
    else if (word == "-j" && more)
      out.processes = static_cast<u32>(atoi(argv[++i]));
    else if (!word.starts_with('-') && out.suite.empty())
      out.suite = word;
    else
      return false;
  }
  return !out.suite.empty();
}

// The real policy's name and options, the mutant's code.
Expected<sim::SuitePolicy> find_mutated(const Mutant& mutant, std::string_view text) {
  auto found = cli::find_suite_policy(text);
  if (!found || !found->info || found->info->name != mutant.policy) return found;
  auto options = Options::parse(mutant.info->options, found->options.text());
  if (!options) return std::unexpected(options.error());
  found->info = mutant.info;
  found->options = *options;
  return found;
}

struct Outcome {
  bool caught = false;
  std::vector<std::string> by;  // the cases that notice it, those that see most first
  std::size_t cases = 0;
  std::string small;  // of --shrink
  std::string how;    // what the case that sees most says; of a mutant that was missed, where the largest change is
  double largest_change = 0;  // of a gated metric, as a part of its value
};

// The case in the first of them that can be made smaller: it still fails with the mutant, and does not with the policy.
std::string shrink_first(const sim::Suite& suite, const Mutant& mutant,
                         const std::vector<const sim::CaseReport*>& failed) {
  const auto broken = [&mutant](std::string_view text) { return find_mutated(mutant, text); };
  std::string why;
  for (const sim::CaseReport* report : failed) {
    const sim::Case& item = suite.cases[report->index];
    auto goal = sim::goal_of(suite, item, report->findings.front(), true);
    if (!goal) {
      why = goal.error().what;
      continue;
    }
    sim::ShrinkCase what;
    what.setup = suite.setups[item.setup];
    what.good_policy = what.setup.policy;
    what.seed = report->seed;
    auto outcome = sim::shrink_case(what, *goal, broken, cli::find_suite_policy, {});
    if (outcome)
      return fmt::format("{}: {} of {} events left ({:.3f} %), {} tasks, {} runs", item.name, outcome->events_after,
                         outcome->events_before,
                         100.0 * static_cast<double>(outcome->events_after) /
                             static_cast<double>(std::max<u64>(outcome->events_before, 1)),
                         outcome->small.program.tasks.size(), outcome->small.runs);
    why = item.name + ": " + outcome.error().what;
  }
  return "not made smaller: " + why;
}

Expected<Outcome> try_one(const sim::Suite& suite, const Mutant& mutant, const Arguments& arguments) {
  sim::SuiteRunOptions options;
  options.without_long = arguments.without_long;
  options.processes = arguments.processes;
  for (const sim::Case& item : suite.cases) {
    const std::string& policy = suite.setups[item.setup].policy;
    if (policy.substr(0, policy.find(':')) == mutant.policy && item.name.starts_with(arguments.cases) &&
        !(item.is_long && arguments.without_long))
      options.cases.push_back(item.name);
  }
  if (options.cases.empty()) return Outcome{};
  auto report = sim::run_suite(suite, [&mutant](std::string_view text) { return find_mutated(mutant, text); }, options);
  if (!report) return std::unexpected(report.error());
  Outcome outcome;
  std::vector<const sim::CaseReport*> failed;
  for (const sim::CaseReport& one : report->cases) {
    if (one.verdict == sim::CaseVerdict::kFail) failed.push_back(&one);
    for (const sim::Finding& finding : one.findings) {
      if (finding.kind != sim::Finding::Kind::kGate || finding.base == 0) continue;
      const double change = std::abs((finding.now - finding.base) / finding.base);
      if (change <= outcome.largest_change) continue;
      outcome.largest_change = change;
      outcome.how = suite.cases[one.index].name + ": " + finding.sentence;
    }
  }
  std::ranges::sort(failed, {},
                    [](const sim::CaseReport* r) { return std::pair(-r->findings.front().severity(), r->index); });
  outcome.caught = !failed.empty();
  outcome.cases = failed.size();
  if (arguments.shrinks && outcome.caught) outcome.small = shrink_first(suite, mutant, failed);
  if (outcome.caught) outcome.how = failed.front()->findings.front().sentence;
  for (std::size_t i = 0; i < std::min(failed.size(), kCasesShown); ++i)
    outcome.by.push_back(suite.cases[failed[i]->index].name);
  return outcome;
}

int run(const Arguments& arguments) {
  auto suite = sim::read_suite(arguments.suite, cli::find_suite_policy);
  const auto complain = [](const Error& error) {
    fmt::print(stderr, "reprise_mutants: {}\n  where: {}\n  what to do: {}\n", error.what, error.where, error.hint);
    return static_cast<int>(error.code);
  };
  if (!suite) return complain(suite.error());
  u32 tried = 0, caught = 0, subtle = 0, subtle_caught = 0, first = 0, first_caught = 0;
  for (const Mutant& mutant : mutants()) {
    if (!arguments.mutants.empty() && std::ranges::find(arguments.mutants, mutant.name) == arguments.mutants.end())
      continue;
    auto outcome = try_one(*suite, mutant, arguments);
    if (!outcome) return complain(outcome.error());
    ++tried, caught += outcome->caught;
    if (mutant.subtle) ++subtle, subtle_caught += outcome->caught;
    if (mutant.first) ++first, first_caught += outcome->caught;
    fmt::print("{:<9} {:<7} {:<30} {:>3} cases, largest change {:>8.1f} %: {}\n", outcome->caught ? "caught" : "MISSED",
               mutant.subtle ? "subtle" : "", mutant.name, outcome->cases, outcome->largest_change * 100,
               fmt::format("{}", fmt::join(outcome->by, ", ")));
    fmt::print("{:<18}{}\n", "", outcome->how);
    if (!outcome->small.empty()) fmt::print("{:<18}{}\n", "", outcome->small);
    fflush(stdout);
  }
  if (tried == 0) return fmt::print(stderr, "reprise_mutants: no mutant of that name\n"), 2;
  fmt::print("\n{} of {} caught; subtle {} of {}; written before the thresholds {} of {}, after them {} of {}\n",
             caught, tried, subtle_caught, subtle, first_caught, first, caught - first_caught, tried - first);
  return caught * 100 >= tried * 95 ? 0 : 1;
}

}  // namespace
}  // namespace reprise

int main(int argc, char** argv) {
  reprise::Arguments arguments;
  if (!reprise::parse(argc, argv, arguments)) {
    fmt::print(stderr, "{}", reprise::kUsage);
    return 2;
  }
  return reprise::run(arguments);
}
