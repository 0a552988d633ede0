// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/workload.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "scheduler/core/check.h"

namespace reprise::sim {
namespace {

constexpr u64 kCookieOutside = ~u64{0};
constexpr u64 kCookieLater = ~u64{0} - 1;
constexpr u32 kEmptyTurn = 1u << 20;
constexpr u64 kEmptyTurnNs = kNsPerUs;

constexpr u64 cookie_of(u32 instance, u32 sleep) { return u64{instance} << 32 | sleep; }

}  // namespace

Workload::Workload(const Program& program) : program_(program) {
  first_instance_.assign(program.tasks.size(), kNone);
  places_.resize(program.objects.size());
  i32 highest = 0;
  for (u32 i = 0; i < program.tasks.size(); ++i) {
    highest = std::max(highest, program.tasks[i].tid);
    if (program.tasks[i].start == TaskStart::kAtTime) later_.push_back(i);
    due_tasks_ += is_due(i) ? 1 : 0;
  }
  next_tid_ = std::max(highest, 1000) + 1;
  std::sort(later_.begin(), later_.end(), [&](u32 a, u32 b) {
    return std::tie(program.tasks[a].start_ns, a) < std::tie(program.tasks[b].start_ns, b);
  });
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Object& object = program.objects[i];
    places_[i].takes_left = object.takes;
    if (object.type == ObjectType::kTokens && object.members == 0 && object.page == 0)
      places_[i].plain = object.capacity == 0 ? ~u64{0} : object.capacity;
  }
  instances_.reserve(program.max_instances);
  instance_of_.reserve(program.max_instances + 64);
}

void Workload::begin(Kernel& kernel) {
  REPRISE_CHECK(instances_.empty());
  start_ns_ = kernel.now();
  for (u32 i = 0; i < places_.size(); ++i) {
    const Object& o = program_.objects[i];
    if (o.type == ObjectType::kTokens && o.tokens) set_tokens(kernel, i, o.tokens, WakeContext::kTask);
  }
  // All are made before the first one is started, so that nobody posts to a task that does not wait yet.
  for (u32 t = 0; t < program_.tasks.size(); ++t) {
    const TaskStart how = program_.tasks[t].start;
    if (how != TaskStart::kAtStart && how != TaskStart::kWaiting) continue;
    const u32 i = make(kernel, t, kNoTaskId, how == TaskStart::kWaiting ? TaskState::kBlocked : TaskState::kNew);
    if (how != TaskStart::kWaiting) continue;
    wait_from_start(kernel, i);
  }
  for (u32 i = 0, n = static_cast<u32>(instances_.size()); i < n; ++i)
    if (program_.tasks[instances_[i].task].start == TaskStart::kAtStart) kernel.start(instances_[i].id);
  if (!later_.empty()) kernel.arm(start_ns_ + program_.tasks[later_[0]].start_ns, kCookieLater);
  arm_outside(kernel);
}

/// The task exists and waits already: its first operation begins as if it had been called before.
void Workload::wait_from_start(Kernel& kernel, u32 instance) {
  Instance& task = instances_[instance];
  const Op& op = program_.ops[task.pc];
  Result result;
  if (op.code == OpCode::kTake || op.code == OpCode::kTakeSome)
    result = take(kernel, instance, op);
  else if (op.code == OpCode::kReady)
    result = ready(instance, op);
  else if (op.code == OpCode::kAwait)
    result = wait_granted(instance, places_[op.target].takers);
  else if (op.code == OpCode::kSleep || op.code == OpCode::kSleepUntil)
    result = sleep_until(kernel, instance, start_ns_ + op.value);
  else if (op.code == OpCode::kSleepTicks)
    result = sleep_until(kernel, instance, after_ticks(kernel, op));
  else
    return wake(kernel, instance, WakeContext::kHardirq);
  task.blocked = 0;  // what blocking costs was paid before the start
  if (result == Result::kBlock) return;
  task.pc += 1;
  task.inside = task.granted = 0;
  wake(kernel, instance, WakeContext::kHardirq);
}

u32 Workload::program_of(TaskId task) const {
  if (task >= instance_of_.size() || instance_of_[task] == kNone) return kNoTaskId;
  return instances_[instance_of_[task]].task;
}

/// A task without which the workload cannot have ended: of the foreground, and no other one there makes it.
bool Workload::is_due(u32 task) const {
  const TaskProgram& from = program_.tasks[task];
  if (from.background) return false;
  return from.start != TaskStart::kByFork || (from.parent >= 0 && program_.tasks[from.parent].background);
}

u32 Workload::make(Kernel& kernel, u32 task, TaskId parent, TaskState state) {
  const TaskProgram& from = program_.tasks[task];
  if (instances_.size() >= program_.max_instances) {
    stats_.forks_refused += 1;
    return kNone;
  }
  TaskInfo info;
  const bool first = first_instance_[task] == kNone;
  info.tid = first && from.tid ? from.tid : next_tid_++;
  info.tgid = first && from.tgid ? from.tgid : info.tid;
  info.parent = parent;
  if (parent == kNoTaskId && from.parent >= 0 && first_instance_[from.parent] != kNone)
    info.parent = instances_[first_instance_[from.parent]].id;
  std::memcpy(info.comm.data(), from.comm, sizeof from.comm);
  info.weight = from.weight;
  info.allowed = program_.cpu_sets[from.cpu_set];
  info.kernel_thread = from.kernel_thread;
  info.at_attach = from.at_attach && first;
  info.sched_class = from.sched_class == 0 ? SchedClass::kExt : static_cast<SchedClass>(from.sched_class - 1);
  info.state = state;
  const u32 index = static_cast<u32>(instances_.size());
  Instance& made = instances_.emplace_back();
  made.id = kernel.create(info);
  made.task = task;
  made.pc = from.first_op;
  made.state = State::kRunnable;
  if (made.id >= instance_of_.size()) instance_of_.resize(made.id + 1, kNone);
  instance_of_[made.id] = index;
  if (first) first_instance_[task] = index;
  started_tasks_ += first && is_due(task) ? 1 : 0;
  alive_ += 1;
  background_ += from.background ? 1 : 0;
  return index;
}

void Workload::push(Queue& queue, u32 instance) {
  instances_[instance].next = kNone;
  (queue.empty() ? queue.first : instances_[queue.last].next) = instance;
  queue.last = instance;
}

void Workload::push_front(Queue& queue, u32 instance) {
  instances_[instance].next = queue.first;
  if (queue.empty()) queue.last = instance;
  queue.first = instance;
}

void Workload::wake(Kernel& kernel, u32 instance, WakeContext context) {
  instances_[instance].state = State::kRunnable;
  stats_.wakes += 1;
  kernel.wake(instances_[instance].id, context);
}

void Workload::tell_sets(Kernel& kernel, u32 object, bool is, WakeContext context) {
  const Object& o = program_.objects[object];
  for (u32 i = 0; i < o.members; ++i) {
    const u32 set = program_.memberships[o.first_member + i];
    places_[set].tokens += is ? 1 : ~u64{0};
    if (is) wake_takers(kernel, set, context);
  }
}

/// Takes tokens away. Returns whether a writer may go on: of a pipe, when a page of a full one has become free
/// (wake_writer in pipe_read).
bool Workload::draw(Kernel& kernel, u32 object, u64 count) {
  Place& place = places_[object];
  const Object& o = program_.objects[object];
  const u64 before = level(place);
  set_tokens(kernel, object, place.tokens - count, WakeContext::kTask);
  if (o.page == 0) return o.capacity != 0;
  place.read = place.tokens == 0 ? 0 : (place.read + count) % o.page;
  return before > o.low_water && level(place) <= o.low_water;
}

/// Wakes those whom the tokens that nobody was promised reach for. Returns how many.
u32 Workload::wake_takers(Kernel& kernel, u32 object, WakeContext context) {
  Place& place = places_[object];
  u32 woken = 0;
  u32 before = kNone;
  for (u32 i = place.takers.first; i != kNone;) {
    Instance& waiter = instances_[i];
    const u32 following = waiter.next;
    const u64 free = place.tokens > place.promised ? place.tokens - place.promised : 0;
    if (free == 0 && place.ready_waiters == 0) break;
    const OpCode code = program_.ops[waiter.pc].code;
    bool goes;
    if (code == OpCode::kReady) {
      goes = place.tokens > 0;
      if (goes) place.ready_waiters -= 1;
    } else {
      goes = free >= waiter.rest || (free > 0 && (code == OpCode::kTakeSome || !place.posters.empty()));
      if (goes) {
        waiter.promise = std::min(free, waiter.rest);
        place.promised += waiter.promise;
      }
    }
    if (goes) {
      (before == kNone ? place.takers.first : instances_[before].next) = following;
      if (place.takers.last == i) place.takers.last = before;
      woken += 1;
      wake(kernel, i, context);
    } else {
      before = i;
    }
    i = following;
  }
  return woken;
}

void Workload::wake_posters(Kernel& kernel, u32 object) {
  Place& place = places_[object];
  if (place.posters.empty() || (level(place) > program_.objects[object].low_water && place.takes_left > 0)) return;
  // One at a time, as pipes and sockets do: who fills up again has woken a reader before, who wakes the next.
  const u32 i = place.posters.first;
  place.posters.first = instances_[i].next;
  if (place.posters.empty()) place.posters.last = kNone;
  wake(kernel, i, WakeContext::kTask);
}

Workload::Result Workload::take(Kernel& kernel, u32 instance, const Op& op) {
  Instance& task = instances_[instance];
  Place& place = places_[op.target];
  if (!task.inside) {
    task.inside = 1;
    task.rest = op.value;
    stats_.takes += 1;
  }
  place.promised -= task.promise;
  task.promise = 0;
  const bool bounded = program_.objects[op.target].capacity != 0;
  while (task.rest > 0) {
    const u64 got = std::min(place.tokens, task.rest);
    // Less than was asked for: a read goes on with it; others take it only from who cannot give more before.
    const bool some = op.code == OpCode::kTakeSome && got > 0;
    if (got < task.rest && !some && (got == 0 || place.posters.empty())) break;
    task.rest -= got;
    const bool room = draw(kernel, op.target, got);
    if (some) {
      place.owed += task.rest;
      task.rest = 0;
    }
    if (room) wake_posters(kernel, op.target);
  }
  if (task.rest > 0) {
    if (!task.blocked) stats_.takes_blocked += 1;
    task.blocked = 1;
    task.state = State::kWaiting;
    push(place.takers, instance);
    return Result::kBlock;
  }
  if (place.takes_left != kNone) place.takes_left -= 1;
  if (place.takes_left == 0 && bounded) wake_posters(kernel, op.target);
  if (place.tokens > place.promised && !place.takers.empty()) wake_takers(kernel, op.target, WakeContext::kTask);
  return task.blocked ? Result::kDoneAfterBlock : Result::kDone;
}

/// Tokens that somebody has already taken vanish.
void Workload::put(Kernel& kernel, u32 object, u64 tokens, WakeContext context) {
  Place& place = places_[object];
  const u64 paid = std::min(place.owed, tokens);
  place.owed -= paid;
  if (tokens > paid) set_tokens(kernel, object, place.tokens + tokens - paid, context);
}

Workload::Result Workload::post(Kernel& kernel, u32 instance, const Op& op, bool& woke) {
  Instance& task = instances_[instance];
  Place& place = places_[op.target];
  const Object& object = program_.objects[op.target];
  if (!task.inside) {
    task.inside = 1;
    task.rest = op.value;
    stats_.posts += 1;
  }
  if (object.capacity == 0) {
    put(kernel, op.target, task.rest, WakeContext::kTask);
    task.rest = 0;
    woke = wake_takers(kernel, op.target, WakeContext::kTask) > 0;
    return Result::kDone;
  }
  const u64 room = object.capacity - std::min(object.capacity, level(place)) + place.owed;
  const bool may = !task.blocked || level(place) <= object.low_water || place.takes_left == 0;
  // What does not fit into the empty object goes in pieces.
  const u64 piece = !may ? 0 : task.rest <= room ? task.rest : task.rest > object.capacity ? room : 0;
  if (piece > 0) {
    task.rest -= piece;
    put(kernel, op.target, piece, WakeContext::kTask);
  }
  if (task.rest > 0) {
    if (!task.blocked) stats_.posts_blocked += 1;
    task.blocked = 1;
    task.state = State::kWaiting;
    push(place.posters, instance);
    wake_takers(kernel, op.target, WakeContext::kTask);
    return Result::kBlock;
  }
  woke = wake_takers(kernel, op.target, WakeContext::kTask) > 0;
  // Room that is left is for the next writer: of a pipe, who had to wait tells him (wake_next_writer in pipe_write).
  if (object.page == 0 || task.blocked) wake_posters(kernel, op.target);
  return task.blocked ? Result::kDoneAfterBlock : Result::kDone;
}

Workload::Result Workload::ready(u32 instance, const Op& op) {
  Instance& task = instances_[instance];
  Place& place = places_[op.target];
  if (!task.inside) stats_.takes += 1;
  task.inside = 1;
  if (place.tokens > 0) return task.blocked ? Result::kDoneAfterBlock : Result::kDone;
  if (!task.blocked) stats_.takes_blocked += 1;
  task.blocked = 1;
  task.state = State::kWaiting;
  push_front(place.takers, instance);  // poll_wait, add_wait_queue: before those that wait already
  place.ready_waiters += 1;
  return Result::kBlock;
}

bool Workload::would_wait(const Op& op) const {
  switch (op.code) {
    case OpCode::kTake:
      return places_[op.target].tokens < op.value;
    case OpCode::kTakeSome:
    case OpCode::kReady:
      return places_[op.target].tokens == 0;
    default:
      return op.code == OpCode::kAwait;
  }
}

Workload::Result Workload::wait_granted(u32 instance, Queue& queue) {
  Instance& task = instances_[instance];
  if (task.granted) return Result::kDoneAfterBlock;
  task.inside = task.blocked = 1;
  task.state = State::kWaiting;
  push(queue, instance);
  return Result::kBlock;
}

u64 Workload::signal(Kernel& kernel, u32 object, u64 count, WakeContext context) {
  Place& place = places_[object];
  u64 done = 0;
  for (; done < count && !place.takers.empty(); ++done) {
    const u32 i = place.takers.first;
    place.takers.first = instances_[i].next;
    if (place.takers.empty()) place.takers.last = kNone;
    instances_[i].granted = 1;
    wake(kernel, i, context);
  }
  return done;
}

Workload::Result Workload::barrier(Kernel& kernel, u32 instance, const Op& op) {
  Instance& task = instances_[instance];
  Place& place = places_[op.target];
  if (!task.inside && ++place.tokens >= program_.objects[op.target].capacity) {
    place.tokens = 0;
    signal(kernel, op.target, kEverybody, WakeContext::kTask);
    return Result::kDone;
  }
  return wait_granted(instance, place.takers);
}

u64 Workload::after_ticks(const Kernel& kernel, const Op& op) {
  const u64 tick = kernel.tick_ns();
  return (kernel.now() / tick + op.value) * tick;
}

Workload::Result Workload::sleep_until(Kernel& kernel, u32 instance, u64 at_ns, u64 slack_ns) {
  Instance& task = instances_[instance];
  if (task.granted) return Result::kDoneAfterBlock;
  stats_.sleeps += 1;
  if (at_ns <= kernel.now()) {
    stats_.sleeps_late += 1;
    return Result::kDone;
  }
  task.inside = task.blocked = 1;
  task.state = State::kSleeping;
  task.sleep += 1;
  kernel.arm(at_ns, cookie_of(instance, task.sleep), kThisCpu, slack_ns);
  return Result::kBlock;
}

Workload::Result Workload::period(Kernel& kernel, u32 instance, const Op& op) {
  Place& timer = places_[op.target];
  const u64 now = kernel.now();
  if (instances_[instance].granted) return Result::kDoneAfterBlock;
  if (timer.tokens == 0) {
    const u64 first = program_.objects[op.target].tokens;
    timer.tokens = first == kWhenUsed ? now : start_ns_ + first;
  }
  timer.tokens += op.value;
  if (timer.tokens > now) return sleep_until(kernel, instance, timer.tokens, op.extra * kExtraUnitNs);
  if (program_.objects[op.target].capacity == kTimerBeginsAnew) timer.tokens = now;
  stats_.sleeps += 1;
  stats_.sleeps_late += 1;
  return Result::kDone;
}

void Workload::end(Kernel& kernel, u32 instance) {
  Instance& task = instances_[instance];
  const u32 ended = program_.tasks[task.task].ended;
  task.state = State::kEnded;
  alive_ -= 1;
  background_ -= program_.tasks[task.task].background ? 1 : 0;
  stats_.exits += 1;
  if (ended == kNoObject) return;
  put(kernel, ended, 1, WakeContext::kTask);
  wake_takers(kernel, ended, WakeContext::kTask);
}

Action Workload::next(Kernel& kernel, TaskId id) {
  REPRISE_CHECK(id < instance_of_.size() && instance_of_[id] != kNone);
  const u32 self = instance_of_[id];
  for (u32 turn = 0; turn < kEmptyTurn; ++turn) {
    Instance& task = instances_[self];
    const TaskProgram& program = program_.tasks[task.task];
    if (task.pc >= program.first_op + program.ops) {
      end(kernel, self);
      return {.next = Next::kExit};
    }
    const Op& op = program_.ops[task.pc];
    Result result = Result::kDone;
    bool woke = false;
    u32 following = task.pc + 1;
    if (op.extra != 0 && !task.inside && !task.paid && would_wait(op))
      return {.next = Next::kRun, .run_ns = pay_extra(task, op)};
    switch (op.code) {
      case OpCode::kRun:
        task.pc = following;
        if (op.value == 0) continue;
        return {.next = Next::kRun, .run_ns = look_ahead(kernel, task, op.value)};
      case OpCode::kRunFor:
        if (!task.inside) {
          task.inside = 1;
          task.rest = kernel.now() + op.value;
        } else if (kernel.now() >= task.rest) {
          break;
        }
        return {.next = Next::kRun, .run_ns = op.target};
      case OpCode::kTake:
      case OpCode::kTakeSome:
        result = take(kernel, self, op);
        break;
      case OpCode::kPost:
        result = post(kernel, self, op, woke);
        break;
      case OpCode::kReady:
        result = ready(self, op);
        break;
      case OpCode::kAwait:
        result = wait_granted(self, places_[op.target].takers);
        break;
      case OpCode::kSignal:
        woke = signal(kernel, op.target, op.value, WakeContext::kTask) > 0;
        break;
      case OpCode::kBarrier:
        result = barrier(kernel, self, op);
        break;
      case OpCode::kSleep:
        result = sleep_until(kernel, self, kernel.now() + op.value, op.extra * kExtraUnitNs);
        break;
      case OpCode::kSleepTicks:
        result = sleep_until(kernel, self, after_ticks(kernel, op));
        break;
      case OpCode::kSleepUntil:
        result = sleep_until(kernel, self, start_ns_ + op.value, op.extra * kExtraUnitNs);
        break;
      case OpCode::kTimer:
        result = period(kernel, self, op);
        break;
      case OpCode::kLoop:
        following = enter_loop(task, op);
        break;
      case OpCode::kLoopEnd:
        following = end_loop(task, op);
        break;
      case OpCode::kUntil:
        if (kernel.now() >= start_ns_ + op.value) following = op.target;
        break;
      case OpCode::kStopped:
        if (places_[op.target].tokens != 0) following = static_cast<u32>(op.value);
        break;
      case OpCode::kFork:
        if (const u32 child = make(kernel, op.target, id, TaskState::kNew); child != kNone) {
          stats_.forks += 1;
          kernel.start(instances_[child].id);
        }
        break;
      case OpCode::kAffinity:
      case OpCode::kWeight: {
        const u32 whom = op.value == kSelf ? self : first_instance_[op.value];
        if (whom == kNone || instances_[whom].state == State::kEnded) break;
        if (op.code == OpCode::kAffinity)
          kernel.set_affinity(instances_[whom].id, program_.cpu_sets[op.target]);
        else
          kernel.set_weight(instances_[whom].id, op.target);
        break;
      }
      case OpCode::kYield:
        task.pc = following;
        return {.next = Next::kYield};
      case OpCode::kExitBegins:
        kernel.exit_begins(id);
        break;
      case OpCode::kLeaveGroup:
        kernel.leaves_group(id);
        break;
      case OpCode::kExit:
        end(kernel, self);
        return {.next = Next::kExit};
      case OpCode::kLeave:
        task.state = State::kEnded;
        alive_ -= 1;
        background_ -= program.background ? 1 : 0;
        stats_.leaves += 1;
        return {.next = Next::kBlock};
    }
    if (result == Result::kBlock) return {.next = Next::kBlock};
    Instance& done = instances_[self];
    done.pc = following;
    done.inside = done.blocked = done.granted = done.paid = 0;
    if (op.extra && woke) return {.next = Next::kRun, .run_ns = look_ahead(kernel, done, op.extra * kExtraUnitNs)};
  }
  stats_.empty_turns += 1;
  return {.next = Next::kRun, .run_ns = kEmptyTurnNs};
}

void Workload::timer(Kernel& kernel, u64 cookie) {
  if (cookie == kCookieOutside) return do_outside(kernel);
  if (cookie == kCookieLater) {
    while (next_later_ < later_.size() && start_ns_ + program_.tasks[later_[next_later_]].start_ns <= kernel.now()) {
      const u32 made = make(kernel, later_[next_later_++], kNoTaskId, TaskState::kNew);
      if (made != kNone) kernel.start(instances_[made].id);
    }
    if (next_later_ < later_.size()) kernel.arm(start_ns_ + program_.tasks[later_[next_later_]].start_ns, kCookieLater);
    return;
  }
  const u32 instance = static_cast<u32>(cookie >> 32);
  REPRISE_CHECK(instance < instances_.size());
  Instance& task = instances_[instance];
  if (task.state != State::kSleeping || task.sleep != static_cast<u32>(cookie)) return;
  task.granted = 1;
  wake(kernel, instance, WakeContext::kHardirq);
}

void Workload::arm_outside(Kernel& kernel) {
  if (next_outside_ >= program_.outside.size()) return;
  const OutsideEvent& e = program_.outside[next_outside_];
  kernel.arm(start_ns_ + e.at_ns, kCookieOutside, e.cpu);
}

void Workload::do_outside(Kernel& kernel) {
  const OutsideEvent& e = program_.outside[next_outside_++];
  const WakeContext context = e.softirq ? WakeContext::kSoftirq : WakeContext::kHardirq;
  if (program_.objects[e.target].type == ObjectType::kTokens) {
    put(kernel, e.target, e.value, context);
    wake_takers(kernel, e.target, context);
  } else {
    signal(kernel, e.target, kEverybody, context);
  }
  arm_outside(kernel);
}

}  // namespace reprise::sim
