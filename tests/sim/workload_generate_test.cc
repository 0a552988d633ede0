// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/generate.h"

#include <gtest/gtest.h>

#include <cstring>

#include "sim/workload/workload.h"
#include "tests/sim/fake_kernel.h"
#include "tests/support/allocation_counter.h"

namespace reprise::sim {
namespace {

using test::FakeKernel;

TEST(GenerateTest, EveryGeneratorMakesASoundProgramThatEnds) {
  for (const std::string_view name : generators()) {
    for (const u32 cpus : {1u, 4u}) {
      const Expected<Program> program = generate(name, 20, 7);
      ASSERT_TRUE(program) << name;
      ASSERT_TRUE(check(*program)) << name << ": " << check(*program).error().what;
      FakeKernel kernel(cpus, kNsPerMs);
      Workload workload(*program);
      workload.begin(kernel);
      kernel.run(workload);
      EXPECT_TRUE(workload.finished()) << name << " on " << cpus << ":\n" << workload.waiting();
      EXPECT_EQ(kernel.idle_wakes(), 0u) << name;
      EXPECT_EQ(workload.stats().empty_turns, 0u) << name;
    }
  }
}

TEST(GenerateTest, SameSeedSameProgram) {
  for (const std::string_view name : generators()) {
    const Program one = *generate(name, 20, 7), two = *generate(name, 20, 7);
    ASSERT_EQ(one.ops.size(), two.ops.size());
    EXPECT_EQ(std::memcmp(one.ops.data(), two.ops.data(), one.ops.size() * sizeof(Op)), 0) << name;
    u64 hashes[2];
    for (u64& hash : hashes) {
      FakeKernel kernel(2);
      Workload workload(&hash == &hashes[0] ? one : two);
      workload.begin(kernel);
      kernel.run(workload);
      hash = workload.state_hash();
    }
    EXPECT_EQ(hashes[0], hashes[1]) << name;
  }
}

TEST(GenerateTest, UnknownNameIsRefusedWithTheKnownOnes) {
  const Expected<Program> program = generate("nonsense", 4, 1);
  ASSERT_FALSE(program);
  EXPECT_NE(program.error().hint.find("ping_pong"), std::string::npos);
}

TEST(GenerateTest, WhetherHackbenchBlocksDependsOnTheOrder) {
  const Program program = generate(Hackbench{.pairs = 10, .loops = 50, .send_ns = 20 * kNsPerUs}, Prng::seeded(1));
  u64 blocked[2];
  for (u64& count : blocked) {
    const bool eager = &count == &blocked[0];
    FakeKernel kernel(1, eager ? 10 * kNsPerUs : 0, eager);
    Workload workload(program);
    workload.begin(kernel);
    kernel.run(workload);
    EXPECT_TRUE(workload.finished()) << workload.waiting();
    count = workload.stats().takes_blocked;
  }
  EXPECT_GT(blocked[0], 5 * blocked[1]);
}

TEST(GenerateTest, NothingIsAllocatedPerEvent) {
  // The fake kernel allocates; the workload is asked by hand.
  class Mute final : public Kernel {
   public:
    u64 now() const override { return now_++; }
    TaskId create(const TaskInfo&) override { return next_++; }
    void start(TaskId) override {}
    void wake(TaskId, WakeContext) override {}
    void arm(u64, u64, u32, u64) override {}
    void set_affinity(TaskId, const CpuSet&) override {}
    void set_weight(TaskId, u32) override {}
    u32 cpu_of(TaskId) const override { return 0; }

   private:
    mutable u64 now_ = 0;
    TaskId next_ = 0;
  } kernel;
  const Program program = generate(Hackbench{.groups = 1, .pairs = 10, .loops = 50}, Prng::seeded(1));
  Workload workload(program);
  workload.begin(kernel);
  const u64 before = test::allocations();
  for (u32 task = 10; task < 20; ++task)
    for (int i = 0; i < 100; ++i)
      if (workload.next(kernel, task).next == Next::kBlock) break;
  EXPECT_EQ(test::allocations(), before);
}

}  // namespace
}  // namespace reprise::sim
