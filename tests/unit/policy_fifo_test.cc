// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "scheduler/core/engine.h"
#include "scheduler/policies/table.h"
#include "tests/support/events.h"

namespace reprise {
namespace {

using test::enqueue;
using test::task_new;

class FifoTest : public testing::Test {
 protected:
  FifoTest() {
    const Expected<PolicySpec> spec = parse_policy("fifo:slice_us=7000");
    engine_ = std::move(*Engine::create({.limits = {2, 8}}, *spec->info, spec->options));
  }
  std::span<const Decision> step(const std::vector<Event>& events, u32 room = 100) {
    EXPECT_TRUE(engine_->step({.number = engine_->last_step() + 1, .events = events, .room = room}, output_));
    return output_.decisions();
  }
  std::unique_ptr<Engine> engine_;
  StepOutput output_;
};

TEST_F(FifoTest, HandsDownInOrderOfArrival) {
  const auto decisions = step({task_new(5), task_new(1), task_new(3), enqueue(5, 1), enqueue(1, 1), enqueue(3, 1)});
  ASSERT_EQ(decisions.size(), 3u);
  EXPECT_EQ(decisions[0].task, 5u);
  EXPECT_EQ(decisions[1].task, 1u);
  EXPECT_EQ(decisions[2].task, 3u);
  for (const Decision& decision : decisions) {
    EXPECT_EQ(decision.cpu, kAnyCpu);
    EXPECT_EQ(decision.slice_ns, 7'000'000u);
    EXPECT_EQ(decision.flags, 0u);
  }
  EXPECT_TRUE(before(decisions[0].vtime, decisions[1].vtime) && before(decisions[1].vtime, decisions[2].vtime));
}

TEST_F(FifoTest, WhatFoundNoRoomGoesFirstInTheNextStep) {
  const u64 first = step({task_new(1), task_new(2), enqueue(1, 1), enqueue(2, 1)}, 1)[0].vtime;
  const auto decisions = step({enqueue(1, 2)});
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].task, 2u);
  EXPECT_EQ(decisions[1].task, 1u);
  EXPECT_TRUE(before(first, decisions[0].vtime));
}

TEST_F(FifoTest, ATaskThatWasTakenBackLosesItsPlace) {
  step({task_new(1), task_new(2), enqueue(1, 1), enqueue(2, 1)}, 0);
  const auto decisions = step({test::event(EventType::kDequeue, 1), enqueue(1, 3)});
  ASSERT_EQ(decisions.size(), 2u);
  EXPECT_EQ(decisions[0].task, 2u);
  EXPECT_EQ(decisions[1].generation, 3u);
}

}  // namespace
}  // namespace reprise
