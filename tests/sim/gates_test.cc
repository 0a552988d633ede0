// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/gates.h"

#include <gtest/gtest.h>
#include <algorithm>

#include <set>

namespace reprise::sim {
namespace {

Gate gate(std::string_view text) {
  std::vector<Gate> gates;
  const auto applied = apply_gate(gates, text);
  EXPECT_TRUE(applied) << applied.error().what;
  return gates.empty() ? Gate{} : gates.front();
}

std::string refusal(std::string_view text) {
  std::vector<Gate> gates;
  const auto applied = apply_gate(gates, text);
  if (applied) return "accepted";
  EXPECT_EQ(applied.error().code, ExitCode::kUsage);
  return applied.error().what + " | " + applied.error().hint;
}

GateVerdict judged(const Gate& gate, double base, double now, u64 count = 1'000'000) {
  const MetricValue a{base, count}, b{now, count};
  return judge(gate, {&a, 1}, {&b, 1}).verdict;
}

TEST(GateTest, BothThresholdsMustBePassed) {
  const Gate delay = gate("p99_run_delay=10%,50us");
  EXPECT_EQ(judged(delay, 100'000, 149'000), GateVerdict::kPass) << "49 % but only 49 us";
  EXPECT_EQ(judged(delay, 10'000'000, 10'900'000), GateVerdict::kPass) << "900 us but only 9 %";
  EXPECT_EQ(judged(delay, 1'000'000, 1'100'000), GateVerdict::kPass) << "as much as is allowed";
  EXPECT_EQ(judged(delay, 1'000'000, 1'101'000), GateVerdict::kFail);
  EXPECT_EQ(judged(delay, 1'000'000, 10), GateVerdict::kPass) << "better";
  EXPECT_EQ(judged(delay, 0, 51'000), GateVerdict::kFail) << "nothing to be relative to";
}

TEST(GateTest, TheDirectionDecidesWhatIsWorse) {
  const Gate fairness = gate("fairness_jain=2%,0.01");
  EXPECT_EQ(judged(fairness, 0.9, 0.95), GateVerdict::kPass);
  EXPECT_EQ(judged(fairness, 0.9, 0.85), GateVerdict::kFail);
  EXPECT_EQ(judged(gate("fairness_jain=2%,less"), 0.9, 0.95), GateVerdict::kFail);
  const Gate same = gate("mean_slice=5%,same");
  EXPECT_EQ(judged(same, 100, 104), GateVerdict::kPass);
  EXPECT_EQ(judged(same, 100, 106), GateVerdict::kFail);
  EXPECT_EQ(judged(same, 100, 94), GateVerdict::kFail);
}

TEST(GateTest, APercentileOfFewValuesDecidesNothing) {
  const Gate delay = gate("p99_run_delay=10%");
  EXPECT_EQ(judged(delay, 100, 1'000, 999), GateVerdict::kUndecided);
  EXPECT_EQ(judged(delay, 100, 1'000, 1'000), GateVerdict::kFail);
  const MetricValue many{100, 5'000}, few{100, 3};
  const Judgement result = judge(delay, {&many, 1}, {&few, 1});
  EXPECT_EQ(result.verdict, GateVerdict::kUndecided) << "the side with fewer counts";
  EXPECT_EQ(result.reason, "3 values, 1000 needed");
}

TEST(GateTest, WithSeveralRunsMediansAreComparedBeyondTheSpread) {
  const Gate switches = gate("context_switches=10%,10");
  const std::vector<MetricValue> base{{100}, {101}, {300}};
  EXPECT_EQ(judge(switches, base, std::vector<MetricValue>{{102}, {103}, {900}}).verdict, GateVerdict::kPass);
  const Judgement noisy = judge(switches, base, std::vector<MetricValue>{{250}, {251}, {252}});
  EXPECT_EQ(noisy.base, 101);
  EXPECT_EQ(noisy.now, 251);
  EXPECT_EQ(noisy.spread, 200);
  EXPECT_EQ(noisy.verdict, GateVerdict::kPass) << "within the spread";
  const std::vector<MetricValue> steady{{100}, {101}};
  EXPECT_EQ(judge(switches, steady, std::vector<MetricValue>{{120}, {121}}).verdict, GateVerdict::kFail);
}

TEST(GateTest, MetricsAreFoundByEachOfTheirNames) {
  for (const std::string_view name : {"p99_run_delay_ns", "p99_run_delay", "run_delay_p99_ns", "run_delay_p99"}) {
    const auto found = find_metric(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ((*found)->name, "p99_run_delay_ns");
  }
  const auto wrong = find_metric("p99_rundelay");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().what, "unknown metric 'p99_rundelay'; did you mean p99_run_delay?");
}

TEST(GateTest, WhatIsNoGateIsRefusedWithTheReason) {
  EXPECT_EQ(refusal("p99_run_delay").substr(0, 24), "gate 'p99_run_delay' is ");
  EXPECT_NE(refusal("p99_run_delay=50").find("needs a unit"), std::string::npos);
  EXPECT_NE(refusal("p99_run_delay=50kg").find("needs a unit"), std::string::npos);
  EXPECT_NE(refusal("migrations=5us").find("has no unit"), std::string::npos);
  EXPECT_NE(refusal("migrations=-5").find("neither"), std::string::npos);
  EXPECT_NE(refusal("migrations=nan").find("neither"), std::string::npos);
  EXPECT_NE(refusal("migrations=").find("is not NAME"), std::string::npos);
  EXPECT_NE(refusal("migrations=10%,,5").find("neither"), std::string::npos);
  EXPECT_NE(refusal("mean_slice=10%").find("add ,less"), std::string::npos);
  EXPECT_NE(refusal("migratoins=10%").find("did you mean migrations?"), std::string::npos);
}

TEST(GateTest, GatesReplaceTheDefaultsByName) {
  std::vector<Gate> gates = default_gates();
  const std::size_t count = gates.size();
  ASSERT_TRUE(apply_gate(gates, "p99_run_delay=30%"));
  EXPECT_EQ(gates.size(), count);
  ASSERT_TRUE(apply_gate(gates, "migrations=off"));
  EXPECT_EQ(gates.size(), count - 1);
  ASSERT_TRUE(apply_gate(gates, "p95_slice=1ms,less"));
  EXPECT_EQ(gates.size(), count);
  EXPECT_TRUE(std::ranges::is_sorted(gates, {}, &Gate::metric)) << "in the order of the table";
  ASSERT_TRUE(apply_gate(gates, "none"));
  EXPECT_TRUE(gates.empty());
}

TEST(GateTest, AGateIsReadableAsText) {
  EXPECT_EQ(text_of(gate("p99_run_delay=10%,50us")), "10 %, 50 us, less is better");
  EXPECT_EQ(text_of(gate("makespan=1500us")), "0 %, 1.5 ms, less is better");
  EXPECT_EQ(text_of(gate("fairness_jain=2%,0.01")), "2 %, 0.01, more is better");
}

TEST(MetricTableTest, EachMetricOfARunHasAName) {
  Metrics metrics;
  metrics.migrations = 7;
  for (u64 value = 1; value <= 200; ++value) metrics.run_delay_ns.add(value);
  metrics.slice_ns.add(5);
  EXPECT_EQ(value_of(metrics, **find_metric("migrations")).value, 7);
  EXPECT_EQ(value_of(metrics, **find_metric("p50_run_delay")).value, 100);
  EXPECT_EQ(value_of(metrics, **find_metric("p50_run_delay")).count, 200u);
  EXPECT_EQ(value_of(metrics, **find_metric("max_slice")).value, 5);
  EXPECT_EQ(value_of(metrics, **find_metric("p99_wakeup_latency")).count, 0u);
  std::set<std::string_view> names;
  for (const MetricInfo& metric : metric_table()) EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
}

}  // namespace
}  // namespace reprise::sim
