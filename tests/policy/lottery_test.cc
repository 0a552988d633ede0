// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <cmath>

#include "scheduler/policies/table.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::hog;
using test::Machine;

const PolicyInfo& lottery() { return **find_policy("lottery"); }

// A share p of n draws has a standard deviation of sqrt(p (1 - p) n) draws.
TEST(LotteryTest, SharesAreThoseOfTheTicketsWithinFourStandardDeviations) {
  const std::vector<u32> tickets = {25, 100, 175, 300, 400};
  for (u64 seed = 1; seed <= 5; ++seed) {
    Machine machine({.cpus = 1, .seed = seed}, lottery());
    std::vector<TaskSlot> slots;
    for (const u32 each : tickets) slots.push_back(machine.spawn(hog(each)));
    machine.run_for(200 * kNsPerSec);
    ASSERT_EQ(machine.violation(), "");
    const double draws = 200e9 / 10e6;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const double share = tickets[i] / 1000.0;
      EXPECT_NEAR(static_cast<double>(machine.exec_ns(slots[i])) / 10e6, share * draws,
                  4 * std::sqrt(share * (1 - share) * draws))
          << tickets[i] << " tickets, seed " << seed;
    }
  }
}

// With few tasks the light ones get more than their share: whoever holds one CPU takes no part in the draw for the
// other.
TEST(LotteryTest, SharesOfTwoCpusAreNearTheTicketsWhereManyWait) {
  Machine machine({.cpus = 2}, lottery());
  const std::vector<u32> tickets = {50, 100, 100, 150, 200, 200};
  std::vector<TaskSlot> slots;
  for (int i = 0; i < 3; ++i)
    for (const u32 each : tickets) slots.push_back(machine.spawn(hog(each)));
  machine.run_for(400 * kNsPerSec);
  ASSERT_EQ(machine.violation(), "");
  for (std::size_t i = 0; i < slots.size(); ++i)
    EXPECT_NEAR(static_cast<double>(machine.exec_ns(slots[i])) / (tickets[i % 6] / 2400.0 * 800e9), 1.0, 0.15)
        << tickets[i % 6];
}

TEST(LotteryTest, WhoSleepsEarlyIsCompensated) {
  // It uses a fifth of each slice that it wins. One draw in ten is 2 ms in 100; five times the tickets are 2 ms in 30,
  // since it is away for one draw after each.
  const auto share = [](const char* options) {
    Machine machine({.cpus = 1}, lottery(), *Options::parse(lottery().options, options));
    for (int i = 0; i < 9; ++i) machine.spawn(hog());
    const TaskSlot slot = machine.spawn(test::sleeper(2 * kNsPerMs, 10 * kNsPerUs));
    machine.run_for(200 * kNsPerSec);
    REPRISE_CHECK(machine.violation().empty());
    return static_cast<double>(machine.exec_ns(slot)) / 200e9;
  };
  EXPECT_NEAR(share(""), 2 / 30.0, 0.01);
  EXPECT_NEAR(share("compensation=1"), 2 / 102.0, 0.005);
}

TEST(LotteryTest, ADrawBelongsToItsSeed) {
  const auto order = [](u64 seed) {
    Machine machine({.cpus = 1, .seed = seed, .log = true}, lottery());
    for (int i = 0; i < 5; ++i) machine.spawn(hog());
    machine.run_for(2 * kNsPerSec);
    std::vector<u64> vtimes;
    for (const test::LoggedStep& step : machine.log())
      for (const Decision& decision : step.decisions) vtimes.push_back(decision.vtime);
    return vtimes;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

}  // namespace
}  // namespace reprise
