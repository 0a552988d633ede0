/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way up: telling the engine of tasks that wait for its decision, and seeing to it that the scheduler's thread gets
 * a CPU to hear it.
 */
#ifndef REPRISE_BPF_UP_H
#define REPRISE_BPF_UP_H

#include "bpf/state.h"

#define DSQ_SHARED 0x10000ull
#define DSQ_SCHEDULER 0x10001ull

static __always_inline struct wire_event* event_begin(u8 type, u32 task, s32 tid, u32 generation, u32 flags, u64 now) {
  u32 cpu = this_cpu(), seq = next_event_seq(cpu);
  struct wire_event* event = events_reserve();

  if (!event) return 0;
  event->time_ns = now;
  event->seq = seq;
  event->cpu = cpu;
  event->type = type;
  event->reserved = 0;
  event->task = task;
  event->tid = tid;
  event->generation = generation;
  event->flags = flags;
  return event;
}

static __always_inline void event_end(struct wire_event* event) { events_submit(event); }

static __always_inline void event_clear(struct wire_event* event) {
  for (int i = 0; i < 6; i++) event->raw[i] = 0;
}

/* Tells the engine of a task before the first event about it. False: no room. */
static __noinline bool introduce(struct task_struct* p __arg_trusted, struct slot* slot, u32 index, u64 now) {
  struct wire_event* event;

  if (!slot) return false;
  event = event_begin(WIRE_TASK_NEW, index, p->pid, slot->generation, 0, now);
  if (!event) return false;
  slot->start_time = p->start_boottime;
  event->task_new.start_time_ns = p->start_boottime;
  event->task_new.tgid = p->tgid;
  event->task_new.parent_tid = task_parent_tid(p);
  event->task_new.weight = p->scx.weight;
  event->task_new.flags =
      (p->flags & PF_KTHREAD ? WIRE_TASK_KERNEL_THREAD : 0) | (slot->dirty & DIRTY_ATTACH ? WIRE_TASK_AT_ATTACH : 0);
  __builtin_memcpy(event->task_new.comm, p->comm, sizeof(event->task_new.comm));
  event->task_new.reserved = 0;
  event_end(event);
  slot->dirty = (slot->dirty & ~DIRTY_NEW) | DIRTY_INTRODUCED;
  if ((u32)p->nr_cpus_allowed < config.cpus) slot->dirty |= DIRTY_AFFINITY;
  return true;
}

static __noinline bool send_affinity(struct task_struct* p __arg_trusted, struct slot* slot, u32 index, u64 now) {
  u32 first;

  if (!slot) return false;
  for (first = 0; first < WIRE_CPU_WORDS; first += WIRE_AFFINITY_WORDS) {
    struct wire_event* event;

    if (first * 64 >= config.cpus) break;
    event = event_begin(WIRE_AFFINITY, index, p->pid, slot->generation, 0, now);
    if (!event) return false;
    event->affinity.first_word = first;
    event->affinity.allowed_cpus = p->nr_cpus_allowed;
    cpumask_words((u64*)event->affinity.words, WIRE_AFFINITY_WORDS * 8, p->cpus_ptr, first * 8);
    for (u32 i = 0; i < WIRE_AFFINITY_WORDS; i++) {
      /* The kernel's mask may be shorter than what was read: CPUs that do not exist are cut off. */
      u32 low = (first + i) * 64;
      if (low >= config.cpus)
        event->affinity.words[i] = 0;
      else if (config.cpus - low < 64)
        event->affinity.words[i] &= (1ull << (config.cpus - low)) - 1;
    }
    event->affinity.reserved = 0;
    event_end(event);
  }
  slot->dirty &= ~DIRTY_AFFINITY;
  return true;
}

static __always_inline bool work_pending(void) { return shared.asked || events_waiting() > 0; }

static __always_inline bool idle_known(s32 cpu) {
  u32 word = (u32)cpu / 64;
  return word < WIRE_CPU_WORDS && shared.idle[word] >> ((u32)cpu % 64) & 1;
}

static __always_inline void preempt_for_scheduler(s32 cpu, u64 now) {
  own.kicked = 1;
  own.kicked_at = now;
  count()->kicks++;
  kick_cpu(cpu, config.kernel.kick_preempt);
}

/*
 * Work has become pending: see to it that the scheduler's thread gets a CPU. If it runs, it looks at the ring once
 * more before it yields, and `dispatch` looks after that. If the CPU of the enqueue is idle, the kernel reschedules
 * it by itself (wakeup_preempt_idle). Else an idle CPU is woken, or, for a wakeup, one task is preempted.
 *
 * Where no other task waits, each wakeup may preempt: the CPU would soon run out of work. Where some do, the decision
 * is wanted before the next of them is taken, which `dispatch` sees to, or because the policy might want to preempt:
 * then once in kick_interval_us is enough, and a timer sees to wakeups that came too early for that. Without this, a
 * stream of wakeups (hackbench) would spend half of its time on switches.
 */
static __noinline void wake_scheduler(s32 cpu, bool wakeup, u64 now) {
  u32 here = (u32)cpu & (WIRE_MAX_CPUS - 1);
  s32 idle;

  if (shared.scheduler_running) return;
  if (wakeup && idle_known(cpu)) return;
  idle = pick_any_idle_cpu();
  if (idle >= 0) {
    kick_cpu(idle, config.kernel.kick_idle);
    return;
  }
  if (!wakeup || config.kick != WIRE_KICK_PREEMPT || own.kicked) return;
  if (own.pinned_in[here] != own.pinned_out[here] || dsq_queued(DSQ_SHARED) > 0) {
    u64 interval = config.kick_interval_us * 1000ull, since = now - own.kicked_at;
    if (since < interval) {
      if (smp_swap_if(&own.kick_armed, 0, 1)) timer_start(TIMER_KICK, interval - since, false);
      return;
    }
  }
  preempt_for_scheduler(cpu, now);
}

static __always_inline u32 enqueue_flags(struct slot* slot, u64 enq_flags) {
  u32 flags = 0;

  if (enq_flags & config.kernel.enq_wakeup) flags |= WIRE_ENQ_WAKEUP;
  if (enq_flags & config.kernel.enq_last) flags |= WIRE_ENQ_LAST;
  if (enq_flags & config.kernel.enq_reenq) flags |= WIRE_ENQ_REENQUEUED;
  if (slot->dirty & DIRTY_FIRST) flags |= WIRE_ENQ_NEW;
  return flags | slot->why;
}

static __always_inline bool hand_up(struct task_struct* p, struct slot* slot, u32 index, u32 generation, u64 enq_flags,
                                    u64 now) {
  struct wire_event* event;

  if (slot->tid != p->pid) { /* a thread that execs takes its leader's tid */
    slot->tid = p->pid;
    slot->dirty |= DIRTY_NEW;
  }
  if (slot->dirty & DIRTY_NEW && !introduce(p, slot, index, now)) return false;
  if (slot->dirty & DIRTY_AFFINITY && !send_affinity(p, slot, index, now)) return false;
  event = event_begin(WIRE_ENQUEUE, index, p->pid, generation, enqueue_flags(slot, enq_flags), now);
  if (!event) return false;
  event->enqueue.exec_total_ns = p->se.sum_exec_runtime;
  event->enqueue.started_ns = slot->started;
  event->enqueue.stopped_ns = slot->stopped;
  event->enqueue.prev_cpu = scx_bpf_task_cpu(p);
  event->enqueue.weight = p->scx.weight;
  event->enqueue.waker = slot->waker;
  event->enqueue.allowed_cpus = p->nr_cpus_allowed;
  event->enqueue.reserved = 0;
  slot->dirty &= ~DIRTY_FIRST;
  slot->why = 0;
  slot->waker = WIRE_NO_TASK;
  /* Before the event can be seen: its answer may come while we are still here. */
  set_state(slot, SLOT_HANDED, now);
  event_end(event);
  return true;
}

/* Decided here, without the engine. From ops.enqueue only. */
static __always_inline void to_tail(struct task_struct* p) {
  dsq_insert_vtime(p, DSQ_SHARED, config.slice_default_ns, shared.vtime_max, 0);
}

static __always_inline void wake_idle_for(struct task_struct* p) {
  s32 idle = pick_idle_cpu(p->cpus_ptr);
  if (idle >= 0) kick_cpu(idle, config.kernel.kick_idle);
}

/*
 * Tasks that user space must not be asked about: threads of the kernel that are bound to one CPU (others may wait for
 * them while they hold what the scheduler needs) and those that free memory, without which the scheduler may not run.
 */
static __always_inline u32 bypass_reason(struct task_struct* p) {
  if (!(p->flags & PF_KTHREAD)) return 0;
  if (p->nr_cpus_allowed == 1 && config.cpus > 1) return WIRE_BYPASS_KERNEL_THREAD;
  if (p->flags & PF_KSWAPD) return WIRE_BYPASS_RECLAIM;
  if (p->comm[0] == 'k') {
    char comm[16];
    __builtin_memcpy(comm, p->comm, sizeof(comm));
    /* A thread per node: kcompactd0, ... */
    if (bpf_strncmp(comm, 9, "kcompactd") == 0 || bpf_strncmp(comm, 10, "khugepaged") == 0) return WIRE_BYPASS_RECLAIM;
  }
  return 0;
}

#endif
