// SPDX-License-Identifier: GPL-2.0-only
// The dispatcher, compiled natively from the source that is loaded into the kernel, against a small host.
#include <gtest/gtest.h>

#include "tests/dispatcher/host.h"

namespace reprise::test {
namespace {

constexpr u64 kAll = ~0ull;

const wire_event& last_enqueue(const DispatcherHost& host) {
  for (auto event = host.events.rbegin(); event != host.events.rend(); ++event)
    if (event->type == WIRE_ENQUEUE) return *event;
  ADD_FAILURE() << "nothing was handed up";
  return host.events.front();
}

// The task wakes and is handed up; its decision waits to be taken over by the next dispatch.
void wake_and_decide(DispatcherHost& host, task_struct& task, s32 cpu) {
  host.wake(task);
  const wire_event event = last_enqueue(host);
  host.decide(event.task, event.generation, cpu);
  host.events.clear();
}

const wire_cpu_counters& counters(const DispatcherHost& host) { return host.state.counters_value[0]; }

TEST(DispatcherTest, IntroducesATaskBeforeItsFirstEnqueueAndOnlyThen) {
  DispatcherHost host(4);
  task_struct& task = host.add_task(10, 0b0011);
  host.wake(task);
  ASSERT_EQ(host.events.size(), 3u);
  EXPECT_EQ(host.events[0].type, WIRE_TASK_NEW);
  EXPECT_EQ(host.events[1].type, WIRE_AFFINITY);
  EXPECT_EQ(host.events[1].affinity.words[0], 0b0011u);
  EXPECT_EQ(host.events[2].type, WIRE_ENQUEUE);
  host.dequeue(task);
  host.wake(task);
  EXPECT_EQ(host.events.size(), 5u);  // dequeue, enqueue
}

TEST(DispatcherTest, CarriesADecisionOut) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  const wire_event event = last_enqueue(host);
  EXPECT_EQ(host.state.shared_value.unanswered, 1u);
  host.decide(event.task, event.generation, WIRE_ANY_CPU, 7);
  host.events.clear();
  host.dispatch(0);
  EXPECT_EQ(host.queues[1ull << 62].size(), 1u);  // went through the shared queue to CPU 0
  EXPECT_EQ(counters(host).inserted, 1u);
  EXPECT_EQ(host.state.shared_value.unanswered, 0u);
  EXPECT_EQ(host.state.shared_value.vtime_max, 7u);
}

TEST(DispatcherTest, CancelsADecisionForAnOlderEnqueue) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  const wire_event old = last_enqueue(host);
  host.dequeue(task);
  host.wake(task);
  host.decide(old.task, old.generation, WIRE_ANY_CPU);
  host.events.clear();
  host.dispatch(0);
  EXPECT_EQ(counters(host).cancelled, 1u);
  EXPECT_TRUE(host.queues[kShared].empty());
  EXPECT_EQ(host.state.shared_value.unanswered, 1u);  // the new one still waits for its own answer
}

TEST(DispatcherTest, SendsATaskThatMayNotRunOnTheNamedCpuToTheSharedQueue) {
  DispatcherHost host(4);
  task_struct& task = host.add_task(10, 0b0010);
  wake_and_decide(host, task, 3);
  host.dispatch(0);
  EXPECT_EQ(counters(host).bounced, 1u);
  EXPECT_EQ(host.queues[kShared].size(), 1u);
  EXPECT_TRUE(host.queues[3].empty());
}

TEST(DispatcherTest, ResolvesIdleWhileCarryingOut) {
  DispatcherHost host(4);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  const wire_event event = last_enqueue(host);
  host.idle = 0b0100;
  host.state.shared_value.idle[0] = host.idle;
  host.kicks.clear();
  host.decide(event.task, event.generation, 1, 1, WIRE_DISPATCH_IDLE);
  host.events.clear();
  host.dispatch(0);
  EXPECT_EQ(host.queues[2].size(), 1u);  // CPU 1 is busy, CPU 2 is idle
  ASSERT_EQ(host.kicks.size(), 1u);
  EXPECT_EQ(host.kicks[0].first, 2);
}

TEST(DispatcherTest, KicksAnIdleCpuThatItClaimedForADecisionThatThenFails) {
  DispatcherHost host(4);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  const wire_event event = last_enqueue(host);
  host.idle = 0b0010;
  host.state.shared_value.idle[0] = host.idle;
  host.decide(event.task, event.generation, WIRE_ANY_CPU, 1, 0, 0);  // no slice: malformed
  host.kicks.clear();
  host.events.clear();
  host.dispatch(0);
  EXPECT_EQ(counters(host).failed, 1u);
  EXPECT_TRUE(host.idle == 0b0010 || !host.kicks.empty());
}

TEST(DispatcherTest, DecidesItselfWhenTheRingIsFullAndLosesNothing) {
  DispatcherHost host(2);
  host.events_room = 0;
  task_struct& task = host.add_task(10, kAll);
  host.state.shared_value.vtime_max = 500;
  host.wake(task);
  EXPECT_EQ(counters(host).congested, 1u);
  ASSERT_EQ(host.queues[kShared].size(), 1u);
  EXPECT_EQ(host.queues[kShared][0].vtime, 500u);  // at the tail, not at 0 where it would starve the others
  host.events_room = 1000;
  host.run(task);
  host.wake(task);
  EXPECT_EQ(host.events[0].type, WIRE_TASK_NEW) << "what was not told is told later";
}

TEST(DispatcherTest, RunsTasksHandedUpWhenUserSpaceStopsAnswering) {
  DispatcherHost host(2);
  std::vector<task_struct*> tasks;
  for (int tid = 10; tid < 30; ++tid) {
    tasks.push_back(&host.add_task(tid, kAll));
    host.wake(*tasks.back());
  }
  const wire_event first = host.events[1];
  for (int beat = 0; beat < 5; ++beat) {
    host.now += 60'000'000;
    reprise_dispatcher.heartbeat_expired();
  }
  EXPECT_EQ(host.state.shared_value.fallback, 1u);
  for (int turn = 0; turn < 40; ++turn) host.dispatch(turn % 2);
  EXPECT_EQ(counters(host).recovered + host.state.counters_value[1].recovered, 20u);
  EXPECT_EQ(host.state.shared_value.unanswered, 0u);
  // The late answer is cancelled, and an answering scheduler ends the fallback.
  host.decide(first.task, first.generation, WIRE_ANY_CPU);
  host.current_cpu = 0;
  host.dispatch(0);
  EXPECT_EQ(counters(host).cancelled, 1u);
  ++host.state.shared_value.beat;
  reprise_dispatcher.heartbeat_expired();
  EXPECT_EQ(host.state.shared_value.fallback, 0u);
}

TEST(DispatcherTest, WakesIdleCpusForTheTasksThatItRunsItself) {
  DispatcherHost host(4);
  for (int tid = 10; tid < 13; ++tid) host.wake(host.add_task(tid, kAll));
  for (int beat = 0; beat < 5; ++beat) {
    host.now += 60'000'000;
    reprise_dispatcher.heartbeat_expired();
  }
  ASSERT_EQ(host.state.shared_value.fallback, 1u);
  host.idle = host.state.shared_value.idle[0] = 0b1100;
  host.kicks.clear();
  host.dispatch(0);
  ASSERT_EQ(host.kicks.size(), 2u) << "CPU 0 takes one of the three";
  EXPECT_EQ(host.kicks[0].first + host.kicks[1].first, 2 + 3);
}

TEST(DispatcherTest, DoesNotTakeOverFromASchedulerThatMoves) {
  DispatcherHost host(2);
  host.wake(host.add_task(10, kAll));
  for (int beat = 0; beat < 20; ++beat) {
    host.now += 50'000'000;
    ++host.state.shared_value.beat;
    reprise_dispatcher.heartbeat_expired();
  }
  EXPECT_EQ(host.state.shared_value.fallback, 0u);
}

TEST(DispatcherTest, InsertsAgainWhatTheKernelDropped) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  wake_and_decide(host, task, 1);
  host.drop_insertions = true;
  host.dispatch(0);
  host.drop_insertions = false;
  EXPECT_TRUE(host.queues[1].empty());
  host.now += 3'000'000'000;
  ++host.state.shared_value.beat;
  reprise_dispatcher.heartbeat_expired();
  host.dispatch(0);
  EXPECT_EQ(counters(host).reinserted, 1u);
  EXPECT_EQ(host.queues[1ull << 62].size(), 1u);
}

TEST(DispatcherTest, GivesTheSharedQueueATurnAfterFourPinnedTasks) {
  DispatcherHost host(2);
  for (int tid = 10; tid < 20; ++tid) {
    task_struct& task = host.add_task(tid, kAll);
    host.wake(task);
    const wire_event event = last_enqueue(host);
    host.decide(event.task, event.generation, tid == 19 ? WIRE_ANY_CPU : 0, static_cast<u64>(tid));
  }
  host.events.clear();
  for (int turn = 0; turn < 5; ++turn) host.dispatch(0);
  const auto& local = host.queues[1ull << 62];
  ASSERT_EQ(local.size(), 5u);
  EXPECT_EQ(local[4].task->pid, 19);
}

TEST(DispatcherTest, RunsTheSchedulerOnlyWhenWorkIsPending) {
  DispatcherHost host(2);
  task_struct& scheduler = *host.tasks.at(1);
  host.wake(scheduler);
  host.dispatch(0);
  EXPECT_EQ(host.queues[kScheduler].size(), 1u);
  host.wake(host.add_task(10, kAll));
  host.dispatch(0);
  EXPECT_TRUE(host.queues[kScheduler].empty());
}

TEST(DispatcherTest, PreemptsOnceForAWakeupWhenNoCpuIsIdle) {
  DispatcherHost host(2);
  host.kicks.clear();
  host.wake(host.add_task(10, kAll));
  host.wake(host.add_task(11, kAll));
  ASSERT_EQ(host.kicks.size(), 1u);
  EXPECT_EQ(host.kicks[0].second, host.state.config_value.kernel.kick_preempt);
}

TEST(DispatcherTest, PreemptsAgainWithinTheIntervalOnlyWhereNothingElseWaits) {
  DispatcherHost host(2);
  host.state.config_value.kick_interval_us = 200;
  const auto scheduler_runs = [&] { host.state.own_value.kicked = 0; };
  host.now = 1'000'000'000;
  host.wake(host.add_task(10, kAll));
  const wire_event first = last_enqueue(host);
  scheduler_runs();
  host.kicks.clear();
  host.now += 50'000;
  host.wake(host.add_task(11, kAll));
  EXPECT_EQ(host.kicks.size(), 1u) << "no task is queued: the CPU would soon run out of work";
  scheduler_runs();
  host.decide(first.task, first.generation, WIRE_ANY_CPU);
  reprise_dispatcher.carry_out(&host.messages.front());
  host.messages.pop_front();
  host.flush();
  ASSERT_EQ(host.queues[kShared].size(), 1u);
  host.kicks.clear();
  host.wake(host.add_task(12, kAll));
  host.wake(host.add_task(13, kAll));
  EXPECT_TRUE(host.kicks.empty());
  EXPECT_EQ(host.timers.at(TIMER_KICK), 200'000u);
  host.now += 200'000;
  reprise_dispatcher.kick_expired();
  ASSERT_EQ(host.kicks.size(), 1u);
  EXPECT_EQ(host.kicks[0].second, host.state.config_value.kernel.kick_preempt);
  scheduler_runs();
  host.now += 200'000;
  host.wake(host.add_task(14, kAll));
  EXPECT_EQ(host.kicks.size(), 2u) << "the interval is over";
}

TEST(DispatcherTest, OthersTakeTheTasksOfACpuThatDoesNotDispatchAnyMore) {
  DispatcherHost host(4);
  const auto decide_for = [&](int tid, s32 cpu) {
    host.wake(host.add_task(tid, kAll));
    const wire_event event = last_enqueue(host);
    host.decide(event.task, event.generation, cpu);
    reprise_dispatcher.carry_out(&host.messages.front());
    host.messages.pop_front();
    host.flush();
  };
  host.idle = host.state.shared_value.idle[0] = 0b0010;
  decide_for(10, 1);
  host.events.clear();
  reprise_dispatcher.heartbeat_expired();
  host.dispatch(0);
  EXPECT_EQ(host.queues[1].size(), 1u) << "it may be on its way";
  reprise_dispatcher.heartbeat_expired();
  host.state.shared_value.asked = 0;
  host.dispatch(0);
  EXPECT_TRUE(host.queues[1].empty());
  EXPECT_EQ(counters(host).rescued, 1u);
  decide_for(11, 1);
  EXPECT_TRUE(host.queues[1].empty()) << "nothing more is sent there";
  EXPECT_EQ(counters(host).bounced, 1u);
  host.events.clear();
  host.state.shared_value.asked = 0;
  host.dispatch(1);
  decide_for(12, 1);
  EXPECT_EQ(host.queues[1].size(), 1u) << "it dispatches again";
}

TEST(DispatcherTest, BypassesKernelThreadsBoundToACpu) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, 0b01);
  task.flags |= PF_KTHREAD;
  host.wake(task);
  EXPECT_TRUE(host.events.empty());
  EXPECT_EQ(counters(host).kernel_threads, 1u);
  task_struct& unbound = host.add_task(11, kAll);
  unbound.flags |= PF_KTHREAD;
  host.wake(unbound);
  EXPECT_FALSE(host.events.empty()) << "not all kernel threads";
}

TEST(DispatcherTest, SchedulesTasksItselfWhenTheTableIsFull) {
  DispatcherHost host(2, 2);  // the scheduler's own thread has one slot
  host.wake(host.add_task(10, kAll));
  host.wake(host.add_task(11, kAll));
  EXPECT_EQ(counters(host).no_slot, 1u);
  EXPECT_EQ(host.queues[kShared].size(), 1u);
}

TEST(DispatcherTest, UsesASlotAgainWithAnotherGeneration) {
  DispatcherHost host(2);
  host.wake(host.add_task(10, kAll));
  const wire_event old = last_enqueue(host);
  host.dequeue(*host.tasks.at(10));
  host.remove_task(10);
  EXPECT_EQ(host.events.back().type, WIRE_TASK_EXIT);
  host.wake(host.add_task(11, kAll));
  const wire_event fresh = last_enqueue(host);
  EXPECT_EQ(fresh.task, old.task);
  EXPECT_GT(fresh.generation, old.generation);
  host.decide(old.task, old.generation, WIRE_ANY_CPU);
  host.events.clear();
  host.dispatch(0);
  EXPECT_EQ(counters(host).cancelled, 1u);
}

TEST(DispatcherTest, LooksOnceMoreWhenACpuGoesIdle) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  wake_and_decide(host, task, 1);
  host.kicks.clear();
  reprise_dispatcher.update_idle(1, true);  // a decision waits to be taken over
  ASSERT_EQ(host.kicks.size(), 1u);
  EXPECT_EQ(host.kicks[0].first, 1);
}

TEST(DispatcherTest, SendsNothingToACpuThatIsOffline) {
  DispatcherHost host(4, 64, 0b1000);
  task_struct& task = host.add_task(10, kAll);  // a mask may name CPUs that are not there
  wake_and_decide(host, task, 3);
  host.dispatch(0);
  EXPECT_TRUE(host.queues[3].empty()) << "nobody would ever take it from there";
  EXPECT_EQ(counters(host).bounced, 1u);
  EXPECT_EQ(host.queues[1ull << 62].size(), 1u);
}

TEST(DispatcherTest, AnInsertionThatTheKernelRefusesCancelsNobodyElses) {
  DispatcherHost host(2);
  task_struct& kept = host.add_task(10, kAll);
  task_struct& gone = host.add_task(11, kAll);  // has left the class, and ops.dequeue is on its way
  host.wake(kept);
  host.wake(gone);
  const wire_event second = last_enqueue(host);
  host.decide(host.events[1].task, host.events[1].generation, 1, 5);
  host.decide(second.task, second.generation, 1, 6);
  int insertions = 0;
  host.on_insert = [&] {
    host.refuse_insertions = ++insertions == 2;
    if (insertions == 2) host.dequeue(gone);
  };
  host.events.clear();
  host.dispatch(0);
  ASSERT_EQ(host.queues[1].size(), 1u);
  EXPECT_EQ(host.queues[1][0].task, &kept);
  EXPECT_EQ(counters(host).failed, 1u);
}

TEST(DispatcherTest, ATaskHandedUpAgainWhileItsOldAnswerIsInsertedWaitsForItsNewOne) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  const wire_event old = last_enqueue(host);
  host.decide(old.task, old.generation, 1);
  host.on_insert = [&] {
    host.on_insert = nullptr;
    host.dequeue(task);
    host.wake(task);
  };
  host.dispatch(0);
  EXPECT_EQ(counters(host).cancelled, 1u);
  EXPECT_EQ(host.state.shared_value.unanswered, 1u);
  const wire_event fresh = last_enqueue(host);
  host.decide(fresh.task, fresh.generation, 1);
  host.dispatch(0);
  EXPECT_EQ(host.queues[1].size(), 1u);
  EXPECT_EQ(host.state.shared_value.unanswered, 0u);
}

TEST(DispatcherTest, LeavesAloneWhatWaitsInAQueueForLong) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  wake_and_decide(host, task, 1);
  host.dispatch(0);
  ASSERT_EQ(host.queues[1].size(), 1u);
  int insertions = 0;
  host.on_insert = [&] { ++insertions; };
  host.now += 3'000'000'000;
  ++host.state.shared_value.beat;
  reprise_dispatcher.heartbeat_expired();
  host.dispatch(0);
  EXPECT_EQ(insertions, 0) << "an older kernel would change the vtime under the queue's order";
  EXPECT_EQ(counters(host).reinserted, 0u);
}

TEST(DispatcherTest, OneCpuWalksAtATime) {
  DispatcherHost host(2);
  host.state.own_value.walk_left = 5;
  host.state.own_value.walking = 1;  // another CPU
  host.dispatch(0);
  EXPECT_EQ(host.state.own_value.walk_left, 5u);
  host.state.own_value.walking = 0;
  host.dispatch(0);
  EXPECT_EQ(host.state.own_value.walk_left, 0u);
  EXPECT_EQ(host.state.own_value.walking, 0u);
}

TEST(DispatcherTest, TakesOverFromASchedulerThatRunsAndDoesNotGetOn) {
  DispatcherHost host(2);
  task_struct& scheduler = *host.tasks.at(1);
  host.wake(host.add_task(10, kAll));
  reprise_dispatcher.running(&scheduler);
  for (int ms = 5; ms <= 400; ms += 5) {
    host.now += 5'000'000;
    host.dispatch(0, &scheduler);  // its slice ends, work is pending, it goes on: an endless loop in a policy
    if (ms % 50 == 0) reprise_dispatcher.heartbeat_expired();
  }
  EXPECT_EQ(host.state.shared_value.fallback, 1u);
}

TEST(DispatcherTest, LooksAtTheRingOnceMoreWhenTheSchedulerStops) {
  DispatcherHost host(2);
  task_struct& scheduler = *host.tasks.at(1);
  reprise_dispatcher.running(&scheduler);
  host.dispatch(0, &scheduler);  // nothing is pending: another task is taken
  host.kicks.clear();
  host.wake(host.add_task(10, kAll));  // on another CPU, which takes the scheduler for running
  ASSERT_TRUE(host.kicks.empty());
  reprise_dispatcher.stopping(&scheduler, true);
  ASSERT_EQ(host.kicks.size(), 1u);
  EXPECT_EQ(host.kicks[0].second, host.state.config_value.kernel.kick_preempt);
}

TEST(DispatcherTest, AKickThatCameWhileTheSchedulerRanDoesNotHoldBackTheNext) {
  DispatcherHost host(2);
  task_struct& scheduler = *host.tasks.at(1);
  reprise_dispatcher.running(&scheduler);
  host.state.own_value.kicked = 1;
  reprise_dispatcher.stopping(&scheduler, true);
  host.kicks.clear();
  host.wake(host.add_task(10, kAll));
  EXPECT_EQ(host.kicks.size(), 1u);
}

TEST(DispatcherTest, CallsTheEngineAtTheTimeOfItsLastWishOnly) {
  DispatcherHost host(2);
  const auto wish = [&](u64 time) {
    const wire_message message{.kind = WIRE_WAKE_AT,
                               .task = 0,
                               .generation = 0,
                               .cpu = 0,
                               .slice_ns = 0,
                               .vtime = time,
                               .flags = 0,
                               .reserved = 0};
    reprise_dispatcher.carry_out(&message);
  };
  wish(5'000'000);
  EXPECT_EQ(host.timers.at(TIMER_WISH), 5'000'000u);
  wish(0);
  host.now = 5'000'000;
  reprise_dispatcher.wish_expired();
  EXPECT_EQ(host.state.shared_value.asked, 0u) << "it was taken back";
  wish(6'000'000);
  reprise_dispatcher.wish_expired();
  EXPECT_EQ(host.state.shared_value.asked, 0u) << "that was the timer of an earlier wish";
  host.now = 6'000'000;
  reprise_dispatcher.wish_expired();
  EXPECT_EQ(host.state.shared_value.asked, 1u);
}

TEST(DispatcherTest, WakesACpuThatWentIdleWhileTasksWereInserted) {
  DispatcherHost host(2);
  for (int tid = 10; tid < 12; ++tid) {
    host.wake(host.add_task(tid, kAll));
    const wire_event event = last_enqueue(host);
    host.decide(event.task, event.generation, WIRE_ANY_CPU, static_cast<u64>(tid));
  }
  host.kicks.clear();
  host.events.clear();
  int insertions = 0;
  host.on_insert = [&] {
    if (++insertions < 2) return;
    host.idle = 0b10;
    reprise_dispatcher.update_idle(1, true);  // sees neither task: both lie in CPU 0's buffer
  };
  host.dispatch(0);
  ASSERT_EQ(host.queues[kShared].size(), 1u) << "CPU 0 took one";
  ASSERT_EQ(host.kicks.size(), 1u) << "the other waits, and CPU 1 is idle";
  EXPECT_EQ(host.kicks[0].first, 1);
}

TEST(DispatcherTest, TellsTheCpuTimeOfATaskThatExits) {
  DispatcherHost host(2);
  task_struct& task = host.add_task(10, kAll);
  host.wake(task);
  task.se.sum_exec_runtime = 12'345;
  host.remove_task(10);
  ASSERT_EQ(host.events.back().type, WIRE_TASK_EXIT);
  EXPECT_EQ(host.events.back().task_exit.exec_total_ns, 12'345u);
}

}  // namespace
}  // namespace reprise::test
