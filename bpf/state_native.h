/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the dispatcher remembers, natively: one object per simulation. The host fills in `config`, gives it slots and
 * rings, says where its clock and its CPU are, points dispatcher_here at it and then calls the callbacks in
 * `reprise_dispatcher`. Included by state.h; a host includes state.h.
 */
#ifndef REPRISE_BPF_STATE_NATIVE_H
#define REPRISE_BPF_STATE_NATIVE_H

struct dispatcher_state {
  struct wire_config config_value;
  struct wire_shared shared_value;
  struct wire_cpu_counters counters_value[WIRE_MAX_CPUS];
  struct wire_exit exit_value;
  struct own_state own_value;
  void* host; /* the host's own */
  /* What is read too often to ask the host for it. */
  const u64* now;     /* now_ns() */
  const u32* cpu;     /* this_cpu() */
  struct slot* slots; /* config.max_tasks of them */
};

#ifdef __cplusplus
extern "C" {
#endif

/* Of programs, not of shared objects. */
extern __thread struct dispatcher_state* dispatcher_here __attribute__((tls_model("local-exec")));

/* Defined by the host; each as the function of that name in state.h. */
bool free_slot_take(u32* index);
void free_slot_give(u32 index);
struct task_context* context_make(struct task_struct* p);
u32 next_event_seq(u32 cpu);
u32 next_record_seq(u32 cpu);
struct wire_event* events_reserve(void);
void events_submit(struct wire_event* event);
u64 events_waiting(void);
struct wire_kernel_event* record_reserve(void);
void record_submit(struct wire_kernel_event* event);
long decisions_drain(void);
void timer_start(u32 name, u64 ns, bool absolute);

/* The dispatcher, as the host calls it: the callbacks of struct sched_ext_ops, and those that come from maps. */
struct dispatcher_callbacks {
  s32 (*select_cpu)(struct task_struct* p, s32 prev_cpu, u64 wake_flags);
  void (*enqueue)(struct task_struct* p, u64 enq_flags);
  void (*dequeue)(struct task_struct* p, u64 deq_flags);
  void (*dispatch)(s32 cpu, struct task_struct* prev);
  void (*running)(struct task_struct* p);
  void (*stopping)(struct task_struct* p, bool runnable);
  void (*set_weight)(struct task_struct* p, u32 weight);
  void (*set_cpumask)(struct task_struct* p, const struct cpumask* mask);
  void (*update_idle)(s32 cpu, bool idle);
  s32 (*init_task)(struct task_struct* p, struct scx_init_task_args* args);
  void (*exit_task)(struct task_struct* p, struct scx_exit_task_args* args);
  s32 (*init)(void);
  void (*exit)(struct scx_exit_info* info);
  long (*carry_out)(const struct wire_message* message); /* for decisions_drain */
  void (*heartbeat_expired)(void);
  void (*wish_expired)(void);
  void (*kick_expired)(void);
};
extern const struct dispatcher_callbacks reprise_dispatcher;

#ifdef __cplusplus
}
#else

#define config (dispatcher_here->config_value)
#define shared (dispatcher_here->shared_value)
#define counters (dispatcher_here->counters_value)
#define exit_info (dispatcher_here->exit_value)
#define own (dispatcher_here->own_value)

static inline u32 this_cpu(void) { return *dispatcher_here->cpu; }
static inline u64 now_ns(void) { return *dispatcher_here->now; }
static inline struct slot* slot_at(u32 index) { return index < config.max_tasks ? &dispatcher_here->slots[index] : 0; }
static inline struct task_context* context_of(struct task_struct* p) { return p->context; }
static inline struct wire_cpu_counters* count(void) { return &counters[this_cpu() & (WIRE_MAX_CPUS - 1)]; }
static inline s32 timers_init(void) { return 0; }
static inline void look_at_queues(u32 cpus) {
  for (u32 cpu = 0; cpu < cpus && !look_at_queue(cpu, 0); cpu++) {
  }
}
static inline void walk_up_to(u32 slots_at_most, void* context) {
  for (u32 i = 0; i < slots_at_most && !walk_one(i, context); i++) {
  }
}
#endif

#endif
