/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What crosses between the kernel side and user space: the only definition. C, so that the dispatcher, the live
 * runtime and the simulator's host can all include it; nobody else does.
 *
 *   events      ring buffer up       struct wire_event            for the engine
 *   recording   ring buffer up       struct wire_kernel_event     for the recorder, only while recording
 *   decisions   user ring buffer     struct wire_message          down
 *   shared      memory both map      struct wire_shared           positions, idle CPUs, counters
 *   config      read-only, at load   struct wire_config
 *
 * Rules: fixed width, no implicit padding, times in ns of CLOCK_MONOTONIC. A change that moves a field or changes a
 * meaning raises WIRE_VERSION; the runtime compares it with the loaded object's and refuses another.
 */
#ifndef REPRISE_BPF_WIRE_H
#define REPRISE_BPF_WIRE_H

#ifdef __cplusplus
#include <cstdint>
#define WIRE_ASSERT(condition) static_assert(condition, #condition)
typedef std::uint8_t wire_u8;
typedef std::uint16_t wire_u16;
typedef std::uint32_t wire_u32;
typedef std::uint64_t wire_u64;
typedef std::int32_t wire_s32;
#else
#define WIRE_ASSERT(condition) _Static_assert(condition, #condition)
typedef unsigned char wire_u8;
typedef unsigned short wire_u16;
typedef unsigned int wire_u32;
typedef unsigned long long wire_u64;
typedef int wire_s32;
#endif

#define WIRE_VERSION 2u

#define WIRE_MAX_CPUS 1024
#define WIRE_CPU_WORDS (WIRE_MAX_CPUS / 64)
#define WIRE_NO_TASK 0xffffffffu
#define WIRE_ANY_CPU (-1)

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#if defined(__clang__) && defined(__cplusplus)
#pragma clang diagnostic ignored "-Wnested-anon-types" /* plain C, and every compiler takes it */
#endif

/* ---- up, for the engine (meanings: scheduler/core/event.h) ---- */

enum wire_event_type {
  WIRE_TASK_NEW = 1,
  WIRE_ENQUEUE = 2,
  WIRE_DEQUEUE = 3,
  WIRE_RUNNING = 4,
  WIRE_STOPPING = 5,
  WIRE_TASK_EXIT = 6,
  WIRE_AFFINITY = 7,
  WIRE_WEIGHT = 8,
};

enum wire_enqueue_flag {
  WIRE_ENQ_WAKEUP = 1u << 0,
  WIRE_ENQ_PREEMPTED = 1u << 1,
  WIRE_ENQ_SLICE_END = 1u << 2,
  WIRE_ENQ_NEW = 1u << 3,
  WIRE_ENQ_LAST = 1u << 4,
  WIRE_ENQ_REENQUEUED = 1u << 5,
  WIRE_ENQ_SYNC = 1u << 6,
};

enum wire_task_flag {
  WIRE_TASK_KERNEL_THREAD = 1u << 0,
  WIRE_TASK_AT_ATTACH = 1u << 1,
};

struct wire_event {
  wire_u64 time_ns;
  wire_u32 seq; /* counts up per CPU; a gap is a loss */
  wire_u16 cpu;
  wire_u8 type; /* enum wire_event_type */
  wire_u8 reserved;
  wire_u32 task; /* slot */
  wire_s32 tid;
  wire_u32 generation;
  wire_u32 flags;
  union {
    struct {
      wire_u64 start_time_ns;
      wire_s32 tgid;
      wire_s32 parent_tid;
      wire_u32 weight;
      wire_u32 flags; /* enum wire_task_flag */
      char comm[16];
      wire_u64 reserved;
    } task_new;
    struct {
      wire_u64 exec_total_ns;
      wire_u64 started_ns;
      wire_u64 stopped_ns;
      wire_s32 prev_cpu;
      wire_u32 weight;
      wire_u32 waker;
      wire_u32 allowed_cpus;
      wire_u64 reserved;
    } enqueue;
    struct {
      wire_u64 exec_total_ns;
      wire_u64 unused[5];
    } task_exit;
    struct {
      wire_u64 exec_total_ns;
      wire_u32 runnable;
      wire_u32 reserved;
      wire_u64 unused[4];
    } stopping;
    struct {
      wire_u32 first_word;
      wire_u32 allowed_cpus;
      wire_u64 words[4];
      wire_u64 reserved;
    } affinity;
    struct {
      wire_u32 weight;
      wire_u32 reserved;
      wire_u64 unused[5];
    } weight;
    wire_u64 raw[6];
  };
};
WIRE_ASSERT(sizeof(struct wire_event) == 80);
#define WIRE_AFFINITY_WORDS 4

/* ---- up, for the recorder (meanings: traces/kernel_event.h) ---- */

enum wire_kernel_event_type {
  WIRE_K_WAKING = 1,
  WIRE_K_SWITCH = 2,
  WIRE_K_BYPASS = 3,
  WIRE_K_ANSWER = 4,
  WIRE_K_DEQUEUE = 5,
  WIRE_K_FORK = 6,
  WIRE_K_EXEC = 7,
  WIRE_K_EXIT = 8,
  WIRE_K_TASK = 9,
  WIRE_K_NAME = 10,
  WIRE_K_AFFINITY = 11,
  WIRE_K_WEIGHT = 12,
  WIRE_K_CPU = 13,
  WIRE_K_IRQ = 14,
  WIRE_K_TIMER = 15,
  WIRE_K_SYSCALL_ENTER = 16,
  WIRE_K_SYSCALL_EXIT = 17,
  WIRE_K_MEMBER = 18,
};

enum wire_bypass {
  WIRE_BYPASS_KERNEL_THREAD = 1,
  WIRE_BYPASS_RECLAIM = 2,
  WIRE_BYPASS_CONGESTED = 3,
  WIRE_BYPASS_FALLBACK = 4,
  WIRE_BYPASS_NO_SLOT = 5,
};

enum wire_answer {
  WIRE_INSERTED = 1,
  WIRE_CANCELLED = 2,
  WIRE_BOUNCED = 3,
  WIRE_FAILED = 4,
};

struct wire_kernel_event {
  wire_u64 time_ns;
  wire_u32 seq;
  wire_u16 cpu;
  wire_u8 type; /* enum wire_kernel_event_type */
  wire_u8 flags;
  wire_s32 tid;
  wire_u32 a;
  wire_u64 b;
  wire_u64 c;
};
WIRE_ASSERT(sizeof(struct wire_kernel_event) == 40);

/* ---- down ---- */

enum wire_message_kind {
  WIRE_DISPATCH = 1, /* task, generation, cpu, flags, slice_ns, vtime */
  WIRE_PREEMPT = 2,  /* cpu */
  WIRE_WAKE_AT = 3,  /* vtime: the time, CLOCK_MONOTONIC; 0 takes a wish back */
};

enum wire_dispatch_flag {
  WIRE_DISPATCH_IDLE = 1u << 0,
  WIRE_DISPATCH_PREEMPT = 1u << 1,
};

struct wire_message {
  wire_u32 kind; /* enum wire_message_kind */
  wire_u32 task;
  wire_u32 generation;
  wire_s32 cpu;
  wire_u64 slice_ns;
  wire_u64 vtime;
  wire_u32 flags;
  wire_u32 reserved;
};
WIRE_ASSERT(sizeof(struct wire_message) == 40);

/* ---- memory that both sides map ---- */

/* One per CPU, written by that CPU only, summed by whoever reads. */
struct wire_cpu_counters {
  wire_u64 handed_up;      /* enqueues that went to the engine */
  wire_u64 inserted;       /* decisions carried out: accepted by BPF */
  wire_u64 cancelled;      /* decisions for an older enqueue */
  wire_u64 bounced;        /* decisions for a CPU that is not allowed; went to the shared queue */
  wire_u64 failed;         /* malformed decisions, or the task is gone */
  wire_u64 congested;      /* no room on the way up: decided here */
  wire_u64 fallback;       /* user space does not answer: decided here */
  wire_u64 kernel_threads; /* bound to one CPU: decided here */
  wire_u64 reclaim;        /* frees memory: decided here */
  wire_u64 no_slot;        /* more tasks than the table holds: decided here */
  wire_u64 kept;           /* ran on because nothing else waited */
  wire_u64 dequeued;       /* taken back while waiting */
  wire_u64 recovered;      /* handed up, never answered, run by the fallback */
  wire_u64 reinserted;     /* a decision was carried out but the task did not run: inserted again */
  wire_u64 drain_busy;     /* another CPU was taking decisions over */
  wire_u64 kicks;          /* CPUs taken from a task so that the scheduler can run */
  wire_u64 events_lost;    /* for the engine (enqueues are `congested`, not lost) */
  wire_u64 records_lost;   /* for the recorder */
  wire_u64 switches;       /* tasks of ours that began to run, the scheduler's own thread included */
  wire_u64 scheduler_runs; /* of these, the scheduler's own thread */
  wire_u64 rescued;        /* taken from the queue of a CPU that does not dispatch any more */
  wire_u64 reserved[3];
};
WIRE_ASSERT(sizeof(struct wire_cpu_counters) == 192);

#define WIRE_EXIT_REASON 128
#define WIRE_EXIT_MESSAGE 1024
#define WIRE_EXIT_DUMP 65536

struct wire_exit {
  wire_s32 kind; /* enum scx_exit_kind of the running kernel; 0: has not exited */
  wire_u32 reserved;
  wire_u64 code;
  char reason[WIRE_EXIT_REASON];
  char message[WIRE_EXIT_MESSAGE];
  char dump[WIRE_EXIT_DUMP];
};

struct wire_shared {
  wire_u32 version; /* WIRE_VERSION of the object */
  wire_u32 reserved0;
  /* Written by user space. */
  wire_u64 beat;      /* goes up with each turn of the scheduler's loop */
  wire_u64 submitted; /* messages put into `decisions` since load */
  wire_u64 reserved1[5];
  /* Written by the dispatcher. */
  wire_u64 drained;           /* messages taken out */
  wire_u32 fallback;          /* 1: the dispatcher schedules by itself */
  wire_u32 scheduler_running; /* 1: the scheduler's thread is on a CPU */
  wire_u32 asked;             /* 1: the scheduler shall run although no event waits (timer, heartbeat) */
  wire_u32 slots_high;        /* slots ever used */
  wire_u64 unanswered;        /* tasks handed up and not yet answered */
  wire_u64 fallbacks;         /* how often the dispatcher has taken over */
  wire_u64 vtime_max;         /* the largest vtime ever inserted: the tail of the queues */
  wire_u64 reserved2[2];
  wire_u64 idle[WIRE_CPU_WORDS];
};
WIRE_ASSERT(sizeof(struct wire_shared) == 64 + 64 + 128);

/* ---- set before load ---- */

/* Values of kernel enums, read from the running kernel's BTF; 0 where it has none. */
struct wire_kernel_values {
  wire_u64 enq_wakeup;
  wire_u64 enq_last;
  wire_u64 enq_reenq;
  wire_u64 wake_sync;
  wire_u64 kick_idle;
  wire_u64 kick_preempt;
  wire_u64 dsq_local;
  wire_u32 task_queued;
  wire_u32 reserved;
};

enum wire_kick {
  WIRE_KICK_NONE = 0,    /* wait until a CPU schedules anyway */
  WIRE_KICK_PREEMPT = 1, /* a wakeup takes the CPU when none is idle: see wake_scheduler in up.h */
};

struct wire_config {
  wire_s32 scheduler_tid;
  wire_s32 scheduler_tgid;
  wire_u32 cpus; /* nr_cpu_ids */
  wire_u32 max_tasks;
  wire_u64 slice_default_ns;   /* for what the dispatcher decides itself */
  wire_u64 slice_scheduler_ns; /* of the scheduler's own thread */
  wire_u64 heartbeat_ns;       /* an idle scheduler is run this often */
  wire_u64 fallback_ns;        /* unanswered for so long: the dispatcher takes over */
  wire_u32 kick;               /* enum wire_kick */
  wire_u32 recording;          /* 1: fill the recording ring */
  wire_u32 interests;          /* 1: send WIRE_RUNNING and WIRE_STOPPING */
  wire_u32 kick_interval_us;   /* where tasks queue, wakeups preempt one this often at most; 1..1,000,000 */
  struct wire_kernel_values kernel;
};

#pragma GCC diagnostic pop

#endif
