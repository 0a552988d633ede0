// SPDX-License-Identifier: GPL-2.0-only
// A session of the scheduler: the dispatcher attached, its rings, and the scheduler's own thread, which does what
// scheduler/live/loop.cc does: take events, step, submit, yield.
#include <algorithm>
#include <cstring>

#include "scheduler/wire/wire.h"
#include "sim/kernel/machine.h"

namespace reprise::sim {
namespace {
constexpr u32 kRoomReserved = kMaxPreemptsPerStep + 1;
constexpr u64 kFirstPauseNs = 500 * kNsPerUs;
constexpr std::size_t kDispatchBatch = 512;  // ops.dispatch_max_batch
}  // namespace

// scx_enable: a new dispatcher and a new engine; every task is introduced.
Expected<void> Machine::attach() {
  for (EventQueue::Slot& slot : timer_slots) {
    if (slot != ~0u) release(slot);
    slot = ~0u;
  }
  state = std::make_unique<dispatcher_state>();
  dispatcher_here = state.get();
  state->host = this;
  state->now = reinterpret_cast<const ::u64*>(&now);
  state->cpu = &here;
  wire_config& config = state->config_value;
  config.scheduler_tid = options.scheduler_tid;
  config.scheduler_tgid = options.scheduler_tid;
  config.cpus = cpu_count();
  config.max_tasks = options.max_tasks;
  config.slice_default_ns = options.slice_default_ns;
  config.slice_scheduler_ns = options.slice_scheduler_ns;
  config.heartbeat_ns = options.heartbeat_ns;
  config.fallback_ns = options.fallback_ns;
  config.kick = options.kick_preempt ? WIRE_KICK_PREEMPT : WIRE_KICK_NONE;
  config.kick_interval_us = options.kick_interval_us;
  config.recording = 1;
  config.interests = options.policy->interests;
  config.kernel = {.enq_wakeup = kEnqWakeup,
                   .enq_last = kEnqLast,
                   .enq_reenq = kEnqReenq,
                   .wake_sync = kWakeSync,
                   .kick_idle = kKickIdle,
                   .kick_preempt = kKickPreempt,
                   .dsq_local = kDsqLocal,
                   .task_queued = kTaskQueued,
                   .reserved = 0};
  slots = std::make_unique<slot[]>(options.max_tasks);
  state->slots = slots.get();
  free_slots.clear();
  free_slots_first = 0;
  up.init(options.events_bytes);
  down.init(options.decisions_bytes);
  other_dsqs.clear();
  dsqs = std::vector<Dsq>(cpu_count());
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) dsqs[cpu].init(cpu);
  buffer.reserve(kDispatchBatch);

  const Options& wanted = options.policy_options;
  const bool given = wanted.specs().data() == options.policy->options.data() &&
                     wanted.values().size() == options.policy->options.size();
  const EngineConfig engine_config{.limits = {.cpus = cpu_count(), .max_tasks = options.max_tasks},
                                   .seed = options.seed};
  auto made = Engine::create(engine_config, *options.policy, given ? wanted : Options(options.policy->options));
  if (!made) return std::unexpected(made.error());
  engine = std::move(*made);
  engine_steps = submitted = wish_sent = refused_seen = refused = lost_known = 0;
  phase = Phase::kEnter;
  step_events.clear();
  step_events.reserve(kMaxEventsPerStep);
  step_idle.assign((cpu_count() + 63) / 64, 0);
  output.clear();

  if (reprise_dispatcher.init() != 0) return fail(ExitCode::kInternal, "the dispatcher does not start");
  ++counters.sessions;
  if (scheduler == kNoTaskId) {
    scheduler = create({.tid = options.scheduler_tid, .comm = {"reprise-sched"}});
    --alive;  // is none of the workload's
    tasks[scheduler].state = RunState::kBlocked;
  }
  attached = true;
  bypassing = false;
  // What follows costs time on CPUs that are in the middle of something: what was done up to here is not lost.
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) update_curr(cpu);
  for (TaskId id = 0; id < tasks.size(); ++id) {
    Task& task = tasks[id];
    if (task.state == RunState::kDead) continue;
    scx_init_task_args args{.fork = false};
    reprise_dispatcher.init_task(&task.ts, &args);
    if (task.state != RunState::kRunnable || task.on_cpu) continue;
    here = task.cpu;  // scx_bypass(false): every waiting task is queued again
    dequeue_task_ext(task, 2);
    enqueue_task_ext(task, kEnqRestore);
  }
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
    Cpu& c = cpus[cpu];
    here = cpu;
    if (c.online && c.curr == kNoTaskId && !c.foreign) {
      c.idle_since = now;
      update_idle(cpu, true, true);
    }
    if (c.online && c.curr != kNoTaskId) resched(cpu);
  }
  if (watchdog_slot == ~0u) watchdog_slot = event_at(now + options.watchdog_ns / 2, {.kind = EventKind::kWatchdog});
  if (tasks[scheduler].state == RunState::kBlocked) event_at(now, {.kind = EventKind::kSchedulerSleep});
  run_kicks();
  return {};
}

// The kernel lets the scheduler go and asks for a restart (handle_hotplug): until the next session it schedules by
// itself, first come, first served (scx_bypass).
void Machine::begin_restart(const std::string&) {
  if (!attached) return;
  attached = false;
  bypassing = true;
  const auto* each = state->counters_value;
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
    const auto* from = reinterpret_cast<const wire_u64*>(&each[cpu]);
    auto* to = reinterpret_cast<wire_u64*>(&before);
    for (std::size_t i = 0; i < sizeof before / sizeof(wire_u64); ++i) to[i] += from[i];
  }
  lost_before += lost_known;
  for (TaskId id = 0; id < tasks.size(); ++id) {
    Task& task = tasks[id];
    task.ts.context = nullptr;
    if (task.state != RunState::kRunnable || task.on_cpu) continue;
    dequeue_task_ext(task, 2);
    enqueue_task_ext(task, kEnqRestore);
  }
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu)
    if (cpus[cpu].online && !cpus[cpu].foreign) resched(cpu);
  event_at(now + options.costs.restart, {.kind = EventKind::kRestart});
}

// ---- the scheduler's thread ----

Action Machine::scheduler_next() {
  if (!attached) return {Next::kBlock};
  if (phase == Phase::kSubmit) {
    submit();
    if (error) return {Next::kBlock};
    phase = up.count() == 0 ? Phase::kLeave : Phase::kTurn;
    const u64 leave = options.costs.leave + options.costs.leave_decision * down.count();
    if (phase == Phase::kLeave && leave != 0) return {Next::kRun, leave};
  }
  if (phase == Phase::kLeave) {
    phase = Phase::kEnter;
    return {Next::kYield};
  }
  if (phase == Phase::kEnter) {
    phase = Phase::kTurn;
    if (options.costs.enter != 0) return {Next::kRun, options.costs.enter};
  }
  return scheduler_turn();
}

Action Machine::scheduler_turn() {
  wire_shared& shared = state->shared_value;
  ++shared.beat;
  ++counters.turns;
  step_events.clear();
  const u64 taken = std::min<u64>(up.count(), kMaxEventsPerStep);
  for (u64 i = 0; i < taken; ++i) {
    Event& event = step_events.emplace_back();
    if (!wire::decode(reinterpret_cast<const std::byte*>(&up.at(i)), sizeof(wire_event), event)) step_events.pop_back();
  }
  if (taken != 0) up.drop(taken);
  const bool timer_due = output.wake_at_ns != 0 && now >= output.wake_at_ns;
  u64 room = std::min<u64>(down.room(), ~u32{0});
  if (options.faults.full_per_mille != 0 && fault(options.faults.full_per_mille))
    room = std::min<u64>(room, kRoomReserved + 1);
  if (step_events.empty() && !timer_due && !(output.more && room > kRoomReserved)) {
    charge(here, options.costs.turn);
    phase = Phase::kEnter;
    if (engine_steps > 0) return {Next::kYield};
    event_at(now + kFirstPauseNs, {.kind = EventKind::kSchedulerSleep});
    return {Next::kBlock};
  }
  for (std::size_t i = 0; i < step_idle.size(); ++i) step_idle[i] = shared.idle[i];
  step_input = {
      .number = ++engine_steps,
      .now_ns = now,
      .events = step_events,
      .idle = step_idle,
      .room = static_cast<u32>(std::min<u64>(room > kRoomReserved ? room - kRoomReserved : 0, kMaxDecisionsPerStep)),
      .flags = shared.fallback ? u32{kStepFallback} : 0,
      .lost_events = lost_events()};
  if (auto stepped = engine->step(step_input, output); !stepped) {
    if (!error) error = stepped.error();
    return {Next::kBlock};
  }
  ++counters.steps;
  counters.step_events += step_events.size();
  counters.decisions += output.decision_count;
  phase = Phase::kSubmit;
  u64 cost = options.costs.step + options.costs.step_event * step_events.size() +
             options.costs.step_decision * output.decision_count;
  if (options.faults.late_per_mille != 0 && fault(options.faults.late_per_mille))
    cost += fault_random.below(options.faults.late_ns + 1);
  return {Next::kRun, std::max<u64>(cost, 1)};
}

void Machine::submit() {
  const u64 first = submitted;
  const auto put = [this](const wire_message& message) {
    wire_message* to = down.reserve();
    if (!to) return false;
    *to = message;
    down.commit();
    ++submitted;
    return true;
  };
  for (const Decision& decision : output.decisions()) {
    REPRISE_CHECK(put(wire::encode(decision)));
    if (options.faults.stale_per_mille != 0 && down.room() > kMaxDecisionsPerStep &&
        fault(options.faults.stale_per_mille))
      put(wire::encode(decision));
  }
  for (const i32 cpu : output.preempts()) put(wire::encode_preempt(cpu));
  if (output.wake_at_ns != wish_sent && put(wire::encode_wake_at(output.wake_at_ns))) wish_sent = output.wake_at_ns;
  if (steps_to) steps_to->step(step_input, output, now);
  if (submitted != first) state->shared_value.submitted = submitted;
  if (options.faults.renice_per_mille != 0 && fault(options.faults.renice_per_mille)) renice_one();
}

// Losses are seldom: the counters of all CPUs are summed only after the ring has refused something.
u64 Machine::lost_events() {
  if (refused == refused_seen) return lost_known;
  refused_seen = refused;
  lost_known = 0;
  for (u32 cpu = 0; cpu < cpu_count(); ++cpu)
    lost_known += state->counters_value[cpu].events_lost + state->counters_value[cpu].congested;
  counters.events_lost = lost_before + lost_known;
  return lost_known;
}

// What the next decisions are about: with many tasks, a miss each.
void Machine::prefetch_decided() const {
  const auto slot_of = [this](u64 i) -> const slot* {
    return i < down.count() && down.at(i).task < options.max_tasks ? &slots[down.at(i).task] : nullptr;
  };
  if (const slot* later = slot_of(2)) __builtin_prefetch(later);
  const slot* next = slot_of(0);
  const Task* task = next ? task_by_tid(next->tid) : nullptr;
  if (!task) return;
  __builtin_prefetch(task);
  __builtin_prefetch(&task->dsq);
}

// bpf_user_ringbuf_drain.
long Machine::drain() {
  if (options.faults.busy_per_mille != 0 && fault(options.faults.busy_per_mille)) return -16;  // EBUSY
  long taken = 0;
  while (down.count() != 0) {
    const wire_message message = down.at(0);
    down.drop(1);
    ++taken;
    prefetch_decided();
    fold(u64{message.task} << 32 | message.generation);
    fold(message.vtime ^ message.slice_ns << 1);
    charge(here, options.costs.bpf_decision);
    if (reprise_dispatcher.carry_out(&message)) break;
  }
  return taken;
}

}  // namespace reprise::sim
