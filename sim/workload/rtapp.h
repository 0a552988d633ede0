// SPDX-License-Identifier: GPL-2.0-only
// A workload from a file of rt-app, with the meaning that rt-app 1.0 gives it (its doc/tutorial.txt, and what the
// program does where that says less). Files as workgen takes them are read, too: a key that repeats is one more event,
// and "suspend" without a value means the task's own name.
//
//   events   run runtime sleep timer lock unlock wait signal broad sync barrier suspend resume yield, and fork of later
//            versions. What a key begins with counts: "run", "run1" and "runs" are the same event
//   task     instance loop phases cpus delay priority policy (SCHED_OTHER, SCHED_BATCH, SCHED_IDLE)
//   phase    loop cpus
//   global   duration default_policy calibration; what concerns logs and memory is accepted and has no effect
//
// Refused by name, since the simulator cannot tell what they cost or they are not under the policy: mem and iorun,
// real-time and deadline tasks, mutexes with priority inheritance. So is every unknown key.
//
// What may surprise, and is rt-app's way:
//   - "run" is CPU time only as far as the calibration is right. With a number, the time is a whole number of loops of
//     so many ns; with "CPU0" or without, rt-app measures, and the time is taken as it stands.
//   - "runtime" looks at the clock every 32 us and lasts so long whether the task has a CPU or not.
//   - A timer's first period begins with the workload (with the first of its tasks to start, where they have a delay),
//     not when it is first used. Timers whose name begins with "unique" are each task's own.
//   - A task without "phases" repeats for ever, whatever its "loop" says; with them, for ever unless it says how often.
//   - A barrier lets go when as many have come as there are uses of its name, each instance's counted.
//   - A signal that nobody waits for is lost.
//   - After `duration` a task stops before its next event, but gives back what it has locked first; all who wait for
//     conditions and barriers are let go. Who sleeps sleeps on.
// Tasks start at 0, all at once; rt-app's main thread is left out.
#pragma once

#include <string>
#include <string_view>

#include "sim/workload/program.h"

namespace reprise::sim {

struct RtappOptions {
  u32 cpus = 0;  // of the machine: tasks bound to others are refused, as rt-app does; 0: kMaxCpus
};

/// `file_name` stands in messages. Sets Program::endless where some task never ends and there is no duration.
/// Errors (kBadInput), with line and column and what to do: no JSON, unknown or unsupported key or value, a value out
/// of range or of another type, a mutex unlocked or waited with that is not locked, too many tasks or operations.
Expected<Program> read_rtapp(std::string_view text, const std::string& file_name, const RtappOptions& = {});

}  // namespace reprise::sim
