// SPDX-License-Identifier: GPL-2.0-only
// A whole simulation: workload, kernel, dispatcher, engine, policy and metrics.
#include "sim/run/run.h"

#include <gtest/gtest.h>

#include "scheduler/policies/table.h"
#include "sim/workload/generate.h"
#include "tests/support/allocation_counter.h"

namespace reprise::test {
namespace {

struct Cost {
  u64 events, allocations;
};

Cost cost_of(const char* policy, u64 requests) {
  const sim::Program program = sim::generate(sim::RequestResponse{.requests = requests}, Prng::seeded(1));
  sim::RunOptions options;
  options.machine.topology = sim::Topology::flat(2);
  options.machine.max_tasks = 1024;
  options.machine.policy = policy == nullptr ? nullptr : *find_policy(policy);
  const u64 before = allocations();
  const auto result = sim::run(program, options);
  const u64 after = allocations();
  EXPECT_TRUE(result) << result.error().what;
  return {result ? result->events : 0, after - before};
}

// What a run allocates it allocates to begin and to end, or to grow: ten times the events cost a few more at most.
TEST(RunTest, AllocatesNothingPerEvent) {
  for (const char* policy : {"fifo", "vruntime", "newcomer", static_cast<const char*>(nullptr)}) {
    const Cost small = cost_of(policy, 200), large = cost_of(policy, 2000);
    EXPECT_GT(large.events, small.events + 50'000);
    EXPECT_LE(large.allocations, small.allocations + 10) << (policy == nullptr ? "eevdf" : policy);
  }
}

}  // namespace
}  // namespace reprise::test
