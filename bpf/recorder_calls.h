/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recorder's programs for system calls, and how they find the object that a call waits for or gives to. Both ends
 * of a pipe, a connection or a lock come to the same identity, without a table.
 */
#ifndef REPRISE_BPF_RECORDER_CALLS_H
#define REPRISE_BPF_RECORDER_CALLS_H

#include "bpf/recorder_state.h"

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
  struct unix_address* addr;
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
  unsigned long vm_flags;
  struct file* vm_file;
};

#pragma clang attribute pop

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

static __always_inline u64 inode_value(struct inode* inode) { return (u64)inode->i_sb->s_dev << 32 ^ inode->i_ino; }

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

  if (common->skc_family == AF_INET || !bpf_core_field_exists(common->skc_v6_daddr) ||
      common->skc_v6_daddr.in6_u.u6_addr32[2] == MAPPED_V4) {
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
 * A connection is named by the inode of the end that has no address, the client's: the other one has no inode before
 * it is accepted, and what is written before that must go to the right queue, too. A pair without addresses, or with
 * two, is named by the smaller inode number.
 */
static __always_inline u64 unix_object(struct sock* sock, u64 own, u16 type, bool gives) {
  struct unix_sock* this = bpf_core_cast(sock, struct unix_sock);
  struct sock* peer = this->peer;
  bool bound = this->addr != 0, peer_bound = bound;
  u64 other = 0;

  if (peer) {
    struct socket* socket = peer->sk_socket;
    if (socket) other = bpf_core_cast(socket, struct socket_alloc)->vfs_inode.i_ino;
    peer_bound = bpf_core_cast(peer, struct unix_sock)->addr != 0;
  }
  if (type == SOCK_DGRAM) return object(OBJECT_UNIX, (gives ? other : own) << 1);
  if (bound == peer_bound) bound = other && other < own;
  return object(OBJECT_UNIX, (bound && other ? other : own) << 1 | (bound ^ gives));
}

static __always_inline u64 socket_object(struct file* file, struct inode* inode, bool gives) {
  struct socket* socket = bpf_core_cast(file->private_data, struct socket);
  struct sock* sock = socket->sk;
  u64 found = OBJECT_NONE;
  u16 family;

  if (sock) {
    family = sock->__sk_common.skc_family;
    if (family == AF_UNIX && bpf_core_type_exists(struct unix_sock))
      return unix_object(sock, inode->i_ino, socket->type, gives);
    if (family == AF_INET || family == AF_INET6) found = inet_object(&sock->__sk_common, socket->type, gives);
  }
  return found ? found : object(OBJECT_SOCKET, gives ? 0 : inode->i_ino);
}

/* Of an eventfd, epoll, timerfd...: all have one inode in common, but a structure of their own. */
static __always_inline u64 anonymous_object(const void* structure) {
  u64 address = 0;

  bpf_probe_read_kernel(&address, sizeof(address), &structure); /* the verifier refuses to calculate with a pointer */
  return object(OBJECT_ANONYMOUS, mix(address, recorder.salt));
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

#define VM_MAYSHARE 0x80
#define ENOENT 2
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
  bool shared = !bpf_core_field_exists(area->vm_flags) || area->vm_flags & VM_MAYSHARE;

  if (inode && shared)
    search->found = mix(inode_value(inode), (area->vm_pgoff << 12) + (search->address - area->vm_start));
  return 0;
}

/*
 * As the kernel does it (get_futex_key): a place in memory that is shared, from a file, is named by the file, any other
 * by the process. 0 when the areas cannot be searched just now: a wrong name is worse than none.
 */
static __noinline u64 futex_object(u64 address, u32 operation) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  struct futex_search search = {.address = address};

  if (!(operation & FUTEX_PRIVATE)) {
    long error = bpf_find_vma(task, address, futex_in_area, &search, 0);

    if (error && error != -ENOENT) return 0;
  }
  return object(OBJECT_FUTEX, search.found ? search.found : mix((u32)task->tgid, address));
}

/* ---- the programs ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct trace_event_raw_sys_enter {
  long id;
  unsigned long args[6];
};

struct trace_event_raw_sys_exit {
  long id;
  long ret;
};

#pragma clang attribute pop

struct poll_entry { /* struct pollfd */
  s32 descriptor;
  u16 events;
  u16 ready;
};

struct found {
  u64 object;
  u32 role;
  bool skip;
};

static __always_inline u32 interest(u32 events) { return (events & POLLIN ? 1 : 0) | (events & POLLOUT ? 2 : 0); }

static __noinline void record_member(u32 index, u32 descriptor, u32 events, u64 set) {
  u32 in = interest(events);
  u64 member = descriptor_object(descriptor, in == 2);

  if (member) record(bpf_ktime_get_ns(), WIRE_K_MEMBER, in, (u32)bpf_get_current_pid_tgid(), index, member, set);
}

/* One descriptor is the object itself; of several the set is, and its members are recorded before the call. */
static __noinline u64 poll_object(u64 address, u64 many) {
  struct poll_entry entries[RECORDER_MEMBERS_MAX];
  u64 set = object(OBJECT_POLL, (u32)bpf_get_current_pid_tgid());
  u32 count = many < RECORDER_MEMBERS_MAX ? many : RECORDER_MEMBERS_MAX;

  if (!count) return OBJECT_NONE;
  if (bpf_probe_read_user(entries, count * sizeof(entries[0]), (const void*)address)) return set;
  if (count == 1) return descriptor_object(entries[0].descriptor, interest(entries[0].events) == 2);
  for (u32 i = 0; i < RECORDER_MEMBERS_MAX; i++) {
    if (i >= count) break;
    record_member(i, entries[i].descriptor, entries[i].events, set);
  }
  return set;
}

static __always_inline u64 child_object(s32 pid) { return object(OBJECT_CHILD, (u32)(pid > 0 ? pid : 0)); }

static __noinline void find(struct trace_event_raw_sys_enter* call, u32 how, struct found* found) {
  u64 first = call->args[0], second = call->args[1];
  u32 command = second;
  u16 lock_type = 0;

  switch (how) {
    case CALL_FILE:
      found->object = descriptor_object(first, found->role == CALL_GIVE);
      found->skip = !found->object;
      break;
    case CALL_FUTEX:
      found->object = futex_object(first, command);
      found->role = futex_role(command);
      break;
    case CALL_POLL:
      found->object = poll_object(first, second);
      break;
    case CALL_WATCH: {
      u32 events = 0;
      bpf_probe_read_user(&events, sizeof(events), (const void*)call->args[3]);
      record_member(command, call->args[2], events, descriptor_object(first, false));
      found->skip = true;
      break;
    }
    case CALL_LOCK:
      if (command & 8) found->role = CALL_GIVE; /* LOCK_UN */
      found->object = lock_object(first);
      break;
    case CALL_FCNTL:
      found->skip = command != 6 && command != 7 && command != 37 && command != 38; /* F_SETLK, F_SETLKW, F_OFD_* */
      if (found->skip) break;
      bpf_probe_read_user(&lock_type, sizeof(lock_type), (const void*)call->args[2]);
      if (lock_type == 2) found->role = CALL_GIVE; /* F_UNLCK */
      found->object = lock_object(first);
      break;
    case CALL_CHILD:
      found->object = child_object(first);
      break;
    case CALL_WAITID:
      found->object = child_object(first == 1 ? command : 0); /* P_PID */
      break;
    case CALL_KILL:
      found->object = object(OBJECT_SIGNAL, (u32)first);
      break;
    case CALL_SIGNAL:
      found->object = object(OBJECT_SIGNAL, bpf_get_current_pid_tgid() >> 32);
      break;
    case CALL_IPC:
      found->object = object(OBJECT_IPC, (u32)first);
      break;
  }
}

SEC("tp/raw_syscalls/sys_enter")
int call_begins(struct trace_event_raw_sys_enter* call) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  u64 number = call->id, now, exec;
  struct found found = {};
  struct note* note;
  u32 how;

  if (number >= RECORDER_CALLS_MAX) return 0;
  how = recorder.calls[number].object;
  if (how == CALL_NOT_RECORDED || task->tgid == recorder.own_tgid) return 0;
  if (bpf_core_field_exists(task->thread_info.status) && task->thread_info.status & TS_COMPAT) return 0;
  found.role = recorder.calls[number].role;
  if (how != CALL_NO_OBJECT) find(call, how, &found);
  if (found.skip) return 0;
  note = note_of(task);
  if (!note) return 0;
  note->call = number + 1;
  note->role = found.role;
  exec = exec_now(task, note, this_state(), &now);
  record(now, WIRE_K_SYSCALL_ENTER, found.role, task->pid, number, found.object, exec);
  return 0;
}

SEC("tp/raw_syscalls/sys_exit")
int call_ends(struct trace_event_raw_sys_exit* call) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task_btf();
  u64 number = call->id, now, exec;
  struct note* note;

  /* -1 after exec and sigreturn; calls that are never recorded need no look at the note. */
  if (number < RECORDER_CALLS_MAX && recorder.calls[number].object == CALL_NOT_RECORDED) return 0;
  note = bpf_task_storage_get(&notes, task, 0, 0);
  if (!note || !note->call) return 0;
  number = note->call - 1;
  note->call = 0;
  if ((s64)call->id >= 0 && (u64)call->id != number) return 0; /* the end of that one was missed */
  exec = exec_now(task, note, this_state(), &now);
  record(now, WIRE_K_SYSCALL_EXIT, note->role, task->pid, number, call->ret, exec);
  return 0;
}

#endif
