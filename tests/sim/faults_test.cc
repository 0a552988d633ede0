// SPDX-License-Identifier: GPL-2.0-only
// Loads under faults, with all invariants held after each event.
#include <gtest/gtest.h>

#include "tests/sim/every_fault.h"
#include "tests/sim/loads.h"

namespace reprise::test {
namespace {

using sim::FaultOptions;
using sim::KernelModel;

struct Case {
  const char* name;
  FaultOptions faults;
};

const Case kCases[] = {
    {"none", {}},
    {"late", {.late_per_mille = 50, .late_ns = 30 * kNsPerMs}},
    {"very_late", {.late_per_mille = 5, .late_ns = 400 * kNsPerMs}},
    {"lost", {.lost_per_mille = 100}},
    {"full", {.full_per_mille = 300}},
    {"busy", {.busy_per_mille = 300}},
    {"requeue", {.requeue_per_mille = 100}},
    {"stale", {.stale_per_mille = 300}},
    {"renice", {.full_per_mille = 300, .renice_per_mille = 200}},
    {"hotplug", {.hotplug_every_ns = 80 * kNsPerMs}},
    {"storm", {.storm_every_ns = 20 * kNsPerMs, .storm_ns = 5 * kNsPerMs}},
    {"all", test::kEveryFault},
};

class Faults : public ::testing::TestWithParam<std::tuple<std::size_t, const char*, u32>> {};

TEST_P(Faults, InvariantsHoldAndRunsRepeat) {
  const auto& [which, policy, cpus] = GetParam();
  u64 hash = 0;
  for (int turn = 0; turn < 2; ++turn) {
    sim::SimOptions options = machine_of(cpus, policy);
    options.faults = kCases[which].faults;
    options.check_every = turn == 0 ? 1 : 0;
    options.seed = 11 + which;
    Load load(which);
    auto made = KernelModel::create(options, load);
    ASSERT_TRUE(made.has_value());
    KernelModel& kernel = **made;
    load.ping_pong(kernel, 20'000);
    load.groups(kernel, 1, 3, 30'000);
    load.fork_storm(kernel, 4, 300'000);
    load.sleeper(kernel, 200'000, 900'000);
    load.sleeper(kernel, 50'000, 5'000'000, 300);
    load.yielder(kernel, 400'000);
    load.spinner(kernel);
    const auto done = kernel.run_until(kNsPerSec);
    ASSERT_TRUE(done.has_value()) << done.error().what << ' ' << done.error().where;
    EXPECT_GT(load.messages, 100u);
    const FaultOptions& faults = kCases[which].faults;
    // What goes wrong on the way to the scheduler and back cannot where there is none.
    if (options.policy ? faults != FaultOptions{} : faults.hotplug_every_ns || faults.storm_every_ns) {
      EXPECT_GT(kernel.counters().faults, 0u);
    }
    if (turn == 0) {
      EXPECT_GT(kernel.counters().checks, 1000u);
    } else {
      EXPECT_EQ(kernel.hash(), hash);
    }
    hash = kernel.hash();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Faults,
                         ::testing::Combine(::testing::Range(std::size_t{0}, std::size(kCases)),
                                            ::testing::Values("fifo", "vruntime", "newcomer", "eevdf"),
                                            ::testing::Values(1u, 4u)),
                         [](const auto& which) {
                           return std::string(kCases[std::get<0>(which.param)].name) + "_" + std::get<1>(which.param) +
                                  "_" + std::to_string(std::get<2>(which.param));
                         });

}  // namespace
}  // namespace reprise::test
