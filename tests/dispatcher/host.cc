// SPDX-License-Identifier: GPL-2.0-only
#include "tests/dispatcher/host.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

__thread dispatcher_state* dispatcher_here = nullptr;

namespace reprise::test {

static DispatcherHost& host() { return *static_cast<DispatcherHost*>(dispatcher_here->host); }

static void insert(std::vector<Inserted>& queue, const Inserted& entry) {
  auto after = std::ranges::find_if(
      queue, [&](const Inserted& other) { return static_cast<s64>(entry.vtime - other.vtime) < 0; });
  queue.insert(after, entry);
}

DispatcherHost::DispatcherHost(u32 cpus, u32 max_tasks, u64 offline) : slots(max_tasks) {
  state.host = this;
  state.now = &now;
  state.cpu = &current_cpu;
  state.slots = slots.data();
  state.config_value.scheduler_tid = 1;
  state.config_value.cpus = cpus;
  state.config_value.max_tasks = max_tasks;
  state.config_value.slice_default_ns = 5'000'000;
  state.config_value.slice_scheduler_ns = 5'000'000;
  state.config_value.heartbeat_ns = 1'000'000'000;
  state.config_value.fallback_ns = 100'000'000;
  state.config_value.kick = WIRE_KICK_PREEMPT;
  state.config_value.recording = 1;
  state.config_value.kernel = {.enq_wakeup = kWakeup,
                               .enq_last = 2,
                               .enq_reenq = 4,
                               .wake_sync = 8,
                               .kick_idle = 1,
                               .kick_preempt = 2,
                               .dsq_local = 1ull << 63,
                               .task_queued = 1,
                               .reserved = 0};
  for (u32 cpu = 0; cpu < cpus; ++cpu) possible |= 1ull << cpu;
  online.bits[0] = possible & ~offline;
  dispatcher_here = &state;
  if (reprise_dispatcher.init() != 0) std::abort();
  add_task(1, ~0ull);  // the scheduler's own thread
}

DispatcherHost::~DispatcherHost() { dispatcher_here = nullptr; }

task_struct& DispatcherHost::add_task(int tid, u64 allowed_mask) {
  auto task = std::make_unique<task_struct>();
  auto mask = std::make_unique<cpumask>();
  mask->bits[0] = allowed_mask & possible;
  task->pid = task->tgid = tid;
  task->cpus_ptr = mask.get();
  task->nr_cpus_allowed = std::popcount(mask->bits[0]);
  task->start_boottime = static_cast<u64>(tid) * 1000;
  task->scx.weight = 100;
  task->scx.flags = 1;
  task_struct& result = *task;
  masks[&result] = std::move(mask);
  tasks[tid] = std::move(task);
  scx_init_task_args arguments{.fork = true};
  reprise_dispatcher.init_task(&result, &arguments);
  return result;
}

void DispatcherHost::remove_task(int tid) {
  scx_exit_task_args arguments{};
  reprise_dispatcher.exit_task(tasks.at(tid).get(), &arguments);
}

void DispatcherHost::wake(task_struct& task, u64 flags) {
  ++sequences[&task];
  queued[&task] = true;
  enqueueing = &task;
  reprise_dispatcher.enqueue(&task, flags);
  enqueueing = nullptr;
}

void DispatcherHost::dequeue(task_struct& task, u64 flags) {
  queued[&task] = false;
  if (auto* queue = queue_of(task)) std::erase_if(*queue, [&](const Inserted& entry) { return entry.task == &task; });
  reprise_dispatcher.dequeue(&task, flags);
}

void DispatcherHost::dispatch(int cpu, task_struct* prev) {
  current_cpu = static_cast<u32>(cpu);
  reprise_dispatcher.dispatch(cpu, prev);
  flush();
}

void DispatcherHost::run(task_struct& task) {
  if (auto* queue = queue_of(task)) std::erase_if(*queue, [&](const Inserted& entry) { return entry.task == &task; });
  reprise_dispatcher.running(&task);
}

void DispatcherHost::decide(u32 slot_index, u32 generation, s32 cpu, u64 vtime, u32 flags, u64 slice) {
  messages.push_back({.kind = WIRE_DISPATCH,
                      .task = slot_index,
                      .generation = generation,
                      .cpu = cpu,
                      .slice_ns = slice,
                      .vtime = vtime,
                      .flags = flags,
                      .reserved = 0});
  ++state.shared_value.submitted;
}

void DispatcherHost::flush() {
  for (const Pending& entry : buffer) {
    if (drop_insertions || !queued[entry.task] || sequences[entry.task] != entry.sequence) continue;
    queued[entry.task] = false;
    insert(queues[entry.queue], {entry.task, entry.slice, entry.vtime});
  }
  buffer.clear();
}

std::vector<Inserted>* DispatcherHost::queue_of(const task_struct& task) {
  for (auto& [id, queue] : queues)
    for (const Inserted& entry : queue)
      if (entry.task == &task) return &queue;
  return nullptr;
}

}  // namespace reprise::test

using reprise::test::host;

extern "C" {

s32 create_dsq(u64 dsq) {
  host().queues[dsq];
  return 0;
}
bool dsq_insert_vtime(task_struct* p, u64 dsq, u64 slice, u64 vtime, u64) {
  auto& h = host();
  if (h.on_insert) h.on_insert();
  if (h.refuse_insertions) return false;
  if (h.enqueueing == p) {  // direct dispatch
    h.queued[p] = false;
    reprise::test::insert(h.queues[dsq], {p, slice, vtime});
  } else {
    if (h.buffer.size() >= h.slots_in_buffer) std::abort();  // the kernel throws the scheduler out
    h.buffer.push_back({p, dsq, slice, vtime, h.sequences[p]});
  }
  return true;
}
bool in_queue(const task_struct* p) { return host().queue_of(*p) != nullptr; }
void dsq_insert(task_struct* p, u64 dsq, u64 slice, u64 flags) { dsq_insert_vtime(p, dsq, slice, 0, flags); }
bool dsq_move_to_local(u64 dsq) {
  auto& h = host();
  h.flush();
  auto& queue = h.queues[dsq];
  for (auto entry = queue.begin(); entry != queue.end(); ++entry)
    if (bpf_cpumask_test_cpu(h.current_cpu, entry->task->cpus_ptr)) {
      h.queues[(1ull << 62) + h.current_cpu].push_back(*entry);  // the CPU's local queue
      queue.erase(entry);
      return true;
    }
  return false;
}
s32 dsq_queued(u64 dsq) { return static_cast<s32>(host().queues[dsq].size()); }
u32 dispatch_slots(void) { return static_cast<u32>(host().slots_in_buffer - host().buffer.size()); }
void dispatch_cancel(void) { host().buffer.pop_back(); }
void kick_cpu(s32 cpu, u64 flags) { host().kicks.emplace_back(cpu, flags); }
bool take_idle_cpu(s32 cpu) {
  const u64 bit = 1ull << cpu;
  const bool was = (host().idle & bit) != 0;
  host().idle &= ~bit;
  return was;
}
s32 scx_bpf_pick_idle_cpu(const cpumask* allowed, u64) {
  const u64 fit = host().idle & allowed->bits[0];
  if (!fit) return -1;
  const s32 cpu = std::countr_zero(fit);
  take_idle_cpu(cpu);
  return cpu;
}
s32 scx_bpf_task_cpu(const task_struct*) { return static_cast<s32>(host().current_cpu); }
const cpumask* scx_bpf_get_online_cpumask(void) { return &host().online; }
void task_set_slice(task_struct* p, u64 slice) { p->scx.slice = slice; }
task_struct* bpf_task_from_pid(s32 pid) {
  const auto found = host().tasks.find(pid);
  return found == host().tasks.end() ? nullptr : found->second.get();
}
void bpf_task_release(task_struct*) {}
task_struct* current_task(void) { return host().current ? host().current : host().tasks.at(1).get(); }

bool free_slot_take(u32* index) {
  if (host().free_slots.empty()) return false;
  *index = host().free_slots.back();
  host().free_slots.pop_back();
  return true;
}
void free_slot_give(u32 index) { host().free_slots.push_back(index); }
task_context* context_make(task_struct* p) {
  auto& context = host().contexts[p];
  if (!context) context = std::make_unique<task_context>();
  return p->context = context.get();
}
u32 next_event_seq(u32) { return host().event_seq++; }
u32 next_record_seq(u32) { return host().record_seq++; }
wire_event* events_reserve(void) { return host().events.size() < host().events_room ? &host().event_scratch : nullptr; }
void events_submit(wire_event* event) { host().events.push_back(*event); }
u64 events_waiting(void) { return host().events.size(); }
wire_kernel_event* record_reserve(void) { return &host().record_scratch; }
void record_submit(wire_kernel_event* event) { host().records.push_back(*event); }
long decisions_drain(void) {
  long taken = 0;
  while (!host().messages.empty()) {
    const wire_message message = host().messages.front();
    host().messages.pop_front();
    ++taken;
    if (reprise_dispatcher.carry_out(&message)) break;
  }
  return taken;
}
void timer_start(u32 name, u64 ns, bool) { host().timers[name] = ns; }

}  // extern "C"
