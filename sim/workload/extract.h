// SPDX-License-Identifier: GPL-2.0-only
// The workload of a recording: what each task did between its waits, what it waited for and who ended the wait. Time
// spent waiting for a CPU is left out, and so is the scheduler's own thread, which a simulation has anew. The other
// threads of the process that recorded stay, marked: they took their part of the CPUs.
//
// How a sleep is read, in this order:
//   a call that takes from an object (read, accept, wait4) and got something          take tokens from the object
//   a futex that is a lock, as far as can be told (extract_locks.h)                   take its one token
//   poll and the like that found something, on objects whose tokens are known         wait until one has tokens
//   a call that gives and found its object full                                       post to an object with a capacity
//   a timer of the task's own expired                                                 sleep, relative or absolute
//   some task woke it, as from any other futex, or when the thread it joins ended     token of that pair of tasks
//   an interrupt, or the scheduler's process, woke it                                 token at the recorded time
// The last three are all that is left where system calls were not recorded; then a sleep stays a sleep under every
// policy, unless the waker comes first, and Program::weak says so.
//
// A thread that another one of its process tells to stop, after a time, does as many rounds as there is time for, not
// as many as recorded (extract_stop.cc).
//
// A program made so cannot get stuck where each object has one task that takes from it: of the operations not yet done
// the first, in the order of the recording, can always be done. Nor do locks hold it up, under which nobody waits but
// for time and other locks. With several takers of anything else it can, in principle; Workload::relieve() is for that.
//
// What is in the middle when the recording begins or ends: a task that slept before waits in its first operation; what
// an object must have held is there at the start; what a task ran since its last switch counts up to the end, and then
// it leaves, as does a task that sleeps: what it waits for is no longer asked (sleeps_open). A call without its end is
// left out, and so is the lock that it is on.
//
// What the trace does not tell is counted in the report and bounded by the recorded times. Memory: the events of a
// session (40 bytes each, at most `max_events`), then 16 bytes per operation.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/workload/program.h"
#include "traces/reader.h"

namespace reprise::sim {

/// CPU time in the recording that a simulation adds by itself, so that it is taken out.
struct Overheads {
  u64 switch_in_ns = 0;  // per switch, of the task that comes
  u64 preempt_ns = 0;    // per switch, of the task that goes though it could go on; not where it yields
  u64 wake_ns = 0;       // per wakeup, of the task that wakes
  u64 block_ns = 0;      // per wait, before the switch; becomes Op::extra
};

struct ExtractOptions {
  u32 session = 0;  // from 1; 0: the first
  /// CLOCK_MONOTONIC at which the program begins: what came before only tells how far everybody was. 0: as early as it
  /// can.
  u64 from_ns = 0;
  u64 max_events = 200'000'000;
  bool own_threads = true;  // of the process that recorded, but the scheduler's
  Overheads overheads;
  u64 tick_ns = 0;     // period of the tick; 0: not known
  u64 tick_at_ns = 0;  // where in a period it comes
  bool thefts = true;  // CPU time that interrupts took goes into Program::thefts
};

struct ExtractedTask {
  i32 tid = 0;
  u32 index = 0;      // in Program::tasks
  u64 cpu_ns = 0;     // recorded CPU time that the program contains; if it is told to stop, with its loops run once
  u64 blocks = 0;     // recorded sleeps
  u64 switches = 0;   // times it was switched in
  bool told = false;  // runs until it is told to stop (extract_stop.cc)
};

struct ExtractReport {
  // What was read.
  u64 events = 0;
  u64 calls = 0;
  u64 span_ns = 0;
  u32 tasks = 0;       // in the program
  u32 tasks_idle = 0;  // existed and never ran or woke: left out
  u32 tasks_own = 0;   // of the process that recorded and left out
  u32 locks = 0;       // futexes that are locks
  // How the sleeps were read.
  u64 sleeps = 0;
  u64 sleeps_token = 0;
  u64 sleeps_ready = 0;
  u64 sleeps_full = 0;      // writer of a full object
  u64 sleeps_relative = 0;  // timer
  u64 sleeps_absolute = 0;
  u64 periods_late = 0;      // begun late, without a sleep (extract_periods.h)
  u64 tasks_stopped = 0;     // run until they are told to stop (extract_stop.cc)
  u64 sleeps_lock = 0;       // for a lock (extract_locks.h)
  u64 sleeps_futex = 0;      // woken from a futex, kept as who wakes whom
  u64 sleeps_pair = 0;       // woken by a task, object not known
  u64 sleeps_outside = 0;    // woken by an interrupt
  u64 sleeps_own = 0;        // woken by the process that recorded; kept at their time
  u64 sleeps_same_call = 0;  // further sleeps of a call that was read already
  u64 sleeps_open = 0;       // not over when the recording ended
  // Waits that found what they wanted.
  u64 takes_at_once = 0;
  u64 ready_at_once = 0;
  // What the trace does not tell.
  u64 lost_events = 0;         // as the trace says
  u64 sequence_gaps = 0;       // events that the numbers say are missing
  u64 switches_unseen = 0;     // a CPU left another task than the one that it had begun
  u64 wakes_unseen = 0;        // a task ran that had slept, without a wakeup; its wait ends at the recorded time
  u64 wakes_runnable = 0;      // of tasks that had not slept yet; no wait came of it
  u64 wakes_of_running = 0;    // of tasks that were not asleep as far as is known
  u64 calls_open = 0;          // entered before, or left after the recording
  u64 tokens_at_start = 0;     // objects that held something when first taken from
  u64 takes_unexplained = 0;   // took what no recorded call had given, without sleeping: given when the call began
  u64 gifts = 0;               // what was taken was given by a task in no recorded call, or by an interrupt
  u64 ready_unexplained = 0;   // poll that found something on objects without known tokens
  u64 gives_dropped = 0;       // to objects that no recorded task takes from
  u64 timer_files = 0;         // expiries of timerfd, kept at their recorded time
  u64 unit_mixed = 0;          // calls that count messages on objects that count bytes: read as pairs
  u64 affinity_outside = 0;    // changes made by nobody in the program: left out
  u64 tasks_begun_before = 0;  // ran or slept already when the recording began
  u64 tasks_cut = 0;           // still there when it ended
  u64 exec_corrected_ns = 0;   // CPU time that estimates between two known points were wrong by
  bool has_calls = false;
  u64 overhead_ns = 0;                // taken out, as ExtractOptions::overheads says
  i32 scheduler_tid = 0;              // of the scheduler's thread; 0: none
  std::vector<std::string> problems;  // of the file
  std::vector<ExtractedTask> by_task;

  /// For people: a line per finding that is not zero.
  [[nodiscard]] std::string text() const;
};

struct Extracted {
  Program program;
  ExtractReport report;
  u64 base_ns = 0;  // CLOCK_MONOTONIC at the program's time 0
};

/// Tid of the scheduler's thread, by the name that scheduler/live gives it; 0: none.
[[nodiscard]] i32 find_scheduler(std::span<const trace::KernelEvent> events);

/// Reads `reader` to its end. Errors (kBadInput): no such session, no scheduler events in it, more than `max_events`,
/// recorded on a machine whose system calls are not known here.
Expected<Extracted> extract(trace::Reader& reader, const ExtractOptions& = {});

}  // namespace reprise::sim
