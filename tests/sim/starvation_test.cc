// SPDX-License-Identifier: GPL-2.0-only
// A starved task is named together with the decision that it begins with.
#include "sim/run/starvation.h"

#include <gtest/gtest.h>

#include "sim/workload/generate.h"
#include "tests/sim/planned_policy.h"

namespace reprise::test {
namespace {

struct Ended {
  Error error;
  std::string why;
};

// `tasks` tasks that only run, under `plan`, until the watchdog has enough.
Ended starve(u32 tasks, Plan plan) {
  const sim::Program program = sim::generate(sim::Spinners{.tasks = tasks, .run_ns = 100 * kNsPerSec}, Prng::seeded(1));
  sim::Job job;
  job.program = &program;
  job.options.duration_ns = 60 * kNsPerSec;
  job.options.machine.policy = &planned(std::move(plan));
  job.options.machine.watchdog_ns = kNsPerSec;
  const auto result = sim::run(*job.program, job.options);
  EXPECT_FALSE(result);
  return result ? Ended{} : Ended{result.error(), sim::explain_starvation(job)};
}

TEST(StarvationTest, APolicyThatNeverDispatchesIsToldWhenItLearntOfTheTask) {
  const Ended ended = starve(1, [](Context&, TaskSlot) { return std::optional<Verdict>(); });
  EXPECT_EQ(ended.error.code, ExitCode::kExpectationFailed);
  EXPECT_NE(ended.error.what.find("] failed to run for "), std::string::npos) << ended.error.what;
  EXPECT_NE(ended.why.find("] in step 1, at 0."), std::string::npos) << ended.why;
  EXPECT_NE(ended.why.find("has not handed it down since"), std::string::npos) << ended.why;
  EXPECT_NE(ended.why.find("no decision went before it"), std::string::npos) << ended.why;
}

TEST(StarvationTest, ATaskThatThePolicyPassesOverHasTheFirstDecisionThatDid) {
  TaskSlot first = kNoTask;
  const Ended ended = starve(2, [&](Context&, TaskSlot slot) {
    if (first == kNoTask) first = slot;
    return slot == first ? std::optional(Verdict{}) : std::nullopt;
  });
  EXPECT_NE(ended.why.find("has not handed it down since"), std::string::npos) << ended.why;
  EXPECT_NE(ended.why.find("the first decision that went before it: step "), std::string::npos) << ended.why;
}

// Two others take turns: a task that ran is handed up only after the next one was picked.
TEST(StarvationTest, ATaskWhoseVtimeIsTooLargeHasTheFirstSmallerOne) {
  TaskSlot late = 0;
  u64 handed = 0;
  const Ended ended = starve(3, [&](Context&, TaskSlot slot) {
    late = std::max(late, slot);
    return std::optional(slot < late || late < 2 ? Verdict{.vtime = ++handed} : Verdict{.vtime = 1'000'000'000});
  });
  EXPECT_NE(ended.why.find("for any CPU with vtime 1000000000"), std::string::npos) << ended.why;
  EXPECT_NE(ended.why.find("the first decision that went before it: step "), std::string::npos) << ended.why;
}

}  // namespace
}  // namespace reprise::test
