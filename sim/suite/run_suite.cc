// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/run_suite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>

#include "scheduler/core/options.h"
#include "sim/run/sweep.h"
#include "sim/suite/pool.h"

namespace reprise::sim {
namespace {

struct Selection {
  std::vector<u32> cases;
  std::vector<bool> setups;   // needed
  std::vector<bool> sampled;  // with checkpoints
  bool complete = true;
};

Expected<Selection> select(const Suite& suite, const SuiteRunOptions& options) {
  Selection chosen;
  chosen.setups.resize(suite.setups.size());
  chosen.sampled.resize(suite.setups.size());
  std::vector<bool> used(options.cases.size());
  for (u32 i = 0; i < suite.cases.size(); ++i) {
    const Case& item = suite.cases[i];
    bool wanted = options.cases.empty();
    for (std::size_t p = 0; p < options.cases.size(); ++p) {
      if (options.cases[p] != item.name && fnmatch(options.cases[p].c_str(), item.name.c_str(), 0) != 0) continue;
      wanted = used[p] = true;
    }
    if (options.without_long && item.is_long) wanted = false;
    if (!wanted) {
      chosen.complete = false;
      continue;
    }
    chosen.cases.push_back(i);
    chosen.setups[item.setup] = chosen.sampled[item.setup] = true;
    for (const Comparison& other : item.versus) chosen.setups[other.setup] = true;
  }
  std::vector<std::string_view> names;
  for (const Case& item : suite.cases) names.push_back(item.name);
  for (std::size_t p = 0; p < used.size(); ++p) {
    if (used[p]) continue;
    const std::string_view nearest = nearest_name(options.cases[p], names);
    return fail(ExitCode::kUsage,
                fmt::format("no case is called '{}'{}", options.cases[p],
                            nearest.empty() ? std::string() : fmt::format("; did you mean {}?", nearest)),
                suite.path, fmt::format("there are {}; --case takes * and ?, too", suite.cases.size()));
  }
  if (chosen.cases.empty())
    return fail(ExitCode::kUsage, "no case is left to run", suite.path, "leave out --short, or choose other cases");
  return chosen;
}

PoolJob job_of(const Setup& setup, const SuitePolicyFinder& find, bool sampled) {
  PoolJob job;
  job.cpu_limit_s = setup.time_limit_s;
  // What is known before it runs: files are small, generated loads as large as they say.
  const std::size_t colon = setup.file.find(':');
  job.cost = setup.seeds.size();
  if (setup.source == Source::kLoad && colon != setup.file.npos)
    job.cost *= 1 + strtoull(setup.file.c_str() + colon + 1, nullptr, 10) / 50;
  if (setup.duration_ns != 0) job.cost += setup.duration_ns / kNsPerSec;
  job.work = [&setup, &find, sampled](const std::function<bool(const std::string&)>& line) {
    auto loaded = SetupRun::load(setup, find);
    if (!loaded) {
      Sample sample;
      sample.seed = setup.seeds.front();
      sample.error = loaded.error();
      line(to_line(sample));
      return;
    }
    for (const u64 seed : setup.seeds) {
      const Sample sample = loaded->run(seed, sampled && seed == setup.seeds.front());
      if (!line(to_line(sample)) || sample.error) return;
    }
  };
  return job;
}

std::vector<SetupResult> simulate(const Suite& suite, const Selection& chosen, const SuitePolicyFinder& find,
                                  const SuiteRunOptions& options) {
  std::vector<SetupResult> results(suite.setups.size());
  std::vector<PoolJob> jobs;
  std::vector<std::size_t> setup_of;
  for (std::size_t i = 0; i < suite.setups.size(); ++i) {
    if (!chosen.setups[i]) continue;
    jobs.push_back(job_of(suite.setups[i], find, chosen.sampled[i]));
    setup_of.push_back(i);
  }
  std::size_t done = 0;
  PoolEvents events;
  events.line = [&](std::size_t job, const std::string& line) {
    SetupResult& result = results[setup_of[job]];
    if (auto sample = from_line(line))
      result.samples.push_back(std::move(*sample));
    else
      result.failure = "wrote into the suite's own pipe";
  };
  events.ended = [&](std::size_t job, const std::string& failure) {
    if (!failure.empty()) results[setup_of[job]].failure = failure;
    if (options.progress) options.progress(++done, jobs.size());
  };
  run_pool(jobs, options.processes == 0 ? usable_cpus() : options.processes, events);
  return results;
}

// What came out is approved, where a run came out at all.
void approve_all(const Suite& suite, const Selection& chosen, const std::vector<SetupResult>& results,
                 Baseline& baseline) {
  if (chosen.complete) {
    // What the suite does not have any more.
    const auto gone = [&](const auto& item) {
      const auto& [name, unused] = item;
      return std::ranges::find(suite.cases, name, &Case::name) == suite.cases.end();
    };
    std::erase_if(baseline.cases, gone);
  }
  for (const u32 index : chosen.cases) {
    const Case& item = suite.cases[index];
    const Setup& setup = suite.setups[item.setup];
    const std::vector<Sample>& samples = results[item.setup].samples;
    const bool whole = samples.size() == setup.seeds.size() &&
                       std::ranges::none_of(samples, [](const Sample& sample) { return sample.error.has_value(); });
    if (!whole || (item.gates.empty() && setup.source != Source::kReplay)) continue;
    baseline.cases[item.name] = approve(setup, item.gates, samples);
  }
}

/// Cases that are not alike in both, as files have them.
std::size_t differences(const Baseline& before, const Baseline& after) {
  std::size_t count = 0;
  for (const auto& [name, item] : before.cases) count += !after.cases.contains(name);
  for (const auto& [name, item] : after.cases) {
    const auto old = before.cases.find(name);
    count += old == before.cases.end() || !(old->second == item);
  }
  return count;
}

}  // namespace

Expected<SuiteReport> run_suite(const Suite& suite, const SuitePolicyFinder& find, const SuiteRunOptions& options) {
  auto chosen = select(suite, options);
  if (!chosen) return std::unexpected(chosen.error());
  auto baseline = read_baseline(suite.baseline_path());
  if (!baseline) return std::unexpected(baseline.error());
  const std::vector<SetupResult> results = simulate(suite, *chosen, find, options);
  SuiteReport report;
  report.complete = chosen->complete;
  if (options.update) {
    const Baseline before = *baseline;
    approve_all(suite, *chosen, results, *baseline);
    if (auto written = write_baseline(suite.baseline_path(), suite, *baseline); !written)
      return std::unexpected(written.error());
    baseline = read_baseline(suite.baseline_path());
    if (!baseline) return std::unexpected(baseline.error());
    report.updated = differences(before, *baseline);
  }
  report.baseline_sha256 = baseline->sha256;
  for (const u32 index : chosen->cases) {
    report.cases.push_back(judge_case(suite, index, results, &*baseline));
    report.verdict = worst(report.verdict, report.cases.back().verdict);
    ++report.counts[static_cast<std::size_t>(report.cases.back().verdict)];
  }
  for (const SetupResult& result : results) {
    for (const Sample& sample : result.samples) {
      report.events += sample.events;
      report.cpu_ns += sample.cpu_ns;
    }
  }
  return report;
}

}  // namespace reprise::sim
