/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that the dispatcher touches of the kernel: types, helpers, kfuncs, maps and its own globals.
 *
 * In the kernel (__bpf__ is defined) these are hand-written CO-RE declarations: only the fields in use, relocated by
 * libbpf against the running kernel's BTF, and weak kfuncs, probed with bpf_ksym_exists. Natively (the simulator's
 * host, unit tests) they are plain structs and functions that the host defines; no libbpf header is included there,
 * since its helpers are integers cast to pointers.
 *
 * Differences between kernels 6.12 and 7.x are hidden in this file; the dispatcher knows none.
 */
#ifndef REPRISE_BPF_KERNEL_H
#define REPRISE_BPF_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#ifdef __bpf__

typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0

enum bpf_map_type {
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_QUEUE = 22,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
  BPF_MAP_TYPE_USER_RINGBUF = 31,
};
enum { BPF_F_NO_PREALLOC = 1, BPF_LOCAL_STORAGE_GET_F_CREATE = 1, BPF_RB_NO_WAKEUP = 1 };
enum { BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1 };
enum { BPF_F_TIMER_ABS = 1 };
#define CLOCK_MONOTONIC 1
#define PF_WQ_WORKER 0x00000020
#define PF_KSWAPD 0x00020000
#define PF_KTHREAD 0x00200000

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask {
  unsigned long bits[1];
};

struct scx_dispatch_q;
struct sched_ext_entity {
  struct scx_dispatch_q* dsq;
  u32 flags;
  u32 weight;
  u64 slice;
  u64 dsq_vtime;
};

/* For the recorder, which completes or uses them. */
struct cfs_rq;
struct sched_class;
struct files_struct;
struct thread_info {
  u32 status; /* x86 */
  u32 cpu;
  struct {
    u32 count;
  } preempt; /* arm64 */
};

struct sched_entity {
  u64 sum_exec_runtime;
  unsigned char sched_delayed; /* for the recorder, as the next */
  struct cfs_rq* cfs_rq;
};

struct task_struct {
  unsigned int flags;
  int nr_cpus_allowed;
  const struct cpumask* cpus_ptr;
  int pid;
  int tgid;
  struct task_struct* real_parent;
  u64 start_boottime;
  char comm[16];
  struct sched_entity se;
  struct sched_ext_entity scx;
  /* For the recorder only. */
  struct thread_info thread_info;
  unsigned int __state;
  unsigned int on_rq; /* a byte from 7.3 on, which libbpf allows for if it is unsigned */
  int prio;
  int static_prio;
  unsigned int policy;
  const struct sched_class* sched_class;
  struct files_struct* files;
};

struct scx_init_task_args {
  bool fork;
};

struct scx_exit_task_args {
  bool cancelled;
};

enum scx_exit_kind { SCX_EXIT_NONE = 0 };

struct scx_exit_info {
  enum scx_exit_kind kind;
  s64 exit_code;
  const char* reason;
  char* msg;
  char* dump;
};

struct sched_ext_ops {
  s32 (*select_cpu)(struct task_struct* p, s32 prev_cpu, u64 wake_flags);
  void (*enqueue)(struct task_struct* p, u64 enq_flags);
  void (*dequeue)(struct task_struct* p, u64 deq_flags);
  void (*dispatch)(s32 cpu, struct task_struct* prev);
  void (*running)(struct task_struct* p);
  void (*stopping)(struct task_struct* p, bool runnable);
  void (*set_weight)(struct task_struct* p, u32 weight);
  void (*set_cpumask)(struct task_struct* p, const struct cpumask* cpumask);
  void (*update_idle)(s32 cpu, bool idle);
  s32 (*init_task)(struct task_struct* p, struct scx_init_task_args* args);
  void (*exit_task)(struct task_struct* p, struct scx_exit_task_args* args);
  s32 (*init)(void);
  void (*exit)(struct scx_exit_info* info);
  u32 dispatch_max_batch;
  u64 flags;
  u32 timeout_ms;
  u32 exit_dump_len;
  u64 hotplug_seq;
  char name[128];
};

/* The packed form of insert_vtime's arguments on kernels that take one. */
struct scx_bpf_dsq_insert_vtime_args {
  u64 dsq_id;
  u64 slice;
  u64 vtime;
  u64 enq_flags;
};

#pragma clang attribute pop

struct bpf_timer {
  u64 opaque[2];
} __attribute__((aligned(8)));
struct bpf_dynptr {
  u64 opaque[2];
} __attribute__((aligned(8)));

/*
 * Kernel functions. All are weak: which of them a kernel has is found out at load (bpf_ksym_exists).
 *
 * From 7.1 on many take a hidden last argument, filled in by the verifier (KF_IMPLICIT_ARGS). Where the kernel's BTF
 * was made by an old pahole, as in Debian's 7.2, it shows that argument for some of them, which nobody can then call; a
 * function with a substitute below is worked around, for the others the runtime says which build is broken
 * (scheduler/live/kernel_features.cc).
 */
extern s32 scx_bpf_create_dsq(u64 dsq, s32 node) __ksym __weak;
extern u32 scx_bpf_dispatch_nr_slots(void) __ksym __weak;
extern void scx_bpf_dispatch_cancel(void) __ksym __weak;
extern void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym __weak;
extern s32 scx_bpf_pick_idle_cpu(const struct cpumask* allowed, u64 flags) __ksym __weak;
extern bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym __weak;
extern s32 scx_bpf_dsq_nr_queued(u64 dsq) __ksym __weak;
extern s32 scx_bpf_task_cpu(const struct task_struct* p) __ksym __weak;
extern const struct cpumask* scx_bpf_get_online_cpumask(void) __ksym __weak;
extern void scx_bpf_put_cpumask(const struct cpumask* mask) __ksym __weak;
extern struct task_struct* bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct* p) __ksym __weak;
extern bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask* mask) __ksym __weak;

/* 6.12 */
extern void scx_bpf_dispatch(struct task_struct* p, u64 dsq, u64 slice, u64 flags) __ksym __weak;
extern void scx_bpf_dispatch_vtime(struct task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags) __ksym __weak;
extern bool scx_bpf_consume(u64 dsq) __ksym __weak;
/* 6.13 */
extern void scx_bpf_dsq_insert(struct task_struct* p, u64 dsq, u64 slice, u64 flags) __ksym __weak;
extern void scx_bpf_dsq_insert_vtime(struct task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags) __ksym __weak;
extern bool scx_bpf_dsq_move_to_local(u64 dsq) __ksym __weak;
/* 6.19 and later. libbpf cuts off the last flavour only, so that ___v2 stays part of the name. */
extern bool scx_bpf_dsq_insert___v2___new(struct task_struct* p, u64 dsq, u64 slice, u64 flags) __ksym __weak;
extern bool __scx_bpf_dsq_insert_vtime(struct task_struct* p, struct scx_bpf_dsq_insert_vtime_args* args) __ksym __weak;
extern bool scx_bpf_dsq_move_to_local___v2___new(u64 dsq, u64 flags) __ksym __weak;
extern bool scx_bpf_task_set_slice(struct task_struct* p, u64 slice) __ksym __weak;

static __always_inline s32 create_dsq(u64 dsq) { return scx_bpf_create_dsq(dsq, -1); }
/* 0 where it cannot be told. */
static __always_inline s32 dsq_queued(u64 dsq) {
  return bpf_ksym_exists(scx_bpf_dsq_nr_queued) ? scx_bpf_dsq_nr_queued(dsq) : 0;
}
static __always_inline u32 dispatch_slots(void) { return scx_bpf_dispatch_nr_slots(); }
static __always_inline void dispatch_cancel(void) { scx_bpf_dispatch_cancel(); }
static __always_inline void kick_cpu(s32 cpu, u64 flags) { scx_bpf_kick_cpu(cpu, flags); }
static __always_inline bool take_idle_cpu(s32 cpu) { return scx_bpf_test_and_clear_cpu_idle(cpu); }

static __always_inline void dsq_insert(struct task_struct* p, u64 dsq, u64 slice, u64 flags) {
  if (bpf_ksym_exists(scx_bpf_dsq_insert___v2___new))
    scx_bpf_dsq_insert___v2___new(p, dsq, slice, flags);
  else if (bpf_ksym_exists(scx_bpf_dsq_insert))
    scx_bpf_dsq_insert(p, dsq, slice, flags);
  else
    scx_bpf_dispatch(p, dsq, slice, flags);
}

/* False: the kernel did not take it, and there is nothing to cancel. Older kernels take everything and drop it later.
 */
static __always_inline bool dsq_insert_vtime(struct task_struct* p, u64 dsq, u64 slice, u64 vtime, u64 flags) {
  if (bpf_ksym_exists(__scx_bpf_dsq_insert_vtime)) {
    struct scx_bpf_dsq_insert_vtime_args args = {.dsq_id = dsq, .slice = slice, .vtime = vtime, .enq_flags = flags};
    return __scx_bpf_dsq_insert_vtime(p, &args);
  } else if (bpf_ksym_exists(scx_bpf_dsq_insert_vtime)) {
    scx_bpf_dsq_insert_vtime(p, dsq, slice, vtime, flags);
  } else {
    scx_bpf_dispatch_vtime(p, dsq, slice, vtime, flags);
  }
  return true;
}

static __always_inline bool in_queue(const struct task_struct* p) { return p->scx.dsq != 0; }

static __always_inline bool dsq_move_to_local(u64 dsq) {
  if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v2___new)) return scx_bpf_dsq_move_to_local___v2___new(dsq, 0);
  if (bpf_ksym_exists(scx_bpf_dsq_move_to_local)) return scx_bpf_dsq_move_to_local(dsq);
  return scx_bpf_consume(dsq);
}

/* Where there is no setter the field itself may be written. */
static __always_inline void task_set_slice(struct task_struct* p, u64 slice) {
  if (bpf_ksym_exists(scx_bpf_task_set_slice))
    scx_bpf_task_set_slice(p, slice);
  else
    p->scx.slice = slice;
}

static __always_inline void cpumask_words(u64* words, u32 bytes, const struct cpumask* mask, u32 first_byte) {
  bpf_probe_read_kernel(words, bytes, (const char*)mask + first_byte);
}

static __always_inline s32 task_parent_tid(struct task_struct* p) { return BPF_CORE_READ(p, real_parent, pid); }
static __always_inline struct task_struct* current_task(void) {
  return (struct task_struct*)bpf_get_current_task_btf();
}
#define kernel_string(to, size, from) bpf_probe_read_kernel_str(to, size, from)

#define OPS(result, name, args...) SEC("struct_ops/" #name) result BPF_PROG(reprise_##name, ##args)
#define OPS_SLEEPABLE(result, name, args...) SEC("struct_ops.s/" #name) result BPF_PROG(reprise_##name, ##args)
#define smp_add(pointer, value) __sync_fetch_and_add(pointer, value)
#define smp_swap_if(pointer, from, to) (__sync_val_compare_and_swap(pointer, from, to) == (from))
#define smp_or(pointer, value) __sync_fetch_and_or(pointer, value)
#define smp_and(pointer, value) __sync_fetch_and_and(pointer, value)

#else
#include "bpf/kernel_native.h"
#endif

#endif
