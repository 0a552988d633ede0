// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/policies/table.h"
#include "tests/support/events.h"
#include "tests/support/machine.h"

namespace reprise {
namespace {

using test::Machine;

constexpr u64 kSlice = kNsPerMs;  // the default

const PolicyInfo& central() { return **find_policy("central_fifo_preempt"); }

class CentralFifoPreemptTest : public testing::Test {
 protected:
  CentralFifoPreemptTest() {
    engine_ = std::move(*Engine::create({.limits = {2, 8}}, central(), Options(central().options)));
    step(kNsPerSec, {test::task_new(1), test::task_new(2), test::task_new(3)});
  }
  const StepOutput& step(u64 now_ns, const std::vector<Event>& events) {
    EXPECT_TRUE(
        engine_->step({.number = engine_->last_step() + 1, .now_ns = now_ns, .events = events, .room = 8}, output_));
    return output_;
  }
  static Event running(TaskSlot slot, u16 cpu, u64 time_ns) {
    Event event = test::event(EventType::kRunning, slot, time_ns);
    event.cpu = cpu;
    return event;
  }
  static Event stopping(TaskSlot slot, u16 cpu) {
    Event event = test::event(EventType::kStopping, slot);
    event.cpu = cpu;
    event.stopping.runnable = 1;
    return event;
  }
  std::unique_ptr<Engine> engine_;
  StepOutput output_;
};

TEST_F(CentralFifoPreemptTest, ASliceEndsInTimeWhileOthersWait) {
  step(kNsPerSec, {test::enqueue(1, 1), test::enqueue(2, 1)});
  const u64 began = kNsPerSec + 1000;
  EXPECT_EQ(step(began, {running(1, 1, began)}).wake_at_ns, began + kSlice);
  EXPECT_EQ(step(began + kSlice - 1, {}).preempt_count, 0u);
  step(began + kSlice, {});
  ASSERT_EQ(output_.preempt_count, 1u);
  EXPECT_EQ(output_.preempts()[0], 1);
  EXPECT_EQ(step(began + kSlice + 1, {}).preempt_count, 0u) << "asked once";
}

TEST_F(CentralFifoPreemptTest, NobodyIsPreemptedWhileNobodyWaits) {
  step(kNsPerSec, {test::enqueue(1, 1)});
  EXPECT_EQ(step(kNsPerSec, {running(1, 0, kNsPerSec)}).wake_at_ns, 0u);
  EXPECT_EQ(step(2 * kNsPerSec, {}).preempt_count, 0u);
  step(2 * kNsPerSec, {test::enqueue(2, 1)});
  EXPECT_EQ(output_.preempt_count, 1u) << "the slice was over long ago";
}

TEST_F(CentralFifoPreemptTest, WhoLostTheCpuBeforeItsSliceWasOverKeepsItsPlace) {
  step(kNsPerSec, {test::enqueue(1, 1), test::enqueue(2, 1)});
  const u64 second = output_.decisions()[1].vtime;
  step(kNsPerSec, {running(1, 0, kNsPerSec)});
  step(kNsPerSec, {stopping(1, 0), test::enqueue(1, 2, kSlice / 4, kEnqueuePreempted)});
  ASSERT_EQ(output_.decision_count, 1u);
  EXPECT_TRUE(before(output_.decisions()[0].vtime, second));
  EXPECT_EQ(output_.decisions()[0].slice_ns, kSlice - kSlice / 4) << "what is left of it";
  step(kNsPerSec, {running(1, 0, kNsPerSec), stopping(1, 0), test::enqueue(1, 3, kSlice, kEnqueuePreempted)});
  EXPECT_TRUE(before(second, output_.decisions()[0].vtime)) << "now it has had its slice";
}

TEST(CentralFifoPreemptClosedLoopTest, ShortRequestsDoNotWaitBehindLongOnes) {
  // Requests as in the paper: most take 0.1 ms, a few 20 ms. The kernel ends slices every 4 ms only.
  const auto worst = [](const char* policy) {
    Machine machine({.cpus = 2, .seed = 3, .tick_ns = 4 * kNsPerMs}, **find_policy(policy));
    for (int i = 0; i < 4; ++i) machine.spawn(test::sleeper(20 * kNsPerMs, 10 * kNsPerMs));
    std::vector<TaskSlot> shorts;
    for (int i = 0; i < 10; ++i)
      shorts.push_back(machine.spawn(test::sleeper(100 * kNsPerUs, 5 * kNsPerMs + static_cast<u64>(i) * 1000)));
    machine.run_for(10 * kNsPerSec);
    REPRISE_CHECK(machine.violation().empty());
    std::vector<u64> waits;
    for (const TaskSlot slot : shorts)
      waits.insert(waits.end(), machine.task(slot).wake_waits_ns.begin(), machine.task(slot).wake_waits_ns.end());
    std::ranges::sort(waits);
    return waits[waits.size() * 99 / 100];
  };
  EXPECT_LT(worst("central_fifo_preempt"), 6 * kNsPerMs) << "four long ones' slices, and a few short ones";
  EXPECT_GT(worst("fifo"), 3 * worst("central_fifo_preempt"));
}

}  // namespace
}  // namespace reprise
