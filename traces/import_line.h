// SPDX-License-Identifier: GPL-2.0-only
// One line of `perf script`, of `trace-cmd report` or of the kernel's trace file. Pure functions. Internal to traces/.
//
//     comm  tid/tgid [cpu] flags  seconds.fraction: system:event: fields       perf script
//     comm-tid (tgid) [cpu] flags seconds.fraction: event: fields              trace-cmd, tracefs
//     comm-tid  cpuflags          seconds.fraction: event: fields              either with latency columns
//
// What may stand in a comm: anything but a newline. So a line is read from both of its ends towards the comm.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "scheduler/core/types.h"

namespace reprise::trace {

enum class LineKind : u8 {
  kNotUnderstood = 0,
  kComment,    // empty, "#...", "cpus=4", "CPU 3 is empty"
  kUnneeded,   // an event that is not asked for
  kLost,       // `lost` events, on `cpu` or not known where
  kSwitch,     // task leaves, other comes; state, preempted
  kWaking,     // task is woken
  kWakeup,     // task has been woken
  kWakeupNew,  // task is new
  kFork,       // task is the parent, other the child
  kExec,       // task
  kExit,       // task
  kRename,     // task
};

struct LineTask {
  i32 tid = 0;
  std::string comm;    // "": the line does not tell
  i32 priority = 120;  // as the kernel counts: 0..99 real time, 100..139 nice, below 0 deadline
};

struct Line {
  LineKind kind = LineKind::kNotUnderstood;
  u64 time_ns = 0;
  u64 number = 0;        // of the line; from 1
  u32 cpu = 0;           // kLost: ~0 where it is not known
  i32 current = 0;       // the task that ran
  i32 current_tgid = 0;  // 0: the line does not tell
  char context = '.';    // of latency flags: h or H in a hardware interrupt, s in a softirq, Z or z in an NMI
  LineTask task, other;
  u32 state = 0;  // as task_struct::__state
  bool preempted = false;
  u64 lost = 0;
};

[[nodiscard]] Line parse_line(std::string_view text);

/// "S", "D|K", "R+" as the kernel's bits; nullopt where a letter is not known.
[[nodiscard]] std::optional<u32> parse_state(std::string_view text, bool& preempted);

}  // namespace reprise::trace
