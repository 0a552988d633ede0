/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recorder's view of system calls: which are recorded, what each of them does to an object (enum call_role), and
 * what identifies that object. Meanings of roles and objects: traces/kernel_event.h.
 *
 * Three parts: what the recorder's programs and their loader share; the table of calls, which only the loader sees,
 * since numbers differ between architectures; and, in the kernel, how an object is found.
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
  CALL_FILE,     /* argument 0: a descriptor. Not recorded when it is a file on disk, which nobody waits for */
  CALL_LOCK,     /* argument 0: a descriptor, 1: LOCK_* */
  CALL_FCNTL,    /* the same, 1: F_*, 2: struct flock */
  CALL_POLL,     /* argument 0: struct pollfd[], 1: how many */
  CALL_WATCH,    /* argument 0: an epoll, 1: EPOLL_CTL_*, 2: descriptor */
  CALL_FUTEX,    /* argument 0: address, 1: operation */
  CALL_CHILD,    /* argument 0: pid as wait4 takes it */
  CALL_WAITID,   /* argument 0: P_*, 1: pid */
  CALL_KILL,     /* argument 0: whom */
  CALL_SIGNAL,   /* waits for a signal to itself */
  CALL_IPC,      /* argument 0: System V identifier */
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
  wire_s32 own_tgid;        /* whose system calls are left out, and whose tasks are marked */
  wire_u32 cpus;            /* nr_cpu_ids */
  wire_u32 hardirq_mask;    /* of preempt_count, as this kernel lays it out */
  wire_u32 nmi_mask;
  wire_u32 exec_excludes_irqs; /* 1: se.sum_exec_runtime already leaves interrupts out */
  wire_u32 reserved;
  wire_u64 salt;            /* keeps kernel addresses out of the identities made from them */
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

#ifndef __bpf__

/* ROW(name, how its object is found, what it does to it). */
#define RECORDER_CALLS_EVERYWHERE(ROW) \
  ROW(read, FILE, TAKE) ROW(readv, FILE, TAKE) ROW(pread64, FILE, TAKE) ROW(preadv, FILE, TAKE) \
  ROW(preadv2, FILE, TAKE) ROW(write, FILE, GIVE) ROW(writev, FILE, GIVE) ROW(pwrite64, FILE, GIVE) \
  ROW(pwritev, FILE, GIVE) ROW(pwritev2, FILE, GIVE) ROW(sendfile, FILE, GIVE) ROW(splice, FILE, TAKE) \
  ROW(recvfrom, FILE, TAKE) ROW(recvmsg, FILE, TAKE) ROW(recvmmsg, FILE, TAKE) ROW(accept, FILE, TAKE) \
  ROW(accept4, FILE, TAKE) ROW(sendto, FILE, GIVE) ROW(sendmsg, FILE, GIVE) ROW(sendmmsg, FILE, GIVE) \
  ROW(connect, FILE, OTHER) ROW(shutdown, FILE, OTHER) ROW(io_uring_enter, FILE, OTHER) \
  ROW(ppoll, POLL, READY) ROW(pselect6, NO_OBJECT, READY) ROW(epoll_pwait, FILE, READY) \
  ROW(epoll_pwait2, FILE, READY) ROW(epoll_ctl, WATCH, MEMBER) ROW(io_getevents, NO_OBJECT, TAKE) \
  ROW(futex, FUTEX, OTHER) ROW(flock, LOCK, TAKE) ROW(fcntl, FCNTL, TAKE) \
  ROW(wait4, CHILD, TAKE) ROW(waitid, WAITID, TAKE) \
  ROW(kill, KILL, GIVE) ROW(tkill, KILL, GIVE) ROW(tgkill, KILL, GIVE) ROW(rt_sigqueueinfo, KILL, GIVE) \
  ROW(rt_sigtimedwait, SIGNAL, TAKE) ROW(rt_sigsuspend, SIGNAL, TAKE) \
  ROW(msgsnd, IPC, GIVE) ROW(msgrcv, IPC, TAKE) ROW(semop, IPC, OTHER) ROW(semtimedop, IPC, OTHER) \
  ROW(mq_timedsend, FILE, GIVE) ROW(mq_timedreceive, FILE, TAKE) \
  ROW(nanosleep, NO_OBJECT, SLEEP) ROW(clock_nanosleep, NO_OBJECT, SLEEP) \
  ROW(restart_syscall, NO_OBJECT, OTHER) ROW(sched_yield, NO_OBJECT, YIELD) \
  ROW(clone, NO_OBJECT, FORK) ROW(clone3, NO_OBJECT, FORK)

/* Only on architectures as old as this one. */
#ifdef __x86_64__
#define RECORDER_CALLS(ROW) \
  RECORDER_CALLS_EVERYWHERE(ROW) \
  ROW(poll, POLL, READY) ROW(select, NO_OBJECT, READY) ROW(epoll_wait, FILE, READY) ROW(pause, SIGNAL, TAKE) \
  ROW(fork, NO_OBJECT, FORK) ROW(vfork, NO_OBJECT, FORK)
#else
#define RECORDER_CALLS(ROW) RECORDER_CALLS_EVERYWHERE(ROW)
#endif

#else /* ---- in the kernel: how an object is found ---- */

#include "bpf/kernel.h"

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define S_IFCHR 0020000
#define S_IFREG 0100000
#define S_IFSOCK 0140000
#define ANON_INODE_MAGIC 0x09041934
#define MQUEUE_MAGIC 0x19800202
#define MEMORY_MAJOR 1 /* /dev/null, /dev/zero, /dev/urandom: nobody waits for them */
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_DGRAM 2
#define MAPPED_V4 0xffff0000u /* word 2 of ::ffff:a.b.c.d, in network order on a little-endian machine */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
  u32 s_dev;
  unsigned long s_magic;
};

struct inode {
  unsigned short i_mode;
  u64 i_ino; /* unsigned long before 7.3; the same on 64 bits */
  u32 i_rdev;
  struct super_block* i_sb;
};

struct file {
  struct inode* f_inode;
  void* private_data;
};

struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};

struct files_struct {
  struct fdtable* fdt;
};

struct in6_addr {
  union {
    u32 u6_addr32[4];
  } in6_u;
};

struct sock_common {
  u32 skc_daddr;
  u32 skc_rcv_saddr;
  u16 skc_dport; /* in network order */
  u16 skc_num;
  unsigned short skc_family;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
  struct sock_common __sk_common;
  struct socket* sk_socket;
};

struct unix_sock {
  struct sock* peer;
};

struct socket {
  short type;
  struct sock* sk;
};

struct socket_alloc {
  struct inode vfs_inode;
};

struct vm_area_struct {
  unsigned long vm_start;
  unsigned long vm_pgoff;
  struct file* vm_file;
};

#pragma clang attribute pop

extern const volatile struct recorder_config recorder;

static __always_inline u64 object(u32 kind, u64 value) {
  return (u64)kind << OBJECT_SHIFT | (value & ((1ull << OBJECT_SHIFT) - 1));
}

/* One number of two, well spread (the finalizer of MurmurHash3, after a multiplication that keeps the two apart). */
static __always_inline u64 mix(u64 a, u64 b) {
  u64 x = a ^ b * 0x9e3779b97f4a7c15ull;

  x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
  return x ^ x >> 33;
}

static __always_inline u64 inode_value(struct inode* inode) {
  return (u64)inode->i_sb->s_dev << 32 ^ inode->i_ino;
}

static __always_inline u32 fold(const struct in6_addr* address) {
  return address->in6_u.u6_addr32[0] ^ address->in6_u.u6_addr32[1] ^ address->in6_u.u6_addr32[2] ^
         address->in6_u.u6_addr32[3];
}

/*
 * A socket has two queues, so that the object is the receive queue that the call works on: its own for reading, the
 * peer's for writing. Both ends must come to the same identity without finding each other: they have the same two
 * addresses, in the opposite order.
 */
static __always_inline u64 inet_object(struct sock_common* common, u16 type, bool gives) {
  u64 local, remote;

  if (common->skc_family == AF_INET || common->skc_v6_daddr.in6_u.u6_addr32[2] == MAPPED_V4) {
    local = common->skc_rcv_saddr;
    remote = common->skc_daddr;
  } else {
    local = fold(&common->skc_v6_rcv_saddr);
    remote = fold(&common->skc_v6_daddr);
  }
  if (!common->skc_dport) return OBJECT_NONE; /* not connected */
  local = local << 16 | common->skc_num;
  remote = remote << 16 | __builtin_bswap16(common->skc_dport);
  return object(OBJECT_INET, gives ? mix(remote, local) + type : mix(local, remote) + type);
}

/*
 * The pair is named by the smaller inode number. That of a socket that has not been accepted yet is missing and will
 * be larger, so that what a client writes before the accept already goes to the right queue.
 */
static __always_inline u64 unix_object(struct sock* sock, u64 own, u16 type, bool gives) {
  struct sock* peer = bpf_core_cast(sock, struct unix_sock)->peer;
  u64 other = 0;

  if (peer) {
    struct socket* socket = peer->sk_socket;
    if (socket) other = bpf_core_cast(socket, struct socket_alloc)->vfs_inode.i_ino;
  }
  if (type == SOCK_DGRAM) return object(OBJECT_UNIX, (gives ? other : own) << 1);
  if (other && other < own) return object(OBJECT_UNIX, other << 1 | !gives);
  return object(OBJECT_UNIX, own << 1 | gives);
}

static __always_inline u64 socket_object(struct file* file, struct inode* inode, bool gives) {
  struct socket* socket = bpf_core_cast(file->private_data, struct socket);
  struct sock* sock = socket->sk;
  u64 found = OBJECT_NONE;
  u16 family;

  if (!sock) return object(OBJECT_SOCKET, inode->i_ino);
  family = sock->__sk_common.skc_family;
  if (family == AF_UNIX && bpf_core_type_exists(struct unix_sock))
    return unix_object(sock, inode->i_ino, socket->type, gives);
  if (family == AF_INET || family == AF_INET6) found = inet_object(&sock->__sk_common, socket->type, gives);
  return found ? found : object(OBJECT_SOCKET, inode->i_ino);
}

/* Of an eventfd, epoll, timerfd...: all have one inode in common, but a structure of their own. */
static __always_inline u64 anonymous_object(const void* structure) {
  return object(OBJECT_ANONYMOUS, mix((u64)structure, recorder.salt));
}

static __always_inline struct file* file_of(u32 fd) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  struct files_struct* files = task->files;
  struct fdtable* table;
  void* file = 0;

  if (!files) return 0;
  table = files->fdt;
  if (fd >= table->max_fds) return 0;
  bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
  return file ? bpf_core_cast(file, struct file) : 0;
}

/* OBJECT_NONE: nothing that anybody waits for, or no such descriptor. */
static __noinline u64 descriptor_object(u32 fd, bool gives) {
  struct file* file = file_of(fd);
  struct inode* inode;
  u64 magic;

  if (!file) return OBJECT_NONE;
  inode = file->f_inode;
  if (!inode) return OBJECT_NONE;
  switch (inode->i_mode & S_IFMT) {
    case S_IFIFO:
      return object(OBJECT_PIPE, inode_value(inode));
    case S_IFSOCK:
      return socket_object(file, inode, gives);
    case S_IFCHR:
      return inode->i_rdev >> 20 == MEMORY_MAJOR ? OBJECT_NONE : object(OBJECT_DEVICE, inode_value(inode));
    case S_IFREG: /* from 6.16 on anonymous inodes are regular files, too */
    case 0:
      magic = inode->i_sb->s_magic;
      if (magic == ANON_INODE_MAGIC) return anonymous_object(file->private_data);
      if (magic == MQUEUE_MAGIC) return object(OBJECT_IPC, inode_value(inode));
  }
  return OBJECT_NONE;
}

static __noinline u64 lock_object(u32 fd) {
  struct file* file = file_of(fd);
  struct inode* inode = file ? file->f_inode : 0;
  return inode ? object(OBJECT_LOCK, inode_value(inode)) : OBJECT_NONE;
}

/* ---- futexes ---- */

#define FUTEX_PRIVATE 128
#define FUTEX_COMMAND 127
#define FUTEX_TAKES (1u << 0 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 11 | 1u << 13) /* WAIT*, LOCK_PI*, TRYLOCK_PI */

static __always_inline u32 futex_role(u32 operation) {
  return FUTEX_TAKES >> (operation & FUTEX_COMMAND & 31) & 1 ? CALL_TAKE : CALL_GIVE;
}

struct futex_search {
  u64 address;
  u64 found;
};

static long futex_in_area(struct task_struct* task, struct vm_area_struct* area, struct futex_search* search) {
  struct file* file = area->vm_file;
  struct inode* inode = file ? file->f_inode : 0;

  if (inode)
    search->found = mix(inode_value(inode), (area->vm_pgoff << 12) + (search->address - area->vm_start));
  return 0;
}

/* As the kernel does it: a place in memory that is mapped from a file is named by the file, any other by the process. */
static __noinline u64 futex_object(u64 address, u32 operation) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  struct futex_search search = {.address = address};

  if (!(operation & FUTEX_PRIVATE)) bpf_find_vma(task, address, futex_in_area, &search, 0);
  return object(OBJECT_FUTEX, search.found ? search.found : mix((u32)task->tgid, address));
}

#endif

#endif
