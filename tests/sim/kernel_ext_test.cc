// SPDX-License-Identifier: GPL-2.0-only
// The class sched_ext with the dispatcher on top: each test names the function of kernel/sched/ext/ext.c or core.c that
// it holds the model to.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "sim/kernel/machine.h"
#include "tests/sim/planned_policy.h"
#include "tests/sim/script.h"
#include "tests/support/allocation_counter.h"

namespace reprise::test {
namespace {

using sim::Action;
using sim::Here;
using sim::Machine;
using sim::Next;
using sim::OpsState;
using sim::TaskId;
using sim::TaskInfo;
using trace::KernelEventType;

sim::SimOptions planned_on(u32 cpus, Plan plan) {
  sim::SimOptions options = machine_of(cpus);
  options.policy = &planned(std::move(plan));
  options.check_every = 1;
  return options;
}
Plan always(Verdict verdict) {
  return [verdict](Context&, TaskSlot) { return std::optional(verdict); };
}
Plan never() {
  return [](Context&, TaskSlot) { return std::optional<Verdict>(); };
}
/// A decision for each tid; those that are not named wait.
Plan by_tid(std::vector<std::pair<i32, Verdict>> verdicts) {
  return [verdicts = std::move(verdicts)](Context& context, TaskSlot slot) {
    for (const auto& [tid, verdict] : verdicts)
      if (context.task(slot).tid == tid) return std::optional(verdict);
    return std::optional<Verdict>();
  };
}
Machine& inside(Stage& stage) { return stage.kernel->machine(); }
sim::Task& task_of(Stage& stage, TaskId id) { return inside(stage).tasks[id]; }

// ---- the way of a wakeup ----

TEST(ExtTest, SelectTaskRqScx_AsksTheDispatcherOnlyWhereThereIsAChoice) {
  Stage stage(planned_on(2, always({})));
  stage.script.add(*stage.kernel, stage.script.periodic(100'000, 400'000), {.tid = 10, .allowed = only({1}), .cpu = 1});
  stage.script.add(*stage.kernel, stage.script.periodic(100'000, 400'000),
                   {.tid = 11, .migration_disabled = true, .cpu = 1});
  stage.run(20 * kNsPerMs);
  for (const auto& event : stage.of(KernelEventType::kSwitch))
    if (event.tid == 10 || event.tid == 11) {
      EXPECT_EQ(event.cpu, 1u);
    }
}

TEST(ExtTest, ScxDoEnqueueTask_MigrationDisabledAndExitingTasksDoNotNeedThePolicy) {
  Stage stage(planned_on(2, never()));
  const TaskId fixed =
      stage.script.add(*stage.kernel, stage.script.periodic(100'000, 400'000), {.migration_disabled = true, .cpu = 0});
  const TaskId leaving = stage.script.add(*stage.kernel, Script::once(100'000), {.migration_disabled = true, .cpu = 1});
  stage.run(kNsPerMs / 20);
  stage.kernel->set_migration_disabled(leaving, false);
  stage.run(50 * kNsPerMs);
  EXPECT_GT(stage.kernel->cpu_time(fixed), 8 * kNsPerMs);
  EXPECT_EQ(stage.kernel->counters().exits, 1u);
  // While it exits it is preempted and still gets back without a decision.
  EXPECT_EQ(stage.of(KernelEventType::kExit).size(), 1u);
}

TEST(ExtTest, ScxDoEnqueueTask_AKernelThreadOfOneCpuIsDispatchedDirectly) {
  Stage stage(planned_on(2, never()));
  const TaskId worker = stage.script.add(*stage.kernel, stage.script.periodic(50'000, 200'000),
                                         {.allowed = only({1}), .kernel_thread = true, .cpu = 1});
  stage.run(20 * kNsPerMs);
  EXPECT_GT(stage.kernel->cpu_time(worker), 3 * kNsPerMs);
  EXPECT_GT(stage.of(KernelEventType::kBypass).size(), 50u);
}

TEST(ExtTest, WakeUpNewTask_TheChildBeginsWhereItsParentIsAndIsIntroducedAsNew) {
  std::vector<u32> flags;
  Stage stage(planned_on(1, [&flags](Context& context, TaskSlot slot) {
    if (std::string_view(context.task(slot).comm) == "child") flags.push_back(context.task(slot).enqueue_flags);
    return std::optional<Verdict>(Verdict{});
  }));
  TaskId child = sim::kNoTaskId;
  stage.script.add(*stage.kernel, [&stage, &child, step = 0](sim::Kernel& kernel, TaskId id) mutable -> Action {
    if (step++ == 1) {
      TaskInfo info{.parent = id, .comm = {'c', 'h', 'i', 'l', 'd'}};
      child = stage.script.add(kernel, Script::serve(10'000), info);
    }
    return {Next::kRun, 100'000};
  });
  stage.run(5 * kNsPerMs);
  const auto forks = stage.of(KernelEventType::kFork);
  ASSERT_EQ(forks.size(), 1u);
  EXPECT_EQ(forks[0].tid, stage.tid(child));
  EXPECT_EQ(forks[0].b, forks[0].time_ns);  // its start time
  ASSERT_FALSE(flags.empty());
  EXPECT_TRUE(flags[0] & kEnqueueNew);
  EXPECT_GT(stage.kernel->cpu_time(child), 9'000u);
}

// ---- dispatch ----

TEST(ExtTest, DispatchOne_LocalQueueThenGlobalThenOpsDispatch) {
  Stage stage(planned_on(1, by_tid({{10, {.slice_ns = 5 * kNsPerMs, .vtime = 1'000}}, {13, {.vtime = 1}}})));
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 10});
  stage.run(kNsPerMs);
  std::vector<TaskId> held;
  for (const i32 tid : {11, 12, 13}) held.push_back(stage.script.add(*stage.kernel, Script::spin(), {.tid = tid}));
  stage.run(2 * kNsPerMs);  // 13 waits in the shared queue, 11 and 12 with the policy
  Machine& m = inside(stage);
  {
    const Here here(m);
    for (const auto& [id, dsq] : {std::pair{held[0], sim::kDsqGlobal}, {held[1], sim::kDsqLocal}}) {
      ASSERT_EQ(task_of(stage, id).ops_state, OpsState::kQueued);
      m.dispatch_enqueue(0, dsq, task_of(stage, id), kNsPerMs, 0, 0);
    }
  }
  stage.run(12 * kNsPerMs);
  std::vector<i32> order;
  for (const i32 tid : stage.order(0, 2 * kNsPerMs))
    if (tid >= 11 && std::ranges::find(order, tid) == order.end()) order.push_back(tid);
  EXPECT_EQ(order, (std::vector<i32>{12, 11, 13}));
}

TEST(ExtTest, DispatchOne_ATaskWithSliceLeftIsKept) {
  Stage stage(planned_on(1, always({.slice_ns = 10 * kNsPerMs})));
  const TaskId first = stage.script.add(*stage.kernel, Script::spin());
  const TaskId second = stage.script.add(*stage.kernel, Script::spin());
  stage.run(3 * kNsPerMs);
  Machine& m = inside(stage);
  const TaskId running = stage.kernel->running(0);
  ASSERT_NE(running, sim::kNoTaskId);
  const std::size_t switches = stage.of(KernelEventType::kSwitch).size();
  {
    const Here here(m);
    m.resched(0);
  }
  stage.run(3 * kNsPerMs + 200'000);
  EXPECT_EQ(stage.kernel->running(0), running);
  EXPECT_EQ(stage.of(KernelEventType::kSwitch).size(), switches);
  (void)first, (void)second;
}

TEST(ExtTest, DispatchOne_ComesBeforeThePreviousTaskIsQueuedAgain) {
  std::vector<i32> handed;
  Stage stage(planned_on(1, [&handed](Context& context, TaskSlot slot) {
    handed.push_back(context.task(slot).tid);
    return std::optional<Verdict>(Verdict{.slice_ns = 4 * kNsPerMs, .vtime = context.now_ns()});
  }));
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 10});
  stage.run(30 * kNsPerMs);
  // Alone, it is seen by ops.dispatch as `prev` and given another slice: never handed up again.
  EXPECT_EQ(handed, (std::vector<i32>{10}));
  const u32 kept = offsetof(wire_cpu_counters, kept) / sizeof(wire_u64);
  EXPECT_GE(stage.kernel->dispatcher_counter(kept), 4u);
  // With a rival in the queue the rival is chosen first; only then is the first one handed up.
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 11});
  stage.run(60 * kNsPerMs);
  for (std::size_t i = 2; i < handed.size(); ++i) EXPECT_NE(handed[i], handed[i - 1]);
  EXPECT_GT(handed.size(), 6u);
}

TEST(ExtTest, PutPrevTaskScx_WhenNothingElseIsToRunTheLastOneIsMarked) {
  Stage stage(planned_on(1, always({})));
  const TaskId id = stage.script.add(*stage.kernel, Script::spin());
  stage.run(3 * kNsPerMs);
  Machine& m = inside(stage);
  const Here here(m);
  task_of(stage, id).ts.scx.slice = 0;
  m.put_prev_task_ext(0, task_of(stage, id), true);
  ASSERT_GT(m.up.count(), 0u);
  EXPECT_TRUE(m.up.at(m.up.count() - 1).flags & WIRE_ENQ_LAST);
}

TEST(ExtTest, ConsumeDispatchQ_TakesTheFirstThatMayRunHere) {
  Stage stage(planned_on(2, [](Context& context, TaskSlot slot) {
    return std::optional<Verdict>(Verdict{.vtime = context.now_ns() * 2 + (context.task(slot).tid < 12 ? 0 : 1)});
  }));
  for (const i32 tid : {10, 11, 12, 13})  // the first in order may only run on CPU 1
    stage.script.add(*stage.kernel, Script::spin(), {.tid = tid, .allowed = tid < 12 ? only({1}) : only({0})});
  stage.run(200 * kNsPerMs);
  for (const auto& event : stage.of(KernelEventType::kSwitch))
    if (event.tid >= 10) {
      EXPECT_EQ(event.cpu, event.tid < 12 ? 1u : 0u);
    }
  for (TaskId id = 1; id <= 4; ++id) EXPECT_GT(stage.kernel->cpu_time(id), 40 * kNsPerMs);
}

TEST(ExtTest, ScxDispatchEnqueue_AQueueMixesNoVtimeAndFifo) {
  Stage stage(planned_on(1, never()));
  std::vector<TaskId> tasks;
  for (int i = 0; i < 2; ++i) tasks.push_back(stage.script.add(*stage.kernel, Script::spin()));
  stage.run(kNsPerMs);
  Machine& m = inside(stage);
  const Here here(m);
  const u64 shared = m.other_dsqs[0];
  m.dispatch_enqueue(0, shared, task_of(stage, tasks[0]), kNsPerMs, 5, sim::kEnqPriq);
  m.dispatch_enqueue(0, shared, task_of(stage, tasks[1]), kNsPerMs, 0, 0);
  ASSERT_TRUE(m.error.has_value());
  EXPECT_NE(m.error->what.find("PRIQ"), std::string::npos);
}

// ---- slices ----

TEST(ExtTest, TaskTickScx_ASliceRunsDownWithTimeAndEndsAtATick) {
  for (const u32 hz : {100u, 250u, 1000u}) {
    sim::SimOptions options = planned_on(1, always({.slice_ns = 3'500'000}));
    options.hz = hz;
    options.costs.bpf_decision = options.costs.step = 0;
    Stage stage(options);
    const TaskId task = stage.script.add(*stage.kernel, Script::spin(), {.tid = 10});
    stage.script.add(*stage.kernel, Script::spin(), {.tid = 11});
    stage.run(400 * kNsPerMs);
    const u64 tick = kNsPerSec / hz;
    for (const u64 ran : stage.runs(task)) EXPECT_LT(ran, 3'500'000 + tick + 20'000);
    std::size_t ends = 0, at_ticks = 0;  // at others the scheduler preempts it
    for (const auto& event : stage.of(KernelEventType::kSwitch, 50 * kNsPerMs)) {
      if (event.a != 10) continue;
      ++ends;
      if (event.time_ns % tick < 20'000) ++at_ticks;
    }
    EXPECT_GT(ends, 5u);
    EXPECT_GT(at_ticks * 10, ends * 8) << hz;
  }
}

TEST(ExtTest, YieldTaskScx_TheSliceIsGone) {
  Stage stage(planned_on(1, [](Context& context, TaskSlot) {
    return std::optional<Verdict>(Verdict{.slice_ns = 20 * kNsPerMs, .vtime = context.now_ns()});
  }));
  const TaskId yields = stage.script.add(*stage.kernel, [run = false](sim::Kernel&, TaskId) mutable -> Action {
    run = !run;
    return run ? Action{Next::kRun, 500'000} : Action{Next::kYield};
  });
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(500 * kNsPerMs);
  for (const u64 ran : stage.runs(yields)) EXPECT_LT(ran, 600'000u);
}

TEST(ExtTest, ReweightTaskScx_AWaitingTaskIsHandedUpAgainWithItsWeight) {
  std::vector<u32> weights;
  Stage stage(planned_on(1, [&weights](Context& context, TaskSlot slot) {
    if (context.task(slot).tid != 11) return std::optional<Verdict>(Verdict{});
    if (weights.empty() || weights.back() != context.task(slot).weight) weights.push_back(context.task(slot).weight);
    return std::optional<Verdict>();
  }));
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 10});
  const TaskId waits = stage.script.add(*stage.kernel, Script::spin(), {.tid = 11});
  stage.run(2 * kNsPerMs);
  stage.kernel->set_weight(waits, 300);
  stage.run(2'200 * kNsPerMs);  // until the scheduler has a reason to look
  EXPECT_EQ(weights, (std::vector<u32>{100, 300}));
}

// ---- kicks ----

TEST(ExtTest, KickCpusIrqWorkfn_AnIdleKickLeavesABusyCpuAloneAPreemptingOneDoesNot) {
  Stage stage(planned_on(1, always({.slice_ns = 50 * kNsPerMs})));
  stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(5 * kNsPerMs);
  Machine& m = inside(stage);
  const TaskId running = stage.kernel->running(0);
  const auto kick = [&](u64 flags) {
    const Here here(m);
    m.kick(0, flags);
    m.run_kicks();
  };
  kick(sim::kKickIdle);
  EXPECT_FALSE(m.cpus[0].need_resched);
  kick(0);
  EXPECT_TRUE(m.cpus[0].need_resched);
  stage.run(6 * kNsPerMs);
  EXPECT_EQ(stage.kernel->running(0), running);  // chosen again: it had slice left
  kick(sim::kKickPreempt);
  EXPECT_EQ(task_of(stage, running).ts.scx.slice, 0u);
  stage.run(7 * kNsPerMs);
  EXPECT_NE(stage.kernel->running(0), running);
}

TEST(ExtTest, ScxKickCpu_AnIdleCpuLooksForWork) {
  Stage stage(planned_on(2, [](Context& context, TaskSlot) {
    return std::optional<Verdict>(Verdict{.cpu = 1, .slice_ns = kNsPerMs, .vtime = context.now_ns()});
  }));
  const TaskId task = stage.script.add(*stage.kernel, stage.script.periodic(100'000, 900'000), {.cpu = 0});
  stage.run(50 * kNsPerMs);
  EXPECT_EQ(stage.kernel->cpu_of(task), 1u);
  for (const u64 wait : stage.latencies(task)) EXPECT_LT(wait, 100'000u);
}

// ---- affinity ----

TEST(ExtTest, SetCpusAllowedPtr_MovesRunningAndWaitingTasks) {
  Stage stage(planned_on(3, [](Context& context, TaskSlot) {
    return std::optional<Verdict>(Verdict{.slice_ns = 10 * kNsPerMs, .vtime = context.now_ns()});
  }));
  std::vector<TaskId> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(stage.script.add(*stage.kernel, Script::spin()));
  stage.run(20 * kNsPerMs);
  for (const TaskId task : tasks) stage.kernel->set_affinity(task, only({2}));
  stage.run(22 * kNsPerMs);
  for (u32 cpu = 0; cpu < 2; ++cpu) EXPECT_EQ(stage.kernel->running(cpu), sim::kNoTaskId) << cpu;
  stage.run(400 * kNsPerMs);
  for (const auto& event : stage.of(KernelEventType::kSwitch, 22 * kNsPerMs))
    if (event.tid > 2) {
      ASSERT_EQ(event.cpu, 2u);
    }
  for (const TaskId task : tasks) EXPECT_GT(stage.kernel->cpu_time(task), 40 * kNsPerMs);
}

// ---- what others take ----

TEST(ExtTest, UpdateRqClock_AnInterruptsTimeIsNotTheTasksWork) {
  Stage stage(planned_on(1, always({.slice_ns = kNsPerSec})));
  const TaskId task = stage.script.add(*stage.kernel, Script::once(10 * kNsPerMs));
  stage.kernel->steal(0, 5 * kNsPerMs, 3 * kNsPerMs, trace::kIrqHard, 42);
  stage.run(kNsPerSec);
  const auto exits = stage.of(KernelEventType::kExit);
  ASSERT_EQ(exits.size(), 1u);
  EXPECT_GT(exits[0].time_ns, 13 * kNsPerMs);
  EXPECT_LT(exits[0].time_ns, 14 * kNsPerMs);
  EXPECT_LT(exits[0].b, 11 * kNsPerMs);  // CPU time, net of the interrupt
  const auto irqs = stage.of(KernelEventType::kIrq);
  ASSERT_EQ(irqs.size(), 1u);
  EXPECT_EQ(irqs[0].a, 42u);
  EXPECT_EQ(irqs[0].b, 3 * kNsPerMs);
  (void)task;
}

TEST(ExtTest, DoExit_WhatIsLeftOfATaskThatExitsRunsWithoutThePolicy) {
  // The policy lets each run once for a short time and then forgets it.
  auto asked = std::make_shared<std::map<i32, u32>>();
  Stage stage(planned_on(1, [asked](Context& context, TaskSlot slot) {
    return (*asked)[context.task(slot).tid]++ == 0 ? std::optional<Verdict>(Verdict{.slice_ns = kNsPerMs})
                                                   : std::optional<Verdict>();
  }));
  const auto twice = [](bool exits) {
    return [exits, turn = 0](sim::Kernel& kernel, TaskId id) mutable {
      if (turn++ == 1 && exits) kernel.exit_begins(id);
      return turn <= 2 ? Action{Next::kRun, kNsPerMs * 9 / 10 * (turn == 1 ? 1 : 10)} : Action{Next::kExit};
    };
  };
  const TaskId stays = stage.script.add(*stage.kernel, twice(false));
  const TaskId goes = stage.script.add(*stage.kernel, twice(true));
  stage.run(300 * kNsPerMs);
  EXPECT_EQ(stage.kernel->counters().exits, 1u);
  EXPECT_GE(stage.kernel->cpu_time(goes), 9 * kNsPerMs);
  EXPECT_LT(stage.kernel->cpu_time(stays), 9 * kNsPerMs);
  const auto exits = stage.of(KernelEventType::kExit);
  ASSERT_EQ(exits.size(), 1u);  // at PF_EXITING, not at the end
  EXPECT_LT(exits[0].b, 2 * kNsPerMs);
}

TEST(ExtTest, HrtimerRunQueues_TimersOfOneInterruptComeOneAfterTheOther) {
  sim::SimOptions options = planned_on(1, always({.slice_ns = kNsPerSec}));
  options.costs.timer = 1'000;
  options.costs.wakeup = 2'000;
  options.costs.bpf_select_cpu = options.costs.bpf_enqueue = 0;
  Stage stage(options);
  stage.script.add(*stage.kernel, Script::spin());
  std::vector<TaskId> sleepers;
  for (int i = 0; i < 3; ++i)
    sleepers.push_back(stage.script.add(*stage.kernel, Script::serve(1'000), {.state = sim::TaskState::kBlocked}));
  const u64 at = 20 * kNsPerMs + kNsPerMs / 2;
  for (const TaskId id : sleepers)
    stage.script.at(*stage.kernel, at, [id](sim::Kernel& kernel) { kernel.wake(id, sim::WakeContext::kHardirq); }, 0);
  stage.run(30 * kNsPerMs);
  const auto wakes = stage.of(KernelEventType::kWaking, at);
  ASSERT_GE(wakes.size(), 3u);
  EXPECT_EQ(wakes[0].time_ns, at + 1'000);
  EXPECT_EQ(wakes[1].time_ns, at + 3'000);
  EXPECT_EQ(wakes[2].time_ns, at + 5'000);
  // Nobody is preempted before the interrupt is over, though the first wakeup asked for it.
  for (const auto& event : stage.of(KernelEventType::kSwitch, at)) EXPECT_GE(event.time_ns, at + 7'000);
}

TEST(ExtTest, PutPrevTaskScx_WhoMakesWayForAHigherClassGoesOnAfterwards) {
  Stage stage(planned_on(1, always({.slice_ns = 20 * kNsPerMs})));
  stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, Script::spin());
  stage.run(3 * kNsPerMs);
  const TaskId running = stage.kernel->running(0);
  stage.kernel->preempt(0, 4 * kNsPerMs, 2 * kNsPerMs, trace::kClassRt, 99);
  stage.run(5 * kNsPerMs);
  EXPECT_EQ(stage.kernel->running(0), sim::kNoTaskId);
  stage.run(7 * kNsPerMs);
  EXPECT_EQ(stage.kernel->running(0), running);
  EXPECT_LT(stage.kernel->cpu_time(running), 4'100'000u);
  const auto switches = stage.of(KernelEventType::kSwitch, 4 * kNsPerMs);
  ASSERT_GE(switches.size(), 2u);
  EXPECT_EQ(switches[0].tid, 99);
  EXPECT_EQ(switches[0].b >> 40 & 0xff, u64{trace::kClassRt});
  EXPECT_EQ(switches[1].tid, stage.tid(running));
}

TEST(ExtTest, HandleHotplug_ANewSessionBeginsAndNobodyIsLost) {
  Stage stage(planned_on(
      3, [](Context& context, TaskSlot) { return std::optional<Verdict>(Verdict{.vtime = context.now_ns()}); }));
  std::vector<TaskId> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(stage.script.add(*stage.kernel, Script::spin()));
  stage.kernel->set_online(2, false, 50 * kNsPerMs);
  stage.kernel->set_online(2, true, 150 * kNsPerMs);
  stage.run(51 * kNsPerMs);
  EXPECT_EQ(stage.kernel->running(2), sim::kNoTaskId);
  stage.run(400 * kNsPerMs);
  EXPECT_EQ(stage.kernel->counters().sessions, 3u);
  for (const auto& event : stage.of(KernelEventType::kSwitch))
    if (event.time_ns > 50'100'000 && event.time_ns < 150 * kNsPerMs) {
      ASSERT_NE(event.cpu, 2u);
    }
  EXPECT_NE(stage.kernel->running(2), sim::kNoTaskId);
  for (const TaskId task : tasks) EXPECT_GT(stage.kernel->cpu_time(task), 100 * kNsPerMs);
}

TEST(ExtTest, SelectTaskRq_BetweenTwoSessionsAWakeupStillBringsAnIdleCpuIn) {
  sim::SimOptions options = planned_on(
      3, [](Context& context, TaskSlot) { return std::optional<Verdict>(Verdict{.vtime = context.now_ns()}); });
  options.costs.restart = 100 * kNsPerMs;
  Stage stage(options);
  for (int i = 0; i < 4; ++i) stage.script.add(*stage.kernel, Script::spin());
  stage.script.add(*stage.kernel, stage.script.periodic(kNsPerMs / 2, 2 * kNsPerMs));
  stage.kernel->set_online(2, false, 50 * kNsPerMs);
  stage.kernel->set_online(2, true, 55 * kNsPerMs);
  stage.run(140 * kNsPerMs);
  EXPECT_EQ(stage.kernel->counters().sessions, 1u);
  EXPECT_FALSE(stage.order(2, 55 * kNsPerMs).empty()) << "nobody came to CPU 2";
  EXPECT_NE(stage.kernel->running(2), sim::kNoTaskId) << "and four want to run on three";
}

// ---- the dispatch buffer ----

TEST(ExtTest, FinishDispatch_WhatWasInsertedForAnOlderEnqueueIsDropped) {
  Stage stage(planned_on(1, never()));
  const TaskId id = stage.script.add(*stage.kernel, Script::spin());
  stage.run(kNsPerMs);
  Machine& m = inside(stage);
  const Here here(m);
  sim::Task& task = task_of(stage, id);
  ASSERT_EQ(task.ops_state, OpsState::kQueued);
  const u32 slots = dispatch_slots();
  dsq_insert_vtime(&task.ts, m.other_dsqs[0], kNsPerMs, 0, 0);
  EXPECT_EQ(dispatch_slots(), slots - 1);
  m.dequeue_task_ext(task, 2);
  m.enqueue_task_ext(task, sim::kEnqRestore);
  m.flush_dispatch_buffer();
  EXPECT_EQ(task.ops_state, OpsState::kQueued);
  EXPECT_EQ(task.dsq, sim::kNoDsq);
  EXPECT_EQ(dispatch_slots(), slots);
  dsq_insert_vtime(&task.ts, m.other_dsqs[0], kNsPerMs, 0, 0);
  m.flush_dispatch_buffer();
  EXPECT_EQ(task.dsq, 1u);  // behind the queue of CPU 0
}

TEST(ExtTest, ScxBpfDispatchCancel_TakesTheLastInsertionBack) {
  Stage stage(planned_on(1, never()));
  const TaskId id = stage.script.add(*stage.kernel, Script::spin());
  stage.run(kNsPerMs);
  Machine& m = inside(stage);
  const Here here(m);
  dsq_insert_vtime(&task_of(stage, id).ts, m.other_dsqs[0], kNsPerMs, 0, 0);
  dispatch_cancel();
  m.flush_dispatch_buffer();
  EXPECT_EQ(task_of(stage, id).ops_state, OpsState::kQueued);
}

TEST(ExtTest, ScxBpfDsqMoveToLocal_FlushesTheBufferFirst) {
  Stage stage(planned_on(1, by_tid({{10, {.slice_ns = 50 * kNsPerMs}}})));
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 10});
  const TaskId id = stage.script.add(*stage.kernel, Script::spin(), {.tid = 11});
  stage.run(kNsPerMs);
  Machine& m = inside(stage);
  const Here here(m);
  sim::Task& task = task_of(stage, id);
  m.cpus[0].in_dispatch = true;
  dsq_insert_vtime(&task.ts, m.other_dsqs[0], kNsPerMs, 0, 0);
  EXPECT_EQ(task.dsq, sim::kNoDsq);
  EXPECT_TRUE(dsq_move_to_local(m.other_dsqs[0]));
  EXPECT_EQ(m.cpus[0].local.count(), 1u);
  m.cpus[0].in_dispatch = false;
}

// ---- the watchdog ----

TEST(ExtTest, CheckRqForTimeouts_NamesTheStarvedTaskHowLongAndWhoHasIt) {
  sim::SimOptions options = planned_on(2, by_tid({{10, {}}, {11, {}}}));
  options.watchdog_ns = 2 * kNsPerSec;
  Stage stage(options);
  stage.script.add(*stage.kernel, stage.script.periodic(100'000, 300'000), {.tid = 10});
  stage.run(100 * kNsPerMs);
  stage.script.add(*stage.kernel, Script::spin(), {.tid = 77, .comm = {'v', 'i', 'c', 't', 'i', 'm'}});
  const auto done = stage.kernel->run_until(20 * kNsPerSec);
  ASSERT_FALSE(done.has_value());
  const Error& error = done.error();
  EXPECT_EQ(error.code, ExitCode::kExpectationFailed);
  EXPECT_NE(error.what.find("victim[77] failed to run for "), std::string::npos) << error.what;
  EXPECT_GT(stage.kernel->now(), 2'100 * kNsPerMs);
  EXPECT_LE(stage.kernel->now(), 3'101 * kNsPerMs);
  EXPECT_NE(error.where.find(std::to_string(stage.kernel->now())), std::string::npos);
  // The step that it was handed to, and where the time went since.
  const u32 step = task_of(stage, 2).handed_step;
  EXPECT_GT(step, 10u);
  EXPECT_LT(step, inside(stage).engine_steps);
  EXPECT_NE(error.hint.find("before step " + std::to_string(step)), std::string::npos) << error.hint;
  EXPECT_NE(error.hint.find("has not been dispatched since"), std::string::npos) << error.hint;
}

TEST(ExtTest, CheckRqForTimeouts_APolicyThatNeverDispatchesIsThrownOutInSimulatedTime) {
  sim::SimOptions options = planned_on(1, never());
  Stage stage(options);
  stage.script.add(*stage.kernel, Script::spin());
  const auto done = stage.kernel->run_until(60 * kNsPerSec);
  ASSERT_FALSE(done.has_value());
  EXPECT_GE(stage.kernel->now(), 5 * kNsPerSec);
  EXPECT_LE(stage.kernel->now(), 8 * kNsPerSec);
}

TEST(ExtTest, CheckRqForTimeouts_SaysInWhichQueueATaskStarves) {
  const auto hint_of = [](i32 cpu) {
    sim::SimOptions options = planned_on(2, by_tid({{11, {.cpu = cpu, .vtime = 1}}}));
    options.watchdog_ns = 500 * kNsPerMs;
    Stage stage(options);
    // CPUs that a higher class keeps for good take no task from any queue.
    for (u32 each = 0; each < 2; ++each) stage.kernel->preempt(each, kNsPerMs, 10 * kNsPerSec, trace::kClassRt, 99);
    stage.script.add(*stage.kernel, Script::serve(100'000), {.tid = 11, .cpu = 0});
    stage.run(500'000);
    Machine& m = inside(stage);
    const Here here(m);
    sim::Task& task = task_of(stage, 1);
    task.state = sim::RunState::kRunnable;
    task.runnable_at = 0;
    const u32 index = cpu >= 0 ? static_cast<u32>(cpu) : m.cpu_count();
    if (task.dsq == sim::kNoDsq) m.dsqs[index].insert(m.tasks, task.id, 0);
    return m.whereabouts(task);
  };
  EXPECT_EQ(hint_of(1), "waits in the queue of CPU 1");
  EXPECT_EQ(hint_of(kAnyCpu), "waits in the shared queue");
}

// ---- resources ----

TEST(ExtTest, AllocatesNothingPerEvent) {
  for (const char* policy : {"fifo", "vruntime"}) {
    Load load(3);
    auto kernel = sim::KernelModel::create(machine_of(4, policy), load);
    ASSERT_TRUE(kernel.has_value());
    load.groups(**kernel, 4, 5, 5'000);
    for (int i = 0; i < 20; ++i) load.sleeper(**kernel, 50'000, 400'000);
    ASSERT_TRUE((*kernel)->run_until(500 * kNsPerMs).has_value());
    const u64 before = allocations();
    ASSERT_TRUE((*kernel)->run_until(kNsPerSec).has_value());
    EXPECT_EQ(allocations(), before) << policy;
  }
}

}  // namespace
}  // namespace reprise::test
