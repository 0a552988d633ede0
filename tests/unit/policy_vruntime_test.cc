// SPDX-License-Identifier: GPL-2.0-only
// What vruntime and newcomer hand down, decision by decision. What comes of it: tests/policy.
#include "scheduler/policies/vruntime.h"

#include <gtest/gtest.h>

#include "scheduler/core/engine.h"
#include "scheduler/policies/table.h"
#include "tests/support/events.h"

namespace reprise {
namespace {

using test::enqueue;
using test::task_new;

class Scene {
 public:
  explicit Scene(std::string_view policy, u32 cpus = 4) {
    const Expected<PolicySpec> spec = parse_policy(policy);
    engine_ = std::move(*Engine::create({.limits = {cpus, 16}}, *spec->info, spec->options));
  }
  std::vector<Decision> step(const std::vector<Event>& events, u32 room = 100) {
    EXPECT_TRUE(
        engine_->step({.number = engine_->last_step() + 1, .now_ns = 1000, .events = events, .room = room}, output_));
    return {output_.decisions().begin(), output_.decisions().end()};
  }
  const VirtualTime& time() { return static_cast<Vruntime&>(engine_->policy()).time(); }

 private:
  std::unique_ptr<Engine> engine_;
  StepOutput output_;
};

TEST(VruntimePolicyTest, VtimeIsTheDeadlineAndDecisionsComeInItsOrder) {
  Scene scene("vruntime");
  scene.step({task_new(1, 100, kTaskAtAttach), task_new(2, 100, kTaskAtAttach), enqueue(1, 1), enqueue(2, 1)});
  const auto decisions = scene.step({enqueue(1, 2, 9 * kNsPerMs), enqueue(2, 2, kNsPerMs)});
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].task, 2u);
  EXPECT_EQ(decisions[1].task, 1u);
  for (const Decision& decision : decisions)
    EXPECT_EQ(decision.vtime, scene.time().vruntime(decision.task) + scene.time().burst_ns(decision.task));
  EXPECT_EQ(scene.time().burst_ns(1), 9 * kNsPerMs);
}

TEST(VruntimePolicyTest, OfTwoThatAreOwedTheSameTheOneThatNeedsLessGoesFirst) {
  Scene scene("vruntime:credit_us=0");
  scene.step({task_new(1), task_new(2), task_new(3, 100, kTaskAtAttach), enqueue(1, 1), enqueue(2, 1), enqueue(3, 1)});
  scene.step({enqueue(1, 2, 9 * kNsPerMs), enqueue(2, 2, kNsPerMs)});
  for (u32 i = 1; i <= 10; ++i) scene.step({enqueue(3, 1 + i, i * 20 * kNsPerMs, kEnqueueSliceEnd)});
  const auto decisions = scene.step({enqueue(1, 3, 9 * kNsPerMs), enqueue(2, 3, kNsPerMs)});  // both have slept since
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(scene.time().vruntime(1), scene.time().vruntime(2));
  EXPECT_EQ(decisions[0].task, 2u);
  EXPECT_TRUE(before(decisions[0].vtime, decisions[1].vtime));
}

TEST(VruntimePolicyTest, NamesThePreviousCpuWhileTheTaskMayUseIt) {
  Scene scene("vruntime");
  Event woken = enqueue(1, 1);
  woken.enqueue.prev_cpu = 3;
  Event mask = test::event(EventType::kAffinity, 1);
  mask.affinity.words[0] = 0b0011;
  auto decisions = scene.step({task_new(1), woken});
  EXPECT_EQ(decisions.at(0).cpu, 3);
  EXPECT_EQ(decisions.at(0).flags, kDecisionIdle);
  woken.generation = 2;
  decisions = scene.step({mask, woken});
  EXPECT_EQ(decisions.at(0).cpu, kAnyCpu);
  EXPECT_EQ(decisions.at(0).flags, kDecisionIdle);
  woken.enqueue.prev_cpu = -1;
  decisions = scene.step({woken});
  EXPECT_EQ(decisions.at(0).cpu, kAnyCpu);
}

TEST(VruntimePolicyTest, WhatFoundNoRoomWaitsInOrder) {
  Scene scene("vruntime");
  scene.step({task_new(1), task_new(2), task_new(3), enqueue(1, 1), enqueue(2, 1), enqueue(3, 1)});
  auto decisions = scene.step({enqueue(1, 2, 9 * kNsPerMs), enqueue(2, 2, 5 * kNsPerMs)}, 1);
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0].task, 2u);
  decisions = scene.step({enqueue(3, 2, kNsPerMs)});
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].task, 3u) << "came later, is owed more";
  EXPECT_EQ(decisions[1].task, 1u);
}

TEST(NewcomerPolicyTest, ANewTaskGoesBehindEstablishedOnesWithAShortSlice) {
  Scene scene("newcomer");
  const auto decisions = scene.step({task_new(1), task_new(2, 100, kTaskAtAttach), enqueue(1, 1), enqueue(2, 1)});
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].task, 2u);
  EXPECT_EQ(decisions[0].slice_ns, 20 * kNsPerMs);
  EXPECT_EQ(decisions[1].slice_ns, 2 * kNsPerMs);
  EXPECT_EQ(decisions[1].vtime - decisions[0].vtime, 40 * kNsPerMs) << "a slice of debit, a slice of expected use";
}

TEST(NewcomerPolicyTest, ANewTaskIsEstablishedAfterSomeCpuTime) {
  Scene scene("newcomer:newcomer_us=5000");
  scene.step({task_new(1), enqueue(1, 1)});
  EXPECT_EQ(scene.step({enqueue(1, 2, 4'999'999)}).at(0).slice_ns, 2 * kNsPerMs);
  EXPECT_EQ(scene.step({enqueue(1, 3, 5'000'000)}).at(0).slice_ns, 20 * kNsPerMs);
}

}  // namespace
}  // namespace reprise
