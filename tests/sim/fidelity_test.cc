// SPDX-License-Identifier: GPL-2.0-only
// Simulations held against what they should repeat: recordings that are themselves simulations.
#include "sim/run/fidelity.h"

#include <gtest/gtest.h>

#include "scheduler/policies/table.h"
#include "sim/run/run.h"
#include "sim/workload/generate.h"

namespace reprise::sim {
namespace {

// Of so many tasks that sleep and run, under `policy`.
Recorded recorded(u32 tasks, const char* policy) {
  Recorded out;
  out.program = generate(Sleepers{.tasks = tasks, .rounds = 60}, Prng::seeded(tasks));
  out.machine.topology = Topology::flat(1);
  out.machine.max_tasks = 1024;
  RunOptions options;
  options.machine = out.machine;
  options.machine.policy = *find_policy(policy);
  auto result = run(out.program, options);
  EXPECT_TRUE(result);
  if (result) out.metrics = std::move(result->metrics), out.program.duration_ns = result->simulated_ns;
  return out;
}

FidelityOptions against_vruntime(u32 runs) {
  FidelityOptions options;
  options.policy = *find_policy("vruntime");
  options.wrong = *find_policy("fifo");
  options.runs = runs;
  return options;
}

TEST(FidelityTest, ARunThatIsRepeatedAgreesToTheLastDigit) {
  const Recorded one[] = {recorded(12, "vruntime")};
  const auto result = fidelity(one, against_vruntime(1));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->verdict, Verdict::kAgree);
  u32 measured = 0;
  for (const FidelityCell& cell : result->cells) {
    if (cell.verdict == MetricVerdict::kNotMeasured) continue;
    ++measured;
    EXPECT_EQ(cell.difference, 0) << cell.metric->name;
    EXPECT_EQ(cell.recorded, cell.simulated) << cell.metric->name;
  }
  EXPECT_GE(measured, 6u);
}

TEST(FidelityTest, EachRecordingIsHeldAgainstItsOwnSimulations) {
  // Of twelve tasks and of twenty, which differ by far; the third says that its twenty did what twelve do.
  Recorded three[] = {recorded(12, "vruntime"), recorded(20, "vruntime"), recorded(20, "vruntime")};
  three[2].metrics = three[0].metrics;
  const auto result = fidelity(three, against_vruntime(1));
  ASSERT_TRUE(result);
  const FidelityCell& switches = result->cells[1];
  ASSERT_EQ(switches.metric->name, "context_switches");
  EXPECT_GT(switches.spread, 0.4);
  // Medians over all would be those of the twelve recorded and the twenty simulated.
  EXPECT_GT(static_cast<double>(switches.simulated) / static_cast<double>(switches.recorded), 1.4);
  EXPECT_EQ(switches.difference, 0);
}

TEST(FidelityTest, OfTenRecordingsOneOnEitherSideMayBeOffWithoutAllowingMore) {
  const auto spread = [](std::size_t off) {
    std::vector<Recorded> ten(10, recorded(12, "vruntime"));
    for (Recorded& each : ten) each.metrics.context_switches = 1'000;
    for (std::size_t i = 0; i < off; ++i) ten[i].metrics.context_switches = i % 2 == 0 ? 2'000 : 500;
    const auto result = fidelity(ten, against_vruntime(1));
    EXPECT_TRUE(result);
    return result ? result->cells[1].spread : -1;
  };
  EXPECT_EQ(spread(0), 0);
  EXPECT_EQ(spread(2), 0);
  EXPECT_EQ(spread(3), 1) << "two of them above";
  EXPECT_EQ(spread(4), 1.5);
}

TEST(FidelityTest, RunTimesThatDifferALittleStillAgree) {
  const Recorded one[] = {recorded(20, "vruntime")};
  const auto result = fidelity(one, against_vruntime(5));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->verdict, Verdict::kAgree);
  for (const FidelityCell& cell : result->cells)
    EXPECT_NE(cell.verdict, MetricVerdict::kDisagree) << cell.metric->name << ": " << cell.difference;
  for (const Control& control : result->controls) EXPECT_TRUE(control.rejected) << control.what;
  EXPECT_EQ(result->state_hashes.size(), 1u);  // of the one without jitter
}

TEST(FidelityTest, AnotherPolicysRecordingIsRejected) {
  const Recorded one[] = {recorded(12, "fifo")};
  FidelityOptions options = against_vruntime(3);
  options.wrong = *find_policy("fifo");
  const auto result = fidelity(one, options);
  ASSERT_TRUE(result);
  EXPECT_NE(result->verdict, Verdict::kAgree);
}

}  // namespace
}  // namespace reprise::sim
