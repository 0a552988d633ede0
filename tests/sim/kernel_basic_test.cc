// SPDX-License-Identifier: GPL-2.0-only
// The kernel model runs: loads make progress under each policy, time is conserved, equal runs are equal.
#include <gtest/gtest.h>

#include "tests/sim/loads.h"

namespace reprise::test {
namespace {

using sim::KernelModel;
using sim::TaskId;

std::unique_ptr<KernelModel> kernel_of(const sim::SimOptions& options, Load& load, sim::EventSink* sink = nullptr) {
  auto made = KernelModel::create(options, load, sink);
  EXPECT_TRUE(made.has_value()) << made.error().what;
  return std::move(*made);
}

void run(KernelModel& kernel, u64 ns) {
  const auto done = kernel.run_until(ns);
  ASSERT_TRUE(done.has_value()) << done.error().what << ' ' << done.error().where;
}

TEST(SimKernelTest, OneTaskOnOneCpuRunsToItsEnd) {
  Load load(1);
  auto kernel = kernel_of(machine_of(1), load);
  const TaskId task = load.once(*kernel, 10 * kNsPerMs);
  run(*kernel, kNsPerSec);
  EXPECT_EQ(kernel->counters().exits, 1u);
  EXPECT_GE(kernel->cpu_time(task), 10 * kNsPerMs);
  EXPECT_LT(kernel->cpu_time(task), 11 * kNsPerMs);
  EXPECT_LT(kernel->now(), 12 * kNsPerMs);
}

TEST(SimKernelTest, SpinnersShareACpuUnderFifo) {
  Load load(1);
  auto kernel = kernel_of(machine_of(1), load);
  std::vector<TaskId> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(load.spinner(*kernel));
  run(*kernel, 4 * kNsPerSec);
  u64 total = 0;
  for (const TaskId task : tasks) {
    total += kernel->cpu_time(task);
    // The dispatcher's heartbeat preempts now and then, always at the same place in this rhythm: no equal shares.
    EXPECT_GT(kernel->cpu_time(task), kNsPerSec / 2);
  }
  EXPECT_LE(total, 4 * kNsPerSec);
  EXPECT_GT(total, 39 * kNsPerSec / 10);
}

TEST(SimKernelTest, VruntimeSharesByWeight) {
  Load load(1);
  auto kernel = kernel_of(machine_of(1, "vruntime"), load);
  const TaskId light = load.spinner(*kernel, 100), heavy = load.spinner(*kernel, 300);
  run(*kernel, 8 * kNsPerSec);
  EXPECT_NEAR(static_cast<double>(kernel->cpu_time(heavy)) / static_cast<double>(kernel->cpu_time(light)), 3.0, 0.15);
}

class EveryPolicy : public ::testing::TestWithParam<std::tuple<std::string, u32>> {};

TEST_P(EveryPolicy, LoadsMakeProgressAndRunsRepeat) {
  const auto& [policy, cpus] = GetParam();
  u64 hash = 0, messages = 0;
  for (int turn = 0; turn < 2; ++turn) {
    Load load(7);
    KeptEvents kept;
    auto kernel = kernel_of(machine_of(cpus, policy), load, turn == 0 ? &kept : nullptr);
    load.ping_pong(*kernel, 5'000);
    load.groups(*kernel, 2, 5, 3'000);
    load.fork_storm(*kernel, 5, 50'000);
    for (int i = 0; i < 3; ++i) load.sleeper(*kernel, 200'000, 900'000);
    load.yielder(*kernel, 100'000);
    load.spinner(*kernel);
    run(*kernel, kNsPerSec / 2);
    EXPECT_GT(load.messages, 300u);
    EXPECT_GT(kernel->counters().forks, 4u);
    if (turn == 1) {
      EXPECT_EQ(kernel->hash(), hash);
      EXPECT_EQ(load.messages, messages);
    }
    hash = kernel->hash();
    messages = load.messages;
    for (std::size_t i = 1; i < kept.events.size(); ++i) ASSERT_LE(kept.events[i - 1].time_ns, kept.events[i].time_ns);
  }
}

// Machine::run_through: while nothing else can happen a task takes up its next action without an event.
TEST_P(EveryPolicy, GoingOnWithoutAnEventChangesNothing) {
  const auto& [policy, cpus] = GetParam();
  std::vector<u64> seen[2];
  u64 events[2] = {};
  for (const bool ahead : {false, true}) {
    Load load(7);
    sim::SimOptions options = machine_of(cpus, policy);
    options.look_ahead = ahead;
    auto kernel = kernel_of(options, load);
    load.ping_pong(*kernel, 5'000);
    for (int i = 0; i < 3; ++i) load.sleeper(*kernel, 200'000, 900'000);
    load.spinner(*kernel, 3 * kWeightDefault, {}, 20'000);
    run(*kernel, kNsPerSec / 2);
    for (TaskId task = 0; task < kernel->tasks(); ++task) seen[ahead].push_back(kernel->cpu_time(task));
    seen[ahead].push_back(kernel->hash());
    events[ahead] = kernel->counters().events;
  }
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_LT(events[1], events[0] * 9 / 10);
}

INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicy,
                         ::testing::Combine(::testing::Values("fifo", "vruntime", "newcomer", "eevdf"),
                                            ::testing::Values(1u, 2u, 4u, 64u)),
                         [](const auto& which) {
                           return std::get<0>(which.param) + "_" + std::to_string(std::get<1>(which.param));
                         });

}  // namespace
}  // namespace reprise::test
