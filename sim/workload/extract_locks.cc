// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract_locks.h"

#include <algorithm>
#include <map>

#include "sim/workload/extract_walk.h"

namespace reprise::sim {

using namespace trace;

namespace {

// Results of a wait after which a lock's taker goes on trying: woken, too late to wait, interrupted (EINTR, and the
// kernel's own ERESTARTSYS and ERESTART_RESTARTBLOCK).
bool tries_on(i64 result) { return result == 0 || result == -11 || result == -4 || result == -512 || result == -516; }

struct Futex {
  std::vector<i32> slow;  // tasks that had to wait and have not given it back
  u64 found_nobody = 0;   // wakes
  u64 unasked = 0;        // wakes of somebody by who had not waited: a chain begins
  bool other = false;     // no lock
};

}  // namespace

std::vector<u64> find_locks(std::span<const KernelEvent> events, std::span<const u32> partner) {
  std::map<u64, Futex> futexes;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const KernelEvent& e = events[i];
    if (e.type != KernelEventType::kSyscallEnter || object_kind(e.b) != kObjectFutex) continue;
    Futex& futex = futexes[e.b];
    if (futex.other) continue;
    if (partner[i] == Walk::kNone) {
      futex.other = true;
      continue;
    }
    const auto result = static_cast<i64>(events[partner[i]].b);
    const auto at = std::find(futex.slow.begin(), futex.slow.end(), e.tid);
    if (e.flags == kCallTake) {
      futex.other = !tries_on(result);
      if (at == futex.slow.end()) futex.slow.push_back(e.tid);
    } else if (result == 0 || result == 1) {
      if (at != futex.slow.end())
        futex.slow.erase(at);
      else if (result == 1)
        futex.unasked += 1;
      if (result == 0) futex.found_nobody += 1;
    } else {
      futex.other = true;
    }
  }
  std::vector<u64> out;
  // Whoever gets in between a wake and the woken begins a chain inside one: allow for one such in two.
  for (const auto& [identity, f] : futexes)
    if (!f.other && f.slow.empty() && f.found_nobody > 0 && 2 * f.found_nobody >= f.unasked) out.push_back(identity);
  return out;
}

std::vector<u64> locks_held_waiting(const Program& program) {
  std::vector<u64> out;
  std::vector<u32> held;
  for (const TaskProgram& task : program.tasks) {
    held.clear();
    for (u32 i = task.first_op; i < task.first_op + task.ops; ++i) {
      const Op& op = program.ops[i];
      const bool take = op.code == OpCode::kTake || op.code == OpCode::kTakeSome || op.code == OpCode::kReady;
      if (!take && op.code != OpCode::kPost) continue;
      const Object& object = program.objects[op.target];
      if (object.kind == kObjectFutex) {  // other futexes are no objects
        if (take)
          held.push_back(op.target);
        else
          std::erase(held, op.target);
      } else if (take || object.capacity != 0) {
        for (const u32 lock : held) out.push_back(program.objects[lock].identity);
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// A call on a lock begins.
void Walk::enter_lock(Task& task, Call& call, const KernelEvent& e) {
  call.index = objects_.find(e.b);
  call.lock = true;
  ObjectTable::State& state = objects_.state(call.index);
  if (!state.touched) {
    state.touched = state.taken_from = true;
    objects_.object(call.index).tokens = 1;
    report_.locks += 1;
  }
  const auto held = std::find(task.holds.begin(), task.holds.end(), call.index);
  if (call.role == kCallTake) {
    call.done = true;
    if (call.result == 0) contended_.try_emplace(call.index, e.time_ns);
    if (held != task.holds.end()) return;  // has waited before, and somebody was faster
    task.holds.push_back(call.index);
    advance(task, e.c);
    write(task, OpCode::kTake, call.index, 1);
    return;
  }
  const auto since = contended_.find(call.index);
  const bool asked = since != contended_.end();
  call.amount.tokens = 1;
  if (held != task.holds.end()) {
    task.holds.erase(held);
  } else if (asked || call.result > 0) {
    advance(task, e.c);
    write_take_before(task, call.index, asked ? since->second : e.time_ns);
  } else {
    call.index = kNone;
    call.amount = {};
  }
  if (asked) contended_.erase(since);
}

/// The task took the lock without a call, at the latest when the first one came to wait for it. Writes that down where
/// the task was then.
void Walk::write_take_before(Task& task, u32 lock, u64 ns) {
  if (task.own) return;
  std::vector<Op>& ops = task.ops;
  const auto later =
      std::upper_bound(task.moments.begin(), task.moments.end(), ns, [](u64 at, const Moment& m) { return at < m.ns; });
  if (later == task.moments.begin()) return write(task, OpCode::kTake, lock, 1);
  const Moment& moment = *std::prev(later);
  const u64 then = moment.exec + (moment.running ? ns - moment.ns : 0);
  // Back from the end to that CPU time, but not behind what was written at the moment, nor behind the lock's last
  // return.
  std::size_t at = ops.size();
  u64 exec = task.done;
  u64 rest = 0;  // of the run before `at` that came after `ns`
  for (; at > moment.ops; --at) {
    const Op& op = ops[at - 1];
    if (op.code == OpCode::kPost && op.target == lock) break;
    if (op.code != OpCode::kRun) {
      if (moment.running && exec <= then) break;
    } else if (exec - std::min(exec, op.value) < then) {
      if (exec > then) rest = exec - then;
      break;
    } else {
      exec -= op.value;
    }
  }
  if (at == moment.ops && at > 0 && ops[at - 1].code == OpCode::kRun && exec > then)  // it has grown since
    rest = std::min(exec - then, ops[at - 1].value);
  std::vector<Op> piece = {{.code = OpCode::kTake, .target = lock, .value = 1}};
  if (rest > 0) {
    ops[at - 1].value -= rest;
    piece.push_back({.code = OpCode::kRun, .value = rest});
  }
  ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
  for (auto m = later; m != task.moments.end(); ++m) m->ops += static_cast<u32>(piece.size());
}

/// Where the task is, so that write_take_before finds back there.
void Walk::note_moment(Task& task, u64 ns, bool running) {
  constexpr std::size_t kMoments =
      4096;  // a lock that is held over more switches counts as taken when it is given back
  if (locks_.empty() || task.own) return;
  if (task.moments.size() >= kMoments) task.moments.erase(task.moments.begin(), task.moments.begin() + kMoments / 2);
  task.moments.push_back({.ns = ns, .exec = task.done, .ops = static_cast<u32>(task.ops.size()), .running = running});
}

}  // namespace reprise::sim
