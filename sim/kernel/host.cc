// SPDX-License-Identifier: GPL-2.0-only
// What the natively compiled dispatcher calls: the functions of bpf/kernel_native.h and bpf/state_native.h.
#include <cstring>

#include "sim/kernel/machine.h"

__thread dispatcher_state* dispatcher_here = nullptr;

namespace {

using reprise::sim::Machine;
using reprise::sim::Task;
using reprise::sim::task_of;

Machine& machine() { return *static_cast<Machine*>(dispatcher_here->host); }

}  // namespace

extern "C" {

// ---- kernel functions ----

s32 create_dsq(u64 dsq) {
  Machine& m = machine();
  if (m.dsq_index(dsq) != reprise::sim::kNoDsq && dsq >= m.cpu_count()) return -17;  // EEXIST
  if (dsq >= m.cpu_count()) {
    m.other_dsqs.push_back(dsq);
    m.dsqs.emplace_back().init(static_cast<u32>(m.dsqs.size() - 1));
  }
  return 0;
}

// scx_dsq_insert_commit: from ops.enqueue it is a direct dispatch, from elsewhere it goes into the buffer.
static bool insert(task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags) {
  Machine& m = machine();
  Task& task = task_of(p);
  if (m.enqueueing) {
    if (m.enqueueing != &task || m.direct_set) {
      m.ext_error("direct dispatch of another task, or a second one");
      return false;
    }
    m.direct_set = true;
    m.direct_dsq = dsq;
    m.direct_slice = slice;
    m.direct_vtime = vtime;
    m.direct_flags = flags;
    return true;
  }
  if (m.buffer.size() >= m.buffer.capacity()) {
    m.ext_error("dispatch buffer overflow");
    return false;
  }
  m.buffer.push_back(
      {&task, task.ops_state == reprise::sim::OpsState::kQueued ? task.qseq : 0, dsq, slice, vtime, flags});
  return true;
}
void dsq_insert(task_struct* p, u64 dsq, u64 slice, u64 flags) { insert(p, dsq, slice, 0, flags); }
bool dsq_insert_vtime(task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags) {
  return insert(p, dsq, slice, vtime, flags | reprise::sim::kEnqPriq);
}

// scx_bpf_dsq_move_to_local.
bool dsq_move_to_local(u64 dsq) {
  Machine& m = machine();
  m.flush_dispatch_buffer();
  const u32 index = m.dsq_index(dsq);
  if (index == reprise::sim::kNoDsq) {
    m.ext_error("invalid DSQ ID " + std::to_string(dsq));
    return false;
  }
  if (!m.consume(m.here, index)) return false;
  ++m.dispatched;
  return true;
}
s32 dsq_queued(u64 dsq) {
  const u32 index = machine().dsq_index(dsq);
  return index == reprise::sim::kNoDsq ? -2 : static_cast<s32>(machine().dsqs[index].count());
}
bool in_queue(const task_struct* p) { return task_of(p).dsq != reprise::sim::kNoDsq; }
u32 dispatch_slots(void) { return static_cast<u32>(machine().buffer.capacity() - machine().buffer.size()); }
void dispatch_cancel(void) {
  if (!machine().buffer.empty()) machine().buffer.pop_back();
}
void kick_cpu(s32 cpu, u64 flags) { machine().kick(static_cast<u32>(cpu), flags); }
bool take_idle_cpu(s32 cpu) {
  return static_cast<u32>(cpu) < machine().cpu_count() && machine().idle.take(static_cast<u32>(cpu));
}
s32 scx_bpf_pick_idle_cpu(const cpumask* allowed, u64) {
  Machine& m = machine();
  return m.idle.pick(reinterpret_cast<const reprise::u64*>(allowed->bits), m.here);
}
s32 scx_bpf_task_cpu(const task_struct* p) { return task_of(p).cpu; }
const cpumask* scx_bpf_get_online_cpumask(void) { return &machine().online_mask; }
void task_set_slice(task_struct* p, u64 slice) { p->scx.slice = slice; }
task_struct* bpf_task_from_pid(s32 pid) {
  Task* task = machine().task_by_tid(pid);
  return task ? &task->ts : nullptr;
}
void bpf_task_release(task_struct*) {}
task_struct* current_task(void) {
  Machine& m = machine();
  const auto curr = m.cpus[m.here].curr;
  return curr == reprise::sim::kNoTaskId ? &m.idle_task : &m.tasks[curr].ts;
}

// ---- maps, rings and timers ----

bool free_slot_take(u32* index) {
  Machine& m = machine();
  if (m.free_slots.empty()) return false;
  *index = m.free_slots[m.free_slots_first];
  // A queue (BPF_MAP_TYPE_QUEUE): the slot that has been free for longest.
  if (++m.free_slots_first == m.free_slots.size()) {
    m.free_slots.clear();
    m.free_slots_first = 0;
  }
  return true;
}
void free_slot_give(u32 index) {
  Machine& m = machine();
  if (m.free_slots_first > 1024 && m.free_slots_first * 2 > m.free_slots.size()) {
    m.free_slots.erase(m.free_slots.begin(), m.free_slots.begin() + static_cast<std::ptrdiff_t>(m.free_slots_first));
    m.free_slots_first = 0;
  }
  m.free_slots.push_back(index);
}
task_context* context_make(task_struct* p) { return p->context = &task_of(p).context; }
u32 next_event_seq(u32 cpu) { return machine().cpus[cpu].event_seq++; }
u32 next_record_seq(u32) { return 0; }  // `emit` numbers them
wire_event* events_reserve(void) {
  Machine& m = machine();
  wire_event* event = nullptr;
  if (m.options.faults.lost_per_mille == 0 || !m.fault(m.options.faults.lost_per_mille)) event = m.up.reserve();
  if (!event) ++m.refused;
  return event;
}
void events_submit(wire_event*) { machine().up.commit(); }
u64 events_waiting(void) { return machine().up.bytes(); }
wire_kernel_event* record_reserve(void) { return &machine().record; }
void record_submit(wire_kernel_event* event) {
  machine().emit(static_cast<reprise::trace::KernelEventType>(event->type), machine().here, event->tid, event->flags,
                 event->a, event->b, event->c);
}
long decisions_drain(void) { return machine().drain(); }
void timer_start(u32 name, u64 ns, bool absolute) {
  using reprise::sim::EventKind;
  Machine& m = machine();
  if (m.timer_slots[name] != ~0u) m.release(m.timer_slots[name]);
  const u64 at = (absolute ? ns : m.now + ns) + m.options.costs.soft_timer;
  m.timer_slots[name] = m.event_at(at, {.kind = name == TIMER_WISH   ? EventKind::kWish
                                                : name == TIMER_KICK ? EventKind::kKick
                                                                     : EventKind::kHeartbeat,
                                        .cpu = m.here});
}

}  // extern "C"
