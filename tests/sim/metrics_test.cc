// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "scheduler/core/prng.h"
#include "sim/metrics/timehist.h"

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

KernelEvent waking(u64 time_ns, i32 tid, u8 flags = 0) {
  return {.time_ns = time_ns,
          .seq = 0,
          .cpu = 0,
          .type = KernelEventType::kWaking,
          .flags = flags,
          .tid = tid,
          .a = 0,
          .b = 0,
          .c = 0};
}
/// state: as sched_switch's prev_state; 0: it could have gone on, 1: it sleeps.
KernelEvent switched(u64 time_ns, u16 cpu, i32 previous, i32 next, u64 state) {
  return {.time_ns = time_ns,
          .seq = 0,
          .cpu = cpu,
          .type = KernelEventType::kSwitch,
          .flags = 0,
          .tid = next,
          .a = static_cast<u32>(previous),
          .b = state,
          .c = 0};
}

TEST(HistogramTest, SmallValuesAreExactAndLargeOnesLessThanAHundredthOff) {
  Histogram histogram;
  for (u64 value = 1; value <= 100; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(500), 50u);
  EXPECT_EQ(histogram.percentile(990), 99u);
  EXPECT_EQ(histogram.percentile(999), 100u);
  EXPECT_EQ(histogram.percentile(0), 1u);
  EXPECT_EQ(histogram.min(), 1u);
  EXPECT_EQ(histogram.max(), 100u);
  EXPECT_EQ(histogram.mean(), 50u);
  Prng random = Prng::seeded(3);
  for (int round = 0; round < 50; ++round) {
    Histogram other;
    std::vector<u64> values;
    for (int i = 0; i < 999; ++i) values.push_back(random.next() >> random.below(64));
    for (const u64 value : values) other.add(value >> 8);
    std::ranges::sort(values);
    for (const u32 per_mille : {1u, 500u, 900u, 950u, 990u, 999u, 1000u}) {
      const u64 exact = values[std::max<u64>((values.size() * per_mille + 999) / 1000, 1) - 1] >> 8;
      EXPECT_GE(other.percentile(per_mille), exact);
      EXPECT_LE(other.percentile(per_mille) - exact, exact / 128);
    }
  }
}

TEST(HistogramTest, TakesAnyValueAndAddsUp) {
  Histogram one, two;
  for (const u64 value : {u64{0}, u64{255}, u64{256}, u64{257}, ~u64{0} >> 1, ~u64{0}}) one.add(value);
  EXPECT_EQ(one.percentile(1000), ~u64{0});
  EXPECT_EQ(one.percentile(1), 0u);
  two.add(7);
  two.add(one);
  EXPECT_EQ(two.count(), 7u);
  EXPECT_EQ(two.min(), 0u);
  EXPECT_EQ(two.max(), ~u64{0});
  EXPECT_EQ(Histogram().percentile(500), 0u);
  EXPECT_EQ(Histogram().min(), 0u);
}

TEST(MetricsTest, FollowsTwoTasksOnOneCpu) {
  MetricsBuilder builder(1);
  builder.event(waking(100, 1));
  builder.event(switched(150, 0, 0, 1, 0));  // 1 waited 50
  builder.event(waking(200, 2));
  builder.event(switched(450, 0, 1, 2, 0));   // 2 waited 250; 1 ran 300 and could have gone on
  builder.event(switched(550, 0, 2, 1, 1));   // 2 ran 100 and sleeps; 1 waited 100
  builder.event(switched(1050, 0, 1, 0, 1));  // 1 ran 500
  const Metrics metrics = builder.finish(1100);
  EXPECT_EQ(metrics.context_switches, 4u);
  EXPECT_EQ(metrics.voluntary_switches, 2u);
  EXPECT_EQ(metrics.involuntary_switches, 1u);
  EXPECT_EQ(metrics.migrations, 0u);
  EXPECT_EQ(metrics.makespan_ns, 1000u);
  EXPECT_EQ(metrics.busy_ns, 900u);
  EXPECT_DOUBLE_EQ(metrics.cpu_utilisation(), 0.9);
  EXPECT_EQ(metrics.wakeup_latency_ns.count(), 2u);
  EXPECT_EQ(metrics.wakeup_latency_ns.max(), 250u);
  EXPECT_EQ(metrics.run_delay_ns.count(), 3u);
  EXPECT_EQ(metrics.run_delay_ns.mean(), 400u / 3);
  EXPECT_EQ(metrics.slice_ns.count(), 3u);
  EXPECT_EQ(metrics.max_wait_ns, 250u);
  ASSERT_EQ(metrics.tasks.size(), 2u);
  EXPECT_EQ(metrics.tasks[0].cpu_ns, 800u);
  EXPECT_EQ(metrics.tasks[0].delay_ns, 150u);
  EXPECT_EQ(metrics.tasks[1].max_delay_at_ns, 450u);
  const double a = 800.0 / 950, b = 100.0 / 350;
  EXPECT_DOUBLE_EQ(metrics.fairness_jain(), (a + b) * (a + b) / (2 * (a * a + b * b)));
}

TEST(MetricsTest, WhoStillWaitsAtTheEndCounts) {
  MetricsBuilder builder(2);
  builder.event(waking(100, 5));
  builder.event(waking(100, 6));
  builder.event(switched(110, 1, 0, 6, 0));
  const Metrics metrics = builder.finish(10'100);
  EXPECT_EQ(metrics.max_wait_ns, 10'000u) << "starved";
  EXPECT_EQ(metrics.run_delay_ns.count(), 1u) << "but its delay is not known";
  EXPECT_EQ(metrics.busy_ns, 9'990u);
}

TEST(MetricsTest, WhoseEndOfARunWasLostDoesNotRunOn) {
  MetricsBuilder builder(1);
  for (const KernelEvent& e :
       {switched(0, 0, 0, 1, 0), switched(10, 0, 1, 2, 1), switched(900, 0, 3, 1, 1), switched(950, 0, 1, 0, 1)})
    builder.event(e);
  const Metrics m = builder.finish(1000);
  std::map<i32, u64> cpu;
  for (const TaskMetrics& task : m.tasks) cpu[task.tid] = task.cpu_ns;
  EXPECT_EQ(cpu, (std::map<i32, u64>{{1, 60}, {2, 0}, {3, 0}}));
}

TEST(MetricsTest, CountsMigrationsAndNoWakeupOfWhoRuns) {
  MetricsBuilder builder(2);
  builder.event(waking(10, 5));
  builder.event(switched(20, 0, 0, 5, 0));
  builder.event(waking(30, 5, trace::kWakeRunnable));
  builder.event(switched(40, 0, 5, 0, 1));
  builder.event(waking(50, 5));
  builder.event(switched(60, 1, 0, 5, 0));
  const Metrics metrics = builder.finish(70);
  EXPECT_EQ(metrics.migrations, 1u);
  EXPECT_EQ(metrics.wakeup_latency_ns.count(), 2u);
}

// ttwu_runnable, try_to_wake_up: the waker on another CPU finds it on its run queue, and waits for the lock.
TEST(MetricsTest, WhoIsWokenOnTheWayToSleepIsWokenWhenItSleeps) {
  MetricsBuilder builder(2);
  builder.event(waking(10, 5));
  builder.event(switched(20, 0, 0, 5, 0));
  builder.event(waking(30, 5, trace::kWakeRunnable));
  builder.event(switched(40, 0, 5, 0, 1));
  builder.event(switched(47, 1, 0, 5, 0));
  builder.event(waking(50, 5, trace::kWakeRunnable));  // in time: it does not sleep
  builder.event(switched(60, 1, 5, 0, 1));
  builder.event(waking(1000, 5));  // so this sleep has a wakeup of its own
  builder.event(switched(1003, 1, 0, 5, 0));
  const Metrics metrics = builder.finish(1010);
  EXPECT_EQ(metrics.wakeup_latency_ns.count(), 3u);
  EXPECT_EQ(metrics.wakeup_latency_ns.max(), 10u);
  ASSERT_EQ(metrics.tasks.size(), 1u);
  EXPECT_EQ(metrics.tasks[0].delay_ns, 10u + 7u + 3u);
}

TEST(MetricsTest, ATidThatIsUsedAgainIsAnotherTaskAndOwnTasksAreLeftOut) {
  MetricsBuilder builder(1);
  KernelEvent fork{.time_ns = 1,
                   .seq = 0,
                   .cpu = 0,
                   .type = KernelEventType::kFork,
                   .flags = trace::kMarkOwn,
                   .tid = 9,
                   .a = 1,
                   .b = 0,
                   .c = 9};
  builder.event(fork);
  builder.event(waking(10, 9));
  builder.event(switched(500, 0, 0, 9, 0));
  builder.event(switched(600, 0, 9, 0, 1));
  fork.time_ns = 700, fork.flags = 0;
  builder.event(fork);
  builder.event(waking(710, 9));
  builder.event(switched(711, 0, 0, 9, 0));
  const Metrics metrics = builder.finish(800);
  ASSERT_EQ(metrics.tasks.size(), 2u);
  EXPECT_TRUE(metrics.tasks[0].own);
  EXPECT_FALSE(metrics.tasks[1].own);
  EXPECT_EQ(metrics.max_wait_ns, 1u);
  EXPECT_EQ(metrics.context_switches, 3u);
}

TEST(MetricsTest, ANewTaskWaitsButDidNotSleep) {
  MetricsBuilder builder(1);
  builder.event(waking(100, 7, trace::kWakeNew));
  builder.event(switched(130, 0, 0, 7, 0));
  const Metrics metrics = builder.finish(200);
  EXPECT_EQ(metrics.wakeup_latency_ns.count(), 0u);
  EXPECT_EQ(metrics.run_delay_ns.count(), 1u);
  EXPECT_EQ(metrics.run_delay_ns.max(), 30u);
}

// As perf sched timehist defines its columns.
TEST(TimeHistoryTest, TellsWaitDelayAndRunOfEachStay) {
  TimeHistory history;
  TaskStay stay;
  EXPECT_FALSE(history.event(waking(100, 7), stay));
  ASSERT_TRUE(history.event(switched(150, 0, 5, 7, 1), stay));  // nothing is known of 5
  EXPECT_EQ(stay.tid, 5);
  EXPECT_EQ(stay.run_ns + stay.delay_ns + stay.wait_ns, 0u);
  ASSERT_TRUE(history.event(switched(190, 0, 7, 0, 1), stay));
  EXPECT_EQ(stay.tid, 7);
  EXPECT_EQ(stay.run_ns, 40u);
  EXPECT_EQ(stay.delay_ns, 50u);
  EXPECT_EQ(stay.wait_ns, 0u);
  EXPECT_FALSE(history.event(waking(300, 7), stay));
  EXPECT_FALSE(history.event(waking(310, 7), stay));  // the first one counts
  ASSERT_TRUE(history.event(switched(320, 0, 0, 7, 0), stay));
  EXPECT_EQ(stay.tid, 0);
  EXPECT_EQ(stay.run_ns, 130u);
  EXPECT_EQ(stay.wait_ns, 0u);
  ASSERT_TRUE(history.event(switched(400, 0, 7, 5, 0), stay));  // preempted: runnable from here
  EXPECT_EQ(stay.run_ns, 80u);
  EXPECT_EQ(stay.delay_ns, 20u);
  EXPECT_EQ(stay.wait_ns, 130u);
  history.event(switched(450, 0, 5, 7, 1), stay);
  ASSERT_TRUE(history.event(switched(470, 0, 7, 0, 1), stay));
  EXPECT_EQ(stay.delay_ns, 50u);
  EXPECT_EQ(stay.wait_ns, 50u);
}

}  // namespace
}  // namespace reprise::sim
