// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <tuple>

#include "sim/workload/extract_locks.h"
#include "sim/workload/extract_periods.h"
#include "sim/workload/extract_walk.h"

namespace reprise::sim {
namespace {

using namespace trace;

struct Recording {
  std::vector<KernelEvent> events;
  SessionInfo session;
  u64 end_ns = 0;
  u64 lost = 0;
  u64 gaps = 0;
  std::vector<std::string> problems;
};

bool earlier(const KernelEvent& a, const KernelEvent& b) {
  if (a.time_ns != b.time_ns) return a.time_ns < b.time_ns;
  if (a.cpu != b.cpu) return a.cpu < b.cpu;
  return static_cast<i32>(a.seq - b.seq) < 0;
}

bool is_of_use(KernelEventType type) {
  return type != KernelEventType::kAnswer && type != KernelEventType::kBypass && type != KernelEventType::kDequeue &&
         type != KernelEventType::kNone;
}

Expected<Recording> load(Reader& reader, const ExtractOptions& options) {
  Recording out;
  const u32 wanted = options.session ? options.session : 1;
  std::vector<u32> next(kMaxCpus, 0);
  std::vector<bool> begun(kMaxCpus, false);
  std::vector<u32> missing(kMaxCpus, 0);
  bool found = false;
  reader.select(kReadEvents | kReadLosses);
  for (bool more = true; more;) {
    const Item item = reader.next();
    const bool ours = found && reader.session_number() == wanted;
    switch (item) {
      case Item::kEnd:
        more = false;
        break;
      case Item::kSession:
        if (reader.session_number() == wanted) {
          found = true;
          out.session = reader.session();
        }
        break;
      case Item::kEvents:
        if (!ours) break;
        for (const KernelEvent& e : reader.events()) {
          out.end_ns = std::max(out.end_ns, e.time_ns);
          if (e.cpu < kMaxCpus) {  // a number that comes late fills the hole that it left
            if (!begun[e.cpu]) next[e.cpu] = e.seq;
            begun[e.cpu] = true;
            const i32 ahead = static_cast<i32>(e.seq - next[e.cpu]);
            if (ahead >= 0) {
              missing[e.cpu] += static_cast<u32>(ahead);
              next[e.cpu] = e.seq + 1;
            } else if (missing[e.cpu] > 0) {
              missing[e.cpu] -= 1;
            }
          }
          if (!is_of_use(e.type)) continue;
          if (out.events.size() >= options.max_events)
            return fail(ExitCode::kBadInput, fmt::format("more than {} events", options.max_events), reader.name(),
                        "reprise cut takes a piece out of a long trace");
          out.events.push_back(e);
        }
        break;
      case Item::kLoss:
        if (!ours) break;
        out.lost = 0;  // totals since the session began
        for (const Loss& loss : reader.loss().losses)
          if (loss.ring == LossRing::kKernelEvents) out.lost += loss.count;
        break;
      case Item::kSessionEnd:
        if (ours) out.end_ns = std::max(out.end_ns, reader.session_end().end_ns);
        break;
      default:
        break;
    }
  }
  for (const Problem& p : reader.problems())
    if (p.severity != Severity::kNote) out.problems.push_back(p.what);
  if (!found && !out.problems.empty())
    return fail(ExitCode::kBadInput,
                fmt::format("is damaged, and no session {} is left: {}", wanted, out.problems.front()), reader.name(),
                "copy it again if it was copied, or record a new one");
  if (!found)
    return fail(ExitCode::kBadInput, fmt::format("no session {}", wanted), reader.name(),
                "reprise info lists the sessions");
  for (const u32 m : missing) out.gaps += m;
  std::sort(out.events.begin(), out.events.end(), earlier);
  return out;
}

/// Exits of the calls that were entered, and who waits for any child.
std::vector<u32> pair_calls(const std::vector<KernelEvent>& events, std::vector<i32>& any_child, i32 max_tid) {
  std::vector<u32> partner(events.size(), Walk::kNone);
  std::vector<u32> open(static_cast<std::size_t>(max_tid) + 1, Walk::kNone);
  std::vector<i32> tgid(static_cast<std::size_t>(max_tid) + 1, 0);
  std::vector<i32> any, one;
  for (u32 i = 0; i < events.size(); ++i) {
    const KernelEvent& e = events[i];
    if (e.tid <= 0 || e.tid > max_tid) continue;
    const auto tid = static_cast<std::size_t>(e.tid);
    if (e.type == KernelEventType::kSyscallEnter) {
      open[tid] = i;
    } else if (e.type == KernelEventType::kSyscallExit && open[tid] != Walk::kNone) {
      const KernelEvent& enter = events[open[tid]];
      if (enter.a == e.a) partner[open[tid]] = i;
      open[tid] = Walk::kNone;
      if (object_kind(enter.b) == kObjectChild && static_cast<i64>(e.b) > 0)
        (enter.b << 8 ? one : any).push_back(tgid[tid] ? tgid[tid] : e.tid);
    } else if (e.type == KernelEventType::kFork) {
      tgid[tid] = static_cast<i32>(e.c);
      open[tid] = Walk::kNone;
    } else if (e.type == KernelEventType::kTask) {
      tgid[tid] = static_cast<i32>(e.a);
    }
  }
  std::sort(any.begin(), any.end());
  any.erase(std::unique(any.begin(), any.end()), any.end());
  std::sort(one.begin(), one.end());
  // Who does both is taken at its word for each child: the result names it.
  std::set_difference(any.begin(), any.end(), one.begin(), one.end(), std::back_inserter(any_child));
  return partner;
}

}  // namespace

Program Walk::finish() {
  const auto useful = [&](const Op& op) {
    if (op.code == OpCode::kRun) return op.value > 0;
    if (op.code == OpCode::kTake || op.code == OpCode::kTakeSome)
      return objects_.object(op.target).type == ObjectType::kTokens;
    if (op.code != OpCode::kPost) return true;
    const bool kept = objects_.state(op.target).taken_from && objects_.object(op.target).type == ObjectType::kTokens;
    if (!kept) report_.gives_dropped += 1;
    return kept;
  };
  // What the recording process started is the workload; it has ended when they have. Others are there, too.
  const auto is_command = [&](const Task& task) {
    if (task.marked) return false;
    u32 parent = task.parent;
    while (parent != kNone && !tasks_[parent].marked && !tasks_[parent].own) parent = tasks_[parent].parent;
    return parent != kNone;
  };
  const bool commanded =
      std::any_of(entries_.begin(), entries_.end(), [&](u32 index) { return is_command(tasks_[index]); });
  // Who waits for a set waits for its members.
  for (u32 i = 0; i < objects_.size(); ++i) objects_.mark_members(i);
  find_stops();
  for (const u32 index : entries_) {
    Task& task = tasks_[index];
    if (!task.ended) {
      if (task.cpu != kNone) advance(task, exec_at(task, end_ns_));
      if (task.asleep) report_.sleeps_open += 1;
      write(task, OpCode::kLeave);
      report_.tasks_cut += 1;
    }
    report_.periods_late += restore_late_periods(task.ops, objects_);
    if (task.stop_rest_ns != 0)
      write_spin(task);
    else if (task.stop != kNone)
      write_stop(task);
    TaskProgram made;
    made.first_op = static_cast<u32>(program_.ops.size());
    u64 cpu_ns = 0;
    std::vector<u32> moved;  // where each operation is now, or the next one that is kept
    for (const Op& op : task.ops) {
      moved.push_back(static_cast<u32>(program_.ops.size()));
      if (!useful(op)) continue;
      if (op.code == OpCode::kRun) {
        cpu_ns += op.value;
        if (program_.ops.size() > made.first_op && program_.ops.back().code == OpCode::kRun) {
          program_.ops.back().value += op.value;
          continue;
        }
      }
      program_.ops.push_back(op);
      if (op.code == OpCode::kTake || op.code == OpCode::kTakeSome || op.code == OpCode::kReady)
        program_.ops.back().extra = static_cast<u16>(std::min<u64>(options_.overheads.block_ns / kExtraUnitNs, 0xffff));
    }
    for (u32 i = made.first_op; i < program_.ops.size(); ++i)
      if (jumps(program_.ops[i])) set_jump(program_.ops[i], moved[jump_of(program_.ops[i])]);
    made.ops = static_cast<u32>(program_.ops.size() - made.first_op);
    made.tid = task.tid;
    made.tgid = task.tgid;
    made.parent =
        task.parent == kNone || tasks_[task.parent].entry == kNone ? -1 : static_cast<i32>(tasks_[task.parent].entry);
    made.weight = task.first_weight;
    made.cpu_set = task.first_masked ? cpu_set(task.first_mask) : 0;
    made.start = task.start;
    made.start_ns = task.start_ns;
    made.sched_class = task.sched_class;
    made.kernel_thread = task.kernel_thread;
    made.own = task.marked;
    made.background = commanded && !is_command(task);
    made.at_attach = task.listed;
    std::memcpy(made.comm, task.comm, sizeof made.comm);
    report_.by_task.push_back({.tid = task.tid,
                               .index = static_cast<u32>(program_.tasks.size()),
                               .cpu_ns = cpu_ns,
                               .blocks = task.blocks,
                               .switches = task.switches,
                               .told = task.stop != kNone});
    program_.tasks.push_back(made);
    std::vector<Op>().swap(task.ops);
  }
  for (const Task& task : tasks_) {
    report_.tasks_own += task.own ? 1 : 0;
    report_.tasks_idle += !task.own && task.entry == kNone ? 1 : 0;
  }
  report_.tasks = static_cast<u32>(program_.tasks.size());
  objects_.finish(program_);
  std::erase_if(program_.outside,
                [&](const OutsideEvent& e) { return program_.objects[e.target].type != ObjectType::kTokens; });
  std::sort(program_.thefts.begin(), program_.thefts.end(), [](const Theft& a, const Theft& b) {
    return std::tie(a.at_ns, a.cpu, a.kind, a.duration_ns) < std::tie(b.at_ns, b.cpu, b.kind, b.duration_ns);
  });
  program_.weak = !report_.has_calls;
  program_.duration_ns = end_ns_ - base_ns_;
  return seal(std::move(program_));
}

i32 find_scheduler(std::span<const KernelEvent> events) {
  constexpr char kName[16] = "reprise-sched";
  for (const KernelEvent& e : events)
    if (e.type == KernelEventType::kName && std::memcmp(&e.b, kName, 8) == 0 && std::memcmp(&e.c, kName + 8, 8) == 0)
      return e.tid;
  return 0;
}

Expected<Extracted> extract(Reader& reader, const ExtractOptions& options) {
  auto recording = load(reader, options);
  if (!recording) return std::unexpected(recording.error());
  i32 max_tid = 0;
  bool calls = false, switches = false;
  for (const KernelEvent& e : recording->events) {
    if (e.tid <= 4'194'304) max_tid = std::max(max_tid, e.tid);
    calls |= e.type == KernelEventType::kSyscallEnter;
    switches |= e.type == KernelEventType::kSwitch;
  }
  if (!switches)
    return fail(ExitCode::kBadInput, "holds no scheduler events, so nothing is known of what tasks did", reader.name(),
                "record with reprise live --record or reprise record");
  if (calls && recording->session.machine != "x86_64")
    return fail(ExitCode::kBadInput,
                fmt::format("recorded on '{}': only the system calls of x86_64 are known", recording->session.machine),
                reader.name(), "record with --no-syscalls to use the scheduler's events alone");
  Extracted out;
  out.base_ns = recording->session.start_ns;
  if (out.base_ns == 0) out.base_ns = recording->events.front().time_ns;
  recording->end_ns = std::max({recording->end_ns, out.base_ns, options.from_ns});
  out.report.events = recording->events.size();
  out.report.span_ns = recording->end_ns - out.base_ns;
  out.report.lost_events = recording->lost;
  out.report.sequence_gaps = recording->gaps;
  out.report.problems = std::move(recording->problems);
  out.report.scheduler_tid = find_scheduler(recording->events);
  std::vector<i32> any_child;
  const std::vector<u32> partner = pair_calls(recording->events, any_child, max_tid);
  std::vector<u64> locks = find_locks(recording->events, partner);
  const ExtractReport before = out.report;
  for (u32 round = 1;; ++round) {
    Walk walk(recording->events, partner, out.base_ns, recording->end_ns, recording->session.cpus, options, out.report);
    walk.set_any_child(any_child);
    walk.set_locks(locks);
    walk.run();
    out.program = walk.finish();
    const std::vector<u64> unfit = locks_held_waiting(out.program);
    if (unfit.empty()) break;
    // Without them others may turn out unfit, whose holders wait for them: not for long, or without any lock.
    constexpr u32 kRounds = 4;
    std::erase_if(locks, [&](u64 lock) { return std::binary_search(unfit.begin(), unfit.end(), lock); });
    if (round >= kRounds) locks.clear();
    out.report = before;
  }
  if (auto ok = check(out.program); !ok) return std::unexpected(ok.error());
  out.base_ns = std::max(out.base_ns, options.from_ns);
  return out;
}

std::string ExtractReport::text() const {
  std::string out =
      fmt::format("{} tasks ({} more never ran, {} of the recording process left out), {} events, {:.3f} s\n", tasks,
                  tasks_idle, tasks_own, events, static_cast<double>(span_ns) / 1e9);
  if (!has_calls)
    out +=
        "  no system calls recorded: how tasks wait is taken as it was, and predictions for other policies are "
        "weaker\n";
  const auto line = [&](u64 count, std::string_view what) {
    if (count) out += fmt::format("  {:>9}  {}\n", count, what);
  };
  line(sleeps, "sleeps, of which");
  line(sleeps_token, "  waits for tokens of an object");
  line(sleeps_ready, "  polls of objects with tokens");
  line(sleeps_full, "  writers of a full object");
  line(sleeps_relative, "  timers, relative");
  line(sleeps_absolute, "  timers, absolute");
  line(periods_late, "  periods begun late, without a sleep");
  line(tasks_stopped, "threads that run until another one of their process tells them to stop");
  line(sleeps_lock, "  waits for a lock");
  line(sleeps_futex, "  futexes, ended by another task");
  line(sleeps_pair, "  ended by another task, object not known");
  line(sleeps_outside, "  ended from outside, kept at their time");
  line(sleeps_own, "    of these by the process that recorded");
  line(sleeps_same_call, "  once more in the same call");
  line(sleeps_open, "  not over at the end");
  line(locks, "futexes are locks");
  line(takes_at_once, "takes and");
  line(ready_at_once, "polls that did not sleep");
  line(lost_events, "events lost, as the trace says");
  line(sequence_gaps, "events missing by their numbers");
  line(switches_unseen, "switches not seen");
  line(wakes_unseen, "wakeups not seen: those waits end at their recorded time");
  line(wakes_runnable, "wakeups of tasks that had not slept yet");
  line(wakes_of_running, "wakeups of tasks that were not asleep as far as is known");
  line(calls_open, "calls begun before or ended after the recording");
  line(tokens_at_start, "objects that held something at the start");
  line(takes_unexplained, "takes of what no recorded call gave, without sleep: given when the call began");
  line(gifts, "takes of what no recorded call gave, after a sleep: given by who ended it");
  line(ready_unexplained, "polls that found something unknown: taken not to wait");
  line(gives_dropped, "gives to objects that nobody takes from, left out");
  line(timer_files, "expiries of timerfd, kept at their time");
  line(unit_mixed, "calls that count messages instead of bytes: read as wakeups by a task");
  line(affinity_outside, "changes of affinity or weight by nobody in the workload, left out");
  line(tasks_begun_before, "tasks that were there before the recording");
  line(tasks_cut, "tasks that were there when it ended");
  line(overhead_ns, "ns of CPU time for switches and wakeups, which the simulation adds by itself");
  line(exec_corrected_ns, "ns of CPU time estimated wrong between known points, and corrected");
  for (const std::string& problem : problems) out += "  file: " + problem + "\n";
  return out;
}

}  // namespace reprise::sim
