// SPDX-License-Identifier: GPL-2.0-only
// What costs are fitted to, on events made by hand.
#include "sim/run/fit.h"

#include <gtest/gtest.h>

#include "scheduler/policies/table.h"
#include "sim/run/run.h"
#include "sim/workload/generate.h"

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

constexpr i32 kScheduler = 5;

struct Recording {
  std::vector<KernelEvent> events;
  u64 now = 1'000'000;
  u16 cpu = 0;

  Recording& on(u16 number) {
    cpu = number;
    return *this;
  }
  Recording& after(u64 ns) {
    now += ns;
    return *this;
  }
  Recording& put(KernelEventType type, i32 tid, u8 flags, u32 a, u64 b, u64 c = 0) {
    events.push_back({.time_ns = now,
                      .seq = static_cast<u32>(events.size()),
                      .cpu = cpu,
                      .type = type,
                      .flags = flags,
                      .tid = tid,
                      .a = a,
                      .b = b,
                      .c = c});
    return *this;
  }
  Recording& to(i32 next, i32 previous, u64 state, u8 flags = 0) {
    return put(KernelEventType::kSwitch, next, flags, static_cast<u32>(previous), state);
  }
  Recording& wake(i32 tid, u8 context, i32 waker = 0) {
    return put(KernelEventType::kWaking, tid, context, static_cast<u32>(waker), 0);
  }
  Recording& expires(i32 sleeper) {
    return put(KernelEventType::kTimer, 0, trace::kTimerSleep, static_cast<u32>(sleeper), now);
  }
  Recording& local_timer(u64 duration) { return put(KernelEventType::kIrq, 0, trace::kIrqVector, 236, duration); }
  [[nodiscard]] u64 fitted(std::string_view field, u64 kick_interval_ns = 0) const {
    const Fit fit = fit_costs(events, {}, kScheduler, 1'000'000, kick_interval_ns);
    for (const Fitted& one : fit.fields)
      if (one.field == field) return one.samples == 0 ? ~u64{0} : one.value_ns;
    return ~u64{0};
  }
};

TEST(FitTest, PreemptingIsSeenOnlyWhereATaskMadeWayThatCouldGoOn) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.to(10, kScheduler, 0).after(50'000).wake(11, trace::kWakeTask, 10);
    r.after(6'000).to(kScheduler, 10, 0, trace::kSwitchPreempted).after(5'000);
    // A waker that sleeps soon after is not preempted, however long it goes on.
    r.to(10, kScheduler, 0).after(50'000).wake(11, trace::kWakeTask, 10);
    r.after(2'000).to(kScheduler, 10, 1).after(5'000);
  }
  EXPECT_EQ(r.fitted("preempt"), 6'000 - std::min<u64>(6'000, Costs{}.wake()));
}

TEST(FitTest, AnotherCpuIsCalledByAnInterrupt) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.on(0).to(10, kScheduler, 0).on(1).to(20, 0, 0).after(50'000);
    r.on(0).wake(11, trace::kWakeTask, 10).after(6'000).to(kScheduler, 10, 0, trace::kSwitchPreempted).after(5'000);
    r.to(10, kScheduler, 0).after(50'000).wake(11, trace::kWakeTask, 10);
    r.on(1).after(9'000).to(kScheduler, 20, 0, trace::kSwitchPreempted).after(5'000);
    r.to(0, kScheduler, 0).after(50'000).on(0).wake(11, trace::kWakeTask, 10);
    r.on(1).after(15'000).to(kScheduler, 0, 0).after(5'000).to(20, kScheduler, 0).to(0, 20, 1);
  }
  const u64 wake = Costs{}.wake();
  EXPECT_EQ(r.fitted("preempt"), 6'000 - wake);
  EXPECT_EQ(r.fitted("wakeup_ipi"), 9'000u - 6'000u);
  EXPECT_EQ(r.fitted("idle_ipi"), 15'000u - 3'000u - wake - Costs{}.idle_exit);
}

TEST(FitTest, TheLimitOfKicksIsNoCost) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.to(10, kScheduler, 0).after(1'000'000).wake(11, trace::kWakeTask, 10);
    r.after(6'000).to(kScheduler, 10, 0, trace::kSwitchPreempted).after(5'000).to(10, kScheduler, 0);
    r.after(50'000).wake(12, trace::kWakeTask, 10);
    r.after(150'000).to(kScheduler, 10, 0, trace::kSwitchPreempted).after(5'000);
  }
  const Fit fit = fit_costs(r.events, {}, kScheduler, 1'000'000, 200'000);
  EXPECT_EQ(fit.costs.preempt, 6'000 - Costs{}.wake());
}

TEST(FitTest, ATimerBringsTheSchedulerLaterThanTheLimitOfKicksAllows) {
  const auto fitted = [](u64 early_ns) {
    Recording r;
    r.to(10, kScheduler, 0).after(1'000'000).to(kScheduler, 10, 0, trace::kSwitchPreempted);
    for (int i = 0; i < 20; ++i) {
      r.after(5'000).to(10, kScheduler, 0).after(early_ns - 5'000).wake(11, trace::kWakeTask, 10);
      r.after(204'300 - early_ns).to(kScheduler, 10, 0, trace::kSwitchPreempted);
    }
    return r.fitted("soft_timer", 200'000);
  };
  EXPECT_EQ(fitted(50'000), 4'300u);
  EXPECT_EQ(fitted(202'000), ~u64{0}) << "no timer: this wakeup may call it at once";
}

TEST(FitTest, HowLateATimerBringsTheSchedulerIsFoundInASimulation) {
  struct Collect final : EventSink {
    void event(const KernelEvent& e) override { events.push_back(e); }
    std::vector<KernelEvent> events;
  };
  const auto fitted = [](u64 soft_timer) {
    RunOptions options;
    options.machine.topology = Topology::flat(1);
    options.machine.policy = *find_policy("vruntime");
    options.machine.costs.soft_timer = soft_timer;
    Collect collect;
    const Program program = generate(Hackbench{.groups = 4, .pairs = 5, .send_ns = 20'000}, Prng::seeded(1));
    EXPECT_TRUE(run(program, options, &collect));
    return fit_costs(collect.events, {}, options.machine.scheduler_tid, kNsPerSec / options.machine.hz,
                     options.machine.kick_interval_us * kNsPerUs)
        .costs.soft_timer;
  };
  EXPECT_EQ(fitted(7'000), 7'000u);
  EXPECT_EQ(fitted(25'000), 25'000u);
}

TEST(FitTest, AWakeupIsWhatLiesBetweenTwoTimersOfOneInterrupt) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.after(100'000).expires(10).after(500).wake(10, trace::kWakeHardirq);
    r.after(2'400).expires(11).after(500).wake(11, trace::kWakeHardirq).after(3'000).local_timer(8'000);
    r.after(100'000).expires(10).after(500).wake(10, trace::kWakeHardirq).after(2'700).local_timer(4'000);
  }
  EXPECT_EQ(r.fitted("wakeup"), 2'400u);
  EXPECT_EQ(r.fitted("timer"), 4'000u - 2'400u);  // of interrupts with one timer
}

TEST(FitTest, ATimerOfALaterInterruptSaysNothingOfAWakeup) {
  // The event of the interrupt itself was lost, so that both seem to be of one.
  Recording r;
  for (int i = 0; i < 10; ++i) {
    r.after(900'000).expires(1).after(1'000).wake(1, trace::kWakeHardirq);
    r.after(10'000'000).expires(2).after(1'000).local_timer(9'000);
  }
  EXPECT_EQ(r.fitted("wakeup"), ~u64{0});
}

TEST(FitTest, AStepThatSomethingElseCameIntoIsLeftOut) {
  Recording r;
  std::vector<StepTime> steps;
  u64 exec = 0;  // of the scheduler's thread
  for (u32 i = 0; i < 64; ++i) {
    const u32 work = i % 8;
    const u64 took = 3'000 + u64{work} * 500 + (i % 16 == 5 ? 20'000'000 : 0);
    r.to(kScheduler, 9, 1).after(2'000);
    steps.push_back({.begin_ns = r.now, .end_ns = r.now + took, .events = work, .decisions = work / 2});
    r.after(took + 4'000 + work / 2 * 300);
    r.put(KernelEventType::kSwitch, 9, 0, kScheduler, 0, exec += took).after(100'000);
  }
  const Fit fit = fit_costs(r.events, steps, kScheduler, 1'000'000);
  EXPECT_EQ(fit.costs.enter, 2'000u);
  EXPECT_GE(fit.costs.step_event, 300u);
  EXPECT_LE(fit.costs.step_event, 400u);
  EXPECT_GE(fit.costs.leave, 3'900u);
  EXPECT_LE(fit.costs.leave, 4'100u);
  EXPECT_GE(fit.costs.leave_decision, 280u);
  EXPECT_LE(fit.costs.leave_decision, 320u);
  EXPECT_EQ(fit.costs.bpf_decision, 0u);
}

TEST(FitTest, LeavingTheIdleLoopIsWhatFollowsTheWakeup) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.to(0, 10, 1).after(200'000).expires(10).after(500).wake(10, trace::kWakeHardirq).after(2'400).expires(11);
    r.after(500).wake(11, trace::kWakeHardirq).after(6'000).to(11, 0, 0).to(10, 11, 1);
  }
  EXPECT_EQ(r.fitted("idle_exit"), 6'000u - 2'400u);
}

TEST(FitTest, WithoutCallsThatTakeASwitchIsSeenWhereSleepsEnd) {
  Recording r;
  for (int i = 0; i < 20; ++i) {
    r.put(KernelEventType::kSyscallEnter, 10, trace::kCallSleep, 35, 0, 1'000u + 10'000u * i);
    r.put(KernelEventType::kSwitch, 0, 0, 10, 1, 2'000u + 10'000u * i).after(50'000).to(10, 0, 0);
    r.put(KernelEventType::kSyscallExit, 10, trace::kCallSleep, 35, 0, 3'300u + 10'000u * i);
  }
  EXPECT_EQ(r.fitted("context_switch"), 1'300u);
}

}  // namespace
}  // namespace reprise::sim
