// SPDX-License-Identifier: GPL-2.0-only
// Threads that go on until they are told to stop. How often such a thread sleeps and runs again depends on how long it
// has to wait for a CPU in between, so that a number of rounds taken from a recording says nothing of another policy:
// what counts is when it was told.
//
// The telling is a variable in memory, which no recording shows. But one thread of the process has slept on a timer
// for long and outlives the others (a main thread that sleeps and then joins them, as rt-app's does for its
// duration), and the others, who did nothing but run and sleep on timers of their own, leave in the very round in which
// it woke up. What that thread gives when it wakes up is written as a token that nobody takes (OpCode::kStopped).
#include <algorithm>

#include "sim/workload/extract_walk.h"

namespace reprise::sim {
namespace {

constexpr std::size_t kLeastRounds = 8;  // fewer may be a number of rounds
constexpr std::size_t kMostSleeps = 4;   // of who tells
constexpr u64 kLeastTelling = 100 * kNsPerMs;
constexpr u64 kMostRest = 2;       // who computes on for more than one such part of it was not told
constexpr u64 kSpinNs = kNsPerMs;  // between two looks
constexpr u64 kLongSleep = 8;      // of who tells, in rounds of who is told

bool is_sleep(const Op& op) {
  return op.code == OpCode::kSleep || op.code == OpCode::kSleepUntil || op.code == OpCode::kTimer;
}

/// From the first sleep to the last one there is nothing but sleeps and CPU time, and something comes after them.
bool only_runs_and_sleeps(const std::vector<Op>& ops) {
  const auto first = std::find_if(ops.begin(), ops.end(), is_sleep);
  const auto last = std::find_if(ops.rbegin(), ops.rend(), is_sleep).base();
  return first < last && last < ops.end() &&
         std::all_of(first, last, [](const Op& op) { return op.code == OpCode::kRun || is_sleep(op); });
}

}  // namespace

/// The sleep of `teller` that ended while `told` was in its last round, if it was a long one; null: there is none.
Walk::TimerSleep* Walk::telling_sleep(Task& teller, const Task& told) {
  const std::vector<TimerSleep>& rounds = told.timer_sleeps;
  const u64 round_ns = (rounds.back().ran_ns - rounds.front().ran_ns) / (rounds.size() - 1);
  const u64 noticed_before = rounds[rounds.size() - 2].ran_ns;
  for (TimerSleep& sleep : teller.timer_sleeps)
    if (sleep.ran_ns > noticed_before && sleep.ran_ns <= told.end_ns &&
        sleep.ran_ns - sleep.slept_ns >= kLongSleep * round_ns)
      return &sleep;
  return nullptr;
}

/// What the task computed when it had so much CPU time left until its end.
Walk::LastRun Walk::last_run(const Task& task, u64 rest_ns) {
  const auto leaves =
      std::find_if(task.ops.begin(), task.ops.end(), [](const Op& op) { return op.code == OpCode::kExitBegins; });
  LastRun run;
  run.end = static_cast<std::size_t>(leaves - task.ops.begin());
  for (run.rest_ns = rest_ns; run.end > 0; --run.end) {
    const Op& op = task.ops[run.end - 1];
    if (op.code != OpCode::kRun) continue;
    if (op.value >= run.rest_ns) break;
    run.rest_ns -= op.value;
  }
  for (run.begin = run.end; run.begin > 0; --run.begin) {
    const Op& op = task.ops[run.begin - 1];
    const bool unheard = op.code == OpCode::kPost && !objects_.state(op.target).taken_from;
    if (op.code != OpCode::kRun && !unheard) break;
    run.ns += op.code == OpCode::kRun ? op.value : 0;
  }
  return run;
}

/// The task, which may be one that tells others to stop, has a CPU again: who of its process computes at this moment,
/// and how far is that one?
void Walk::note_running(u32 index) {
  const Task& task = tasks_[index];
  const TimerSleep& sleep = task.timer_sleeps.back();
  if (task.own || task.kernel_thread || task.timer_sleeps.size() > kMostSleeps) return;
  if (sleep.ran_ns - sleep.slept_ns < kLeastTelling) return;
  for (const u32 other : entries_) {
    const Task& o = tasks_[other];
    if (o.tgid != task.tgid || other == index || o.asleep || o.ended || o.end_ns != 0 || !o.timer_sleeps.empty())
      continue;
    computing_.push_back({.teller = index,
                          .sleep = static_cast<u32>(task.timer_sleeps.size() - 1),
                          .task = other,
                          .exec = exec_at(o, sleep.ran_ns)});
  }
}

/// Finds out who tells whom, and has the tellers say so in their operations.
void Walk::find_stops() {
  std::map<i32, std::vector<u32>> tellers;  // by process
  for (const u32 index : entries_) {
    const Task& task = tasks_[index];
    if (!task.own && !task.kernel_thread && !task.timer_sleeps.empty() && task.timer_sleeps.size() <= kMostSleeps)
      tellers[task.tgid].push_back(index);
  }
  for (const u32 index : entries_) {
    Task& told = tasks_[index];
    if (!told.ended || told.own || told.end_ns == 0 || told.timer_sleeps.size() < kLeastRounds ||
        told.timer_sleeps.back().ran_ns == 0)
      continue;
    const auto candidates = tellers.find(told.tgid);
    if (candidates == tellers.end() || !only_runs_and_sleeps(told.ops)) continue;
    for (const u32 from : candidates->second) {
      Task& teller = tasks_[from];
      if (from == index || (teller.ended && teller.end_ns < told.end_ns)) continue;
      TimerSleep* const sleep = telling_sleep(teller, told);
      if (sleep == nullptr) continue;
      if (sleep->tells == kNone) sleep->tells = objects_.flag();
      told.stop = sleep->tells;
      told.stop_after_ns = sleep->ran_ns - sleep->slept_ns;
      report_.tasks_stopped += 1;
      break;
    }
  }
  // Who is known to have told some has told those, too, who then only had to finish what they computed.
  for (const Computing& c : computing_) {
    const TimerSleep& sleep = tasks_[c.teller].timer_sleeps[c.sleep];
    Task& told = tasks_[c.task];
    if (sleep.tells == kNone || !told.ended || told.end_ns == 0 || told.stop != kNone || !told.timer_sleeps.empty())
      continue;
    const u64 rest = told.end_exec - std::min(told.end_exec, c.exec);
    if (const u64 computed = last_run(told, rest).ns; computed == 0 || computed < kMostRest * rest) continue;
    told.stop = sleep.tells;
    told.stop_rest_ns = std::max<u64>(rest, 1);
    told.stop_after_ns = sleep.ran_ns - sleep.slept_ns;
    report_.tasks_stopped += 1;
  }
  for (const auto& [process, indices] : tellers)
    for (const u32 index : indices) write_tells(tasks_[index]);
}

void Walk::write_tells(Task& task) {
  std::size_t sleep = task.timer_sleeps.size();
  for (std::size_t i = task.ops.size(); i-- > 0 && sleep > 0;) {
    if (!is_sleep(task.ops[i])) continue;
    const u32 flag = task.timer_sleeps[--sleep].tells;
    if (flag != kNone)
      task.ops.insert(task.ops.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                      {.code = OpCode::kPost, .target = flag, .value = 1});
  }
}

/// After each sleep the task looks whether it was told, and goes on as often as there is time.
void Walk::write_stop(Task& task) {
  const std::vector<Op> ops = std::move(task.ops);
  const auto last = static_cast<std::size_t>(std::find_if(ops.rbegin(), ops.rend(), is_sleep).base() - ops.begin());
  std::vector<Op>& out = task.ops;
  out.clear();
  std::vector<std::size_t> looks;
  const auto look = [&] {
    looks.push_back(out.size());
    out.push_back({.code = OpCode::kStopped, .target = task.stop});
  };
  std::vector<u64> lengths;
  u64 cpu_ns = 0;
  for (std::size_t i = 0; i < last; ++i) {
    out.push_back(ops[i]);
    if (ops[i].code == OpCode::kRun && !lengths.empty()) cpu_ns += ops[i].value;
    if (!is_sleep(ops[i])) continue;
    lengths.push_back(ops[i].value);
    look();
  }
  Op usual = ops[last - 1];
  std::nth_element(lengths.begin(), lengths.begin() + lengths.size() / 2, lengths.end());
  if (usual.code == OpCode::kSleep) usual.value = lengths[lengths.size() / 2];
  const u64 round_cpu_ns = cpu_ns / std::max<std::size_t>(lengths.size() - 1, 1);
  if (usual.code != OpCode::kSleepUntil && usual.value != 0 && round_cpu_ns != 0) {
    const u32 loop = static_cast<u32>(out.size());
    out.push_back({.code = OpCode::kLoop, .target = loop + 4, .value = task.stop_after_ns / usual.value + 1});
    out.push_back({.code = OpCode::kRun, .value = round_cpu_ns});
    out.push_back(usual);
    look();
    out.push_back({.code = OpCode::kLoopEnd, .target = loop});
  }
  for (const std::size_t at : looks) out[at].value = out.size();
  out.insert(out.end(), ops.begin() + static_cast<std::ptrdiff_t>(last), ops.end());
}

/// The task computes until it is told, and then the rest of what it had begun.
void Walk::write_spin(Task& task) {
  const LastRun run = last_run(task, task.stop_rest_ns);
  const auto at = static_cast<u32>(run.begin);
  const Op spin[] = {{.code = OpCode::kLoop, .target = at + 3, .value = task.stop_after_ns / kSpinNs + 1},
                     {.code = OpCode::kRun, .value = kSpinNs},
                     {.code = OpCode::kStopped, .target = task.stop, .value = at + 4},
                     {.code = OpCode::kLoopEnd, .target = at},
                     {.code = OpCode::kRun, .value = std::max<u64>(run.rest_ns, 1)}};
  const auto first = task.ops.begin() + at;
  task.ops.erase(first, task.ops.begin() + static_cast<std::ptrdiff_t>(run.end));
  task.ops.insert(task.ops.begin() + at, std::begin(spin), std::end(spin));
}

}  // namespace reprise::sim
