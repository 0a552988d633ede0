// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/engine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "scheduler/core/check.h"

namespace reprise {
namespace {

constexpr std::size_t kBlockAlignment = 4096;  // a page, for those who lock it

u32 safe_weight(u32 weight) { return std::clamp(weight, kWeightMin, kWeightMax); }

std::size_t engine_bytes(const Limits& limits, u32 words, std::size_t state_bytes) {
  return state_bytes + Arena::bytes<Task>(limits.max_tasks) + Arena::bytes<u64>(std::size_t{limits.max_tasks} * words);
}

}  // namespace

void Engine::FreeBlock::operator()(std::byte* block) const {
  ::operator delete[](block, std::align_val_t{kBlockAlignment});
}

Engine::Engine(const EngineConfig& config, const PolicyInfo& info, const Options& options)
    : info_(info),
      options_(options),
      limits_(config.limits),
      words_((limits_.cpus + 63) / 64),
      block_bytes_(engine_bytes(limits_, words_, Arena::bytes<State>(1)) + info.state_bytes(limits_)),
      block_(new(std::align_val_t{kBlockAlignment}) std::byte[block_bytes_]),
      arena_({block_.get(), block_bytes_}, limits_.max_tasks) {
  std::memset(block_.get(), 0, block_bytes_);  // also touches each page before anyone is in a hurry
  state_ = arena_.array<State>(1).data();
  tasks_ = arena_.per_task<Task>();
  masks_ = arena_.per_task<u64>(0, words_);
  state_->random = Prng::seeded(config.seed);
  configuration_hash_ = configuration_hash();
}

Engine::~Engine() = default;

Expected<std::unique_ptr<Engine>> Engine::create(const EngineConfig& config, const PolicyInfo& info,
                                                 const Options& options) {
  const Limits& limits = config.limits;
  if (limits.cpus < 1 || limits.cpus > kMaxCpus)
    return fail(ExitCode::kUsage, std::to_string(limits.cpus) + " CPUs are out of range", {},
                "range: 1.." + std::to_string(kMaxCpus));
  if (limits.max_tasks < 1 || limits.max_tasks > kMaxTasks)
    return fail(ExitCode::kUsage, "a table of " + std::to_string(limits.max_tasks) + " tasks is out of range", {},
                "range: 1.." + std::to_string(kMaxTasks));
  REPRISE_CHECK(options.specs().data() == info.options.data() && options.values().size() == info.options.size());

  std::unique_ptr<Engine> engine(new Engine(config, info, options));
  Expected<std::unique_ptr<Policy>> policy = info.create(engine->arena_, limits, engine->options_);
  if (!policy) return std::unexpected(std::move(policy.error()));
  engine->policy_ = std::move(*policy);
  return engine;
}

// ---- the step ----------------------------------------------------------------------------------------------------

Expected<void> Engine::step(const StepInput& input, StepOutput& output) {
  output.clear();
  if (input.number != state_->step + 1)
    return fail(ExitCode::kBadInput,
                "step " + std::to_string(input.number) + " follows step " + std::to_string(state_->step), "engine",
                "steps are numbered without gaps");
  if (input.events.size() > kMaxEventsPerStep)
    return fail(ExitCode::kBadInput, "more than " + std::to_string(kMaxEventsPerStep) + " events in one step",
                "step " + std::to_string(input.number));
  input_ = &input;
  output_ = &output;
  room_ = std::min(input.room, kMaxDecisionsPerStep);
  refused_ = false;
  state_->step = input.number;
  state_->now_ns = std::max(state_->now_ns, input.now_ns);
  state_->lost_events = input.lost_events;
  state_->counters.steps += 1;
  state_->counters.events += input.events.size();

  try {
    const ForeignState foreign(foreign_);
    take_step();
  } catch (const StateContradiction& contradiction) {
    return fail(ExitCode::kBadInput, std::string("the snapshot's state contradicts itself: ") + contradiction.condition,
                "step " + std::to_string(input.number), "replay from another snapshot, or from the start");
  }
  if (error_) return std::unexpected(*error_);
  return {};
}

void Engine::take_step() {
  // With many tasks none of them is in a cache, and the processor does not know which comes next.
  constexpr std::size_t kAhead = 3;
  const std::span<const Event> events = input_->events;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (i + kAhead < events.size() && events[i + kAhead].task < limits_.max_tasks) {
      __builtin_prefetch(&tasks_[events[i + kAhead].task].start_time_ns);
      __builtin_prefetch(&tasks_[events[i + kAhead].task].reserved);
    }
    handle(events[i]);
  }

  Context context(*this);
  if (state_->wake_at_ns != 0 && state_->now_ns >= state_->wake_at_ns) {
    state_->wake_at_ns = 0;
    policy_->timer(context);
  }
  policy_->dispatch(context);

  output_->wake_at_ns = state_->wake_at_ns;
  output_->more = refused_ || (room_ == 0 && state_->held > 0);
  state_->counters.decisions += output_->decision_count;
  input_ = nullptr;
  output_ = nullptr;
}

void Engine::handle(const Event& event) {
  const u8 type = static_cast<u8>(event.type);
  if (type == 0 || type > kEventTypeLast || event.task >= limits_.max_tasks) {
    state_->counters.invalid += 1;
    return;
  }
  if (event.type == EventType::kTaskNew) return task_new(event);

  Task& task = tasks_[event.task];
  if (!task.known() || task.tid != event.tid) {
    state_->counters.stale_events += 1;
    return;
  }
  Context context(*this);
  switch (event.type) {
    case EventType::kEnqueue:
      return enqueue(event, task);
    case EventType::kDequeue:
      return take_back(event.task, task);
    case EventType::kRunning:
    case EventType::kStopping:
      if (event.cpu >= limits_.cpus) {
        state_->counters.invalid += 1;
      } else if ((info_.interests & kInterestRunning) != 0) {
        if (event.type == EventType::kRunning) {
          policy_->running(context, event.task, event);
        } else {
          policy_->stopping(context, event.task, event);
        }
      }
      return;
    case EventType::kTaskExit:
      take_back(event.task, task);
      charge(task, event.task_exit.exec_total_ns);
      return forget(event.task, task);
    case EventType::kAffinity:
      return affinity(event, task);
    case EventType::kWeight:
      task.weight = safe_weight(event.weight.weight);
      return policy_->task_changed(context, event.task);
    case EventType::kNone:
    case EventType::kTaskNew:
      break;
  }
}

void Engine::task_new(const Event& event) {
  Task& task = tasks_[event.task];
  const TaskNew& what = event.task_new;
  const bool same = task.known() && task.tid == event.tid && task.start_time_ns == what.start_time_ns;
  if (task.known() && !same) forget(event.task, task);  // its exit was lost
  task.tgid = what.tgid;
  task.parent_tid = what.parent_tid;
  task.weight = safe_weight(what.weight);
  task.flags = what.flags;
  std::memcpy(task.comm, what.comm, sizeof task.comm);

  Context context(*this);
  if (same) return policy_->task_changed(context, event.task);  // told twice: the dispatcher was not sure
  task.tid = event.tid;
  task.start_time_ns = what.start_time_ns;
  task.known_since_ns = event.time_ns;
  task.prev_cpu = kAnyCpu;
  task.waker = kNoTask;
  task.allowed_cpus = limits_.cpus;
  task.state = kTaskKnown;
  for (u32 cpu = 0; cpu < limits_.cpus; cpu += 64)
    mask(event.task)[cpu / 64] = limits_.cpus - cpu >= 64 ? ~u64{0} : (u64{1} << (limits_.cpus - cpu)) - 1;
  state_->used_slots = std::max(state_->used_slots, event.task + 1);
  policy_->task_new(context, event.task);
}

void Engine::enqueue(const Event& event, Task& task) {
  Context context(*this);
  if (task.held()) {
    state_->counters.replaced += 1;
    task.state &= ~kTaskHeld;
    state_->held -= 1;
    policy_->dequeue(context, event.task);
  }
  const Enqueue& what = event.enqueue;
  charge(task, what.exec_total_ns);
  task.started_ns = what.started_ns;
  task.stopped_ns = what.stopped_ns;
  task.enqueued_ns = event.time_ns;
  task.weight = safe_weight(what.weight);
  task.generation = event.generation;
  task.enqueue_flags = event.flags;
  task.prev_cpu = what.prev_cpu >= 0 && static_cast<u32>(what.prev_cpu) < limits_.cpus ? what.prev_cpu : kAnyCpu;
  task.waker = what.waker < limits_.max_tasks ? what.waker : kNoTask;
  task.allowed_cpus = what.allowed_cpus;
  task.enqueues += task.enqueues != ~u32{0};
  task.state |= kTaskHeld;
  state_->held += 1;
  state_->counters.enqueues += 1;
  policy_->enqueue(context, event.task);
}

// A task that was there before the scheduler has run for long: none of that is charged to it.
void Engine::charge(Task& task, u64 exec_total_ns) {
  const u64 charged = task.enqueues == 0 && (task.flags & kTaskAtAttach) != 0 ? exec_total_ns : task.exec_total_ns;
  task.exec_delta_ns = exec_total_ns > charged ? exec_total_ns - charged : 0;
  task.exec_total_ns = std::max(exec_total_ns, charged);
}

void Engine::take_back(TaskSlot slot, Task& task) {
  if (!task.held()) return;  // dispatched already
  task.state &= ~kTaskHeld;
  state_->held -= 1;
  state_->counters.dequeues += 1;
  Context context(*this);
  policy_->dequeue(context, slot);
}

void Engine::forget(TaskSlot slot, Task& task) {
  take_back(slot, task);
  Context context(*this);
  policy_->task_exit(context, slot);
  task = Task{};
  std::ranges::fill(mask(slot), 0);
}

void Engine::affinity(const Event& event, Task& task) {
  const Affinity& what = event.affinity;
  if (what.first_word % 4 != 0 || what.first_word >= kCpuWords) {
    state_->counters.invalid += 1;
    return;
  }
  task.allowed_cpus = what.allowed_cpus;
  const std::span<u64> words = mask(event.task);
  for (u32 i = 0; i < 4 && what.first_word + i < words_; ++i) {
    const u32 first_cpu = (what.first_word + i) * 64;
    const u64 exist = limits_.cpus - first_cpu >= 64 ? ~u64{0} : (u64{1} << (limits_.cpus - first_cpu)) - 1;
    words[what.first_word + i] = what.words[i] & exist;
  }
  Context context(*this);
  policy_->task_changed(context, event.task);
}

// ---- what a policy asks for --------------------------------------------------------------------------------------

bool Engine::dispatch(TaskSlot slot, i32 cpu, u64 slice_ns, u64 vtime, u32 flags) {
  if (room_ == 0) {
    refused_ = true;
    return false;
  }
  const auto answered = [&] {
    return std::ranges::any_of(output_->decisions(), [slot](const Decision& d) { return d.task == slot; });
  };
  if (slot >= limits_.max_tasks)
    return breach("dispatches slot " + std::to_string(slot) + ", which does not exist", slot);
  Task& task = tasks_[slot];
  if (!task.held())
    return breach(answered() ? "dispatches a task twice" : "dispatches a task that it does not hold", slot);
  if (cpu != kAnyCpu && (cpu < 0 || static_cast<u32>(cpu) >= limits_.cpus))
    return breach("dispatches to CPU " + std::to_string(cpu) + " of " + std::to_string(limits_.cpus), slot);
  if (slice_ns == 0) return breach("dispatches with a slice of 0", slot);
  if ((flags & ~kDecisionFlagsKnown) != 0)
    return breach("dispatches with unknown flags " + std::to_string(flags), slot);
  if ((flags & kDecisionPreempt) != 0 && cpu == kAnyCpu) return breach("preempts without naming a CPU", slot);

  task.state &= ~kTaskHeld;
  state_->held -= 1;
  room_ -= 1;
  output_->decision_storage[output_->decision_count++] = {slot, task.generation, cpu, flags, slice_ns, vtime};
  return true;
}

bool Engine::preempt(u32 cpu) {
  if (cpu >= limits_.cpus)
    return breach("preempts CPU " + std::to_string(cpu) + " of " + std::to_string(limits_.cpus), kNoTask);
  if (output_->preempt_count == kMaxPreemptsPerStep) return false;
  output_->preempt_storage[output_->preempt_count++] = static_cast<i32>(cpu);
  return true;
}

bool Engine::breach(std::string what, TaskSlot slot) {
  if (error_) return false;  // the first one counts
  what = "policy '" + std::string(info_.name) + "' " + what;
  if (slot < limits_.max_tasks && tasks_[slot].known()) {
    const Task& task = tasks_[slot];
    what += ": task " + std::to_string(task.tid) + " '" +
            std::string(task.comm, ::strnlen(task.comm, sizeof task.comm)) + "', slot " + std::to_string(slot);
  }
  error_ =
      Error{ExitCode::kExpectationFailed, std::move(what), "step " + std::to_string(state_->step),
            foreign_ ? "the policy breaks its contract (scheduler/core/policy.h), or the snapshot contradicts itself"
                     : "the policy breaks its contract (scheduler/core/policy.h)"};
  return false;
}

u64 Context::now_ns() const { return engine_.state_->now_ns; }
u32 Context::cpus() const { return engine_.limits_.cpus; }
bool Context::fallback() const { return (engine_.input_->flags & kStepFallback) != 0; }
u32 Context::room() const { return engine_.room_; }
u64 Context::random() { return engine_.state_->random.next(); }

u32 Context::idle_cpus() const {
  u32 total = 0;
  const std::span<const u64> words = engine_.input_->idle;
  for (u32 word = 0; word < engine_.words_ && word < words.size(); ++word) {
    const u32 left = engine_.limits_.cpus - word * 64;
    total += static_cast<u32>(std::popcount(left >= 64 ? words[word] : words[word] & ((u64{1} << left) - 1)));
  }
  return total;
}

bool Context::idle(u32 cpu) const {
  const std::span<const u64> words = engine_.input_->idle;
  return cpu < engine_.limits_.cpus && cpu / 64 < words.size() && ((words[cpu / 64] >> (cpu % 64)) & 1) != 0;
}

bool Context::allowed(TaskSlot task, u32 cpu) const {
  return task < engine_.limits_.max_tasks && cpu < engine_.limits_.cpus &&
         ((engine_.mask(task)[cpu / 64] >> (cpu % 64)) & 1) != 0;
}

const Task& Context::task(TaskSlot task) const {
  REPRISE_CHECK(task < engine_.limits_.max_tasks);
  return engine_.tasks_[task];
}

bool Context::dispatch(TaskSlot task, i32 cpu, u64 slice_ns, u64 vtime, u32 flags) {
  return engine_.dispatch(task, cpu, slice_ns, vtime, flags);
}

bool Context::preempt(u32 cpu) { return engine_.preempt(cpu); }

void Context::wake_at(u64 time_ns) {
  u64& wish = engine_.state_->wake_at_ns;
  time_ns = std::max<u64>(time_ns, 1);  // 0 stands for no wish
  if (wish == 0 || time_ns < wish) wish = time_ns;
}

}  // namespace reprise
