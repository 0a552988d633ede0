// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/machine.h"

#include <algorithm>
#include <cstring>

#include "tests/support/events.h"

namespace reprise::test {

Plan hog(u32 weight) {
  return {.comm = "hog", .weight = weight, .next = [](Prng&) { return Burst{.run_ns = ~u64{0} >> 1, .exit = true}; }};
}

Plan sleeper(u64 run_ns, u64 sleep_ns, u32 weight) {
  return {.comm = "sleeper", .weight = weight, .next = [=](Prng&) { return Burst{run_ns, sleep_ns}; }};
}

Plan runs_once(u64 run_ns) {
  return {.comm = "once", .next = [=](Prng&) { return Burst{.run_ns = run_ns, .exit = true}; }};
}

Machine::Machine(const MachineConfig& config, const PolicyInfo& info, const Options& options)
    : config_(config),
      random_(Prng::seeded(config.seed).split("workload")),
      faults_(Prng::seeded(config.seed).split("faults")),
      tasks_(config.max_tasks),
      cpus_(config.cpus) {
  Expected<std::unique_ptr<Engine>> engine =
      Engine::create({.limits = {config.cpus, config.max_tasks}, .seed = config.seed}, info, options);
  REPRISE_CHECK(engine.has_value());
  engine_ = std::move(*engine);
}

void Machine::violate(const std::string& what) {
  if (violation_.empty())
    violation_ = "at " + std::to_string(now_ns_) + " ns, step " + std::to_string(steps_) + ": " + what;
}

u64 Machine::arm(u64 time_ns, Kind kind, u32 index) {
  timers_.push({time_ns, ++order_, kind, index});
  return order_;
}

// ---- tasks -------------------------------------------------------------------------------------------------------

TaskSlot Machine::spawn(const Plan& plan) {
  const auto free = std::ranges::find(tasks_, Where::kGone, &Running::where);
  if (free == tasks_.end()) return kNoTask;
  const TaskSlot slot = static_cast<TaskSlot>(free - tasks_.begin());
  *free = {.plan = plan,
           .tid = next_tid_++,
           .start_time_ns = now_ns_,
           .weight = plan.weight,
           .allowed = std::vector<bool>(config_.cpus, plan.cpus.empty()),
           .generation = free->generation};
  for (u32 cpu : plan.cpus) free->allowed[cpu] = true;
  free->where = Where::kSleeping;
  next_burst(slot);
  make_runnable(slot, kEnqueueNew);
  return slot;
}

void Machine::next_burst(TaskSlot slot) {
  Running& task = tasks_[slot];
  task.burst = task.plan.next(random_);
  REPRISE_CHECK(task.burst.run_ns > 0 && (task.burst.exit || task.burst.sleep_ns > 0));
}

Event Machine::blank(EventType type, TaskSlot slot) const {
  Event made = event(type, slot, now_ns_);
  made.tid = tasks_[slot].tid;
  made.generation = tasks_[slot].generation;
  return made;
}

void Machine::notice(EventType type, TaskSlot slot, bool may_be_lost) {
  Running& task = tasks_[slot];
  if (!task.told && type != EventType::kTaskNew) return;
  if (may_be_lost && faults_.chance(config_.lost_notices_per_mille, 1000)) return;
  Event made = blank(type, slot);
  if (type == EventType::kTaskNew) {
    task.told = true;
    made.task_new = {.start_time_ns = task.start_time_ns,
                     .tgid = task.tid,
                     .parent_tid = 1,
                     .weight = task.weight,
                     .flags = task.plan.at_attach ? u32{kTaskAtAttach} : 0,
                     .comm = {},
                     .reserved = 0};
    std::memcpy(made.task_new.comm, task.plan.comm.data(), std::min<std::size_t>(15, task.plan.comm.size()));
  } else if (type == EventType::kRunning || type == EventType::kStopping) {
    made.cpu = static_cast<u16>(task.prev_cpu);
    made.stopping.exec_total_ns = type == EventType::kStopping ? task.exec_ns : 0;
    made.stopping.runnable = type == EventType::kStopping && task.burst.run_ns > 0;
  } else if (type == EventType::kWeight) {
    made.weight.weight = task.weight;
  } else if (type == EventType::kAffinity) {
    for (u32 cpu = 0; cpu < config_.cpus; ++cpu)
      if (task.allowed[cpu]) made.affinity.words[cpu / 64] |= u64{1} << (cpu % 64);
    made.affinity.allowed_cpus = static_cast<u32>(std::ranges::count(task.allowed, true));
  }
  pending_.push_back(made);
}

void Machine::make_runnable(TaskSlot slot, u32 flags) {
  Running& task = tasks_[slot];
  if (!task.told) {
    notice(EventType::kTaskNew, slot);
    if (!task.plan.cpus.empty()) notice(EventType::kAffinity, slot);
  }
  if (task.where != Where::kHeld && task.where != Where::kQueued) task.runnable_ns = now_ns_;
  task.where = Where::kHeld;
  task.generation += 1;
  Event made = blank(EventType::kEnqueue, slot);
  made.flags = flags;
  made.enqueue = {.exec_total_ns = task.exec_ns,
                  .started_ns = task.started_ns,
                  .stopped_ns = task.stopped_ns,
                  .prev_cpu = task.prev_cpu,
                  .weight = task.weight,
                  .waker = kNoTask,
                  .allowed_cpus = static_cast<u32>(std::ranges::count(task.allowed, true)),
                  .reserved = 0};
  pending_.push_back(made);
}

/// As the kernel does before it changes an attribute of a task that waits: out of the queue, or back from the policy.
void Machine::withdraw(TaskSlot slot) {
  Running& task = tasks_[slot];
  task.generation += 1;
  if (task.where == Where::kHeld) notice(EventType::kDequeue, slot, true);
  const auto gone = [slot](const Queued& queued) { return queued.slot == slot; };
  std::erase_if(shared_, gone);
  for (Cpu& cpu : cpus_) std::erase_if(cpu.queue, gone);
}

void Machine::fault() {
  const TaskSlot slot = static_cast<TaskSlot>(faults_.below(config_.max_tasks));
  Running& task = tasks_[slot];
  if (task.where == Where::kGone || task.where == Where::kRunning) return;
  const bool waits = task.where == Where::kHeld || task.where == Where::kQueued;
  if (waits) withdraw(slot);
  if (faults_.chance(1, 2)) {
    for (u32 cpu = 0; cpu < config_.cpus; ++cpu) task.allowed[cpu] = faults_.chance(1, 2);
    task.allowed[faults_.below(config_.cpus)] = true;
    notice(EventType::kAffinity, slot);
  } else {
    task.weight = static_cast<u32>(faults_.between(1, 300));
    notice(EventType::kWeight, slot);
  }
  if (waits) make_runnable(slot, kEnqueueReenqueued);
}

// ---- CPUs --------------------------------------------------------------------------------------------------------

void Machine::start(u32 index, const Queued& queued) {
  Cpu& cpu = cpus_[index];
  Running& task = tasks_[queued.slot];
  REPRISE_CHECK(cpu.running == kNoTask && task.where == Where::kQueued && task.allowed[index]);
  const u64 wait_ns = now_ns_ - task.runnable_ns;
  task.max_wait_ns = std::max(task.max_wait_ns, wait_ns);
  if (task.stopped_ns < task.runnable_ns) task.wake_waits_ns.push_back(wait_ns);
  task.where = Where::kRunning;
  task.started_ns = now_ns_;
  task.prev_cpu = static_cast<i32>(index);
  task.dispatched += 1;
  cpu.running = queued.slot;
  u64 end_ns = now_ns_ + queued.slice_ns;
  if (config_.tick_ns != 0) end_ns = (end_ns + config_.tick_ns - 1) / config_.tick_ns * config_.tick_ns;
  cpu.order = arm(std::min(end_ns, now_ns_ + task.burst.run_ns), Kind::kCpu, index);
  if ((engine_->info().interests & kInterestRunning) != 0) notice(EventType::kRunning, queued.slot);
}

/// The task leaves the CPU, for good or for now.
void Machine::stop(u32 index, u32 flags) {
  const TaskSlot slot = std::exchange(cpus_[index].running, kNoTask);
  cpus_[index].order = 0;
  Running& task = tasks_[slot];
  const u64 ran_ns = now_ns_ - task.started_ns;
  task.exec_ns += ran_ns;
  task.burst.run_ns -= ran_ns;
  task.stopped_ns = now_ns_;
  if ((engine_->info().interests & kInterestRunning) != 0) notice(EventType::kStopping, slot);
  if (task.burst.run_ns > 0) return make_runnable(slot, flags);
  if (task.burst.exit) {
    task.where = Where::kGone;
    finished_ += 1;
    return notice(EventType::kTaskExit, slot, true);
  }
  task.where = Where::kSleeping;
  task.wake_order = arm(now_ns_ + task.burst.sleep_ns, Kind::kWake, slot);
}

void Machine::insert(std::vector<Queued>& queue, const Queued& queued) {
  const auto later = [](const Queued& a, const Queued& b) { return before(a.vtime, b.vtime); };
  queue.insert(std::ranges::upper_bound(queue, queued, later), queued);
}

bool Machine::pick(u32 index) {
  for (std::vector<Queued>* queue : {&cpus_[index].queue, &shared_}) {
    const auto first =
        std::ranges::find_if(*queue, [&](const Queued& queued) { return tasks_[queued.slot].allowed[index]; });
    if (first == queue->end()) continue;
    const Queued queued = *first;
    queue->erase(first);
    start(index, queued);
    return true;
  }
  return false;
}

i32 Machine::idle_cpu_for(const Running& task, i32 preferred) const {
  const auto usable = [&](u32 cpu) { return cpus_[cpu].running == kNoTask && task.allowed[cpu]; };
  if (preferred != kAnyCpu && usable(static_cast<u32>(preferred))) return preferred;
  for (u32 cpu = 0; cpu < config_.cpus; ++cpu)
    if (usable(cpu)) return static_cast<i32>(cpu);
  return kAnyCpu;
}

void Machine::take(const Decision& decision) {
  Running& task = tasks_[decision.task];
  if (task.where != Where::kHeld || task.generation != decision.generation) {
    cancelled_ += 1;
    return;
  }
  task.where = Where::kQueued;
  const Queued queued{decision.task, decision.vtime, decision.slice_ns};
  const bool idle_wanted = (decision.flags & kDecisionIdle) != 0;
  const i32 idle = idle_wanted || decision.cpu == kAnyCpu ? idle_cpu_for(task, decision.cpu) : kAnyCpu;
  if (idle != kAnyCpu) return start(static_cast<u32>(idle), queued);
  if (decision.cpu == kAnyCpu || idle_wanted) return insert(shared_, queued);
  const u32 cpu = static_cast<u32>(decision.cpu);
  if (!task.allowed[cpu]) return insert(shared_, queued);  // bounced
  insert(cpus_[cpu].queue, queued);
  if ((decision.flags & kDecisionPreempt) != 0 && cpus_[cpu].running != kNoTask) stop(cpu, kEnqueuePreempted);
}

// ---- time --------------------------------------------------------------------------------------------------------

void Machine::step() {
  LoggedStep logged;
  const std::size_t count = std::min<std::size_t>(pending_.size(), kMaxEventsPerStep);
  logged.events.assign(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  logged.idle.resize((config_.cpus + 63) / 64);
  for (u32 cpu = 0; cpu < config_.cpus; ++cpu)
    if (cpus_[cpu].running == kNoTask) logged.idle[cpu / 64] |= u64{1} << (cpu % 64);
  logged.input = {
      .number = ++steps_, .now_ns = now_ns_, .events = logged.events, .idle = logged.idle, .room = config_.room};
  const Expected<void> done = engine_->step(logged.input, output_);
  if (!done) return violate(done.error().what);
  next_step_ns_ = now_ns_ + config_.step_interval_ns;
  more_ = output_.more;
  if (output_.wake_at_ns != 0 && output_.wake_at_ns != wish_ns_) {
    wish_ns_ = output_.wake_at_ns;
    arm(std::max(wish_ns_, now_ns_), Kind::kStep, 0);
  }
  if (output_.decision_count > config_.room) violate("more decisions than room");
  for (const Decision& decision : output_.decisions()) {
    if (decision.cpu != kAnyCpu && !engine_->task(decision.task).known()) violate("a decision for an unknown task");
    take(decision);
  }
  for (const i32 cpu : output_.preempts())
    if (cpus_[static_cast<u32>(cpu)].running != kNoTask) stop(static_cast<u32>(cpu), kEnqueuePreempted);
  if (!config_.log) return;
  logged.decisions.assign(output_.decisions().begin(), output_.decisions().end());
  logged.preempts.assign(output_.preempts().begin(), output_.preempts().end());
  logged.wake_at_ns = output_.wake_at_ns;
  logged.more = output_.more;
  logged.state_hash = engine_->state_hash();
  log_.push_back(std::move(logged));  // the spans of the input stay valid: moved vectors keep their memory
}

/// Until nothing more can happen at this moment.
void Machine::settle() {
  for (int round = 0; violation_.empty(); ++round) {
    if (round == 100'000) return violate("does not settle: steps go on for ever");
    for (u32 cpu = 0; cpu < config_.cpus; ++cpu)
      if (cpus_[cpu].running == kNoTask) pick(cpu);
    const bool wish = wish_ns_ != 0 && wish_ns_ <= now_ns_;
    if (pending_.empty() && !more_ && !wish) return check();
    if (now_ns_ < next_step_ns_) {
      arm(next_step_ns_, Kind::kStep, 0);
      return;
    }
    if (wish) wish_ns_ = 0;
    step();
  }
}

void Machine::check() {
  for (u32 cpu = 0; cpu < config_.cpus; ++cpu) {
    if (cpus_[cpu].running != kNoTask) continue;
    for (TaskSlot slot = 0; slot < tasks_.size(); ++slot)
      if (tasks_[slot].where == Where::kHeld && tasks_[slot].allowed[cpu])
        return violate("CPU " + std::to_string(cpu) + " is idle while the policy holds slot " + std::to_string(slot));
  }
}

void Machine::run_for(u64 ns) {
  const u64 end_ns = now_ns_ + ns;
  settle();
  while (violation_.empty()) {
    const u64 next_ns = timers_.empty() ? end_ns : std::min(end_ns, timers_.top().time_ns);
    for (const Cpu& cpu : cpus_) idle_ns_ += cpu.running == kNoTask ? next_ns - now_ns_ : 0;
    now_ns_ = next_ns;
    while (!timers_.empty() && timers_.top().time_ns == now_ns_) {
      const Timer timer = timers_.top();
      timers_.pop();
      if (timer.kind == Kind::kCpu && cpus_[timer.index].order == timer.order) stop(timer.index, kEnqueueSliceEnd);
      if (timer.kind == Kind::kWake && tasks_[timer.index].wake_order == timer.order) {
        next_burst(timer.index);
        make_runnable(timer.index, kEnqueueWakeup);
        if (faults_.chance(config_.faults_per_mille, 1000)) fault();
      }
    }
    settle();
    if (now_ns_ == end_ns) return;
  }
}

u64 Machine::max_wait_ns() const {
  u64 longest = 0;
  for (const Running& task : tasks_) {
    longest = std::max(longest, task.max_wait_ns);
    if (task.where == Where::kHeld || task.where == Where::kQueued)
      longest = std::max(longest, now_ns_ - task.runnable_ns);
  }
  return longest;
}

}  // namespace reprise::test
