// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/engine.h"

#include <gtest/gtest.h>

#include <cstring>

#include "scheduler/policies/table.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/events.h"
#include "tests/support/spy_policy.h"
#include "tests/support/wrong_policies.h"

namespace reprise {
namespace {

using test::enqueue;
using test::event;
using test::SpiedEngine;
using test::task_new;
using test::tid_of;
using Calls = std::vector<std::string>;

Event with_tid(Event made, i32 tid) {
  made.tid = tid;
  return made;
}

Event affinity(TaskSlot slot, u32 first_word, std::array<u64, 4> words, u32 allowed_cpus = 1) {
  Event made = event(EventType::kAffinity, slot);
  made.affinity.first_word = first_word;
  made.affinity.allowed_cpus = allowed_cpus;
  std::copy(words.begin(), words.end(), made.affinity.words);
  return made;
}

// ---- creation ----------------------------------------------------------------------------------------------------

TEST(EngineCreateTest, RefusesLimitsOutOfRange) {
  for (const Limits limits : {Limits{0, 1}, Limits{kMaxCpus + 1, 1}, Limits{1, 0}, Limits{1, kMaxTasks + 1}}) {
    const auto engine = Engine::create({.limits = limits}, test::kSpy, {});
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().code, ExitCode::kUsage);
    EXPECT_FALSE(engine.error().hint.empty());
  }
}

TEST(EngineCreateTest, NeedsLessThanAKibibytePerTask) {
  for (const PolicyInfo& info : policies()) {
    const auto engine = Engine::create({.limits = {kMaxCpus, 4096}}, info, Options(info.options));
    ASSERT_TRUE(engine);
    EXPECT_LT((*engine)->memory().size() / 4096, 1024u) << info.name;
  }
}

// ---- tasks -------------------------------------------------------------------------------------------------------

TEST(EngineTest, TellsThePolicyOfATasksLife) {
  SpiedEngine spied;
  EXPECT_EQ(spied.step({task_new(3), enqueue(3, 1)}), (Calls{"task_new 3", "enqueue 3"}));
  EXPECT_TRUE(spied.engine->task(3).held());
  EXPECT_EQ(spied.step({event(EventType::kDequeue, 3)}), (Calls{"dequeue 3"}));
  EXPECT_FALSE(spied.engine->task(3).held());
  EXPECT_EQ(spied.step({event(EventType::kWeight, 3)}), (Calls{"task_changed 3"}));
  EXPECT_EQ(spied.step({event(EventType::kTaskExit, 3)}), (Calls{"task_exit 3"}));
  EXPECT_FALSE(spied.engine->task(3).known());
  EXPECT_EQ(spied.engine->counters().enqueues, 1u);
  EXPECT_EQ(spied.engine->counters().dequeues, 1u);
}

TEST(EngineTest, KeepsWhatTheEventsSay) {
  SpiedEngine spied;
  Event born = task_new(2, 250, kTaskKernelThread, "kworker/0:1");
  born.time_ns = 77;
  born.task_new.parent_tid = 5;
  Event woken = enqueue(2, 9, 4000, kEnqueueWakeup | kEnqueueSync, 300);
  woken.time_ns = 900;
  woken.enqueue.started_ns = 100;
  woken.enqueue.stopped_ns = 200;
  woken.enqueue.prev_cpu = 3;
  woken.enqueue.waker = 7;
  woken.enqueue.allowed_cpus = 2;
  spied.step({born, woken});
  const Task& task = spied.engine->task(2);
  EXPECT_EQ(task.tid, tid_of(2));
  EXPECT_EQ(task.parent_tid, 5);
  EXPECT_EQ(task.known_since_ns, 77u);
  EXPECT_EQ(task.flags, kTaskKernelThread);
  EXPECT_STREQ(task.comm, "kworker/0:1");
  EXPECT_EQ(task.weight, 300u);
  EXPECT_EQ(task.generation, 9u);
  EXPECT_EQ(task.enqueue_flags, kEnqueueWakeup | kEnqueueSync);
  EXPECT_EQ(task.prev_cpu, 3);
  EXPECT_EQ(task.waker, 7u);
  EXPECT_EQ(task.allowed_cpus, 2u);
  EXPECT_EQ(task.enqueued_ns, 900u);
  EXPECT_EQ(task.slept_ns(), 700u);
  EXPECT_EQ(task.enqueues, 1u);
}

TEST(EngineTest, CpuTimeIsInExactlyOneDelta) {
  SpiedEngine spied;
  const Task& task = spied.engine->task(0);
  spied.step({task_new(0), enqueue(0, 1, 500)});
  EXPECT_EQ(task.exec_delta_ns, 500u) << "a new task: all that it ever ran";
  spied.step({enqueue(0, 2, 800)});
  EXPECT_EQ(task.exec_delta_ns, 300u);
  spied.step({enqueue(0, 3, 800)});
  EXPECT_EQ(task.exec_delta_ns, 0u) << "enqueued again without having run";
  spied.step({enqueue(0, 4, 700)});
  EXPECT_EQ(task.exec_delta_ns, 0u) << "going back is no time";
  EXPECT_EQ(task.exec_total_ns, 800u);
  spied.step({enqueue(0, 5, 900)});
  EXPECT_EQ(task.exec_delta_ns, 100u) << "and is not charged twice";
}

TEST(EngineTest, WhatRanBeforeAttachIsNotCharged) {
  SpiedEngine spied;
  spied.step({task_new(0, 100, kTaskAtAttach), enqueue(0, 1, kNsPerSec)});
  EXPECT_EQ(spied.engine->task(0).exec_delta_ns, 0u);
  spied.step({enqueue(0, 2, kNsPerSec + 5)});
  EXPECT_EQ(spied.engine->task(0).exec_delta_ns, 5u);
}

TEST(EngineTest, EnqueueWhileHeldDequeuesFirst) {
  SpiedEngine spied;
  spied.step({task_new(1), enqueue(1, 1)});
  EXPECT_EQ(spied.step({enqueue(1, 2)}), (Calls{"dequeue 1", "enqueue 1"}));
  EXPECT_EQ(spied.engine->counters().replaced, 1u);
  EXPECT_EQ(spied.engine->held(), 1u);
}

TEST(EngineTest, ASlotsNextUserEndsTheOneBefore) {
  SpiedEngine spied;
  spied.step({task_new(1), enqueue(1, 1)});
  EXPECT_EQ(spied.step({with_tid(task_new(1), 77)}), (Calls{"dequeue 1", "task_exit 1", "task_new 1"}));
  EXPECT_EQ(spied.engine->task(1).tid, 77);
  EXPECT_FALSE(spied.engine->task(1).held());
  EXPECT_EQ(spied.engine->task(1).enqueues, 0u);
  Event later = with_tid(task_new(1), 77);  // the same tid, used again
  later.task_new.start_time_ns = 2;
  EXPECT_EQ(spied.step({later}), (Calls{"task_exit 1", "task_new 1"}));
}

TEST(EngineTest, BeingToldOfATaskTwiceIsAChangeOnly) {
  SpiedEngine spied;
  spied.step({task_new(1), enqueue(1, 1, 500)});
  EXPECT_EQ(spied.step({task_new(1, 42)}), (Calls{"task_changed 1"}));
  EXPECT_TRUE(spied.engine->task(1).held());
  EXPECT_EQ(spied.engine->task(1).weight, 42u);
  EXPECT_EQ(spied.engine->task(1).exec_total_ns, 500u);
}

TEST(EngineTest, EventsForUnknownTasksAreCountedAndDropped) {
  SpiedEngine spied;
  EXPECT_EQ(spied.step({enqueue(1, 1), event(EventType::kDequeue, 1), event(EventType::kTaskExit, 1)}), Calls{});
  spied.step({task_new(1)});
  EXPECT_EQ(spied.step({with_tid(enqueue(1, 1), 5), with_tid(event(EventType::kTaskExit, 1), 5)}), Calls{});
  EXPECT_EQ(spied.engine->counters().stale_events, 5u);
  EXPECT_TRUE(spied.engine->task(1).known());
}

TEST(EngineTest, EventsOutOfRangeAreCountedAndDropped) {
  SpiedEngine spied({.cpus = 4, .max_tasks = 8}, test::kSpyOnRunning);
  spied.step({task_new(1)});
  Event bad_cpu = event(EventType::kRunning, 1);
  bad_cpu.cpu = 4;
  EXPECT_EQ(spied.step({task_new(8), event(EventType::kNone, 1), event(static_cast<EventType>(9), 1),
                        event(static_cast<EventType>(255), 1), affinity(1, 2, {}), affinity(1, 16, {}), bad_cpu}),
            Calls{});
  EXPECT_EQ(spied.engine->counters().invalid, 7u);
}

TEST(EngineTest, ValuesOutOfRangeAreMadeSafe) {
  SpiedEngine spied;
  Event bad = enqueue(1, 1, 0, kEnqueueWakeup, 0);
  bad.enqueue.prev_cpu = 4;
  bad.enqueue.waker = 8;
  spied.step({task_new(1, 0)});
  EXPECT_EQ(spied.engine->task(1).weight, kWeightMin);
  spied.step({bad});
  EXPECT_EQ(spied.engine->task(1).weight, kWeightMin);
  EXPECT_EQ(spied.engine->task(1).prev_cpu, kAnyCpu);
  EXPECT_EQ(spied.engine->task(1).waker, kNoTask);
  Event heavy = event(EventType::kWeight, 1);
  heavy.weight.weight = ~u32{0};
  spied.step({heavy});
  EXPECT_EQ(spied.engine->task(1).weight, kWeightMax);
}

TEST(EngineTest, RunningAndStoppingReachOnlyWhoAsksForThem) {
  const std::vector<Event> events = {task_new(1), event(EventType::kRunning, 1), event(EventType::kStopping, 1)};
  SpiedEngine plain;
  EXPECT_EQ(plain.step(events), (Calls{"task_new 1"}));
  SpiedEngine asking({.cpus = 4, .max_tasks = 8}, test::kSpyOnRunning);
  EXPECT_EQ(asking.step(events), (Calls{"task_new 1", "running 1", "stopping 1"}));
}

// ---- affinity ----------------------------------------------------------------------------------------------------

TEST(EngineTest, ANewTaskMayUseEachCpu) {
  for (const u32 cpus : {1u, 63u, 64u, 65u, 300u, kMaxCpus}) {
    SpiedEngine spied({.cpus = cpus, .max_tasks = 2});
    u32 allowed = 0;
    spied.spy->on_dispatch = [&](Context& context) {
      for (u32 cpu = 0; cpu < kMaxCpus + 64; ++cpu) allowed += context.allowed(1, cpu);
      EXPECT_FALSE(context.allowed(0, 0)) << "an unknown task";
      EXPECT_FALSE(context.allowed(2, 0)) << "no such slot";
    };
    spied.step({task_new(1)});
    EXPECT_EQ(allowed, cpus);
  }
}

TEST(EngineTest, NothingIsLeftOfATaskThatExits) {
  SpiedEngine spied;
  spied.step({task_new(1), enqueue(1, 1)});
  spied.spy->on_dispatch = [](Context& context) { EXPECT_FALSE(context.allowed(1, 0)); };
  spied.step({event(EventType::kTaskExit, 1)});
  EXPECT_EQ(std::memcmp(&spied.engine->task(1), &spied.engine->task(0), sizeof(Task)), 0);
}

TEST(EngineTest, WhatATaskRanBeforeItExitsIsChargedThen) {
  SpiedEngine spied;
  std::vector<u64> deltas;
  spied.spy->on_exit = [&](const Task& task) { deltas.push_back(task.exec_delta_ns); };
  Event exit = event(EventType::kTaskExit, 1);
  exit.task_exit.exec_total_ns = 130;
  spied.step({task_new(1), enqueue(1, 1), enqueue(1, 2, 100), exit});
  EXPECT_EQ(deltas, std::vector<u64>{30});
  spied.step({task_new(1), enqueue(1, 1, 100), event(EventType::kTaskExit, 1)});
  EXPECT_EQ(deltas.back(), 0u) << "an older trace does not say";
}

TEST(EngineTest, AffinityComesInPartsOf256Cpus) {
  SpiedEngine spied({.cpus = 300, .max_tasks = 2});
  std::vector<u32> allowed;
  spied.spy->on_dispatch = [&](Context& context) {
    allowed.clear();
    for (u32 cpu = 0; cpu < kMaxCpus; ++cpu)
      if (context.allowed(1, cpu)) allowed.push_back(cpu);
  };
  const u64 all = ~u64{0};
  EXPECT_EQ(spied.step({task_new(1), affinity(1, 0, {2, 0, 0, u64{1} << 63}), affinity(1, 4, {all, all, all, all}, 46),
                        affinity(1, 8, {all, all, all, all}, 46)}),
            (Calls{"task_new 1", "task_changed 1", "task_changed 1", "task_changed 1"}));
  ASSERT_EQ(allowed.size(), 46u) << "CPUs that do not exist are left out";
  EXPECT_EQ(allowed[0], 1u);
  EXPECT_EQ(allowed[1], 255u);
  EXPECT_EQ(allowed[2], 256u);
  EXPECT_EQ(allowed[45], 299u);
  EXPECT_EQ(spied.engine->task(1).allowed_cpus, 46u);
  spied.step({event(EventType::kTaskExit, 1), task_new(1)});
  EXPECT_EQ(allowed.size(), 300u) << "the slot's next user starts anew";
}

// ---- what a policy sees and does ---------------------------------------------------------------------------------

TEST(EngineTest, ContextShowsTheInput) {
  SpiedEngine spied({.cpus = 70, .max_tasks = 8});
  const u64 idle[] = {0b101, ~u64{0}};
  spied.input.idle = idle;
  spied.input.flags = kStepFallback;
  spied.input.room = 3;
  spied.spy->on_dispatch = [&](Context& context) {
    EXPECT_EQ(context.now_ns(), 1000u);
    EXPECT_EQ(context.cpus(), 70u);
    EXPECT_EQ(context.idle_cpus(), 2u + 6u) << "only CPUs that exist";
    EXPECT_TRUE(context.idle(0) && !context.idle(1) && context.idle(2) && context.idle(69) && !context.idle(70));
    EXPECT_TRUE(context.fallback());
    EXPECT_EQ(context.room(), 3u);
  };
  spied.step({});
  spied.input.idle = {};
  spied.spy->on_dispatch = [&](Context& context) {
    EXPECT_EQ(context.idle_cpus(), 0u);
    EXPECT_FALSE(context.idle(0));
  };
  spied.step({});
}

TEST(EngineTest, TimeNeverGoesBack) {
  SpiedEngine spied;
  u64 seen = 0;
  spied.spy->on_dispatch = [&](Context& context) { seen = context.now_ns(); };
  spied.step({});
  spied.input.now_ns = 10;
  spied.step({});
  EXPECT_EQ(seen, 1000u);
}

TEST(EngineTest, ADecisionCarriesTheEnqueuesGeneration) {
  SpiedEngine spied;
  spied.spy->on_dispatch = [](Context& context) {
    EXPECT_TRUE(context.dispatch(1, 2, 3000, 44, kDecisionIdle));
    EXPECT_FALSE(context.task(1).held());
  };
  spied.step({task_new(1), enqueue(1, 17)});
  ASSERT_TRUE(spied.result);
  ASSERT_EQ(spied.output.decisions().size(), 1u);
  EXPECT_EQ(spied.output.decisions()[0], (Decision{1, 17, 2, kDecisionIdle, 3000, 44}));
  EXPECT_FALSE(spied.output.more);
  EXPECT_EQ(spied.engine->counters().decisions, 1u);
}

TEST(EngineTest, NoDecisionBeyondTheRoom) {
  SpiedEngine spied;
  u32 done = 0;
  spied.spy->on_dispatch = [&](Context& context) {
    for (TaskSlot slot = 0; slot < 3; ++slot)
      if (context.task(slot).held()) done += context.dispatch(slot, kAnyCpu, 1, 1);
  };
  spied.input.room = 2;
  spied.step({task_new(0), task_new(1), task_new(2), enqueue(0, 1), enqueue(1, 1), enqueue(2, 1)});
  EXPECT_EQ(done, 2u);
  EXPECT_TRUE(spied.output.more);
  spied.input.room = 0;
  spied.step({});
  EXPECT_EQ(done, 2u);
  EXPECT_TRUE(spied.output.more);
  spied.input.room = ~u32{0};
  spied.step({});
  EXPECT_EQ(done, 3u);
  EXPECT_FALSE(spied.output.more);
}

TEST(EngineTest, RoomIsNeverMoreThanAStepHolds) {
  SpiedEngine spied;
  spied.input.room = ~u32{0};
  spied.spy->on_dispatch = [](Context& context) { EXPECT_EQ(context.room(), kMaxDecisionsPerStep); };
  spied.step({});
}

TEST(EngineTest, HoldingATaskBackIsNoWantOfRoom) {
  SpiedEngine spied;
  spied.step({task_new(0), enqueue(0, 1)});
  EXPECT_FALSE(spied.output.more);
}

TEST(EngineTest, PreemptsAreBounded) {
  SpiedEngine spied;
  spied.spy->on_dispatch = [](Context& context) {
    for (u32 i = 0; i < kMaxPreemptsPerStep; ++i) EXPECT_TRUE(context.preempt(i % 4));
    EXPECT_FALSE(context.preempt(0));
  };
  spied.step({});
  ASSERT_TRUE(spied.result);
  ASSERT_EQ(spied.output.preempts().size(), kMaxPreemptsPerStep);
  EXPECT_EQ(spied.output.preempts()[3], 3);
}

TEST(EngineTest, EarliestWishWinsAndLastsUntilItsTime) {
  SpiedEngine spied;
  spied.spy->on_dispatch = [](Context& context) {
    if (context.now_ns() > 1000) return;
    context.wake_at(5000);
    context.wake_at(2000);
    context.wake_at(3000);
  };
  EXPECT_EQ(spied.step({}), Calls{});
  EXPECT_EQ(spied.output.wake_at_ns, 2000u);
  spied.input.now_ns = 1999;
  EXPECT_EQ(spied.step({}), Calls{});
  EXPECT_EQ(spied.output.wake_at_ns, 2000u);
  spied.input.now_ns = 2000;
  spied.spy->on_timer = [](Context& context) { context.wake_at(9000); };
  EXPECT_EQ(spied.step({}), Calls{"timer"});
  EXPECT_EQ(spied.output.wake_at_ns, 9000u);
  spied.spy->on_timer = nullptr;
  spied.input.now_ns = 10'000;
  EXPECT_EQ(spied.step({}), Calls{"timer"});
  EXPECT_EQ(spied.output.wake_at_ns, 0u);
  EXPECT_EQ(spied.step({}), Calls{});
}

TEST(EngineTest, RandomNumbersAreTheEnginesOwnAndFollowTheSeed) {
  std::vector<u64> drawn;
  for (int i = 0; i < 2; ++i) {
    SpiedEngine spied;
    spied.spy->on_dispatch = [&](Context& context) { drawn.push_back(context.random()); };
    spied.step({});
    spied.step({});
  }
  EXPECT_EQ(drawn[0], drawn[2]);
  EXPECT_EQ(drawn[1], drawn[3]);
  EXPECT_NE(drawn[0], drawn[1]);
}

// ---- errors ------------------------------------------------------------------------------------------------------

TEST(EngineTest, RefusesStepsOutOfOrder) {
  SpiedEngine spied;
  spied.step({});
  spied.input.number = 2;
  spied.step({});
  ASSERT_FALSE(spied.result);
  EXPECT_EQ(spied.result.error().code, ExitCode::kBadInput);
}

TEST(EngineTest, RefusesTooManyEvents) {
  SpiedEngine spied;
  spied.step(std::vector<Event>(kMaxEventsPerStep, task_new(0)));
  EXPECT_TRUE(spied.result);
  spied.step(std::vector<Event>(kMaxEventsPerStep + 1, task_new(0)));
  ASSERT_FALSE(spied.result);
  EXPECT_EQ(spied.result.error().code, ExitCode::kBadInput);
}

struct BreachCase {
  std::string_view policy;
  std::string_view says;
};
class EngineBreachTest : public testing::TestWithParam<BreachCase> {};

TEST_P(EngineBreachTest, EndsWithAnErrorThatNamesPolicyTaskAndStep) {
  const PolicyInfo& info = test::wrong_policy(GetParam().policy);
  const Expected<Options> options = Options::parse(info.options, "after=2");
  auto engine = Engine::create({.limits = {2, 8}}, info, *options);
  ASSERT_TRUE(engine);
  StepOutput output;
  const std::vector<Event> first = {task_new(3, 100, 0, "innocent"), task_new(2, 100, 0, "bystander"), enqueue(3, 1)};
  ASSERT_TRUE((*engine)->step({.number = 1, .events = first, .room = 8}, output));
  EXPECT_EQ(output.decision_count, 1u);
  const std::vector<Event> second = {enqueue(3, 2)};
  const Expected<void> result = (*engine)->step({.number = 2, .events = second, .room = 8}, output);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ExitCode::kExpectationFailed);
  EXPECT_EQ(result.error().what, "policy '" + std::string(info.name) + "' " + std::string(GetParam().says));
  EXPECT_EQ(result.error().where, "step 2");
}

INSTANTIATE_TEST_SUITE_P(
    All, EngineBreachTest,
    testing::Values(BreachCase{"not_held", "dispatches a task that it does not hold: task 1002 'bystander', slot 2"},
                    BreachCase{"twice", "dispatches a task twice: task 1003 'innocent', slot 3"},
                    BreachCase{"no_such_task", "dispatches slot 4294967295, which does not exist"},
                    BreachCase{"cpu_range", "dispatches to CPU 2 of 2: task 1003 'innocent', slot 3"},
                    BreachCase{"cpu_negative", "dispatches to CPU -2 of 2: task 1003 'innocent', slot 3"},
                    BreachCase{"slice_zero", "dispatches with a slice of 0: task 1003 'innocent', slot 3"},
                    BreachCase{"unknown_flags",
                               "dispatches with unknown flags 2147483648: task 1003 'innocent', slot 3"},
                    BreachCase{"preempt_any", "preempts without naming a CPU: task 1003 'innocent', slot 3"},
                    BreachCase{"preempt_range", "preempts CPU 2 of 2"}),
    [](const auto& test) { return std::string(test.param.policy); });

TEST(EngineBreachTest, EachWrongPolicyIsCovered) { EXPECT_EQ(test::wrong_policies().size(), 9u); }

// ---- no allocation -----------------------------------------------------------------------------------------------

TEST(EngineTest, AllocatesNothingAfterCreation) {
  const Limits limits{4, 64};
  for (const PolicyInfo& info : policies()) {
    auto engine = Engine::create({.limits = limits}, info, Options(info.options));
    ASSERT_TRUE(engine);
    Prng random = Prng::seeded(5);
    StepOutput output;
    std::array<Event, 16> events;
    std::vector<std::byte> snapshot;
    snapshot.reserve((*engine)->memory().size() + 4096);
    const u64 before = test::allocations();
    for (u64 number = 1; number <= 20'000; ++number) {
      for (Event& made : events) made = test::arbitrary_event(random, limits);
      const StepInput input{
          .number = number, .now_ns = number * 1000, .events = events, .room = static_cast<u32>(random.below(20))};
      REPRISE_CHECK((*engine)->step(input, output).has_value());
    }
    (*engine)->snapshot(snapshot);
    EXPECT_EQ(test::allocations(), before) << info.name;
    EXPECT_GT((*engine)->counters().decisions, 1000u) << info.name;
  }
}

}  // namespace
}  // namespace reprise
