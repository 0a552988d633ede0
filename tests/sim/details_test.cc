// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/details.h"

#include <gtest/gtest.h>

#include <numeric>

#include "sim/metrics/metrics.h"

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

KernelEvent waking(u64 time_ns, i32 tid) { return {time_ns, 0, 0, KernelEventType::kWaking, 0, tid, 0, 0, 0}; }
// state 0: it could have gone on; 1: it sleeps.
KernelEvent switched(u64 time_ns, u16 cpu, i32 previous, i32 next, u64 state) {
  return {time_ns, 0, cpu, KernelEventType::kSwitch, 0, next, static_cast<u32>(previous), state, 0};
}

MetricsBuilder builder_of(u32 cpus) {
  MetricsBuilder builder(cpus);
  builder.keep_details();
  return builder;
}

std::size_t stays_of(const WorstMoment& worst) {
  std::size_t count = 0;
  for (const CpuLane& lane : worst.lanes) count += lane.stays.size();
  return count;
}

TEST(HistogramTest, BucketsHoldEveryValueAndEndAtTheGreatest) {
  Histogram histogram;
  for (u64 value = 1; value < 5'000'000; value = value * 65 / 64 + 1) histogram.add(value);
  histogram.add(7'654'321);
  for (const u32 coarser : {0u, 2u}) {
    const std::vector<HistogramBucket> buckets = histogram.buckets(coarser);
    u64 sum = 0, last = 0;
    for (const HistogramBucket& bucket : buckets) {
      EXPECT_GT(bucket.upper_ns, last);
      EXPECT_NE(bucket.count, 0u);
      sum += bucket.count, last = bucket.upper_ns;
    }
    EXPECT_EQ(sum, histogram.count());
    EXPECT_EQ(last, 7'654'321u);
  }
  EXPECT_LT(histogram.buckets(2).size(), histogram.buckets().size());
  EXPECT_TRUE(Histogram().buckets().empty());
}

TEST(HistogramTest, ASmallOneIsAtMostAThirtySecondTooHigh) {
  SmallHistogram histogram;
  for (u64 value = 1; value <= 100'000; ++value) histogram.add(value);
  for (const u32 per_mille : {10u, 500u, 990u}) {
    EXPECT_GE(histogram.percentile(per_mille), per_mille * 100);
    EXPECT_LE(histogram.percentile(per_mille), per_mille * 100 + per_mille * 100 / 32);
  }
}

TEST(DetailsTest, AreNotKeptUnlessAskedFor) {
  MetricsBuilder builder(1);
  builder.event(waking(100, 1));
  EXPECT_EQ(builder.finish(200).details, nullptr);
}

TEST(DetailsTest, CountWakeupsAndTheirLatencyPerTask) {
  MetricsBuilder builder = builder_of(1);
  builder.event(waking(100, 1));
  builder.event(switched(150, 0, 0, 1, 0));
  builder.event(switched(200, 0, 1, 0, 1));
  builder.event(waking(300, 1));
  builder.event(waking(310, 2));
  builder.event(switched(320, 0, 0, 1, 0));
  builder.event(switched(400, 0, 1, 2, 0));  // preempted: what follows is no wakeup of 1
  builder.event(switched(500, 0, 2, 1, 1));
  const Metrics metrics = builder.finish(600);
  ASSERT_EQ(metrics.details->tasks.size(), 2u);
  EXPECT_EQ(metrics.details->tasks[0].wakeups, 2u);
  EXPECT_EQ(metrics.details->tasks[0].wakeup_latency_ns.max(), 50u);
  EXPECT_EQ(metrics.details->tasks[1].wakeups, 1u);
  EXPECT_EQ(metrics.details->tasks[1].wakeup_latency_ns.max(), 90u);
}

TEST(DetailsTest, ShowWhoRanWhileTheTaskThatWaitedLongestDid) {
  MetricsBuilder builder = builder_of(2);
  builder.event(switched(1000, 0, 0, 1, 0));
  builder.event(switched(1000, 1, 0, 3, 0));
  builder.event(waking(2000, 2));
  builder.event(switched(4000, 0, 1, 4, 0));  // 1 could go on
  builder.event(switched(6000, 0, 4, 2, 1));  // 2 waited 4000
  builder.event(switched(9000, 0, 2, 1, 1));  // 1 waited 5000
  builder.event(switched(9500, 1, 3, 0, 1));
  const Metrics metrics = builder.finish(20'000);
  const WorstMoment& worst = metrics.details->worst;
  ASSERT_NE(worst.task, WorstMoment::kNone);
  EXPECT_EQ(metrics.tasks[worst.task].tid, 1);
  EXPECT_EQ(worst.runnable_ns, 4000u);
  EXPECT_EQ(worst.running_ns, 9000u);
  EXPECT_EQ(worst.running_ns - worst.runnable_ns, metrics.max_wait_ns);
  EXPECT_TRUE(worst.over);
  EXPECT_EQ(worst.cpu_before, 0u);
  EXPECT_EQ(worst.cpu_after, 0u);
  EXPECT_EQ(worst.from_ns, 4000u - 1250u);
  EXPECT_EQ(worst.to_ns, 9000u + 1250u);
  EXPECT_EQ(worst.merged_below_ns, 0u);
  ASSERT_EQ(worst.lanes.size(), 2u);
  const std::vector<Stay>& first = worst.lanes[0].stays;
  ASSERT_EQ(first.size(), 4u);
  constexpr u64 kBegins[] = {2750, 4000, 6000, 9000}, kEnds[] = {4000, 6000, 9000, 10'250};
  constexpr i32 kTids[] = {1, 4, 2, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(first[i].begin_ns, kBegins[i]);
    EXPECT_EQ(first[i].end_ns, kEnds[i]);
    EXPECT_EQ(metrics.tasks[first[i].task].tid, kTids[i]);
  }
  ASSERT_EQ(worst.lanes[1].stays.size(), 1u);  // idle afterwards
  EXPECT_EQ(worst.lanes[1].stays[0].end_ns, 9500u);
}

TEST(DetailsTest, ATaskThatStillWaitsAtTheEndCounts) {
  MetricsBuilder builder = builder_of(1);
  builder.event(switched(100, 0, 0, 1, 0));
  builder.event(waking(1000, 2));
  builder.event(switched(1200, 0, 1, 3, 1));
  const Metrics metrics = builder.finish(5000);
  const WorstMoment& worst = metrics.details->worst;
  EXPECT_EQ(metrics.tasks[worst.task].tid, 2);
  EXPECT_FALSE(worst.over);
  EXPECT_EQ(worst.running_ns, 5000u);
  EXPECT_EQ(worst.to_ns, 5000u);
}

TEST(DetailsTest, OwnTasksAreShownButNeverTheOneThatWaits) {
  MetricsBuilder builder = builder_of(1);
  builder.mark_own(7);
  builder.event(switched(100, 0, 0, 1, 0));
  builder.event(waking(200, 7));
  builder.event(switched(9000, 0, 1, 7, 0));
  builder.event(switched(9100, 0, 7, 1, 1));
  const Metrics metrics = builder.finish(9200);
  EXPECT_EQ(metrics.tasks[metrics.details->worst.task].tid, 1);
}

// Two tasks take turns on each of 40 CPUs, 400 ns each, while a third one waits.
TEST(DetailsTest, AreBoundedHoweverLongTheRun) {
  constexpr u32 kCpus = 40;
  constexpr u64 kTurns = 20'000;
  MetricsBuilder builder = builder_of(kCpus);
  u64 now = 1000;
  for (u64 turn = 0; turn < kTurns; ++turn, now += 400)
    for (u16 cpu = 0; cpu < kCpus; ++cpu) {
      const i32 one = 10 + cpu * 2, other = one + 1;
      const bool odd = turn % 2 != 0;
      if (turn == 100 && cpu == 0) builder.event(waking(now, 5));
      if (turn == 400 && cpu == 7)
        builder.event(switched(now, cpu, odd ? one : other, 5, 0));
      else
        builder.event(switched(now, cpu,
                               turn == 401 && cpu == 7 ? 5
                               : odd                   ? one
                                                       : other,
                               odd ? other : one, turn == 401 && cpu == 7));
    }
  const Metrics metrics = builder.finish(now);
  const WorstMoment& worst = metrics.details->worst;
  EXPECT_EQ(metrics.tasks[worst.task].tid, 5);
  EXPECT_EQ(worst.running_ns - worst.runnable_ns, 300u * 400u);
  EXPECT_EQ(worst.lanes.size(), DetailsBuilder::kLanesMax);
  EXPECT_EQ(worst.cpus_left_out, kCpus - DetailsBuilder::kLanesMax);
  EXPECT_LE(stays_of(worst), DetailsBuilder::kStaysMax);
  EXPECT_GT(stays_of(worst), DetailsBuilder::kStaysMax / 4);
  EXPECT_NE(worst.merged_below_ns, 0u);
  for (const CpuLane& lane : worst.lanes) {
    u64 busy = 0, last = 0;
    for (const Stay& stay : lane.stays) {
      EXPECT_GE(stay.begin_ns, last);
      busy += stay.busy_ns, last = stay.end_ns;
    }
    EXPECT_EQ(busy, worst.to_ns - worst.from_ns) << lane.cpu;  // never idle
  }
}

TEST(DetailsTest, AWaitThatIsLongerThanTheLogIsShownFromWhereTheLogBegins) {
  MetricsBuilder builder = builder_of(1);
  u64 now = 1000;
  builder.event(waking(now, 5));
  for (u64 turn = 0; turn < 2 * DetailsBuilder::kLogMax; ++turn, now += 100)
    builder.event(switched(now, 0, turn % 2 != 0 ? 1 : 2, turn % 2 != 0 ? 2 : 1, 0));
  builder.event(switched(now, 0, 1, 5, 0));
  const Metrics metrics = builder.finish(now + 10);
  const WorstMoment& worst = metrics.details->worst;
  EXPECT_EQ(metrics.tasks[worst.task].tid, 5);
  EXPECT_GT(worst.from_ns, worst.runnable_ns);
  EXPECT_LT(worst.from_ns, worst.running_ns);
  EXPECT_LE(stays_of(worst), DetailsBuilder::kStaysMax);
}

}  // namespace
}  // namespace reprise::sim
