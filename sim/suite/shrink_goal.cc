// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/shrink_goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/suite/measure.h"
#include "sim/suite/pool.h"

namespace reprise::sim {
namespace {

bool policys_fault(const Sample& sample) { return sample.error && sample.error->code == ExitCode::kExpectationFailed; }

bool broken(const Bound& bound, const Sample& sample) {
  const double value = sample.value(bound.group, *bound.metric).value;
  return bound.upper ? value > bound.value : value < bound.value;
}

bool holds(const ShrinkGoal& goal, const Sample& bad, const Sample* good) {
  if (goal.kind == ShrinkGoal::Kind::kFailure) return policys_fault(bad) && !(good && good->error);
  if (bad.error || (good && good->error)) return false;
  if (goal.kind == ShrinkGoal::Kind::kBound) return broken(goal.bound, bad) && !(good && broken(goal.bound, *good));
  const double now = bad.value(goal.group, *goal.gate.metric).value;
  const double base = good->value(goal.group, *goal.gate.metric).value;
  const double worse = goal.gate.better == Better::kLess   ? now - base
                       : goal.gate.better == Better::kMore ? base - now
                                                           : std::abs(now - base);
  return worse > std::max(goal.gate.relative * std::abs(base), goal.gate.absolute);
}

Sample run_with(const Setup& setup, const std::string& policy, const SuitePolicyFinder& find, u64 seed,
                const Program& program, RunOptions options) {
  auto found = find(policy);
  Sample sample;
  if (!found) return sample.error = found.error(), sample;
  options.machine.policy = found->info;
  options.machine.policy_options = found->options;
  return run_sample(setup, program, options, seed);
}

}  // namespace

Expected<ShrinkGoal> goal_of(const Suite& suite, const Case& item, const Finding& finding, bool has_good) {
  ShrinkGoal goal;
  goal.text = finding.sentence;
  const Setup& setup = suite.setups[item.setup];
  switch (finding.kind) {
    case Finding::Kind::kPolicy:
      return goal;
    case Finding::Kind::kBound:
      for (const Bound& bound : item.bounds) {
        if (metric_name(setup, bound.group, *bound.metric) != finding.metric || bound.value != finding.base) continue;
        goal.kind = ShrinkGoal::Kind::kBound;
        goal.bound = bound;
        return goal;
      }
      break;
    case Finding::Kind::kGate:
      if (!has_good)
        return fail(ExitCode::kUsage, "the case is worse than its baseline, and a smaller one has no baseline",
                    item.name,
                    "say which policy is good: --good POLICY, as the one before with other options, or eevdf");
      for (u32 group = 0; group <= setup.groups.size(); ++group) {
        for (const Gate& gate : item.gates) {
          if (metric_name(setup, group, *gate.metric) != finding.metric) continue;
          goal.kind = ShrinkGoal::Kind::kWorse;
          goal.gate = gate;
          goal.group = group;
          return goal;
        }
      }
      break;
    default:
      break;
  }
  return fail(ExitCode::kUsage, fmt::format("this cannot be made smaller: {}", finding.sentence), item.name,
              "bounds, gates and failures of the policy itself can");
}

Tried try_goal(const ShrinkCase& what, const ShrinkGoal& goal, const SuitePolicyFinder& find_bad,
               const SuitePolicyFinder& find_good, const Program& program, const RunOptions& options) {
  PoolJob job;
  job.cpu_limit_s = what.try_limit_s;
  job.work = [&](const std::function<bool(const std::string&)>& line) {
    const Sample bad = run_with(what.setup, what.setup.policy, find_bad, what.seed, program, options);
    const bool hopeless = bad.error && goal.kind != ShrinkGoal::Kind::kFailure;
    if (hopeless || what.good_policy.empty()) {
      line(fmt::format("{} {}", !hopeless && holds(goal, bad, nullptr), bad.events));
      return;
    }
    const Sample good = run_with(what.setup, what.good_policy, find_good, what.seed, program, options);
    line(fmt::format("{} {}", holds(goal, bad, &good), bad.events));
  };
  Tried tried;
  PoolEvents events;
  events.line = [&](std::size_t, const std::string& line) {
    tried.holds = line.starts_with("true");
    tried.events = strtoull(line.c_str() + line.find(' '), nullptr, 10);
  };
  // A crash is the failure that is looked for, if it was one at the beginning.
  events.ended = [&](std::size_t, const std::string& failure) {
    if (!failure.empty()) tried.holds = goal.kind == ShrinkGoal::Kind::kFailure;
  };
  run_pool({job}, 1, events);
  return tried;
}

Expected<ShrinkOutcome> shrink_case(const ShrinkCase& what, const ShrinkGoal& goal, const SuitePolicyFinder& find_bad,
                                    const SuitePolicyFinder& find_good, const ShrinkOptions& how) {
  auto loaded = SetupRun::load(what.setup, find_bad);
  if (!loaded) return std::unexpected(loaded.error());
  auto program = loaded->program(what.seed);
  if (!program) return std::unexpected(program.error());
  RunOptions options = loaded->options(what.seed);
  const auto tried = [&](const Program& p, const RunOptions& o) {
    return try_goal(what, goal, find_bad, find_good, p, o);
  };
  ShrinkOutcome outcome;
  // First as a suite runs a file without jitter: at the time that the machine begins with.
  Setup still = what.setup;
  still.jitter_per_mille = 0;
  auto plain = SetupRun::load(still, find_bad);
  if (!plain) return std::unexpected(plain.error());
  RunOptions from_zero = plain->options(what.seed);
  // What it takes to the end, which bounds the time from the start.
  const Sample whole = run_with(what.setup, what.good_policy.empty() ? what.setup.policy : what.good_policy,
                                what.good_policy.empty() ? find_bad : find_good, what.seed, *program, options);
  if (options.duration_ns == 0 && whole.simulated_ns != 0)
    options.duration_ns = from_zero.duration_ns = 2 * whole.simulated_ns;
  Tried first = tried(*program, from_zero);
  if (first.holds) {
    options = from_zero;
  } else {
    first = tried(*program, options);
    outcome.plain = false;
    outcome.phase_ns = options.machine.start_ns - from_zero.machine.start_ns;
  }
  if (!first.holds)
    return fail(ExitCode::kExpectationFailed, "with this seed the case does not fail in that way", goal.text,
                "try another seed (--seed), or another policy as the good one");
  outcome.events_before = first.events;
  outcome.small = shrink(
      std::move(*program), options, [&](const Program& p, const RunOptions& o) { return tried(p, o).holds; }, how);
  outcome.events_after = tried(outcome.small.program, outcome.small.options).events;
  return outcome;
}

}  // namespace reprise::sim
