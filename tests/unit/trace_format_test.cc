// SPDX-License-Identifier: GPL-2.0-only
#include "traces/format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "scheduler/core/prng.h"
#include "tests/support/events.h"

namespace reprise::trace {
namespace {

TEST(TraceFormatTest, AnEventIsOneReadableLine) {
  Event event = test::enqueue(7, 3, 2'500'000, kEnqueueWakeup | kEnqueueSync);
  event.time_ns = 12'000'000'345;
  event.cpu = 1;
  const std::string text = format_event(event);
  EXPECT_EQ(text,
            "12.000000345 cpu 1   enqueue   slot=7 tid=1007 gen=3 seq=0 flags=wakeup|sync prev_cpu=0 weight=100 "
            "waker=none allowed=1 exec=0.002500000 started=0.000000000 stopped=0.000000000");
}

TEST(TraceFormatTest, ADecisionIsOneReadableLine) {
  EXPECT_EQ(format_decision({5, 2, kAnyCpu, kDecisionIdle | 0x10, 3'000'000, 99}),
            "slot=5 gen=2 cpu=any slice=3000 us vtime=99 flags=idle|0x10");
}

TEST(TraceFormatTest, AKernelEventSaysWhatItsArgumentsMean) {
  KernelEvent event{};
  event.time_ns = 1, event.type = KernelEventType::kWaking, event.tid = 9, event.a = 8;
  event.flags = kWakeSoftirq | kWakeRunnable;
  EXPECT_NE(format_kernel_event(event).find("waker=8 context=softirq runnable"), std::string::npos);
  event.type = KernelEventType::kSwitch, event.flags = 0;
  event.b = 2 | u64{kClassExt} << 32 | u64{kClassFair} << 40, event.c = 5;
  EXPECT_NE(format_kernel_event(event).find("previous=8 state=0x2 classes=ext>fair exec=0.000000005"),
            std::string::npos);
  event.type = KernelEventType::kTimer, event.flags = u8{kTimerPosix} | u8{kTimerArmed} | u8{kTimerAbsolute};
  event.b = 1'000'000'000, event.c = 50'000;
  EXPECT_NE(format_kernel_event(event).find("posix armed sleeper=8 expiry=1.000000000 slack=50000 ns absolute"),
            std::string::npos);
  event.type = KernelEventType::kName;
  std::memcpy(&event.b, "kworker/", 8);
  std::memcpy(&event.c, "0:1\0\0\0\0\0", 8);
  EXPECT_NE(format_kernel_event(event).find("comm=kworker/0:1"), std::string::npos);
}

TEST(TraceFormatTest, ACommThatIsNoTextIsEscaped) {
  char comm[16] = {'a', '"', '\\', '\n', static_cast<char>(0xff), 'z'};
  EXPECT_EQ(printable_comm(comm), "a\"\\x5c\\x0a\\xffz");
  EXPECT_EQ(json_escape(std::string_view(comm, 6)), "a\\\"\\\\\\u000a\\u00ffz");
  std::memset(comm, 'x', sizeof comm);  // without an end
  EXPECT_EQ(printable_comm(comm), std::string(16, 'x'));
}

TEST(TraceFormatTest, JsonOfAnythingIsJson) {
  Prng random = Prng::seeded(4);
  for (int i = 0; i < 2000; ++i) {
    const Event event = test::arbitrary_event(random, {.cpus = 4, .max_tasks = 8});
    const auto parsed = nlohmann::json::parse(json_event(event), nullptr, false);
    ASSERT_FALSE(parsed.is_discarded()) << json_event(event);
    EXPECT_EQ(parsed["time_ns"], event.time_ns);
    KernelEvent kernel{};
    kernel.type = static_cast<KernelEventType>(random.below(30));
    kernel.b = random.next(), kernel.c = random.next(), kernel.flags = static_cast<u8>(random.next());
    ASSERT_TRUE(nlohmann::json::accept(json_kernel_event(kernel))) << json_kernel_event(kernel);
    (void)format_kernel_event(kernel);
    (void)format_event(event);
  }
  const std::vector<Event> events = {test::enqueue(1, 1), test::task_new(2)};
  const std::vector<Decision> decisions = {{1, 1, 0, 0, 5, 6}, {2, 1, -1, 1, 5, ~u64{0}}};
  const std::vector<i32> preempts = {0, 1};
  StepRecord step;
  step.input.events = events;
  step.decisions = decisions;
  step.preempts = preempts;
  const auto parsed = nlohmann::json::parse(json_step(step), nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << json_step(step);
  EXPECT_EQ(parsed["decisions"][1]["vtime"], ~u64{0});
  EXPECT_EQ(parsed["events"].size(), 2u);
}

TEST(TraceFormatTest, EveryTypeHasANameOfItsOwn) {
  for (u8 a = 1; a <= kKernelEventTypeLast; ++a) {
    EXPECT_NE(name_of(static_cast<KernelEventType>(a)), "unknown");
    for (u8 b = 0; b < a; ++b)
      EXPECT_NE(name_of(static_cast<KernelEventType>(a)), name_of(static_cast<KernelEventType>(b)));
  }
  for (u8 a = 1; a <= kEventTypeLast; ++a) EXPECT_NE(name_of(static_cast<EventType>(a)), "unknown");
  EXPECT_EQ(name_of(static_cast<EventType>(200)), "unknown");
  EXPECT_EQ(name_of(static_cast<KernelEventType>(200)), "unknown");
}

}  // namespace
}  // namespace reprise::trace
