// SPDX-License-Identifier: GPL-2.0-only
// Whole suites, with policies that end badly.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "scheduler/policies/table.h"
#include "sim/suite/run_suite.h"
#include "tests/sim/planned_policy.h"
#include "tests/support/temporary.h"

namespace reprise::sim {
namespace {

// Each worker asks anew, so the plan that is set last is that of its own policy.
Expected<SuitePolicy> find(std::string_view text) {
  SuitePolicy found;
  found.text = text;
  if (text == "crashes") {
    found.info = &test::planned([](Context&, TaskSlot) -> std::optional<test::Verdict> {
      raise(SIGABRT);
      return std::nullopt;
    });
  } else if (text == "throws") {
    found.info = &test::planned(
        [](Context&, TaskSlot) -> std::optional<test::Verdict> { throw std::runtime_error("no more of this"); });
  } else if (text == "hangs") {
    found.info = &test::planned([](Context&, TaskSlot) -> std::optional<test::Verdict> {
      for (std::atomic<u64> i = 0;; ++i) {
      }
    });
  } else if (text == "breaks") {
    found.info = &test::planned([](Context&, TaskSlot) { return std::optional(test::Verdict{.slice_ns = 0}); });
  } else if (auto spec = parse_policy(text); spec) {
    found.info = spec->info, found.options = spec->options;
  } else {
    return std::unexpected(spec.error());
  }
  return found;
}

constexpr char kDefaults[] =
    "[defaults]\nload = \"spinners:4\"\ncpus = 1\nduration_ms = 20\ntime_limit_s = 1\ngate = { all = \"off\" }\n";

Expected<SuiteReport> run(const std::string& text, const SuiteRunOptions& options = {}) {
  const std::string path = test::temporary("suite.toml");
  std::ofstream(path) << text;
  std::remove(test::temporary("suite.baseline.toml").c_str());
  auto suite = read_suite(path, find);
  if (!suite) return std::unexpected(suite.error());
  return run_suite(*suite, find, options);
}

TEST(SuiteRunTest, APolicyThatEndsBadlyFailsByNameAndTheOthersGoOn) {
  auto report = run(std::string(kDefaults) +
                    "[[case]]\nname = \"a\"\npolicy = [\"fifo\", \"crashes\", \"throws\", \"hangs\", \"breaks\", "
                    "\"vruntime\"]\n");
  ASSERT_TRUE(report.has_value()) << report.error().what;
  ASSERT_EQ(report->cases.size(), 6u);
  EXPECT_EQ(report->cases[0].verdict, CaseVerdict::kPass);
  EXPECT_EQ(report->cases[5].verdict, CaseVerdict::kPass);
  const std::pair<std::size_t, const char*> ends[] = {{1, "crashes, seed 1: crashed: Aborted"},
                                                      {2, "no more of this"},
                                                      {3, "hangs, seed 1: did not return"},
                                                      {4, "breaks, seed 1: "}};
  for (const auto& [index, sentence] : ends) {
    EXPECT_EQ(report->cases[index].verdict, CaseVerdict::kFail) << sentence;
    ASSERT_FALSE(report->cases[index].findings.empty()) << sentence;
    EXPECT_NE(report->cases[index].findings.front().sentence.find(sentence), std::string::npos)
        << report->cases[index].findings.front().sentence;
  }
  EXPECT_EQ(report->verdict, CaseVerdict::kFail);
}

TEST(SuiteRunTest, ACaseAgainstAPolicyThatCannotBeRunIsAnError) {
  auto report = run(std::string(kDefaults) +
                    "[[case]]\nname = \"a\"\npolicy = \"fifo\"\nversus = { crashes = { max_gap = 2 } }\n");
  ASSERT_TRUE(report.has_value()) << report.error().what;
  EXPECT_EQ(report->cases.at(0).verdict, CaseVerdict::kError);
}

TEST(SuiteRunTest, ThePlaceOfASharedObjectDoesNotMatterOnlyItsName) {
  sim::Setup one, other;
  one.policy = "build/mine.so:slice_us=3000", other.policy = "../away/mine.so:slice_us=3000";
  EXPECT_EQ(setup_digest(one), setup_digest(other));
  other.policy = "../away/yours.so:slice_us=3000";
  EXPECT_NE(setup_digest(one), setup_digest(other));
}

TEST(SuiteRunTest, APartOfASuiteIsNotComplete) {
  const std::string text = std::string(kDefaults) +
                           "[[case]]\nname = \"a\"\npolicy = \"fifo\"\n"
                           "[[case]]\nname = \"b\"\npolicy = \"fifo\"\nlong = true\n";
  auto whole = run(text), part = run(text, {.cases = {"a"}}), brief = run(text, {.without_long = true});
  ASSERT_TRUE(whole.has_value() && part.has_value() && brief.has_value());
  EXPECT_TRUE(whole->complete);
  EXPECT_FALSE(part->complete);
  EXPECT_FALSE(brief->complete);
  EXPECT_FALSE(run(text, {.cases = {"c"}}).has_value());
}

}  // namespace
}  // namespace reprise::sim
