// SPDX-License-Identifier: GPL-2.0-only
// Takes out of a trace what tells whose it is, and leaves what its tasks did.
//
//   goes      comms (thread-N; of kernel threads the family stays: kworker-N), tids and tgids (numbered by appearance,
//             the same number everywhere), the wall clock, the kernel's build string, the part of its release behind
//             the version, state hashes and snapshots (both contain names)
//   stays     times since boot, CPUs, weights, policy and options, CPU model, hashes of the code
//
// The order of calls matters: numbers are given in the order of appearance. Thread safety: none.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "traces/kernel_event.h"
#include "traces/record.h"
#include "traces/session.h"

namespace reprise::trace {

class Anonymizer {
 public:
  [[nodiscard]] SessionInfo session(SessionInfo);
  [[nodiscard]] KernelEvent event(KernelEvent);
  /// Its events are valid until the next call.
  [[nodiscard]] StepRecord step(StepRecord);

 private:
  [[nodiscard]] i32 number(i32 tid);
  [[nodiscard]] u32 number_u32(u32 tid) { return static_cast<u32>(number(static_cast<i32>(tid))); }
  [[nodiscard]] std::string name(i32 tid, std::string_view comm);
  void set_name(char (&comm)[16], i32 tid);
  [[nodiscard]] u64 object(u64 object);
  void syscall(KernelEvent&, i32 tid);

  std::unordered_map<i32, i32> numbers_;     // looked up, never walked over
  std::unordered_set<i32> kernel_threads_;   // by the recorded tid
  std::unordered_set<i32> waits_for_child_;  // the call that a task is in returns a pid
  std::vector<Event> events_;
};

}  // namespace reprise::trace
