// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "scheduler/policies/table.h"
#include "sim/suite/judge.h"
#include "sim/suite/measure.h"
#include "sim/suite/pool.h"
#include "sim/suite/run_suite.h"
#include "sim/suite/seal.h"
#include "sim/suite/statistics.h"

namespace reprise::sim {
namespace {

TEST(StatisticsTest, SignTestCountsCoins) {
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{1, 2, 3, 4, 5}), 1.0 / 32);
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{1, 2, 3, 4, -5}), 6.0 / 32);
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>{0, 0}), 1);
}

// Tables of Mann and Whitney (1947): of the 252 ways to choose 5 of 10, one wins all 25 pairs, one more 24.
TEST(StatisticsTest, MannWhitneyIsExactForFewValues) {
  const std::vector<double> low = {1, 2, 3, 4, 5}, high = {6, 7, 8, 9, 10};
  EXPECT_NEAR(mann_whitney(low, high), 1.0 / 252, 1e-12);
  EXPECT_NEAR(mann_whitney(high, low), 1, 1e-12);
  EXPECT_NEAR(mann_whitney(std::vector<double>{1, 2, 3, 4, 6}, std::vector<double>{5, 7, 8, 9, 10}), 2.0 / 252, 1e-12);
  EXPECT_NEAR(mann_whitney(std::vector<double>{1, 2}, std::vector<double>{1, 2, 3}), 1 - 1.0 / 10 - 1.0 / 10 - 2.0 / 10,
              1e-12);
  EXPECT_DOUBLE_EQ(least_mann_whitney(5, 5), 1.0 / 252);
}

TEST(StatisticsTest, EqualValuesAreNoEvidence) {
  const std::vector<double> same(6, 3.0);
  EXPECT_DOUBLE_EQ(mann_whitney(same, same), 1);
  EXPECT_DOUBLE_EQ(sign_test(std::vector<double>(6, 0.0)), 1);
}

TEST(SealTest, NoticesEveryChange) {
  nlohmann::ordered_json document = {{"schema", kResultsSchema}, {"verdict", "fail"}, {"share", 0.1}};
  document["seal"] = seal_of(document);
  // As a file that was written for people and read again.
  auto read = nlohmann::ordered_json::parse(document.dump(2));
  EXPECT_TRUE(check_seal(read, "r.json").has_value());
  read["verdict"] = "pass";
  EXPECT_FALSE(check_seal(read, "r.json").has_value());
  document.erase("seal");
  EXPECT_FALSE(check_seal(document, "r.json").has_value());
  EXPECT_FALSE(check_seal(nlohmann::ordered_json::array(), "r.json").has_value());
  document["schema"] = "reprise.test/2";
  document["seal"] = seal_of(document);
  EXPECT_FALSE(check_seal(document, "r.json").has_value());
}

TEST(PoolTest, AJobThatEndsBadlyLeavesTheOthersAlone) {
  std::vector<PoolJob> jobs(5);
  jobs[0].work = [](const auto& line) { line("one"), line("two"); };
  jobs[1].work = [](const auto&) { raise(SIGABRT); };
  jobs[2].work = [](const auto& line) {
    line("before");
    throw std::runtime_error("enough");
  };
  jobs[3].work = [](const auto&) {
    for (std::atomic<u64> i = 0;; ++i) {
    }
  };
  jobs[3].cpu_limit_s = 1;
  jobs[4].work = [](const auto& line) { line("three"); };
  std::vector<std::string> lines(5), failures(5);
  std::size_t ended = 0;
  run_pool(jobs, 2,
           {[&](std::size_t job, const std::string& line) { lines[job] += line; },
            [&](std::size_t job, const std::string& failure) { failures[job] = failure, ++ended; }});
  EXPECT_EQ(ended, 5u);
  EXPECT_EQ(lines[0], "onetwo");
  EXPECT_EQ(lines[2], "before");
  EXPECT_EQ(lines[4], "three");
  EXPECT_EQ(failures[0], "");
  EXPECT_NE(failures[1].find("crashed"), std::string::npos) << failures[1];
  EXPECT_NE(failures[2].find("enough"), std::string::npos) << failures[2];
  EXPECT_NE(failures[3].find("did not return"), std::string::npos) << failures[3];
}

TEST(MeasureTest, WeightErrorIsWhatWentToOthers) {
  Metrics metrics;
  metrics.makespan_ns = 1000;
  const auto error = [&](std::vector<WeightedTask> tasks) {
    return measure(metrics, tasks)[index_of(*find_measure("weight_error_pct"))];
  };
  EXPECT_DOUBLE_EQ(error({{.cpu_ns = 750, .delay_ns = 250, .weight = 300}, {.cpu_ns = 250, .delay_ns = 750}}).value, 0);
  EXPECT_DOUBLE_EQ(error({{.cpu_ns = 500, .delay_ns = 500, .weight = 300}, {.cpu_ns = 500, .delay_ns = 500}}).value,
                   25);
  // A task that slept did not compete.
  EXPECT_EQ(error({{.cpu_ns = 750, .delay_ns = 250}, {.cpu_ns = 10, .delay_ns = 10}}).count, 0u);
}

// A suite of one case in memory, and what came of it.
struct Made {
  Suite suite;
  Baseline baseline;
  std::vector<SetupResult> results;
  const MetricInfo* metric = find_measure("p50_run_delay");

  Made(std::vector<double> before, const std::vector<double>& now) : results(1) {
    sim::Setup setup;
    setup.source = Source::kLoad;
    for (u64 seed = 1; seed <= now.size(); ++seed) setup.seeds.push_back(seed);
    suite.setups.push_back(setup);
    Case item;
    item.name = "a";
    item.gates = {{metric, Better::kLess, 0.10, 20'000}};
    suite.cases.push_back(item);
    BaselineCase approved;
    approved.setup = setup_digest(setup);
    approved.seeds = setup.seeds;
    approved.metrics["p50_run_delay_ns"] = std::move(before);
    baseline.cases["a"] = approved;
    for (std::size_t i = 0; i < now.size(); ++i) {
      Sample sample;
      sample.seed = setup.seeds[i];
      sample.values.resize(measures().size());
      sample.values[index_of(*metric)] = {now[i], 1000};
      results[0].samples.push_back(sample);
    }
  }
  CaseReport judge() { return judge_case(suite, 0, results, &baseline); }
};

constexpr double kMs1 = 1e6;

TEST(JudgeTest, AGateNeedsBothThresholds) {
  // 20 % worse in every run.
  EXPECT_EQ(Made({kMs1, kMs1, kMs1}, {1.2 * kMs1, 1.2 * kMs1, 1.2 * kMs1}).judge().verdict, CaseVerdict::kFail);
  // Within the relative one.
  EXPECT_EQ(Made({kMs1, kMs1, kMs1}, {1.09 * kMs1, 1.09 * kMs1, 1.09 * kMs1}).judge().verdict, CaseVerdict::kPass);
  // 100 % worse, and still less than the absolute one.
  EXPECT_EQ(Made({5'000, 5'000, 5'000}, {10'000, 10'000, 10'000}).judge().verdict, CaseVerdict::kPass);
  // Better.
  EXPECT_EQ(Made({kMs1, kMs1, kMs1}, {kMs1 / 2, kMs1 / 2, kMs1 / 2}).judge().verdict, CaseVerdict::kPass);
}

TEST(JudgeTest, OneSeedOfFiveIsAnAccident) {
  const std::vector<double> before(5, kMs1);
  EXPECT_EQ(Made(before, {5 * kMs1, kMs1, kMs1, kMs1, kMs1}).judge().verdict, CaseVerdict::kPass);
  EXPECT_EQ(Made(before, {1.3 * kMs1, 1.3 * kMs1, 1.3 * kMs1, 1.3 * kMs1, 0.9 * kMs1}).judge().verdict,
            CaseVerdict::kPass);
  EXPECT_EQ(Made(before, std::vector<double>(5, 1.3 * kMs1)).judge().verdict, CaseVerdict::kFail);
}

TEST(JudgeTest, TheSameSeedsAreComparedRunByRun) {
  // Seeds differ by far more than the change; each run is a fifth worse than its own baseline.
  const std::vector<double> before = {1 * kMs1, 2 * kMs1, 4 * kMs1, 8 * kMs1, 16 * kMs1};
  std::vector<double> now;
  for (const double value : before) now.push_back(value * 1.2);
  EXPECT_EQ(Made(before, now).judge().verdict, CaseVerdict::kFail);
  // Other seeds: the same values are within what seeds differ by.
  Made other(before, now);
  other.baseline.cases["a"].seeds = {11, 12, 13, 14, 15};
  EXPECT_EQ(other.judge().verdict, CaseVerdict::kPass);
  Made far(std::vector<double>{1.00 * kMs1, 1.01 * kMs1, 1.02 * kMs1, 1.03 * kMs1, 1.04 * kMs1},
           {1.30 * kMs1, 1.31 * kMs1, 1.32 * kMs1, 1.33 * kMs1, 1.34 * kMs1});
  far.baseline.cases["a"].seeds = {11, 12, 13, 14, 15};
  EXPECT_EQ(far.judge().verdict, CaseVerdict::kFail);
}

TEST(JudgeTest, BoundsHoldForEachSeedAndTooFewValuesDecideNothing) {
  Made made({}, {kMs1, 2 * kMs1});
  made.suite.cases[0].gates.clear();
  made.suite.cases[0].bounds = {{0, made.metric, true, 1.5 * kMs1, "max_p50_run_delay_ms", 1}};
  EXPECT_EQ(made.judge().verdict, CaseVerdict::kFail);
  EXPECT_EQ(made.judge().seed, 2u);
  for (Sample& sample : made.results[0].samples) sample.values[index_of(*made.metric)].count = 3;
  EXPECT_EQ(made.judge().verdict, CaseVerdict::kUndecided);
}

TEST(JudgeTest, AnotherWorkloadThanThatOfTheBaselineIsAnError) {
  Made made({kMs1}, {kMs1});
  made.suite.setups[0].hz = 250;
  EXPECT_EQ(made.judge().verdict, CaseVerdict::kError);
  made.baseline.cases.clear();
  EXPECT_EQ(made.judge().verdict, CaseVerdict::kError);
}

TEST(JudgeTest, ACrashFailsWithItsSeed) {
  Made made({kMs1, kMs1}, {kMs1, kMs1});
  made.results[0].samples.pop_back();
  made.results[0].failure = "crashed: Segmentation fault";
  const CaseReport report = made.judge();
  EXPECT_EQ(report.verdict, CaseVerdict::kFail);
  EXPECT_NE(report.findings.at(0).sentence.find("seed 2: crashed"), std::string::npos);
}

TEST(JudgeTest, SaysWhereDecisionsLeaveTheBaseline) {
  Made made({kMs1}, {2 * kMs1});
  made.results[0].samples[0].checkpoints = {{1, 1000, 7}, {2, 2000, 8}, {3, 3000, 9}};
  made.baseline.cases["a"].checkpoints = {7, 8, 1};
  EXPECT_EQ(made.judge().divergence, "after decision 2 at 0.000002 s, by decision 3 at 0.000003 s (seed 1)");
}

}  // namespace
}  // namespace reprise::sim
