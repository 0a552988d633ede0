// SPDX-License-Identifier: GPL-2.0-only
// The experiment for which newcomer was made: a game beside a build.
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Machine;

/// Waits of a task that draws a frame (6 ms of work every 16.6 ms) beside batches of compilers, 20 to 100 ms each.
struct Game {
  std::vector<u64> waits_ns;
  u64 compiled = 0;
};

Game play(std::string_view policy) {
  const Expected<PolicySpec> spec = parse_policy(policy);
  REPRISE_CHECK(spec.has_value());
  Machine machine({.cpus = 2, .max_tasks = 512, .seed = 11}, *spec->info, spec->options);
  test::Plan game = test::sleeper(6 * kNsPerMs, 10'600 * kNsPerUs);
  game.comm = "game";
  game.at_attach = true;
  const TaskSlot slot = machine.spawn(game);
  Prng random = Prng::seeded(12);
  for (int batch = 0; batch < 300; ++batch) {
    for (int i = 0; i < 4; ++i) machine.spawn(test::runs_once(random.between(20, 100) * kNsPerMs));
    machine.run_for(random.between(100, 300) * kNsPerMs);
    REPRISE_CHECK(machine.violation().empty());
  }
  Game result{machine.task(slot).wake_waits_ns, machine.finished()};
  std::ranges::sort(result.waits_ns);
  return result;
}

u64 percentile(const Game& game, u64 percent) { return game.waits_ns[(game.waits_ns.size() - 1) * percent / 100]; }

TEST(NewcomerTest, AGameWaitsFarLessBesideABuild) {
  const Game plain = play("vruntime"), newcomer = play("newcomer");
  ASSERT_GT(plain.waits_ns.size(), 1000u);
  RecordProperty("vruntime_p99_us", std::to_string(percentile(plain, 99) / 1000));
  RecordProperty("newcomer_p99_us", std::to_string(percentile(newcomer, 99) / 1000));
  EXPECT_LT(2 * percentile(newcomer, 99), percentile(plain, 99));
  EXPECT_LE(percentile(newcomer, 99), 2 * kNsPerMs) << "one slice of a newcomer";
}

TEST(NewcomerTest, TheBuildGetsItsWorkDone) {
  const Game plain = play("vruntime"), newcomer = play("newcomer");
  EXPECT_GT(newcomer.compiled * 100, plain.compiled * 97);
}

TEST(NewcomerTest, WhoIsEstablishedIsTreatedAsByVruntime) {
  const PolicyInfo& info = **find_policy("newcomer");
  Machine machine({.cpus = 1, .log = true}, info);
  const TaskSlot slot = machine.spawn(test::hog());
  machine.run_for(5 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_EQ(machine.log().front().decisions.front().slice_ns, 2 * kNsPerMs);
  EXPECT_EQ(machine.log().back().decisions.back().slice_ns, 20 * kNsPerMs);
  EXPECT_GT(machine.task(slot).exec_ns, 4 * kNsPerSec);
}

TEST(NewcomerTest, WhoWasThereBeforeIsNoNewcomer) {
  test::Plan plan = test::hog();
  plan.at_attach = true;
  Machine machine({.cpus = 1, .log = true}, **find_policy("newcomer"));
  machine.spawn(plan);
  machine.run_for(100 * kNsPerMs);
  EXPECT_EQ(machine.log().front().decisions.front().slice_ns, 20 * kNsPerMs);
}

TEST(NewcomerTest, SharesFollowWeightsInTheLongRun) {
  Machine machine({.cpus = 1}, **find_policy("newcomer"));
  const TaskSlot light = machine.spawn(test::hog(100)), heavy = machine.spawn(test::hog(400));
  machine.run_for(10 * kNsPerSec);  // until both are established
  const u64 light_ns = machine.task(light).exec_ns, heavy_ns = machine.task(heavy).exec_ns;
  machine.run_for(60 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  EXPECT_NEAR(static_cast<double>(machine.task(heavy).exec_ns - heavy_ns) /
                  static_cast<double>(machine.task(light).exec_ns - light_ns),
              4.0, 0.08);
}

}  // namespace
}  // namespace reprise
