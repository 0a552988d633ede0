// SPDX-License-Identifier: GPL-2.0-only
// The default class: each test names the function of kernel/sched/fair.c that it holds the model to.
#include "sim/kernel/fair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/sim/script.h"
#include "tests/support/allocation_counter.h"

namespace reprise::test {
namespace {

using sim::Action;
using sim::Next;
using sim::TaskId;
using sim::TaskInfo;
using trace::KernelEventType;

sim::SimOptions fair_on(u32 cpus) {
  sim::SimOptions options = machine_of(cpus, "eevdf");
  options.check_every = 1;
  return options;
}

const sim::Fair& fair_of(Stage& stage) { return *stage.kernel->machine().fair; }
const sim::Task& task_of(Stage& stage, TaskId id) { return stage.kernel->machine().tasks[id]; }

// ---- weights and slices ----

TEST(FairTest, SchedPrioToWeight_SharesFollowNiceWithinTwoPercent) {
  Stage stage(fair_on(1));
  // As sched_ext is told of nice -5, 0, 5, 10: sched_weight_to_cgroup(3121, 1024, 335, 110).
  const std::pair<u32, double> tasks[] = {{305, 3121}, {100, 1024}, {33, 335}, {11, 110}};
  std::vector<TaskId> ids;
  double all = 0;
  for (const auto& [weight, share] : tasks) {
    ids.push_back(stage.script.add(*stage.kernel, Script::spin(), {.weight = weight}));
    all += share;
  }
  stage.run(20 * kNsPerSec);
  for (std::size_t i = 0; i < ids.size(); ++i)
    EXPECT_NEAR(stage.share(ids[i]), tasks[i].second / all, 0.02 * tasks[i].second / all) << tasks[i].first;
}

TEST(FairTest, SchedUpdateScaling_BaseSliceGrowsWithTheLogarithmOfCpus) {
  for (const auto& [cpus, slice_us] : {std::pair{1u, 700u}, {2u, 1400u}, {4u, 2100u}, {8u, 2800u}, {64u, 2800u}}) {
    Stage stage(fair_on(cpus));
    EXPECT_EQ(fair_of(stage).base_slice(), slice_us * kNsPerUs) << cpus;
  }
}

TEST(FairTest, HrtickStartFair_EqualTasksTakeTurnsAfterARequest) {
  Stage stage(fair_on(1));
  const TaskId task = stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(kNsPerSec);
  const auto runs = stage.runs(task);
  ASSERT_GT(runs.size(), 600u);
  for (std::size_t i = 5; i + 1 < runs.size(); ++i) ASSERT_NEAR(static_cast<double>(runs[i]), 700'000, 20'000);
}

TEST(FairTest, TaskTickFair_WithoutHrtickARequestEndsAtTheNextTick) {
  sim::SimOptions options = fair_on(1);
  options.hrtick = false;
  Stage stage(options);
  const TaskId task = stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(kNsPerSec);
  const auto runs = stage.runs(task);
  ASSERT_GT(runs.size(), 200u);
  for (std::size_t i = 5; i + 1 < runs.size(); ++i)
    ASSERT_LT((runs[i] + 20'000) % kNsPerMs, 40'000u) << runs[i];  // whole milliseconds
  for (const auto& event : stage.of(KernelEventType::kSwitch, 10 * kNsPerMs))
    ASSERT_LT(event.time_ns % kNsPerMs, 5'000u);
}

TEST(FairTest, ReweightEntity_AChangeOfNiceCountsFromThenOn) {
  Stage stage(fair_on(1));
  const TaskId a = stage.script.add(*stage.kernel, Script::spin());
  const TaskId b = stage.script.add(*stage.kernel, Script::spin());
  stage.script.at(*stage.kernel, kNsPerSec, [a](sim::Kernel& kernel) { kernel.set_weight(a, 305); }, 0);
  stage.run(kNsPerSec);
  EXPECT_NEAR(stage.share(a), 0.5, 0.01);
  const u64 a_before = stage.kernel->cpu_time(a), b_before = stage.kernel->cpu_time(b);
  stage.run(5 * kNsPerSec);
  const double a_then = static_cast<double>(stage.kernel->cpu_time(a) - a_before);
  const double b_then = static_cast<double>(stage.kernel->cpu_time(b) - b_before);
  EXPECT_NEAR(a_then / b_then, 3121.0 / 1024, 0.02 * 3121 / 1024);
}

// ---- lag ----

TEST(FairTest, PlaceEntity_ANewTaskBeginsWithHalfARequest) {
  Stage stage(fair_on(1));
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(10 * kNsPerMs);
  const TaskId child = stage.kernel->create({});
  stage.kernel->start(child);
  const auto& e = fair_of(stage).entity(child);
  EXPECT_EQ(e.deadline - e.vruntime, fair_of(stage).base_slice() / 2);
}

TEST(FairTest, SetDelayed_WhoOwesStaysQueuedUntilItHasPaid) {
  Stage stage(fair_on(1));
  stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, Script::spin());
  // Runs for less than its request, which makes it ineligible, then sleeps.
  const TaskId sleeper = stage.script.add(*stage.kernel, stage.script.periodic(600'000, 30 * kNsPerMs));
  u64 delayed_at = 0, left_at = 0;
  for (u64 t = 0; t < 90 * kNsPerMs && !left_at; t += 50'000) {
    stage.run(t);
    const sim::Task& task = task_of(stage, sleeper);
    if (task.delayed && !delayed_at) {
      EXPECT_TRUE(stage.kernel->blocked(sleeper));
      EXPECT_LT(fair_of(stage).entity(sleeper).lag, 0);
      delayed_at = t;
    }
    if (delayed_at && !left_at && !task.fair_queued) left_at = t;
  }
  EXPECT_GT(delayed_at, 0u);
  EXPECT_GT(left_at, delayed_at);
  EXPECT_EQ(fair_of(stage).entity(sleeper).lag, 0);  // DELAY_ZERO: having paid it does not gain
}

TEST(FairTest, RequeueDelayedEntity_AWakeupBeforeTheDebtIsPaidKeepsTheDebt) {
  Stage stage(fair_on(1));
  const TaskId hog = stage.script.add(*stage.kernel, Script::spin());
  // Sleeps for next to nothing, always before its request is over: it must not gain by that.
  const TaskId napper = stage.script.add(*stage.kernel, stage.script.periodic(500'000, 1'000));
  stage.run(2 * kNsPerSec);
  EXPECT_NEAR(stage.share(napper), 0.5, 0.02);
  EXPECT_NEAR(stage.share(hog), 0.5, 0.02);
}

TEST(FairTest, UpdateEntityLag_SurvivesAMoveBetweenQueues) {
  Stage stage(fair_on(2));
  for (int i = 0; i < 3; ++i) stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0}), .cpu = 0});
  stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({1}), .cpu = 1});
  const TaskId moved = stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0}), .cpu = 0});
  for (u64 t = 20 * kNsPerMs; task_of(stage, moved).on_cpu || t < 25 * kNsPerMs; t += 100'000) stage.run(t);
  stage.kernel->set_affinity(moved, only({1}));
  const auto& e = fair_of(stage).entity(moved);
  const auto& queue = fair_of(stage).queue(1);
  EXPECT_EQ(task_of(stage, moved).cpu, 1u);
  // Its place against the new queue's average, of two equal tasks, is the lag that it left with.
  const i64 rival = static_cast<i64>(fair_of(stage).entity(queue.curr).vruntime - e.vruntime) / 2;
  EXPECT_NEAR(static_cast<double>(rival), static_cast<double>(e.lag), 100);
}

// ---- preemption ----

TEST(FairTest, WakeupPreemptFair_ASleeperGetsTheCpuFromAHogAtOnce) {
  Stage stage(fair_on(1));
  stage.script.add(*stage.kernel, Script::spin());
  const TaskId sleeper = stage.script.add(*stage.kernel, stage.script.periodic(100'000, 7'300'000));
  stage.run(2 * kNsPerSec);
  const auto waits = stage.latencies(sleeper);
  ASSERT_GT(waits.size(), 200u);
  // The hog may have been given a slice of its own just before: then the sleeper waits for its end at most.
  EXPECT_LT(*std::ranges::max_element(waits), 720'000u);
  const auto fast = std::ranges::count_if(waits, [](u64 ns) { return ns < 20'000; });
  EXPECT_GT(static_cast<std::size_t>(fast), waits.size() * 8 / 10);
}

TEST(FairTest, PreemptShort_AShorterRequestBreaksTheProtectionOfALongerOne) {
  const auto mean_wait = [](u64 slice_ns) {
    sim::SimOptions options = fair_on(1);
    options.base_slice_ns = 20 * kNsPerMs;
    Stage stage(options);
    for (int i = 0; i < 4; ++i) stage.script.add(*stage.kernel, Script::spin());
    const TaskId sleeper =
        stage.script.add(*stage.kernel, stage.script.periodic(1'000'000, 9'100'000), {.slice_ns = slice_ns});
    stage.run(4 * kNsPerSec);
    const auto waits = stage.latencies(sleeper);
    EXPECT_GT(waits.size(), 50u);
    return std::accumulate(waits.begin(), waits.end(), u64{0}) / waits.size();
  };
  const u64 equal = mean_wait(0), shorter = mean_wait(kNsPerMs);
  EXPECT_LT(shorter * 4, equal) << shorter << ' ' << equal;
}

TEST(FairTest, SetProtectSlice_AWokenEqualDoesNotInterruptARequest) {
  sim::SimOptions options = fair_on(1);
  options.base_slice_ns = 10 * kNsPerMs;
  Stage stage(options);
  const TaskId hog = stage.script.add(*stage.kernel, Script::spin());
  for (int i = 0; i < 3; ++i) stage.script.add(*stage.kernel, Script::spin());
  stage.run(2 * kNsPerSec);
  for (const u64 ran : stage.runs(hog)) {
    if (ran != 0) {
      EXPECT_GT(ran, 4 * kNsPerMs);
    }
  }
}

TEST(FairTest, ReschedCurrLazy_AnotherCpuIsNotInterruptedButWaitsForItsTick) {
  sim::SimOptions options = fair_on(2);
  options.hrtick = false;
  Stage stage(options);
  stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({1}), .cpu = 1});
  const TaskId server = stage.script.add(*stage.kernel, Script::serve(50'000), {.allowed = only({1}), .cpu = 1});
  // Its client on CPU 0 wakes it at times that do not rhyme with ticks.
  stage.script.add(*stage.kernel,
                   [server, step = 0](sim::Kernel& kernel, TaskId id) mutable -> Action {
                     (void)id;
                     if (++step > 1) kernel.wake(server, sim::WakeContext::kTask);
                     return {Next::kRun, 3'370'000};
                   },
                   {.allowed = only({0}), .cpu = 0});
  stage.run(kNsPerSec);
  std::size_t preempted = 0;
  for (const auto& event : stage.of(KernelEventType::kSwitch, 5 * kNsPerMs)) {
    if (event.cpu != 1 || event.tid != stage.tid(server)) continue;
    ++preempted;
    EXPECT_LT(event.time_ns % kNsPerMs, 5'000u);
  }
  EXPECT_GT(preempted, 200u);
  for (const u64 wait : stage.latencies(server)) EXPECT_LT(wait, 2 * kNsPerMs);
}

TEST(FairTest, YieldTaskFair_ForfeitsTheRequest) {
  Stage stage(fair_on(1));
  const TaskId yielder = stage.script.add(*stage.kernel, [run = false](sim::Kernel&, TaskId) mutable -> Action {
    run = !run;
    return run ? Action{Next::kRun, 50'000} : Action{Next::kYield};
  });
  const TaskId hog = stage.script.add(*stage.kernel, Script::spin());
  stage.run(kNsPerSec);
  EXPECT_LT(stage.share(yielder), 0.15);
  EXPECT_GT(stage.share(hog), 0.8);
}

// ---- placement ----

TEST(FairTest, SelectIdleSibling_ThePreviousCpuIfItIsIdleElseAnIdleOneOfItsCache) {
  sim::SimOptions options = fair_on(1);
  options.topology = *sim::Topology::parse("2l4c");
  Stage stage(options);
  const TaskId task = stage.script.add(*stage.kernel, stage.script.periodic(100'000, 1'900'000), {.cpu = 5});
  stage.run(20 * kNsPerMs);
  const u32 home = stage.kernel->cpu_of(task);
  stage.run(60 * kNsPerMs);
  EXPECT_EQ(stage.kernel->cpu_of(task), home);
  TaskInfo here{};
  here.allowed = only({home});
  here.cpu = static_cast<i32>(home);
  stage.script.add(*stage.kernel, Script::spin(), here);
  stage.run(100 * kNsPerMs);
  EXPECT_NE(stage.kernel->cpu_of(task), home);
  EXPECT_EQ(stage.kernel->cpu_of(task) / 4, home / 4);
}

TEST(FairTest, SelectIdleCpu_AWholeIdleCoreComesFirst) {
  sim::SimOptions options = fair_on(1);
  options.topology = *sim::Topology::parse("4c2t");  // siblings: n and n + 4
  Stage stage(options);
  for (const u32 cpu : {0u, 1u, 3u})
    stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({cpu}), .cpu = static_cast<i32>(cpu)});
  const TaskId task = stage.script.add(*stage.kernel, Script::serve(100'000), {.cpu = 0});
  stage.run(10 * kNsPerMs);
  stage.kernel->machine().tasks[task].cpu = 0;
  stage.script.at(
      *stage.kernel, 11 * kNsPerMs, [task](sim::Kernel& k) { k.wake(task, sim::WakeContext::kHardirq); }, 0);
  stage.run(12 * kNsPerMs);
  EXPECT_EQ(stage.kernel->cpu_of(task) % 4, 2u);
}

TEST(FairTest, WakeAffine_TheWakersCacheIfItIsLessLoaded) {
  sim::SimOptions options = fair_on(1);
  options.topology = *sim::Topology::parse("2l1c");
  Stage stage(options);
  const TaskId task = stage.script.add(*stage.kernel, Script::serve(100'000), {.cpu = 1});
  stage.run(kNsPerMs);
  for (int i = 0; i < 3; ++i) stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({1}), .cpu = 1});
  stage.script.add(*stage.kernel,
                   [task, step = 0](sim::Kernel& kernel, TaskId) mutable -> Action {
                     if (++step == 2) kernel.wake(task, sim::WakeContext::kTask);
                     return {Next::kRun, 3 * kNsPerMs};
                   },
                   {.allowed = only({0}), .cpu = 0});
  stage.run(6 * kNsPerMs);
  EXPECT_EQ(stage.kernel->cpu_of(task), 0u);
}

TEST(FairTest, FindDstCpu_NewTasksSpreadOverIdleCachesFirst) {
  sim::SimOptions options = fair_on(1);
  options.topology = *sim::Topology::parse("2n2l2c");
  Stage stage(options);
  std::vector<u32> used;
  for (int i = 0; i < 4; ++i) used.push_back(stage.kernel->cpu_of(stage.script.add(*stage.kernel, Script::spin())));
  std::ranges::sort(used);
  for (u32 llc = 0; llc < 4; ++llc)
    EXPECT_EQ(std::ranges::count_if(used, [llc](u32 cpu) { return cpu / 2 == llc; }), 1) << llc;
}

// ---- balancing ----

TEST(FairTest, SchedBalanceNewidle_AnIdleCpuPullsAWaitingTask) {
  Stage stage(fair_on(2));
  std::vector<TaskId> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0})}));
  const TaskId brief = stage.script.add(*stage.kernel, Script::once(20 * kNsPerMs), {.allowed = only({1}), .cpu = 1});
  stage.run(10 * kNsPerMs);
  for (const TaskId task : tasks) stage.kernel->set_affinity(task, only({0, 1}));
  (void)brief;
  stage.run(19 * kNsPerMs);
  for (const TaskId task : tasks) EXPECT_EQ(stage.kernel->cpu_of(task), 0u);
  stage.run(24 * kNsPerMs);
  EXPECT_EQ(std::ranges::count_if(tasks, [&](TaskId task) { return stage.kernel->cpu_of(task) == 1; }), 1);
}

TEST(FairTest, SchedBalanceDomains_HogsSpreadEvenlyInTheEnd) {
  sim::SimOptions options = fair_on(1);
  options.topology = *sim::Topology::parse("2l4c");
  options.check_every = 64;
  Stage stage(options);
  std::vector<TaskId> tasks;
  for (int i = 0; i < 16; ++i) tasks.push_back(stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0})}));
  stage.run(10 * kNsPerMs);
  for (const TaskId task : tasks) stage.kernel->set_affinity(task, {});
  stage.run(2 * kNsPerSec);
  for (u32 cpu = 0; cpu < 8; ++cpu)
    EXPECT_EQ(std::ranges::count_if(tasks, [&](TaskId task) { return stage.kernel->cpu_of(task) == cpu; }), 2) << cpu;
}

TEST(FairTest, CanMigrateTask_LeavesPinnedAndMigrationDisabledTasksAlone) {
  Stage stage(fair_on(2));
  const TaskId pinned = stage.script.add(*stage.kernel, Script::spin(), {.allowed = only({0})});
  const TaskId fixed = stage.script.add(*stage.kernel, Script::spin(), {.migration_disabled = true, .cpu = 0});
  const TaskId also = stage.script.add(*stage.kernel, Script::spin(), {.migration_disabled = true, .cpu = 0});
  stage.run(kNsPerSec);
  for (const TaskId task : {pinned, fixed, also}) EXPECT_EQ(stage.kernel->cpu_of(task), 0u);
  EXPECT_NEAR(stage.share(pinned), 1.0 / 3, 0.02);
}

// ---- the machine around it ----

TEST(FairTest, SchedCpuDeactivate_DelayedTasksLeaveWithTheOthers) {
  sim::SimOptions options = fair_on(3);
  Stage stage(options);
  for (int i = 0; i < 6; ++i)
    stage.script.add(*stage.kernel, stage.script.periodic(300'000 + 10'000u * static_cast<u32>(i), 200'000));
  for (u64 i = 1; i < 20; ++i) stage.kernel->set_online(1 + i % 2, (i / 2) % 2 == 0, i * 5 * kNsPerMs);
  stage.run(200 * kNsPerMs);
}

TEST(FairTest, AllocatesNothingPerEvent) {
  sim::SimOptions options = machine_of(4, "eevdf");
  Load load(3);
  auto kernel = sim::KernelModel::create(options, load);
  ASSERT_TRUE(kernel.has_value());
  load.groups(**kernel, 4, 5, 5'000);
  for (int i = 0; i < 20; ++i) load.sleeper(**kernel, 50'000, 400'000);
  ASSERT_TRUE((*kernel)->run_until(300 * kNsPerMs).has_value());
  const u64 before = allocations();
  ASSERT_TRUE((*kernel)->run_until(600 * kNsPerMs).has_value());
  EXPECT_EQ(allocations(), before);
}

}  // namespace
}  // namespace reprise::test
