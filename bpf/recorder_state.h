/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all programs of the recorder use: its maps, what it remembers per CPU and task, the writing of a record, in
 * which context it runs and whom to blame for that, and the CPU time of tasks.
 */
#ifndef REPRISE_BPF_RECORDER_STATE_H
#define REPRISE_BPF_RECORDER_STATE_H

#include "bpf/kernel.h"
#include "bpf/syscalls.h"
#include "bpf/wire.h"

#define IRQ_DEPTH_MAX 8
#define SOFTIRQS_MAX 16
#define SOFTIRQ_SERVING 0x100u /* of preempt_count; BH merely disabled counts in steps of 0x200 */
#define TS_COMPAT 2u           /* thread_info.status on x86: a 32-bit call, whose numbers are others */
#define SCHED_IDLE 5
#define POLLIN 1u
#define POLLOUT 4u

enum wake_context { WAKE_TASK = 0, WAKE_SOFTIRQ = 1, WAKE_HARDIRQ = 2, WAKE_NMI = 3, WAKE_RUNNABLE = 4 };
enum irq_kind { IRQ_HARD = 0, IRQ_SOFT = 1, IRQ_VECTOR = 2 };
enum task_class { CLASS_IDLE = 0, CLASS_EXT = 1, CLASS_FAIR = 2, CLASS_RT = 3, CLASS_DL = 4, CLASS_STOP = 5 };
enum task_mark { MARK_KERNEL_THREAD = 1, MARK_OWN = 2 };
enum timer_kind { TIMER_SLEEP = 0, TIMER_FD = 1, TIMER_INTERVAL = 2, TIMER_POSIX = 3, TIMER_WHEEL = 4 };
enum timer_flag { TIMER_ARMED = 8, TIMER_ABSOLUTE = 16 };

const volatile struct recorder_config recorder = {};

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096); /* set before load, or the dispatcher's */
} recording SEC(".maps");

struct sequence {
  u32 events;
  u32 recording;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WIRE_MAX_CPUS);
  __type(key, u32);
  __type(value, struct sequence);
} sequences SEC(".maps");

/* What is remembered of a task. */
struct note {
  u64 correction; /* to be taken off se.sum_exec_runtime (modulo 2^64), so that interrupts of others do not count */
  u32 call;       /* the system call that it is in, as recorded, plus 1; 0: none */
  u32 role;       /* of that call */
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct note);
} notes SEC(".maps");

struct irq_frame {
  u64 began;
  u64 inner; /* what interrupts on top of this one took */
  u32 what;
  u32 cause; /* tid of the task that caused it; 0: none did */
};

/* One per CPU, written by that CPU only. */
struct cpu_state {
  u64 switched_ns; /* when the running task was switched in; 0: before we were attached */
  u64 exec_at_switch;
  u64 foreign; /* time of interrupts so far that the running task did not cause */
  u64 own;     /* time of softirqs so far that the running task did cause */
  u64 foreign_at_switch;
  u64 own_at_switch;
  u32 depth; /* of `frames` */
  u32 cause; /* of the softirq that is being served */
  u32 raised_by[SOFTIRQS_MAX];
  struct irq_frame frames[IRQ_DEPTH_MAX];
} __attribute__((aligned(64)));
__hidden struct cpu_state cpus[WIRE_MAX_CPUS];
wire_u64 lost[WIRE_MAX_CPUS]; /* records that found no room */

static __always_inline struct cpu_state* this_state(void) {
  return &cpus[bpf_get_smp_processor_id() & (WIRE_MAX_CPUS - 1)];
}

static __always_inline void record(u64 now, u32 type, u32 flags, s32 tid, u32 a, u64 b, u64 c) {
  u32 cpu = bpf_get_smp_processor_id();
  struct wire_kernel_event* event = bpf_ringbuf_reserve(&recording, sizeof(*event), 0);
  struct sequence* sequence = bpf_map_lookup_elem(&sequences, &cpu);
  u32 seq = sequence ? smp_add(&sequence->recording, 1) : 0; /* a gap where there was no room */

  if (!event) {
    smp_add(&lost[cpu & (WIRE_MAX_CPUS - 1)], 1);
    return;
  }
  event->time_ns = now;
  event->seq = seq;
  event->cpu = cpu;
  event->type = type;
  event->flags = flags;
  event->tid = tid;
  event->a = a;
  event->b = b;
  event->c = c;
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* ---- context ---- */

struct pcpu_hot {
  int preempt_count;
} __attribute__((preserve_access_index));

extern const int __preempt_count __ksym __weak;         /* x86, from 6.15 on */
extern const struct pcpu_hot pcpu_hot __ksym __weak;    /* x86, before */

static __always_inline u32 preempt_count(void) {
  if (bpf_core_field_exists(struct thread_info, preempt))
    return ((struct task_struct*)bpf_get_current_task_btf())->thread_info.preempt.count;
  if (bpf_ksym_exists(&__preempt_count)) return *(const u32*)bpf_this_cpu_ptr(&__preempt_count);
  if (bpf_ksym_exists(&pcpu_hot)) return ((const struct pcpu_hot*)bpf_this_cpu_ptr(&pcpu_hot))->preempt_count;
  return 0;
}

static __always_inline u32 wake_context(void) {
  u32 count = preempt_count();

  if (count & recorder.nmi_mask) return WAKE_NMI;
  if (count & recorder.hardirq_mask) return WAKE_HARDIRQ;
  return count & SOFTIRQ_SERVING ? WAKE_SOFTIRQ : WAKE_TASK;
}

/* Whom to blame for what happens now: the running task, the one that raised the softirq, or nobody (0). */
static __always_inline u32 cause_of(u32 context, struct cpu_state* state) {
  if (context == WAKE_TASK) return ((struct task_struct*)bpf_get_current_task_btf())->pid;
  return context == WAKE_SOFTIRQ ? state->cause : 0;
}

/* ---- CPU time ---- */

static __always_inline struct note* note_of(struct task_struct* task, u64 flags) {
  return bpf_task_storage_get(&notes, task, 0, flags);
}

/*
 * CPU time of the running task since birth, up to `*now`, which is read here. The kernel keeps se.sum_exec_runtime up
 * to date at ticks and switches only, hence the time since the switch. An interrupt in between the two readings would
 * be charged to the task: read again.
 */
static __always_inline u64 exec_until_now(struct task_struct* task, struct note* note, struct cpu_state* state,
                                          u64* now) {
  u64 correction = note ? note->correction : 0, foreign = *(volatile u64*)&state->foreign;

  *now = bpf_ktime_get_ns();
  if (*(volatile u64*)&state->foreign != foreign) {
    foreign = *(volatile u64*)&state->foreign;
    *now = bpf_ktime_get_ns();
  }
  if (!state->switched_ns) return task->se.sum_exec_runtime - correction;
  return state->exec_at_switch - correction + (*now - state->switched_ns) - (foreign - state->foreign_at_switch);
}

/* `task` stops running here; its se.sum_exec_runtime is up to date. Returns its CPU time since birth. */
static __always_inline u64 settle(struct task_struct* task, struct cpu_state* state) {
  u64 correction = recorder.exec_excludes_irqs ? state->own_at_switch - state->own
                                               : state->foreign - state->foreign_at_switch;
  struct note* note;

  if (!task->pid) return 0;
  note = note_of(task, correction ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
  if (!note) return task->se.sum_exec_runtime;
  note->correction += correction;
  return task->se.sum_exec_runtime - note->correction;
}

#endif
