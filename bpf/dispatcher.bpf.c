/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dispatcher: carries runnable tasks up to the engine and its decisions down to the kernel. It knows no policy.
 *
 *   task becomes runnable -> enqueue -> hand_up -> ring `events` -> engine -> ring `decisions` -> drain -> carry_out
 *     -> queue (DSQ) of a CPU or the shared one -> dispatch -> the CPU's local queue
 *
 * Queues. One per CPU (id = CPU), one shared, one for the scheduler's own thread. All but the last are ordered by
 * vtime, since a DSQ may not mix vtime with FIFO order; what the dispatcher inserts by itself goes to the tail
 * (vtime_max), so it starves nobody and is starved by nobody.
 *
 * The scheduler's own thread is a task like any other, except that it waits in its own queue and is run only when
 * work is pending: events that the ring's own positions show (bpf_ringbuf_query), or a timer's request (`asked`).
 *
 * Slots. Each task gets an index into `slots` for its life. The slot carries a generation number, bumped by every
 * enqueue and every dequeue: a decision names the generation it answers, and an older one is cancelled. The slots
 * are also the list of tasks handed up and not yet answered: when user space stops answering, `walk` runs over them
 * with a bounded cursor and inserts them by itself.
 */
#include "bpf/kernel.h"
#include "bpf/wire.h"

#define DSQ_SHARED 0x10000ull
#define DSQ_SCHEDULER 0x10001ull

#define WALK_SLOTS 2048          /* slots looked at by one dispatch while walking */
#define PINNED_IN_A_ROW 4        /* takes from a CPU's own queue before the shared one gets a turn */
#define LOST_NS (2ull * 1000000000ull) /* inserted but not run for so long: insert again */
#define TIMER_FAST_NS (20ull * 1000000ull)

enum dirty { DIRTY_NEW = 1, DIRTY_AFFINITY = 2, DIRTY_INTRODUCED = 4, DIRTY_ATTACH = 8, DIRTY_FIRST = 16 };

CONFIG;
SHARED;
COUNTERS;

struct task_ctx {
  u32 slot;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct task_ctx);
} contexts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1); /* set to config.max_tasks before load */
  __type(key, u32);
  __type(value, struct slot);
} slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 1); /* set to config.max_tasks before load */
  __type(value, u32);
} free_slots SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096); /* set before load */
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096); /* set before load */
} recording SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_USER_RINGBUF);
  __uint(max_entries, 4096); /* set before load */
} decisions SEC(".maps");

struct timer_value {
  struct bpf_timer timer;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2); /* 0: heartbeat, 1: the engine's wish (WIRE_WAKE_AT) */
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

struct wire_exit exit_info;

/* What the dispatcher keeps for itself. Not static: the compiler would take it apart. */
struct own {
  u32 pinned_in_a_row[WIRE_MAX_CPUS];
  u32 kicked;      /* a task has been preempted for the scheduler, which has not run since */
  u32 walk_cursor;
  u32 walk_left;   /* slots that the walk has still to look at */
  u32 reserved;
  u64 beat_seen;
  u64 beat_changed;
  u64 asked_since;
  u64 scheduler_ran;
  u64 audited;     /* when the walk last began */
};
__hidden struct own own;

static __always_inline struct wire_cpu_counters* count(void) {
  return &counters[bpf_get_smp_processor_id() & (WIRE_MAX_CPUS - 1)];
}

static __always_inline bool is_scheduler(const struct task_struct* p) { return p->pid == config.scheduler_tid; }

static __always_inline struct slot* slot_at(u32 index) { return bpf_map_lookup_elem(&slots, &index); }

static __always_inline struct slot* slot_of(struct task_struct* p, u32* index) {
  struct task_ctx* context = bpf_task_storage_get(&contexts, p, 0, 0);
  if (!context) return 0;
  *index = context->slot;
  return slot_at(context->slot);
}

/* vtime_max only ever grows; a lost update costs the tail its exactness for one insertion. */
static __always_inline void note_vtime(u64 vtime) {
  if ((s64)(vtime - shared.vtime_max) > 0) shared.vtime_max = vtime;
}

/* ---- recording ---- */

static __noinline void record(u32 type_flags, s32 tid, u32 a, u64 b, u64 c) {
  u32 cpu = bpf_get_smp_processor_id();
  struct sequence* sequence = bpf_map_lookup_elem(&sequences, &cpu);
  struct wire_kernel_event* event;
  u32 seq = sequence ? smp_add(&sequence->recording, 1) : 0;

  event = bpf_ringbuf_reserve(&recording, sizeof(*event), 0);
  if (!event) {
    count()->records_lost++;
    return;
  }
  event->time_ns = bpf_ktime_get_ns();
  event->seq = seq;
  event->cpu = cpu;
  event->type = type_flags & 0xff;
  event->flags = type_flags >> 8;
  event->tid = tid;
  event->a = a;
  event->b = b;
  event->c = c;
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#define RECORD(type, flags, tid, a, b, c) \
  do { \
    if (config.recording) record((type) | (u32)(flags) << 8, tid, a, b, c); \
  } while (0)

/* ---- up ---- */

static __always_inline struct wire_event* event_begin(u8 type, u32 task, s32 tid, u32 generation, u32 flags) {
  u32 cpu = bpf_get_smp_processor_id();
  struct sequence* sequence = bpf_map_lookup_elem(&sequences, &cpu);
  struct wire_event* event;
  u32 seq;

  if (!sequence) return 0;
  event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  seq = smp_add(&sequence->events, 1); /* a gap where there was no room */
  if (!event) return 0;
  event->time_ns = bpf_ktime_get_ns();
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

static __always_inline void event_end(struct wire_event* event) { bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP); }

static __always_inline void event_clear(struct wire_event* event) {
  for (int i = 0; i < 6; i++) event->raw[i] = 0;
}

/* Tells the engine of a task before the first event about it. False: no room. */
static __noinline bool introduce(struct task_struct* p __arg_trusted, struct slot* slot, u32 index) {
  struct wire_event* event;

  if (!slot) return false;
  event = event_begin(WIRE_TASK_NEW, index, p->pid, slot->generation, 0);
  if (!event) return false;
  slot->start_time = p->start_boottime;
  event->task_new.start_time_ns = p->start_boottime;
  event->task_new.tgid = p->tgid;
  event->task_new.parent_tid = BPF_CORE_READ(p, real_parent, pid);
  event->task_new.weight = p->scx.weight;
  event->task_new.flags = (p->flags & PF_KTHREAD ? WIRE_TASK_KERNEL_THREAD : 0) |
                          (slot->dirty & DIRTY_ATTACH ? WIRE_TASK_AT_ATTACH : 0);
  __builtin_memcpy(event->task_new.comm, p->comm, sizeof(event->task_new.comm));
  event->task_new.reserved = 0;
  event_end(event);
  slot->dirty = (slot->dirty & ~DIRTY_NEW) | DIRTY_INTRODUCED;
  if ((u32)p->nr_cpus_allowed < config.cpus) slot->dirty |= DIRTY_AFFINITY;
  return true;
}

static __noinline bool send_affinity(struct task_struct* p __arg_trusted, struct slot* slot, u32 index) {
  u32 first;

  if (!slot) return false;
  for (first = 0; first < WIRE_CPU_WORDS; first += WIRE_AFFINITY_WORDS) {
    struct wire_event* event;

    if (first * 64 >= config.cpus) break;
    event = event_begin(WIRE_AFFINITY, index, p->pid, slot->generation, 0);
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

static __always_inline bool work_pending(void) {
  return shared.asked || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > 0;
}

static __always_inline bool idle_known(s32 cpu) {
  u32 word = (u32)cpu / 64;
  return word < WIRE_CPU_WORDS && shared.idle[word] >> ((u32)cpu % 64) & 1;
}

/*
 * Work has become pending: see to it that the scheduler's thread gets a CPU. If it runs, it looks at the ring once
 * more before it yields, and `dispatch` looks after that. If the CPU of the enqueue is idle, the kernel reschedules
 * it by itself (wakeup_preempt_idle). Else an idle CPU is woken, or, for a wakeup, one task is preempted.
 */
static __noinline void wake_scheduler(s32 cpu, bool wakeup) {
  const struct cpumask* online;
  s32 idle;

  if (shared.scheduler_running) return;
  if (wakeup && idle_known(cpu)) return;
  online = scx_bpf_get_online_cpumask();
  idle = scx_bpf_pick_idle_cpu(online, 0);
  scx_bpf_put_cpumask(online);
  if (idle >= 0) {
    scx_bpf_kick_cpu(idle, config.kernel.kick_idle);
  } else if (wakeup && config.kick == WIRE_KICK_PREEMPT && !own.kicked) {
    own.kicked = 1;
    count()->kicks++;
    scx_bpf_kick_cpu(cpu, config.kernel.kick_preempt);
  }
}

static __always_inline void set_state(struct slot* slot, u32 state, u64 now) {
  u32 old = slot->state;
  if (old == state) return;
  if (!smp_swap_if(&slot->state, old, state)) return;
  slot->changed = now;
  if (state == SLOT_HANDED) smp_add(&shared.unanswered, 1);
  if (old == SLOT_HANDED) smp_add(&shared.unanswered, (u64)-1);
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
  if (slot->dirty & DIRTY_NEW && !introduce(p, slot, index)) return false;
  if (slot->dirty & DIRTY_AFFINITY && !send_affinity(p, slot, index)) return false;
  event = event_begin(WIRE_ENQUEUE, index, p->pid, generation, enqueue_flags(slot, enq_flags));
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
  s32 idle = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
  if (idle >= 0) scx_bpf_kick_cpu(idle, config.kernel.kick_idle);
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
    if (bpf_strncmp(comm, 9, "kcompactd") == 0 || bpf_strncmp(comm, 10, "khugepaged") == 0)
      return WIRE_BYPASS_RECLAIM;
  }
  return 0;
}

OPS(void, enqueue, struct task_struct* p, u64 enq_flags) {
  u64 now = bpf_ktime_get_ns();
  struct slot* slot;
  u32 index = WIRE_NO_TASK, reason, generation = 0;

  if (is_scheduler(p)) {
    dsq_insert(p, DSQ_SCHEDULER, config.slice_scheduler_ns, 0);
    return;
  }
  slot = slot_of(p, &index);
  if (slot) generation = smp_add(&slot->generation, 1) + 1;

  reason = bypass_reason(p);
  if (reason) {
    dsq_insert(p, config.kernel.dsq_local, config.slice_default_ns, 0);
    if (reason == WIRE_BYPASS_KERNEL_THREAD)
      count()->kernel_threads++;
    else
      count()->reclaim++;
    goto bypassed;
  }
  if (!slot) {
    reason = WIRE_BYPASS_NO_SLOT;
    count()->no_slot++;
  } else if (shared.fallback) {
    reason = WIRE_BYPASS_FALLBACK;
    count()->fallback++;
  } else if (!hand_up(p, slot, index, generation, enq_flags, now)) {
    reason = WIRE_BYPASS_CONGESTED;
    count()->congested++;
  } else {
    count()->handed_up++;
    wake_scheduler(scx_bpf_task_cpu(p), enq_flags & config.kernel.enq_wakeup);
    return;
  }
  to_tail(p);
  wake_idle_for(p);
  if (reason == WIRE_BYPASS_CONGESTED) wake_scheduler(scx_bpf_task_cpu(p), true);
bypassed:
  if (slot) set_state(slot, SLOT_NONE, now);
  RECORD(WIRE_K_BYPASS, reason, p->pid, generation, 0, 0);
}

OPS(void, dequeue, struct task_struct* p, u64 deq_flags) {
  struct wire_event* event;
  struct slot* slot;
  u32 index, generation;

  /* Newer kernels also tell that a task has left for a terminal queue: no event, it merely goes on its way. */
  if (!deq_flags) return;
  slot = slot_of(p, &index);
  if (!slot || is_scheduler(p)) return;
  generation = smp_add(&slot->generation, 1) + 1;
  count()->dequeued++;
  RECORD(WIRE_K_DEQUEUE, 0, p->pid, generation, deq_flags, 0);
  if (slot->state != SLOT_HANDED) return;
  set_state(slot, SLOT_NONE, bpf_ktime_get_ns());
  event = event_begin(WIRE_DEQUEUE, index, p->pid, generation, deq_flags);
  if (!event) {
    count()->events_lost++; /* harmless: the next enqueue, or the exit, tells as much */
    return;
  }
  event_clear(event);
  event_end(event);
}

/* ---- down ---- */

static __always_inline bool allowed_on(struct task_struct* p, s32 cpu) {
  return cpu >= 0 && (u32)cpu < config.cpus && bpf_cpumask_test_cpu(cpu, p->cpus_ptr);
}

/*
 * Where a decision goes. `claimed` is the idle CPU that was taken for it, or -1: whoever claims one kicks it, whatever
 * becomes of the decision, or it would stay claimed and idle.
 */
static __always_inline u64 target(struct task_struct* p, const struct wire_message* message, s32* claimed,
                                  bool* bounced) {
  *claimed = -1;
  *bounced = false;
  if (message->cpu == WIRE_ANY_CPU) {
    *claimed = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
    return DSQ_SHARED;
  }
  if (message->flags & WIRE_DISPATCH_IDLE) {
    if (allowed_on(p, message->cpu) && scx_bpf_test_and_clear_cpu_idle(message->cpu))
      *claimed = message->cpu;
    else
      *claimed = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
    return *claimed >= 0 ? (u64)*claimed : DSQ_SHARED;
  }
  if (!allowed_on(p, message->cpu)) {
    *bounced = true;
    *claimed = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
    return DSQ_SHARED;
  }
  return (u64)message->cpu;
}

static __always_inline void dispatch_task(const struct wire_message* message) {
  struct task_struct* p;
  struct slot* slot = slot_at(message->task);
  u64 now = bpf_ktime_get_ns(), queue;
  u32 result = WIRE_INSERTED;
  s32 claimed, tid;
  bool bounced;

  if (!slot || !message->slice_ns) {
    count()->failed++;
    RECORD(WIRE_K_ANSWER, WIRE_FAILED, 0, message->generation, message->task, message->vtime);
    return;
  }
  tid = slot->tid;
  if (slot->generation != message->generation || slot->state != SLOT_HANDED) {
    count()->cancelled++;
    RECORD(WIRE_K_ANSWER, WIRE_CANCELLED, tid, message->generation, 0, message->vtime);
    return;
  }
  p = bpf_task_from_pid(tid);
  if (!p) {
    count()->failed++;
    RECORD(WIRE_K_ANSWER, WIRE_FAILED, tid, message->generation, 0, message->vtime);
    return;
  }
  queue = target(p, message, &claimed, &bounced);
  dsq_insert_vtime(p, queue, message->slice_ns, message->vtime, 0);
  /*
   * The insertion took the kernel's sequence number of the task as it was then. Only now can we tell whether it is
   * still the enqueue that the engine decided on: ops.dequeue bumps the generation before the kernel counts on.
   */
  if (slot->generation != message->generation || (queue < WIRE_MAX_CPUS && !allowed_on(p, (s32)queue))) {
    scx_bpf_dispatch_cancel();
    result = WIRE_CANCELLED;
    count()->cancelled++;
  } else {
    set_state(slot, SLOT_INSERTED, now);
    slot->slice = message->slice_ns;
    note_vtime(message->vtime);
    count()->inserted++;
    if (bounced) {
      result = WIRE_BOUNCED;
      count()->bounced++;
    }
  }
  if (claimed >= 0)
    scx_bpf_kick_cpu(claimed, config.kernel.kick_idle);
  else if (result == WIRE_INSERTED && queue < WIRE_MAX_CPUS)
    scx_bpf_kick_cpu((s32)queue,
                     message->flags & WIRE_DISPATCH_PREEMPT ? config.kernel.kick_preempt : config.kernel.kick_idle);
  RECORD(WIRE_K_ANSWER, result, tid, message->generation, queue, message->vtime);
  bpf_task_release(p);
}

static __always_inline void set_wish(u64 time_ns) {
  u32 key = 1;
  struct timer_value* value = bpf_map_lookup_elem(&timers, &key);

  if (!value) return;
  if (time_ns)
    bpf_timer_start(&value->timer, time_ns, BPF_F_TIMER_ABS);
  else
    bpf_timer_cancel(&value->timer);
}

/* Returns 1 to stop draining: the kernel's dispatch buffer is full, the next dispatch goes on. */
static long carry_out(struct bpf_dynptr* pointer, void* context) {
  struct wire_message message;

  smp_add(&shared.drained, 1);
  if (bpf_dynptr_read(&message, sizeof(message), pointer, 0, 0)) {
    count()->failed++;
    return 0;
  }
  if (message.kind == WIRE_DISPATCH)
    dispatch_task(&message);
  else if (message.kind == WIRE_PREEMPT && (u32)message.cpu < config.cpus)
    scx_bpf_kick_cpu(message.cpu, config.kernel.kick_preempt);
  else if (message.kind == WIRE_WAKE_AT)
    set_wish(message.vtime);
  else
    count()->failed++;
  return scx_bpf_dispatch_nr_slots() <= 1;
}

/* ---- when user space does not answer ---- */

struct walk_context {
  u64 now;
};

static long walk_one(u32 i, struct walk_context* context) {
  u32 index = own.walk_cursor;
  struct slot* slot;
  struct task_struct* p;
  bool handed;

  if (!own.walk_left || !scx_bpf_dispatch_nr_slots()) return 1;
  own.walk_left--;
  own.walk_cursor = index + 1 < shared.slots_high ? index + 1 : 0;
  slot = slot_at(index);
  if (!slot) return 0;
  handed = slot->state == SLOT_HANDED;
  if (handed) {
    if (!shared.fallback) return 0; /* the engine has it and answers */
  } else if (slot->state != SLOT_INSERTED || context->now - slot->changed < LOST_NS) {
    return 0;
  }
  p = bpf_task_from_pid(slot->tid);
  if (!p) return 0;
  if (handed) {
    smp_add(&slot->generation, 1); /* what the engine may still say about it is out of date */
    set_state(slot, SLOT_INSERTED, context->now);
    count()->recovered++;
  } else {
    slot->changed = context->now;
    count()->reinserted++;
  }
  /* If it is in a queue after all, the kernel ignores this. */
  dsq_insert_vtime(p, DSQ_SHARED, config.slice_default_ns, shared.vtime_max, 0);
  bpf_task_release(p);
  return 0;
}

OPS(void, dispatch, s32 cpu, struct task_struct* prev) {
  u32* row = &own.pinned_in_a_row[(u32)cpu & (WIRE_MAX_CPUS - 1)];
  bool shared_first;

  if (shared.submitted != shared.drained && bpf_user_ringbuf_drain(&decisions, carry_out, 0, 0) == -16 /* EBUSY */)
    count()->drain_busy++;

  if (work_pending()) {
    if (prev && is_scheduler(prev) && prev->scx.flags & config.kernel.task_queued) {
      task_set_slice(prev, config.slice_scheduler_ns);
      return;
    }
    if (dsq_move_to_local(DSQ_SCHEDULER)) return;
  }
  if (own.walk_left) {
    struct walk_context context = {.now = bpf_ktime_get_ns()};
    bpf_loop(WALK_SLOTS, walk_one, &context, 0);
  }
  shared_first = *row >= PINNED_IN_A_ROW;
  if (shared_first) *row = 0;
  if (shared_first && dsq_move_to_local(DSQ_SHARED)) return;
  if (dsq_move_to_local((u32)cpu)) {
    ++*row;
    return;
  }
  if (!shared_first && dsq_move_to_local(DSQ_SHARED)) {
    *row = 0;
    return;
  }
  if (prev && !is_scheduler(prev) && prev->scx.flags & config.kernel.task_queued) {
    task_set_slice(prev, config.slice_default_ns); /* nobody else waits for this CPU */
    count()->kept++;
  }
}

/* ---- what happens to tasks and CPUs ---- */

OPS(s32, select_cpu, struct task_struct* p, s32 prev_cpu, u64 wake_flags) {
  struct task_struct* current = (struct task_struct*)bpf_get_current_task_btf();
  struct slot *slot, *waker;
  u32 index, waker_index = WIRE_NO_TASK;

  /* Which CPU it shall be is for the engine to say. Note who woke it: this callback runs in the waker's context. */
  slot = slot_of(p, &index);
  if (slot) {
    waker = slot_of(current, &waker_index);
    slot->waker = waker && current->pid ? waker_index : WIRE_NO_TASK;
    if (wake_flags & config.kernel.wake_sync) slot->why |= WIRE_ENQ_SYNC;
  }
  return prev_cpu;
}

OPS(void, running, struct task_struct* p) {
  u64 now = bpf_ktime_get_ns();
  struct wire_event* event;
  struct slot* slot;
  u32 index;

  count()->switches++;
  if (is_scheduler(p)) {
    count()->scheduler_runs++;
    shared.scheduler_running = 1;
    shared.asked = 0;
    own.kicked = 0;
    own.scheduler_ran = now;
    return;
  }
  slot = slot_of(p, &index);
  if (!slot) return;
  slot->started = now;
  slot->exec_start = p->se.sum_exec_runtime;
  set_state(slot, SLOT_NONE, now);
  if (!config.interests) return;
  event = event_begin(WIRE_RUNNING, index, p->pid, slot->generation, 0);
  if (!event) {
    count()->events_lost++;
    return;
  }
  event_clear(event);
  event_end(event);
}

OPS(void, stopping, struct task_struct* p, bool runnable) {
  struct wire_event* event;
  struct slot* slot;
  u32 index;

  if (is_scheduler(p)) {
    shared.scheduler_running = 0;
    return;
  }
  slot = slot_of(p, &index);
  if (!slot) return;
  slot->stopped = bpf_ktime_get_ns();
  if (runnable)
    slot->why = p->se.sum_exec_runtime - slot->exec_start < slot->slice ? WIRE_ENQ_PREEMPTED : WIRE_ENQ_SLICE_END;
  else
    slot->why = 0;
  if (!config.interests) return;
  event = event_begin(WIRE_STOPPING, index, p->pid, slot->generation, 0);
  if (!event) {
    count()->events_lost++;
    return;
  }
  event_clear(event);
  event->stopping.exec_total_ns = p->se.sum_exec_runtime;
  event->stopping.runnable = runnable;
  event_end(event);
}

OPS(void, set_weight, struct task_struct* p, u32 weight) {
  /* The engine reads the weight in the next enqueue, which the kernel brings about itself for a waiting task. */
  RECORD(WIRE_K_WEIGHT, 0, p->pid, weight, 0, 0);
}

OPS(void, set_cpumask, struct task_struct* p, const struct cpumask* cpumask) {
  struct slot* slot;
  u32 index;
  u64 word = 0;

  slot = slot_of(p, &index);
  if (slot) slot->dirty |= DIRTY_AFFINITY;
  if (!config.recording) return;
  for (u32 i = 0; i < WIRE_CPU_WORDS; i++) {
    if (i * 64 >= config.cpus) break;
    cpumask_words(&word, sizeof(word), cpumask, i * 8);
    RECORD(WIRE_K_AFFINITY, 0, p->pid, i, word, p->nr_cpus_allowed);
  }
}

OPS(void, update_idle, s32 cpu, bool idle) {
  u32 word = (u32)cpu / 64;

  if (word >= WIRE_CPU_WORDS) return;
  if (idle)
    __sync_fetch_and_or(&shared.idle[word], 1ull << ((u32)cpu % 64));
  else
    __sync_fetch_and_and(&shared.idle[word], ~(1ull << ((u32)cpu % 64)));
}

OPS_SLEEPABLE(s32, init_task, struct task_struct* p, struct scx_init_task_args* args) {
  struct task_ctx* context = bpf_task_storage_get(&contexts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  struct slot* slot;
  u32 index;

  if (!context) return -12; /* ENOMEM */
  context->slot = WIRE_NO_TASK;
  if (bpf_map_pop_elem(&free_slots, &index)) {
    index = smp_add(&shared.slots_high, 1);
    if (index >= config.max_tasks) {
      smp_add(&shared.slots_high, (u32)-1);
      return 0; /* the dispatcher schedules it by itself, and counts that */
    }
  }
  slot = slot_at(index);
  if (!slot) return 0;
  slot->tid = p->pid;
  slot->start_time = 0; /* a task being forked has none yet */
  slot->state = SLOT_NONE;
  slot->started = slot->stopped = slot->exec_start = slot->slice = 0;
  slot->waker = WIRE_NO_TASK;
  slot->why = 0;
  slot->dirty = DIRTY_NEW | (args->fork ? DIRTY_FIRST : DIRTY_ATTACH);
  context->slot = index;
  return 0;
}

OPS(void, exit_task, struct task_struct* p, struct scx_exit_task_args* args) {
  struct task_ctx* context = bpf_task_storage_get(&contexts, p, 0, 0);
  struct wire_event* event;
  struct slot* slot;
  u32 index, generation;

  if (!context) return;
  index = context->slot;
  slot = slot_at(index);
  context->slot = WIRE_NO_TASK;
  if (!slot) return;
  generation = smp_add(&slot->generation, 1) + 1;
  set_state(slot, SLOT_NONE, 0);
  if (slot->dirty & DIRTY_INTRODUCED) {
    event = event_begin(WIRE_TASK_EXIT, index, p->pid, generation, 0);
    if (event) {
      event_clear(event);
      event_end(event);
    } else {
      count()->events_lost++; /* harmless: the slot's next user has another start time */
    }
  }
  slot->dirty = 0;
  slot->start_time = 0;
  bpf_map_push_elem(&free_slots, &index, 0);
}

/* ---- time ---- */

static __always_inline void ask(u64 now) {
  if (!shared.asked) {
    shared.asked = 1;
    own.asked_since = now;
  }
}

static __noinline void wake_any(void) {
  const struct cpumask* online = scx_bpf_get_online_cpumask();
  s32 idle = scx_bpf_pick_idle_cpu(online, 0);

  scx_bpf_put_cpumask(online);
  if (idle >= 0)
    scx_bpf_kick_cpu(idle, config.kernel.kick_idle);
  else if (!shared.scheduler_running)
    scx_bpf_kick_cpu(bpf_get_smp_processor_id(), config.kernel.kick_preempt);
}

/*
 * Runs the scheduler now and then, well inside the watchdog's time, and watches that it gets on: `beat` must move
 * within fallback_ns after it was asked to. Else the dispatcher schedules by itself until it moves again.
 */
static int on_heartbeat(void* map, u32* key, struct timer_value* value) {
  u64 now = bpf_ktime_get_ns(), beat = shared.beat;
  u64 next = config.fallback_ns / 2;

  if (beat != own.beat_seen) {
    own.beat_seen = beat;
    own.beat_changed = now;
    shared.fallback = 0;
    if (!shared.asked) own.asked_since = 0;
  }
  if (shared.unanswered || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > 0) {
    ask(now);
  } else if (now - own.scheduler_ran >= config.heartbeat_ns) {
    ask(now);
  }
  if (shared.asked) {
    u64 since = own.asked_since > own.beat_changed ? own.asked_since : own.beat_changed;
    if (!shared.fallback && now - since > config.fallback_ns && shared.unanswered) {
      shared.fallback = 1;
      shared.fallbacks++;
    }
    wake_any();
  }
  if (shared.fallback) {
    own.walk_left = shared.slots_high;
    next = TIMER_FAST_NS;
  } else if (now - own.audited > LOST_NS) {
    own.audited = now;
    own.walk_left = shared.slots_high;
  }
  bpf_timer_start(&value->timer, next, 0);
  return 0;
}

static int on_wish(void* map, u32* key, struct timer_value* value) {
  ask(bpf_ktime_get_ns());
  wake_any();
  return 0;
}

OPS_SLEEPABLE(s32, init) {
  struct timer_value* value;
  u32 key = 0;
  s32 error;

  error = scx_bpf_create_dsq(DSQ_SHARED, -1);
  if (error) return error;
  error = scx_bpf_create_dsq(DSQ_SCHEDULER, -1);
  if (error) return error;
  for (u32 cpu = 0; cpu < WIRE_MAX_CPUS; cpu++) {
    if (cpu >= config.cpus) break;
    error = scx_bpf_create_dsq(cpu, -1);
    if (error) return error;
  }
  value = bpf_map_lookup_elem(&timers, &key);
  if (!value) return -2; /* ENOENT */
  error = bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
  if (error) return error;
  error = bpf_timer_set_callback(&value->timer, on_heartbeat);
  if (error) return error;
  error = bpf_timer_start(&value->timer, config.fallback_ns / 2, 0);
  if (error) return error;
  key = 1;
  value = bpf_map_lookup_elem(&timers, &key);
  if (!value) return -2;
  error = bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
  if (error) return error;
  return bpf_timer_set_callback(&value->timer, on_wish);
}

OPS(void, exit, struct scx_exit_info* info) {
  bpf_probe_read_kernel_str(exit_info.reason, sizeof(exit_info.reason), info->reason);
  bpf_probe_read_kernel_str(exit_info.message, sizeof(exit_info.message), info->msg);
  bpf_probe_read_kernel_str(exit_info.dump, sizeof(exit_info.dump), info->dump);
  exit_info.code = info->exit_code;
  smp_swap_if(&exit_info.kind, 0, info->kind); /* last, and ordered: user space waits for it */
}

#ifdef __bpf__
SEC(".struct_ops.link")
struct sched_ext_ops reprise_ops = {
    .select_cpu = (void*)reprise_select_cpu,
    .enqueue = (void*)reprise_enqueue,
    .dequeue = (void*)reprise_dequeue,
    .dispatch = (void*)reprise_dispatch,
    .running = (void*)reprise_running,
    .stopping = (void*)reprise_stopping,
    .set_weight = (void*)reprise_set_weight,
    .set_cpumask = (void*)reprise_set_cpumask,
    .update_idle = (void*)reprise_update_idle,
    .init_task = (void*)reprise_init_task,
    .exit_task = (void*)reprise_exit_task,
    .init = (void*)reprise_init,
    .exit = (void*)reprise_exit,
    .dispatch_max_batch = 512,
    .exit_dump_len = WIRE_EXIT_DUMP,
    .name = "reprise",
};

char _license[] SEC("license") = "GPL";
#endif
