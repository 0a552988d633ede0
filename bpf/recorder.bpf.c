/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recorder: writes what the kernel does into the ring `recording`, a struct wire_kernel_event each. Meanings:
 * traces/kernel_event.h. It changes nothing, knows no policy and runs on any kernel with BTF; beside the dispatcher it
 * writes into the dispatcher's ring and counts in its sequence numbers.
 *
 *   who woke whom, switches, fork, exec, exit, names     tracepoints of the scheduler
 *   what interrupts took                                 entry and exit of handlers, vectors and softirqs
 *   timers that wake tasks                               hrtimer and timer wheel
 *   what tasks wait for, and what they give to others    system calls (bpf/syscalls.h), if wanted
 *   the tasks that exist already                         a task iterator, read once
 *
 * A tracepoint that the running kernel lacks is left out at load. From 7.1 on a tp_btf program can be preempted where
 * the kernel itself could be. While it is, the kernel drops all its other calls on that CPU as recursion, its record in
 * the ring is not finished, and the clock that it has read is out of date. So what happens in tasks (system calls,
 * exec, exit) has programs of the classic kind, which run with preemption off on every kernel, and forks are taken
 * where the new task becomes runnable, with interrupts off. One is left: task_rename no longer tells the classic kind
 * whom it renames.
 */
#include "bpf/recorder_calls.h"
#include "bpf/recorder_state.h"

/* ---- scheduling ---- */

extern const void enqueue_task_fair __ksym __weak;
extern const void enqueue_task_scx __ksym __weak;
extern const void enqueue_task_rt __ksym __weak;
extern const void enqueue_task_dl __ksym __weak;
extern const void enqueue_task_stop __ksym __weak;

struct sched_class {
  void* enqueue_task;
} __attribute__((preserve_access_index));

/* The classes themselves are data, which many kernels leave out of kallsyms; their functions are there. */
static __always_inline u64 class_of(struct task_struct* task) {
  void* enqueue;

  if (!task->pid) return CLASS_IDLE;
  enqueue = task->sched_class->enqueue_task;
  if (enqueue == &enqueue_task_fair) return CLASS_FAIR;
  if (enqueue == &enqueue_task_scx) return CLASS_EXT;
  if (enqueue == &enqueue_task_rt) return CLASS_RT;
  if (enqueue == &enqueue_task_stop) return CLASS_STOP;
  if (enqueue == &enqueue_task_dl) return CLASS_DL;
  if (task->prio < 0) return CLASS_DL;
  return task->prio < 100 ? CLASS_RT : CLASS_FAIR;
}

static __always_inline u32 marks_of(struct task_struct* task) {
  return (task->flags & PF_KTHREAD ? MARK_KERNEL_THREAD : 0) | (task->tgid == recorder.own_tgid ? MARK_OWN : 0);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(waking, struct task_struct* task) {
  struct cpu_state* state = this_state();
  u32 flags = wake_context(state), waker = cause_of(flags, state);

  /* The fair class leaves a task that sleeps in its queue for a while (sched_delayed). */
  if (task->on_rq && !(bpf_core_field_exists(task->se.sched_delayed) && task->se.sched_delayed)) flags |= WAKE_RUNNABLE;
  record(bpf_ktime_get_ns(), WIRE_K_WAKING, flags, task->pid, waker, 0, 0);
  return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempted, struct task_struct* previous, struct task_struct* next, u32 previous_state) {
  struct cpu_state* state = this_state();
  u64 now = bpf_ktime_get_ns(), exec = settle(previous, state, now);

  if (state->switched_ns && state->running != (u64)previous)
    smp_add(&lost_unseen[bpf_get_smp_processor_id() & (WIRE_MAX_CPUS - 1)], 1);
  state->switched_ns = now;
  state->exec_at_switch = next->se.sum_exec_runtime;
  state->foreign_at_switch = state->foreign;
  state->running = (u64)next;
  record(now, WIRE_K_SWITCH, preempted, next->pid, previous->pid,
         previous_state | class_of(previous) << 32 | class_of(next) << 40, exec);
  return 0;
}

static __always_inline void record_name(u64 now, s32 tid, const char* comm) {
  u64 words[2] = {};

  bpf_probe_read_kernel_str(words, sizeof(words), comm);
  record(now, WIRE_K_NAME, 0, tid, 0, words[0], words[1]);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(forked, struct task_struct* child) {
  u64 now = bpf_ktime_get_ns();
  u32 parent = ((struct task_struct*)bpf_get_current_task_btf())->pid;

  record(now, WIRE_K_FORK, marks_of(child), child->pid, parent, child->start_boottime, child->tgid);
  record_name(now, child->pid, child->comm);
  return 0;
}

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct trace_event_raw_sched_process_exec {
  s32 old_pid;
};

#pragma clang attribute pop

SEC("tp/sched/sched_process_exec")
int execed(struct trace_event_raw_sched_process_exec* what) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  u64 words[2] = {};

  bpf_probe_read_kernel_str(words, sizeof(words), task->comm);
  record(bpf_ktime_get_ns(), WIRE_K_EXEC, 0, task->pid, (u32)what->old_pid, words[0], words[1]);
  return 0;
}

SEC("tp/sched/sched_process_exit")
int exited(void* what) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  u64 now, exec = exec_now(task, note_of(task), this_state(), &now);

  record(now, WIRE_K_EXIT, 0, task->pid, 0, exec, 0);
  return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(renamed, struct task_struct* task, const char* comm) {
  record_name(bpf_ktime_get_ns(), task->pid, comm);
  return 0;
}

/* ---- interrupts ---- */

/*
 * A softirq may be interrupted anywhere, our programs included, so that a frame is taken before it is filled, and the
 * clock is read again when something has come in between. `before` is what had been taken from it by then.
 */
static __always_inline u64 clock_of(volatile u64* inner, bool begins, u64* before) {
  u64 now;

  for (u32 i = 0; i < 3; i++) {
    if (begins) *inner = 0;
    *before = *inner;
    now = bpf_ktime_get_ns();
    if (*inner == *before) break;
  }
  return now;
}

static __always_inline void irq_begins(u32 kind, u32 number, u32 cause) {
  struct cpu_state* state = this_state();
  u32 depth = state->depth;
  struct irq_frame* frame;
  u64 inner;

  if (kind != IRQ_SOFT) state->expired[1] = 0;
  if (depth >= IRQ_DEPTH_MAX) return;
  *(volatile u32*)&state->depth = depth + 1;
  frame = &state->frames[depth];
  frame->what = kind << 16 | number;
  frame->cause = cause;
  frame->began = clock_of(&frame->inner, true, &inner);
}

/* In the thread that serves softirqs which could not be served at once they are its own work. */
static __always_inline bool is_ksoftirqd(struct task_struct* task) {
  return task->flags & PF_KTHREAD && task->comm[0] == 'k' && task->comm[1] == 's' && task->comm[2] == 'o' &&
         task->comm[3] == 'f' && task->comm[4] == 't';
}

static __always_inline void irq_ends(u32 kind, u32 number) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  struct cpu_state* state = this_state();
  u64 now, whole, net, inner;
  u32 depth = state->depth, what = kind << 16 | number;
  struct irq_frame* frame;

  /* The end of one whose beginning was before us, or was missed, is ignored. */
  for (;;) {
    if (!depth || depth > IRQ_DEPTH_MAX) return;
    frame = &state->frames[depth - 1];
    if (frame->what == what) break;
    depth--;
  }
  now = clock_of(&frame->inner, false, &inner);
  whole = now - frame->began;
  net = whole - inner;
  state->depth = --depth;
  if (depth && depth <= IRQ_DEPTH_MAX) smp_add(&state->frames[depth - 1].inner, whole);
  if (kind != IRQ_SOFT || !((frame->cause && frame->cause == (u32)task->pid) || is_ksoftirqd(task)))
    smp_add(&state->foreign, net);
  record(now, WIRE_K_IRQ, kind, task->pid, number, net, frame->cause);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(handler_begins, int irq) {
  irq_begins(IRQ_HARD, irq & 0xffff, 0);
  return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(handler_ends, int irq) {
  irq_ends(IRQ_HARD, irq & 0xffff);
  return 0;
}

/* A softirq is caused by the task that raised it: it runs on that task's way out, or wherever there is time. */
SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_raised, u32 vector) {
  struct cpu_state* state = this_state();
  u32 cause = cause_of(wake_context(state), state);

  if (cause && vector < SOFTIRQS_MAX) state->raised_by[vector] = cause;
  return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_begins, u32 vector) {
  struct cpu_state* state = this_state();

  if (vector >= SOFTIRQS_MAX) return 0;
  state->cause = state->raised_by[vector];
  state->raised_by[vector] = 0;
  irq_begins(IRQ_SOFT, vector, state->cause);
  return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_ends, u32 vector) {
  if (vector < SOFTIRQS_MAX) irq_ends(IRQ_SOFT, vector);
  this_state()->cause = 0;
  return 0;
}

/* x86 has system vectors beside the interrupts that drivers handle: timer and messages between CPUs. */
#define VECTOR(name)                                                      \
  SEC("tp_btf/" #name "_entry") int BPF_PROG(name##_begins, int vector) { \
    irq_begins(IRQ_VECTOR, vector & 0xffff, 0);                           \
    return 0;                                                             \
  }                                                                       \
  SEC("tp_btf/" #name "_exit") int BPF_PROG(name##_ends, int vector) {    \
    irq_ends(IRQ_VECTOR, vector & 0xffff);                                \
    return 0;                                                             \
  }
VECTOR(local_timer)
VECTOR(reschedule)
VECTOR(call_function)
VECTOR(call_function_single)
VECTOR(irq_work)

/* ---- timers ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct timerqueue_node {
  s64 expires;
};

struct hrtimer_clock_base {
  s64 offset; /* of the timer's clock from CLOCK_MONOTONIC */
};

struct hrtimer {
  struct timerqueue_node node;
  struct hrtimer_clock_base* base;
  s64 _softexpires;
  void* function;
};

struct hrtimer_sleeper {
  struct task_struct* task;
};

struct timer_list {
  void* function;
};

struct process_timer {
  struct task_struct* task;
};

#pragma clang attribute pop

extern const void hrtimer_wakeup __ksym __weak;
extern const void timerfd_tmrproc __ksym __weak;
extern const void it_real_fn __ksym __weak;
extern const void posix_timer_fn __ksym __weak;
extern const void process_timeout __ksym __weak;

static __always_inline void record_hrtimer(struct hrtimer* timer, u32 flags) {
  void* function = timer->function;
  u64 expires = timer->node.expires - timer->base->offset, detail = 0;
  u32 tid = 0;

  if (!function) return;
  if (function == &hrtimer_wakeup) {
    struct task_struct* task = bpf_core_cast(timer, struct hrtimer_sleeper)->task;
    tid = task ? task->pid : 0;
    detail = timer->node.expires - timer->_softexpires;
    flags |= TIMER_SLEEP;
  } else if (function == &timerfd_tmrproc) {
    detail = anonymous_object(timer); /* the timer is the first thing in the file's structure */
    flags |= TIMER_FD;
  } else if (function == &it_real_fn) {
    flags |= TIMER_INTERVAL;
  } else if (function == &posix_timer_fn) {
    flags |= TIMER_POSIX;
  } else {
    return;
  }
  record(bpf_ktime_get_ns(), WIRE_K_TIMER, flags, ((struct task_struct*)bpf_get_current_task_btf())->pid, tid, expires,
         detail);
}

SEC("tp_btf/hrtimer_start")
int BPF_PROG(timer_starts, struct hrtimer* timer, u32 mode) {
  record_hrtimer(timer, TIMER_ARMED | (mode & 1 ? 0 : TIMER_ABSOLUTE)); /* HRTIMER_MODE_REL is bit 0 */
  return 0;
}

/*
 * A timer that expires in softirq context does so with interrupts on. If the timer interrupt comes in the middle of the
 * program, the kernel does not run the program for what expires there. So there are two: while one of them is
 * interrupted the other is not running, and what only the second sees, it records.
 */
static __always_inline void** expired(void) {
  struct cpu_state* state = this_state();

  return &state->expired[wake_context(state) >= WAKE_HARDIRQ];
}

SEC("tp_btf/hrtimer_expire_entry")
int BPF_PROG(timer_expires, struct hrtimer* timer) {
  record_hrtimer(timer, 0);
  *expired() = timer;
  return 0;
}

SEC("tp_btf/hrtimer_expire_entry")
int BPF_PROG(timer_expires_again, struct hrtimer* timer) {
  void** seen = expired();

  if (*seen != timer) record_hrtimer(timer, 0);
  *seen = 0;
  return 0;
}

SEC("tp_btf/timer_expire_entry")
int BPF_PROG(wheel_expires, struct timer_list* timer) {
  u64 now = bpf_ktime_get_ns();
  struct task_struct* task;

  if (timer->function != &process_timeout || !timer->function) return 0;
  task = bpf_core_cast(timer, struct process_timer)->task;
  record(now, WIRE_K_TIMER, TIMER_WHEEL, 0, task ? task->pid : 0, now, 0);
  return 0;
}

/* ---- the tasks that exist ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta {
  struct seq_file* seq;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

#pragma clang attribute pop

/* sched_prio_to_weight, kernel/sched/core.c, for nice -20 to 19. */
static const u32 nice_weights[40] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
                                     9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
                                     1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
                                     110,   87,    70,    56,    45,    36,    29,    23,    18,    15};

/* The weight that sched_ext gives the task: on the scale of cgroups, 100 for nice 0 (scx_set_task_weight). */
static __always_inline u32 weight_of(struct task_struct* task) {
  u32 nice = task->static_prio - 100, weight = 1024;

  if (task->policy == SCHED_IDLE)
    weight = 3;
  else if (nice < 40)
    weight = nice_weights[nice];
  weight = (weight * 100 + 512) / 1024;
  return weight ? weight : 1;
}

static __always_inline void record_affinity(struct task_struct* task, u64 now) {
  u32 allowed = task->nr_cpus_allowed;

  if (allowed >= recorder.cpus) return;
  for (u32 i = 0; i < WIRE_CPU_WORDS; i++) {
    u64 word = 0;

    if (i * 64 >= recorder.cpus) break;
    cpumask_words(&word, sizeof(word), task->cpus_ptr, i * 8);
    if (recorder.cpus - i * 64 < 64) word &= (1ull << (recorder.cpus - i * 64)) - 1;
    record(now, WIRE_K_AFFINITY, 0, task->pid, i, word, allowed);
  }
}

SEC("iter/task")
int each_task(struct bpf_iter__task* context) {
  struct task_struct* task = context->task;
  struct recorder_task out = {};
  u64 now = bpf_ktime_get_ns();

  if (!task) return 0;
  out.tid = task->pid;
  out.tgid = task->tgid;
  out.parent_tid = task_parent_tid(task);
  out.weight = weight_of(task);
  out.flags = WIRE_TASK_AT_ATTACH | (task->flags & PF_KTHREAD ? WIRE_TASK_KERNEL_THREAD : 0);
  out.cpu = task->thread_info.cpu;
  out.start_time_ns = task->start_boottime;
  out.exec_total_ns = task->se.sum_exec_runtime;
  bpf_probe_read_kernel_str(out.comm, sizeof(out.comm), task->comm);
  record(now, WIRE_K_TASK, marks_of(task), out.tid, out.tgid, out.start_time_ns, out.weight);
  record_name(now, out.tid, task->comm);
  record_affinity(task, now);
  bpf_seq_write(context->meta->seq, &out, sizeof(out));
  return 0;
}

char _license[] SEC("license") = "GPL";
