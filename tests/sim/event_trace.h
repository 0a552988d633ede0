// SPDX-License-Identifier: GPL-2.0-only
// Makes a trace of kernel events by hand, as a recorder would have seen them: times are given, CPU times are counted
// from the switches. What extraction is tested on, case by case.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/workload/extract.h"
#include "traces/kernel_event.h"

namespace reprise::test {

class EventTrace {
 public:
  static constexpr u64 kBaseNs = 1'000'000'000;
  static constexpr u32 kFutexCall = 202, kNanosleepCall = 35, kClockNanosleepCall = 230, kReadCall = 0, kWriteCall = 1;
  static constexpr u64 futex(u64 number) { return u64{trace::kObjectFutex} << 56 | number; }
  static constexpr u64 pipe(u64 number) { return u64{trace::kObjectPipe} << 56 | number; }

  explicit EventTrace(u32 cpus = 1) : cpus_(cpus), running_(cpus, 0), since_(cpus, kBaseNs) {}

  /// All that follows happens so many ns after the session's start. Never goes back.
  EventTrace& at(u64 ns);
  /// A task that is there already, from the list that comes when the recording begins.
  EventTrace& task(i32 tid, i32 tgid, u8 marks = 0);
  EventTrace& fork(i32 parent, i32 child, i32 tgid = 0);  // tgid 0: a process of its own
  /// What runs on `cpu` leaves it with `state`, and `next` (0: nobody) runs there.
  EventTrace& run(u32 cpu, i32 next, u32 state = 0);
  EventTrace& sleep(u32 cpu, i32 next = 0) { return run(cpu, next, 1); }
  EventTrace& wake(i32 target, i32 waker, u8 flags = 0);
  EventTrace& enter(i32 tid, u32 number, u8 role, u64 object = 0);
  EventTrace& leave(i32 tid, i64 result);
  EventTrace& futex_wait(i32 tid, u64 number) { return enter(tid, kFutexCall, trace::kCallTake, futex(number)); }
  EventTrace& futex_wake(i32 tid, u64 number) { return enter(tid, kFutexCall, trace::kCallGive, futex(number)); }
  EventTrace& weight(i32 tid, u32 weight);  // set on the CPU where the task runs
  EventTrace& timer(i32 sleeper, u64 expiry_ns, u8 flags);
  EventTrace& exit(i32 tid);  // the task still runs
  EventTrace& die(u32 cpu, i32 next = 0) { return run(cpu, next, 0x80); }

  /// The program. The test fails if there is none.
  [[nodiscard]] sim::Extracted extract(const sim::ExtractOptions& = {});
  /// CPU time since birth, or since the session's start.
  [[nodiscard]] u64 cpu_ns(i32 tid) const;

 private:
  void put(trace::KernelEventType, i32 tid, u32 a, u64 b, u64 c, u8 flags, u32 cpu);
  [[nodiscard]] u32 cpu_of(i32 tid) const;

  u32 cpus_;
  u64 now_ = kBaseNs;
  std::vector<trace::KernelEvent> events_;
  std::vector<i32> running_;
  std::vector<u64> since_;
  std::map<i32, u64> cpu_ns_;
  struct Call {
    u32 number = 0;
    u8 role = 0;
  };
  std::map<i32, Call> calls_;
};

/// "run 100; take 0 x1; exit" of the task with that tid. Where its exit begins is left out.
[[nodiscard]] std::string ops_of(const sim::Extracted&, i32 tid);

}  // namespace reprise::test
