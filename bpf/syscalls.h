/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the recorder's programs and their loader share: settings, the tasks that the iterator writes, and which system
 * calls are recorded, with what each of them does to an object and how that object is found. Meanings of roles and
 * objects: traces/kernel_event.h. The table itself is the loader's, since numbers differ between architectures.
 */
#ifndef REPRISE_BPF_SYSCALLS_H
#define REPRISE_BPF_SYSCALLS_H

#include "bpf/wire.h"

#define RECORDER_CALLS_MAX 512
#define RECORDER_MEMBERS_MAX 16 /* of a poll: descriptors that are named; the rest is left out */

/* How the object is found. */
enum call_object {
  CALL_NOT_RECORDED = 0,
  CALL_NO_OBJECT,
  CALL_FILE,   /* argument 0: a descriptor. Not recorded when it is a file on disk, which nobody waits for */
  CALL_LOCK,   /* argument 0: a descriptor, 1: LOCK_* */
  CALL_FCNTL,  /* the same, 1: F_*, 2: struct flock */
  CALL_POLL,   /* argument 0: struct pollfd[], 1: how many */
  CALL_WATCH,  /* argument 0: an epoll, 1: EPOLL_CTL_*, 2: descriptor */
  CALL_FUTEX,  /* argument 0: address, 1: operation */
  CALL_CHILD,  /* argument 0: pid as wait4 takes it */
  CALL_WAITID, /* argument 0: P_*, 1: pid */
  CALL_KILL,   /* argument 0: whom */
  CALL_SIGNAL, /* waits for a signal to itself */
  CALL_IPC,    /* argument 0: System V identifier */
};

enum call_role {
  CALL_OTHER = 0,
  CALL_TAKE = 1,
  CALL_GIVE = 2,
  CALL_READY = 3,
  CALL_SLEEP = 4,
  CALL_YIELD = 5,
  CALL_FORK = 6,
  CALL_MEMBER = 7,
};

/* The top byte of an object's identity. */
enum object_kind {
  OBJECT_NONE = 0,
  OBJECT_PIPE = 1,
  OBJECT_UNIX = 2,
  OBJECT_INET = 3,
  OBJECT_SOCKET = 4,
  OBJECT_DEVICE = 5,
  OBJECT_ANONYMOUS = 6,
  OBJECT_FUTEX = 7,
  OBJECT_CHILD = 8,
  OBJECT_SIGNAL = 9,
  OBJECT_IPC = 10,
  OBJECT_LOCK = 11,
  OBJECT_POLL = 12,
};
#define OBJECT_SHIFT 56

struct recorder_call {
  wire_u8 object; /* enum call_object */
  wire_u8 role;   /* enum call_role */
};

/* Set before load. */
struct recorder_config {
  wire_s32 own_tgid;     /* whose system calls are left out, and whose tasks are marked */
  wire_u32 cpus;         /* nr_cpu_ids */
  wire_u32 hardirq_mask; /* of preempt_count, as this kernel lays it out */
  wire_u32 nmi_mask;
  long long count_from_runqueue; /* address of a CPU's preempt_count minus that of its run queue */
  wire_u32 count_known;          /* 0: there is no way to it */
  wire_u32 reserved;
  wire_u64 salt; /* keeps kernel addresses out of the identities made from them */
  struct recorder_call calls[RECORDER_CALLS_MAX];
};

/* What the task iterator writes, one per task. */
struct recorder_task {
  wire_s32 tid;
  wire_s32 tgid;
  wire_s32 parent_tid;
  wire_u32 weight;
  wire_u32 flags; /* enum wire_task_flag */
  wire_s32 cpu;
  wire_u64 start_time_ns;
  wire_u64 exec_total_ns;
  char comm[16];
};

#endif
