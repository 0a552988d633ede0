/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel as a native host shows it to the dispatcher: the same names as in kernel.h, as plain structs and functions
 * that the host defines (the simulator's kernel model, or a test's). Which instance a call means follows from
 * dispatcher_here (state_native.h), so that many simulations fit into one process.
 */
#ifndef REPRISE_BPF_KERNEL_NATIVE_H
#define REPRISE_BPF_KERNEL_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PF_KSWAPD 0x00020000
#define PF_KTHREAD 0x00200000

struct cpumask {
  u64 bits[16]; /* WIRE_CPU_WORDS */
};

struct task_context;

struct task_struct {
  unsigned int flags;
  int nr_cpus_allowed;
  const struct cpumask* cpus_ptr;
  int pid;
  int tgid;
  struct task_struct* real_parent;
  u64 start_boottime;
  char comm[16];
  struct {
    u64 sum_exec_runtime;
  } se;
  struct {
    u32 flags;
    u32 weight;
    u64 slice;
    u64 dsq_vtime;
  } scx;
  struct task_context* context; /* BPF_MAP_TYPE_TASK_STORAGE; null: none was made */
};

struct scx_init_task_args {
  bool fork;
};
struct scx_exit_task_args {
  bool cancelled;
};
struct scx_exit_info {
  int kind;
  s64 exit_code;
  const char* reason;
  const char* msg;
  const char* dump;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Each as the kernel function of that name, or as its wrapper in kernel.h. */
s32 create_dsq(u64 dsq);
void dsq_insert(struct task_struct* p, u64 dsq, u64 slice, u64 flags);
bool dsq_insert_vtime(struct task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags);
bool dsq_move_to_local(u64 dsq);
s32 dsq_queued(u64 dsq);
bool in_queue(const struct task_struct* p);
u32 dispatch_slots(void);
void dispatch_cancel(void);
void kick_cpu(s32 cpu, u64 flags);
bool take_idle_cpu(s32 cpu);
s32 scx_bpf_pick_idle_cpu(const struct cpumask* allowed, u64 flags);
s32 scx_bpf_task_cpu(const struct task_struct* p);
const struct cpumask* scx_bpf_get_online_cpumask(void);
void task_set_slice(struct task_struct* p, u64 slice);
struct task_struct* bpf_task_from_pid(s32 pid);
void bpf_task_release(struct task_struct* p);
struct task_struct* current_task(void);

#ifdef __cplusplus
}
#endif

#define bpf_ksym_exists(name) true
static inline void scx_bpf_put_cpumask(const struct cpumask* mask) { (void)mask; }
static inline bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask* mask) {
  return cpu < 1024 && (mask->bits[cpu / 64] >> (cpu % 64) & 1);
}
static inline s32 task_parent_tid(struct task_struct* p) { return p->real_parent ? p->real_parent->pid : 0; }
static inline void cpumask_words(u64* words, u32 bytes, const struct cpumask* mask, u32 first_byte) {
  memcpy(words, (const char*)mask->bits + first_byte, bytes);
}
static inline int bpf_strncmp(const char* text, u32 length, const char* with) { return strncmp(text, with, length); }
static inline void kernel_string(char* to, size_t size, const char* from) {
  if (!from) return;
  strncpy(to, from, size - 1);
  to[size - 1] = 0;
}

#ifndef __always_inline
#define __always_inline inline
#endif
#define __noinline
#define __arg_trusted
#ifndef __cplusplus
#define OPS(result, name, arguments...) static result reprise_##name(arguments)
#define OPS_SLEEPABLE(result, name, arguments...) static result reprise_##name(arguments)
#endif
/* A simulation runs in one thread. */
#define smp_add(pointer, value)                 \
  ({                                            \
    __typeof__(*(pointer)) before = *(pointer); \
    *(pointer) = before + (value);              \
    before;                                     \
  })
#define smp_swap_if(pointer, from, to) (*(pointer) == (from) ? (*(pointer) = (to), true) : false)
#define smp_or(pointer, value) (*(pointer) |= (value))
#define smp_and(pointer, value) (*(pointer) &= (value))

#endif
