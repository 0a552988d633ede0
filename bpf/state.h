/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the dispatcher remembers: its maps and globals in the kernel, and the functions by which the rest of it reaches
 * them. Natively the host defines the same functions over one object per simulation (kernel_native.h).
 */
#ifndef REPRISE_BPF_STATE_H
#define REPRISE_BPF_STATE_H

#include "bpf/kernel.h"
#include "bpf/wire.h"

/* One per task that the dispatcher knows; its index is the task's name on the wire. */
enum slot_state {
  SLOT_NONE = 0,
  SLOT_HANDED = 1,   /* handed up, not yet answered */
  SLOT_INSERTED = 2, /* answered: in a queue, has not run since */
};

/* Slot.dirty: what the engine has still to be told. */
enum slot_dirty {
  DIRTY_NEW = 1,
  DIRTY_AFFINITY = 2,
  DIRTY_INTRODUCED = 4, /* the engine knows the task */
  DIRTY_ATTACH = 8,     /* existed when the scheduler attached */
  DIRTY_FIRST = 16,     /* has not been enqueued since fork */
};

struct slot {
  u64 start_time;
  u64 changed;    /* when `state` changed last */
  u64 started;    /* when it last began to run */
  u64 stopped;    /* when it last stopped */
  u64 exec_start; /* se.sum_exec_runtime when it last began to run */
  u64 slice;      /* given by the last decision */
  u32 generation; /* with `state` in one word: see answered() */
  u32 state;      /* enum slot_state */
  s32 tid;
  u32 dirty; /* enum slot_dirty */
  u32 waker;
  u32 why; /* enum wire_enqueue_flag: why it stopped while runnable */
};

struct task_context {
  u32 slot; /* WIRE_NO_TASK: the table is full */
};

/* Private to the dispatcher. */
struct own_state {
  u32 pinned_in_a_row[WIRE_MAX_CPUS];
  /*
   * Insertions into a CPU's own queue that were accepted, and tasks taken from it: equal means empty, which spares the
   * look-up. A task that leaves otherwise makes them differ for good, which costs the look-up again and nothing else.
   */
  u32 pinned_in[WIRE_MAX_CPUS];
  u32 pinned_out[WIRE_MAX_CPUS];
  u32 suspect[WIRE_MAX_CPUS]; /* pinned_out + 1 when a heartbeat found it idle with tasks in its queue; else 0 */
  u32 stuck;                  /* CPU + 1 that does not take the tasks in its queue, as one that goes offline; 0: none */
  u32 kicked;                 /* a task has been preempted for the scheduler, which has not run since */
  u32 kick_armed;             /* TIMER_KICK has been started */
  u32 walk_cursor;
  u32 walk_left; /* slots that the walk has still to look at */
  u32 walking;   /* a CPU is at it: one at a time */
  u32 look;      /* decisions have been taken over; nobody has looked since whether a CPU idles beside their tasks */
  u64 kicked_at;
  u64 beat_seen;
  u64 beat_changed;
  u64 asked_since; /* the first time that it was asked after `beat` was last seen to move */
  u64 wish;        /* when the engine wants to be called; 0: it does not */
  u64 drained_at;  /* when the drain that goes on began */
  u64 audited;     /* when a healthy walk last began */
};

enum timer_name { TIMER_HEARTBEAT = 0, TIMER_WISH = 1, TIMER_KICK = 2, TIMERS };

#ifndef __cplusplus
/* What the parts of the dispatcher provide for the calls that come back through maps. */
static long carry_out(const struct wire_message* message);
static long walk_one(u32 i, void* context);
static long look_at_queue(u32 cpu, void* context);
static void on_heartbeat(void);
static void on_wish(void);
static void on_kick(void);
#endif

#ifdef __bpf__

const volatile struct wire_config config = {};
struct wire_shared shared = {.version = WIRE_VERSION};
struct wire_cpu_counters counters[WIRE_MAX_CPUS] = {};
struct wire_exit exit_info;
__hidden struct own_state own; /* not static: the compiler would take it apart */

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct task_context);
} contexts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1); /* config.max_tasks; sizes are set before load */
  __type(key, u32);
  __type(value, struct slot);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 1);
  __type(value, u32);
} free_slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} recording SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
  __uint(max_entries, 4096);
} decisions SEC(".maps");

struct timer_value {
  struct bpf_timer timer;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TIMERS);
  __type(key, u32);
  __type(value, struct timer_value);
} timers SEC(".maps");

/* Sequence numbers of both rings, a pair per CPU; shared with the recorder's programs. */
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

static __always_inline u32 this_cpu(void) { return bpf_get_smp_processor_id() & (WIRE_MAX_CPUS - 1); }
static __always_inline u64 now_ns(void) { return bpf_ktime_get_ns(); }
static __always_inline struct wire_cpu_counters* count(void) { return &counters[this_cpu()]; }

static __always_inline struct slot* slot_at(u32 index) { return bpf_map_lookup_elem(&slots, &index); }
static __always_inline bool free_slot_take(u32* index) { return bpf_map_pop_elem(&free_slots, index) == 0; }
static __always_inline void free_slot_give(u32 index) { bpf_map_push_elem(&free_slots, &index, 0); }
static __always_inline struct task_context* context_of(struct task_struct* p) {
  return bpf_task_storage_get(&contexts, p, 0, 0);
}
static __always_inline struct task_context* context_make(struct task_struct* p) {
  return bpf_task_storage_get(&contexts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* A number is used up even where the ring then has no room: the gap shows the loss. */
static __always_inline u32 next_event_seq(u32 cpu) {
  struct sequence* sequence = bpf_map_lookup_elem(&sequences, &cpu);
  return sequence ? smp_add(&sequence->events, 1) : 0;
}
static __always_inline u32 next_record_seq(u32 cpu) {
  struct sequence* sequence = bpf_map_lookup_elem(&sequences, &cpu);
  return sequence ? smp_add(&sequence->recording, 1) : 0;
}

static __always_inline struct wire_event* events_reserve(void) {
  return bpf_ringbuf_reserve(&events, sizeof(struct wire_event), 0);
}
static __always_inline void events_submit(struct wire_event* event) { bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP); }
static __always_inline u64 events_waiting(void) { return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA); }
static __always_inline struct wire_kernel_event* record_reserve(void) {
  return bpf_ringbuf_reserve(&recording, sizeof(struct wire_kernel_event), 0);
}
static __always_inline void record_submit(struct wire_kernel_event* event) {
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static long take_message(struct bpf_dynptr* pointer, void* context) {
  struct wire_message message;

  if (bpf_dynptr_read(&message, sizeof(message), pointer, 0, 0)) message.kind = 0;
  return carry_out(&message);
}
/*
 * Calls carry_out for each message until it returns 1; <0: -EBUSY, another CPU is at it. Without the flag each drain
 * would send this CPU an interrupt, to wake somebody who polls for room; nobody does.
 */
static __always_inline long decisions_drain(void) {
  return bpf_user_ringbuf_drain(&decisions, take_message, 0, BPF_RB_NO_WAKEUP);
}

static long walk_step(u32 i, void* context) { return walk_one(i, context); }
static __always_inline void walk_up_to(u32 slots_at_most, void* context) {
  bpf_loop(slots_at_most, walk_step, context, 0);
}

static long queue_step(u32 i, void* context) { return look_at_queue(i, context); }
static __always_inline void look_at_queues(u32 cpus) { bpf_loop(cpus, queue_step, 0, 0); }

static __always_inline void timer_start(u32 name, u64 ns, bool absolute) {
  struct timer_value* value = bpf_map_lookup_elem(&timers, &name);
  if (value) bpf_timer_start(&value->timer, ns, absolute ? BPF_F_TIMER_ABS : 0);
}
static int heartbeat_expired(void* map, u32* key, struct timer_value* value) {
  on_heartbeat();
  return 0;
}
static int wish_expired(void* map, u32* key, struct timer_value* value) {
  on_wish();
  return 0;
}
static int kick_expired(void* map, u32* key, struct timer_value* value) {
  on_kick();
  return 0;
}
static __always_inline s32 timers_init(void) {
  u32 name = TIMER_HEARTBEAT;
  struct timer_value* value = bpf_map_lookup_elem(&timers, &name);
  s32 error;

  if (!value) return -2; /* ENOENT */
  error = bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
  if (!error) error = bpf_timer_set_callback(&value->timer, heartbeat_expired);
  if (error) return error;
  name = TIMER_WISH;
  value = bpf_map_lookup_elem(&timers, &name);
  if (!value) return -2;
  error = bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
  if (!error) error = bpf_timer_set_callback(&value->timer, wish_expired);
  if (error) return error;
  name = TIMER_KICK;
  value = bpf_map_lookup_elem(&timers, &name);
  if (!value) return -2;
  error = bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
  return error ? error : bpf_timer_set_callback(&value->timer, kick_expired);
}

#else
#include "bpf/state_native.h"
#endif

#ifndef __cplusplus

/* ---- small things that every part uses ---- */

static __always_inline bool is_scheduler(const struct task_struct* p) { return p->pid == config.scheduler_tid; }

static __always_inline struct slot* slot_of(struct task_struct* p, u32* index) {
  struct task_context* context = context_of(p);
  if (!context) return 0;
  *index = context->slot;
  return slot_at(context->slot);
}

/*
 * An idle CPU of a mask, taken out of the kernel's idle mask: whoever takes one kicks it. -1: none. Where the kernel's
 * own function cannot be called, the idle bits that ops.update_idle keeps serve, without its knowledge of SMT and
 * caches.
 */
static __noinline s32 take_known_idle_cpu(const struct cpumask* allowed __arg_trusted) {
  for (u32 cpu = 0; cpu < WIRE_MAX_CPUS; cpu++) {
    if (cpu >= config.cpus) break;
    if (shared.idle[cpu / 64] >> (cpu % 64) & 1 && bpf_cpumask_test_cpu(cpu, allowed) && take_idle_cpu(cpu)) return cpu;
  }
  return -1;
}
static __always_inline bool any_idle(void) {
  for (u32 word = 0; word < WIRE_CPU_WORDS; word++) {
    if (word * 64 >= config.cpus) break;
    if (shared.idle[word]) return true;
  }
  return false;
}
static __always_inline bool is_stuck(s32 cpu) { return (u32)cpu + 1 == own.stuck; }
static __always_inline s32 pick_idle_once(const struct cpumask* allowed) {
  if (bpf_ksym_exists(scx_bpf_pick_idle_cpu)) return scx_bpf_pick_idle_cpu(allowed, 0);
  return take_known_idle_cpu(allowed);
}
/* On a busy machine, where every decision asks, the answer is mostly no and must cost next to nothing. */
static __always_inline s32 pick_idle_cpu(const struct cpumask* allowed) {
  s32 cpu;

  if (!any_idle()) return -1;
  cpu = pick_idle_once(allowed);
  if (cpu < 0 || !is_stuck(cpu)) return cpu;
  kick_cpu(cpu, config.kernel.kick_idle);
  return pick_idle_once(allowed);
}
static __always_inline s32 pick_any_idle_cpu(void) {
  const struct cpumask* online;
  s32 cpu;

  if (!any_idle()) return -1;
  online = scx_bpf_get_online_cpumask();
  cpu = pick_idle_cpu(online);
  scx_bpf_put_cpumask(online);
  return cpu;
}

static __always_inline void set_state(struct slot* slot, u32 state, u64 now) {
  u32 old = slot->state;
  if (old == state) return;
  if (!smp_swap_if(&slot->state, old, state)) return;
  slot->changed = now;
  if (state == SLOT_HANDED) smp_add(&shared.unanswered, 1);
  if (old == SLOT_HANDED) smp_add(&shared.unanswered, (u64)-1);
}

/*
 * The task's enqueue of that generation is answered: true once only, and only while it still waits for an answer. One
 * exchange of both words, or the task could be dequeued and handed up again in between, and its new enqueue would be
 * taken for answered.
 */
static __always_inline bool answered(struct slot* slot, u32 generation, u64 now) {
  u64 before = (u64)SLOT_HANDED << 32 | generation, after = (u64)SLOT_INSERTED << 32 | generation;
  u64* word = (void*)&slot->generation;

  if (!smp_swap_if(word, before, after)) return false;
  slot->changed = now;
  smp_add(&shared.unanswered, (u64)-1);
  return true;
}

/* vtime_max only ever grows; a lost update costs the tail its exactness for one insertion. */
static __always_inline void note_vtime(u64 vtime) {
  if ((s64)(vtime - shared.vtime_max) > 0) shared.vtime_max = vtime;
}

static __noinline void record(u32 type_flags, s32 tid, u32 a, u64 b, u64 c) {
  u32 cpu = this_cpu(), seq = next_record_seq(cpu);
  struct wire_kernel_event* event = record_reserve();

  if (!event) {
    count()->records_lost++;
    return;
  }
  event->time_ns = now_ns();
  event->seq = seq;
  event->cpu = cpu;
  event->type = type_flags & 0xff;
  event->flags = type_flags >> 8;
  event->tid = tid;
  event->a = a;
  event->b = b;
  event->c = c;
  record_submit(event);
}

#define RECORD(type, flags, tid, a, b, c)                                   \
  do {                                                                      \
    if (config.recording) record((type) | (u32)(flags) << 8, tid, a, b, c); \
  } while (0)

#endif /* __cplusplus: the rest is the dispatcher's own */

#endif
