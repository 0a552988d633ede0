// SPDX-License-Identifier: GPL-2.0-only
// Creating, waking, changing and ending tasks (kernel/sched/core.c, kernel/fork.c, kernel/exit.c).
#include <algorithm>
#include <cstring>

#include "sim/kernel/fair.h"
#include "sim/kernel/machine.h"

namespace reprise::sim {

using trace::KernelEventType;

namespace {
constexpr u32 kTidsPerPage = 4096;
constexpr i32 kTidMax = 1 << 22;
}  // namespace

// ---- names of tasks ----

Task* Machine::task_by_tid(i32 tid) const {
  const u32 page = static_cast<u32>(tid) / kTidsPerPage;
  if (tid <= 0 || page >= tid_pages.size() || !tid_pages[page]) return nullptr;
  const TaskId id = (*tid_pages[page])[static_cast<u32>(tid) % kTidsPerPage];
  return id == kNoTaskId ? nullptr : const_cast<Task*>(&tasks[id]);
}

void Machine::set_tid(i32 tid, TaskId id) {
  const u32 page = static_cast<u32>(tid) / kTidsPerPage;
  if (page >= tid_pages.size()) tid_pages.resize(page + 1);
  if (!tid_pages[page]) tid_pages[page] = std::make_unique<std::vector<TaskId>>(kTidsPerPage, kNoTaskId);
  (*tid_pages[page])[static_cast<u32>(tid) % kTidsPerPage] = id;
}

const cpumask* Machine::shared_mask(const CpuSet& set) {
  std::array<u64, kCpuWords> words{};
  bool any = false, all = true;
  for (u32 i = 0; i < kCpuWords; ++i) {
    words[i] = set.words[i] & all_mask.bits[i];
    any = any || words[i] != 0;
    all = all && words[i] == all_mask.bits[i];
  }
  if (!any || all) return &all_mask;
  std::unique_ptr<cpumask>& mask = masks[words];
  if (!mask) {
    mask = std::make_unique<cpumask>();
    std::memcpy(mask->bits, words.data(), sizeof mask->bits);
  }
  return mask.get();
}

// cpumask_any_and_distribute, without the distribution: the preferred CPU, else one of its cache, else any.
u32 Machine::any_allowed(const Task& task, u32 preferred) const {
  i32 any = -1;
  for (u32 word = 0; word < (cpu_count() + 63) / 64; ++word) {
    u64 bits = task.ts.cpus_ptr->bits[word] & online_mask.bits[word];
    if (preferred / 64 == word && (bits >> (preferred % 64) & 1) != 0) return preferred;
    for (; bits != 0; bits &= bits - 1) {
      const u32 cpu = word * 64 + static_cast<u32>(std::countr_zero(bits));
      if (places[cpu].llc == places[preferred].llc) return cpu;
      if (any < 0) any = static_cast<i32>(cpu);
    }
  }
  if (any >= 0) return static_cast<u32>(any);
  // select_fallback_rq: all that it may use is off line.
  for (u32 word = 0;; ++word)
    if (online_mask.bits[word] != 0) return word * 64 + static_cast<u32>(std::countr_zero(online_mask.bits[word]));
}

// ---- birth ----

// copy_process up to where the child could run, with scx_fork.
TaskId Machine::create(const TaskInfo& info) {
  TaskId id;
  if (!free_ids.empty()) {
    id = free_ids.back();
    free_ids.pop_back();
  } else {
    id = tasks.add();
  }
  Task& task = tasks[id];
  task = Task{};
  task.id = id;
  task.state = RunState::kNew;
  task.dsq = kNoDsq;
  task.last_ran = kNeverRan;
  task.first_child = task.next_sibling = task.prev_sibling = task.parent = kNoTaskId;
  task.reset_runnable = true;
  i32 tid = info.tid;
  if (tid <= 0 || tid >= kTidMax || task_by_tid(tid)) {
    while (tid_cursor == init_task.pid || tid_cursor == options.scheduler_tid || task_by_tid(tid_cursor))
      tid_cursor = tid_cursor + 1 < kTidMax ? tid_cursor + 1 : 300;  // RESERVED_PIDS, kernel/pid.c
    tid = tid_cursor++;
  }
  set_tid(tid, id);
  task.ts.pid = tid;
  task.ts.tgid = info.tgid != 0 ? info.tgid : tid;
  task.ts.flags = (info.kernel_thread ? PF_KTHREAD : 0u) | (info.reclaim ? PF_KSWAPD : 0u);
  task.ts.cpus_ptr = shared_mask(info.allowed);
  u32 allowed = 0;
  for (const auto word : task.ts.cpus_ptr->bits) allowed += static_cast<u32>(std::popcount(u64{word}));
  task.ts.nr_cpus_allowed = static_cast<int>(allowed);
  task.ts.start_boottime = now;
  task.ts.scx.weight = std::clamp(info.weight, kWeightMin, kWeightMax);
  task.ts.scx.slice = 20 * kNsPerMs;  // SCX_SLICE_DFL
  std::memcpy(task.ts.comm, info.comm.data(), sizeof task.ts.comm - 1);
  task.migration_disabled = info.migration_disabled;
  task.ts.real_parent = &init_task;
  u32 cpu = info.cpu >= 0 ? static_cast<u32>(info.cpu) : 0;
  if (info.parent != kNoTaskId) {
    Task& parent = tasks[info.parent];
    task.parent = info.parent;
    task.ts.real_parent = &parent.ts;
    task.next_sibling = parent.first_child;
    if (parent.first_child != kNoTaskId) tasks[parent.first_child].prev_sibling = id;
    parent.first_child = id;
    if (info.cpu < 0) cpu = parent.cpu;
  }
  task.cpu = static_cast<u16>(any_allowed(task, cpu));
  if (info.cpu >= 0) task.last_ran = task.cpu;
  ++alive;
  if (where == Where::kTask) charge(here, options.costs.fork);
  if (ext() && attached) {
    scx_init_task_args args{.fork = !info.at_attach};
    reprise_dispatcher.init_task(&task.ts, &args);
  }
  if (where != Where::kOutside || now > 0) {
    ++counters.forks;
    const TaskId by = where == Where::kTask ? cpus[here].curr : kNoTaskId;
    emit(KernelEventType::kFork, here, tid, info.kernel_thread ? trace::kMarkKernelThread : 0,
         static_cast<u32>(by == kNoTaskId ? task.ts.real_parent->pid : tasks[by].ts.pid), task.ts.start_boottime,
         static_cast<u64>(task.ts.tgid));
    emit_name(task);
  }
  if (fair) fair->fork(task, info.slice_ns);
  if (info.state == TaskState::kBlocked) task.state = RunState::kBlocked;
  return id;
}

// wake_up_new_task.
void Machine::start(TaskId id) {
  Task& task = tasks[id];
  REPRISE_CHECK(task.state == RunState::kNew);
  if (where == Where::kOutside) here = task.cpu;
  task.cpu = static_cast<u16>(select_task_rq(task, 4));  // WF_FORK
  activate(task, fair ? kEnqInitial : 0);
  run_kicks();
}

// ---- waking ----

// select_task_rq: the class may only choose where there is a choice.
u32 Machine::select_task_rq(Task& task, u64 wake_flags) {
  u32 cpu = task.cpu;
  if (task.ts.nr_cpus_allowed > 1 && !task.migration_disabled) {
    if (fair) {
      cpu = fair->select_cpu(task, wake_flags);
    } else if (attached) {
      if (where != Where::kOutside) charge(here, options.costs.bpf_select_cpu);
      cpu = static_cast<u32>(reprise_dispatcher.select_cpu(&task.ts, task.cpu, wake_flags));
      if (cpu >= cpu_count()) cpu = task.cpu;
    } else if (bypassing && !(may_use(task, cpu) && idle.take(cpu))) {  // scx_select_cpu_dfl
      if (const i32 found = idle.pick(reinterpret_cast<const u64*>(task.ts.cpus_ptr->bits), here); found >= 0)
        cpu = static_cast<u32>(found);
    }
  }
  if (!may_use(task, cpu) || !cpus[cpu].active) cpu = any_allowed(task, cpu);
  return cpu;
}

// try_to_wake_up.
void Machine::wake(TaskId id, trace::WakeContext context, bool sync) {
  Task& task = tasks[id];
  if (task.state == RunState::kDead || task.state == RunState::kNew) return;
  if (where == Where::kOutside) here = task.cpu;
  const TaskId by = context == trace::kWakeTask || context == trace::kWakeSoftirq
                        ? (where == Where::kTask ? cpus[here].curr : kNoTaskId)
                        : kNoTaskId;
  const bool runnable = task.state != RunState::kBlocked;
  emit(KernelEventType::kWaking, here, task.ts.pid, static_cast<u8>(context | (runnable ? trace::kWakeRunnable : 0)),
       by == kNoTaskId ? 0 : static_cast<u32>(tasks[by].ts.pid), 0, 0);
  if (where != Where::kOutside) charge(here, options.costs.wakeup);
  if (runnable) return;
  ++counters.wakeups;
  if (fair && task.delayed) {  // ttwu_runnable: it never left its queue
    activate(task, kEnqWakeup | kEnqDelayed);
    return;
  }
  const u32 cpu = select_task_rq(task, 2 | (sync ? kWakeSync : 0));  // WF_TTWU
  task.cpu = static_cast<u16>(cpu);
  Cpu& c = cpus[cpu];
  // ttwu_queue_cond: let the other CPU do it, if it is idle or shares no cache with this one.
  if (cpu != here && where != Where::kOutside && (places[cpu].llc != places[here].llc || c.runnable == 0)) {
    task.state = RunState::kWaking;
    task.next = kNoTaskId;
    if (c.wake_list == kNoTaskId) {
      c.wake_list = id;
      ++counters.ipis;
      u64 delay = options.costs.wakeup_ipi;
      if (c.curr == kNoTaskId && !c.foreign) delay += options.costs.idle_ipi + options.costs.idle_exit;
      event_at(now + delay, {.kind = EventKind::kWakeList, .cpu = cpu});
    } else {
      tasks[c.wake_tail].next = id;
    }
    c.wake_tail = id;
  } else {
    activate(task, kEnqWakeup);
  }
  run_kicks();
}

// sched_ttwu_pending.
void Machine::take_wake_list(u32 cpu) {
  Cpu& c = cpus[cpu];
  update_curr(cpu);
  for (TaskId id = c.wake_list; id != kNoTaskId;) {
    Task& task = tasks[id];
    id = task.next;
    if (!c.online || !may_use(task, cpu)) task.cpu = static_cast<u16>(any_allowed(task, cpu));
    activate(task, kEnqWakeup);
  }
  c.wake_list = c.wake_tail = kNoTaskId;
  run_kicks();
  if (!c.foreign) program(cpu);
}

// activate_task and wakeup_preempt.
void Machine::activate(Task& task, u64 enq_flags) {
  const u32 cpu = task.cpu;
  Cpu& c = cpus[cpu];
  touch(task);
  task.state = RunState::kRunnable;
  task.changed_at = now;
  ++c.runnable;
  if (fair) return fair->enqueue(cpu, task, enq_flags);
  enqueue_task_ext(task, enq_flags);
  // A class above that of what runs (the idle task): wakeup_preempt_idle.
  if (cpus[task.cpu].curr == kNoTaskId) resched(task.cpu);
}

// ---- changes ----

// __set_cpus_allowed_ptr: off the queue, changed, and on again; then off a CPU that is no longer allowed.
void Machine::set_affinity(TaskId id, const CpuSet& set) {
  Task& task = tasks[id];
  if (where == Where::kOutside) here = task.cpu;
  if (task.state == RunState::kDead) return;
  const bool waiting = task.state == RunState::kRunnable && !task.on_cpu;
  if (task.on_cpu) update_curr(task.cpu);
  const auto change = [&] {
    task.ts.cpus_ptr = shared_mask(set);
    u32 allowed = 0;
    for (const auto word : task.ts.cpus_ptr->bits) allowed += static_cast<u32>(std::popcount(u64{word}));
    task.ts.nr_cpus_allowed = static_cast<int>(allowed);
  };
  if (fair) {
    change();
    if (waiting && !may_use(task, task.cpu)) migrate_waiting(task, any_allowed(task, task.cpu));
    if (task.delayed && !may_use(task, task.cpu)) fair->finish_delayed(task);
    for (u32 i = 0; i * 64 < cpu_count(); ++i)
      emit(KernelEventType::kAffinity, here, task.ts.pid, 0, i, task.ts.cpus_ptr->bits[i],
           static_cast<u64>(task.ts.nr_cpus_allowed));
  } else {
    if (waiting) dequeue_task_ext(task, 2);  // DEQUEUE_SAVE
    change();
    if (attached) reprise_dispatcher.set_cpumask(&task.ts, task.ts.cpus_ptr);
    if (waiting) enqueue_task_ext(task, kEnqRestore);
    if (waiting && !may_use(task, task.cpu)) migrate_waiting(task, any_allowed(task, task.cpu));
  }
  if (task.on_cpu && !may_use(task, task.cpu)) resched(task.cpu);
  run_kicks();
}

void Machine::migrate_waiting(Task& task, u32 cpu) {
  if (fair)
    fair->dequeue(task.cpu, task, Leave::kMove);
  else
    dequeue_task_ext(task, 0);
  --cpus[task.cpu].runnable;
  task.cpu = static_cast<u16>(cpu);
  activate(task, 0);
}

// set_user_nice, reweight_task_scx.
void Machine::set_weight(TaskId id, u32 weight) {
  Task& task = tasks[id];
  if (where == Where::kOutside) here = task.cpu;
  if (task.state == RunState::kDead) return;
  weight = std::clamp(weight, kWeightMin, kWeightMax);
  const bool waiting = task.state == RunState::kRunnable && !task.on_cpu;
  if (task.on_cpu) update_curr(task.cpu);
  if (fair) {
    fair->reweight(task, weight);
    emit(KernelEventType::kWeight, here, task.ts.pid, 0, weight, 0, 0);
  } else {
    if (waiting) dequeue_task_ext(task, 2);
    task.ts.scx.weight = weight;
    if (attached) reprise_dispatcher.set_weight(&task.ts, weight);
    if (waiting) enqueue_task_ext(task, kEnqRestore);
  }
  run_kicks();
}

// ---- death ----

// do_exit: exit_signals and the tracepoint. From here on sched_ext asks no policy (scx_do_enqueue_task).
void Machine::exit_begins(TaskId id) {
  Task& task = tasks[id];
  if (task.exiting) return;
  if (task.on_cpu) update_curr(task.cpu);
  emit(KernelEventType::kExit, task.cpu, task.ts.pid, 0, 0, task.ts.se.sum_exec_runtime - task.irq_ns, 0);
  task.exiting = true;
  task.ts.flags |= 4;  // PF_EXITING
}

// finish_task_switch of a dead task: sched_ext_dead, release_task.
void Machine::dead(Task& task) {
  if (ext() && task.ts.context) {
    scx_exit_task_args args{};
    reprise_dispatcher.exit_task(&task.ts, &args);
    task.ts.context = nullptr;
  }
  set_tid(task.ts.pid, kNoTaskId);
  for (TaskId child = task.first_child; child != kNoTaskId;) {
    Task& orphan = tasks[child];
    child = orphan.next_sibling;
    orphan.parent = orphan.next_sibling = orphan.prev_sibling = kNoTaskId;
    orphan.ts.real_parent = &init_task;
  }
  if (task.prev_sibling != kNoTaskId) tasks[task.prev_sibling].next_sibling = task.next_sibling;
  if (task.next_sibling != kNoTaskId) tasks[task.next_sibling].prev_sibling = task.prev_sibling;
  if (task.parent != kNoTaskId && tasks[task.parent].first_child == task.id)
    tasks[task.parent].first_child = task.next_sibling;
  ++counters.exits;
  --alive;
  if (options.reuse_ids) free_ids.push_back(task.id);
}

}  // namespace reprise::sim
