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
  u64 exec;        /* CPU time when it was last switched out, as we count it */
  u64 kernel_exec; /* se.sum_exec_runtime then */
  u32 call;        /* the system call that it is in, as recorded, plus 1; 0: none */
  u32 role;        /* of that call */
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
  u64 switched_ns;    /* when the running task was switched in; 0: before we were attached */
  u64 exec_at_switch; /* its se.sum_exec_runtime then */
  u64 foreign;        /* time of interrupts so far that the running task did not cause */
  u64 foreign_at_switch;
  u64 running;      /* address of the task that was switched in; its tid may change: a thread that calls exec */
  u32 depth;        /* of `frames` */
  u32 cause;        /* of the softirq that is being served */
  void* expired[2]; /* the timer that timer_expires has seen last: in softirqs or tasks, in hardware interrupts */
  u32 raised_by[SOFTIRQS_MAX];
  struct irq_frame frames[IRQ_DEPTH_MAX];
} __attribute__((aligned(64)));
__hidden struct cpu_state cpus[WIRE_MAX_CPUS];

wire_u32 recording_over; /* set by user space before it detaches, which takes a while */

/* Why something is missing, per CPU. */
wire_u64 lost_full[WIRE_MAX_CPUS];    /* the ring had no room */
wire_u64 lost_refused[WIRE_MAX_CPUS]; /* it had, but its lock was not to be had: see record() */
wire_u64 lost_unseen[WIRE_MAX_CPUS];  /* switches: another task leaves than the one that had come */

static __always_inline struct cpu_state* this_state(void) {
  return &cpus[bpf_get_smp_processor_id() & (WIRE_MAX_CPUS - 1)];
}

static __always_inline void record(u64 now, u32 type, u32 flags, s32 tid, u32 a, u64 b, u64 c) {
  u32 cpu = bpf_get_smp_processor_id();
  struct wire_kernel_event* event;
  struct sequence* sequence;
  u32 seq;

  if (*(volatile u32*)&recording_over) return;
  event = bpf_ringbuf_reserve(&recording, sizeof(*event), 0);
  sequence = bpf_map_lookup_elem(&sequences, &cpu);
  seq = sequence ? smp_add(&sequence->recording, 1) : 0; /* a gap where there was no room */

  if (!event) {
    u64 left = bpf_ringbuf_query(&recording, BPF_RB_RING_SIZE) - bpf_ringbuf_query(&recording, BPF_RB_AVAIL_DATA);

    cpu &= WIRE_MAX_CPUS - 1;
    smp_add(left < 2 * sizeof(*event) ? &lost_full[cpu] : &lost_refused[cpu], 1);
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

struct rq;
struct cfs_rq {
  struct rq* rq;
} __attribute__((preserve_access_index));

/*
 * On x86 the count is a per-CPU variable, whose address only some kernels tell (CONFIG_KALLSYMS_ALL). But every task
 * leads to the run queue of its CPU, which is another such variable, and BTF knows how far the two are apart.
 */
static __always_inline u32 preempt_count(void) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();

  if (bpf_core_field_exists(task->thread_info.preempt)) return task->thread_info.preempt.count;
  return bpf_core_cast((char*)task->se.cfs_rq->rq + recorder.count_from_runqueue, struct cpumask)->bits[0];
}

static __always_inline u32 wake_context(struct cpu_state* state) {
  u32 depth = state->depth, count;

  if (!recorder.count_known) { /* what our own programs have seen of interrupts must do */
    if (!depth || depth > IRQ_DEPTH_MAX) return WAKE_TASK;
    return state->frames[depth - 1].what >> 16 == IRQ_SOFT ? WAKE_SOFTIRQ : WAKE_HARDIRQ;
  }
  count = preempt_count();
  if (count & recorder.nmi_mask) return WAKE_NMI;
  if (count & recorder.hardirq_mask) return WAKE_HARDIRQ;
  return count & SOFTIRQ_SERVING ? WAKE_SOFTIRQ : WAKE_TASK;
}

/* Whom to blame for what happens now: the running task, the one that raised the softirq, or nobody (0). */
static __always_inline u32 cause_of(u32 context, struct cpu_state* state) {
  u32 cause = 0;

  if (context == WAKE_TASK)
    cause = ((struct task_struct*)bpf_get_current_task_btf())->pid;
  else if (context == WAKE_SOFTIRQ)
    cause = *(volatile u32*)&state->cause; /* else the compiler loads both through one pointer */
  return cause;
}

/* ---- CPU time ---- */

static __always_inline struct note* note_of(struct task_struct* task) {
  return bpf_task_storage_get(&notes, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/*
 * CPU time of the running task since birth: from switch to switch, less the interrupts that it did not cause. The
 * kernel's own sum_exec_runtime is brought up to date at ticks and switches only, contains interrupts, and often begins
 * at the wakeup, since the clock of a run queue is not read twice in a row (rq_clock_skip_update). It serves for what
 * we have not seen: the time before we were attached, and a switch that was missed.
 */
static __always_inline u64 exec_at(struct task_struct* task, struct note* note, struct cpu_state* state, u64 now,
                                   u64 foreign) {
  if (!state->switched_ns || state->running != (u64)task)
    return note->exec + (task->se.sum_exec_runtime - note->kernel_exec);
  return note->exec + (state->exec_at_switch - note->kernel_exec) + (now - state->switched_ns) -
         (foreign - state->foreign_at_switch);
}

/* Reads the clock, too: an interrupt between that and the reading of what interrupts took would count as CPU time. */
static __always_inline u64 exec_now(struct task_struct* task, struct note* note, struct cpu_state* state, u64* now) {
  u64 foreign = *(volatile u64*)&state->foreign;

  *now = bpf_ktime_get_ns();
  if (*(volatile u64*)&state->foreign != foreign) {
    foreign = *(volatile u64*)&state->foreign;
    *now = bpf_ktime_get_ns();
  }
  return note ? exec_at(task, note, state, *now, foreign) : task->se.sum_exec_runtime;
}

/* `task` stops running here. Returns its CPU time. */
static __always_inline u64 settle(struct task_struct* task, struct cpu_state* state, u64 now) {
  struct note* note;
  u64 exec;

  if (!task->pid) return 0;
  note = note_of(task);
  if (!note) return task->se.sum_exec_runtime;
  exec = exec_at(task, note, state, now, state->foreign);
  note->exec = exec;
  note->kernel_exec = task->se.sum_exec_runtime;
  return exec;
}

#endif
