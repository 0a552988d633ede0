/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's end of the transport benchmark: pushes `batch` messages up and takes down what user space has put in,
 * through a queue map as scx_userland does and through the ring buffers as the dispatcher does. Each program is run
 * by BPF_PROG_RUN, outside of the measured time.
 */
#include "bpf/kernel.h"

#define MAX_BATCH 64

struct message_40 {
  u64 words[5]; /* as large as wire_message */
};
struct message_80 {
  u64 words[10]; /* as large as wire_event */
};
struct message_88 {
  u64 words[11]; /* as large as what scx_rustland sends */
};

__u32 batch;
__u64 taken;         /* messages that came down */
__u64 failed;        /* pushes without room, drains that failed */
__u64 system_calls;  /* of our process, while count_system_calls is attached */
__u64 own_tgid_seen; /* as the kernel counts, whatever our pid namespace says */

#define MESSAGE(size)                                                                   \
  struct {                                                                              \
    __uint(type, BPF_MAP_TYPE_QUEUE);                                                   \
    __uint(max_entries, 1024);                                                          \
    __type(value, struct message_##size);                                               \
  } queue_##size SEC(".maps");                                                          \
                                                                                        \
  SEC("syscall") int push_queue_##size(void* context) {                                 \
    struct message_##size message = {.words = {1, 2, 3}};                               \
    for (u32 i = 0; i < MAX_BATCH && i < batch; i++)                                    \
      if (bpf_map_push_elem(&queue_##size, &message, 0)) failed++;                      \
    return 0;                                                                           \
  }                                                                                     \
                                                                                        \
  SEC("syscall") int drain_queue_##size(void* context) {                                \
    struct message_##size message;                                                      \
    for (u32 i = 0; i < MAX_BATCH; i++) {                                               \
      if (bpf_map_pop_elem(&queue_##size, &message)) break;                             \
      taken++;                                                                          \
    }                                                                                   \
    return 0;                                                                           \
  }                                                                                     \
                                                                                        \
  SEC("syscall") int push_ring_##size(void* context) {                                  \
    for (u32 i = 0; i < MAX_BATCH && i < batch; i++) {                                  \
      struct message_##size* message = bpf_ringbuf_reserve(&ring, sizeof(*message), 0); \
      if (!message) {                                                                   \
        failed++;                                                                       \
        break;                                                                          \
      }                                                                                 \
      __builtin_memset(message, 0, sizeof(*message));                                   \
      message->words[0] = i;                                                            \
      bpf_ringbuf_submit(message, BPF_RB_NO_WAKEUP);                                    \
    }                                                                                   \
    return 0;                                                                           \
  }

/* As large as the dispatcher's, so that the memory that is walked through is, too. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20);
} ring SEC(".maps");

#define USER_RING(size)                                                                            \
  struct {                                                                                         \
    __uint(type, BPF_MAP_TYPE_USER_RINGBUF);                                                       \
    __uint(max_entries, 1 << 20);                                                                  \
  } user_ring_##size SEC(".maps");                                                                 \
                                                                                                   \
  static long take_##size(struct bpf_dynptr* pointer, void* context) {                             \
    struct message_##size message;                                                                 \
    if (bpf_dynptr_read(&message, sizeof(message), pointer, 0, 0)) failed++;                       \
    taken++;                                                                                       \
    return 0;                                                                                      \
  }                                                                                                \
                                                                                                   \
  SEC("syscall") int drain_user_ring_##size(void* context) {                                       \
    if (bpf_user_ringbuf_drain(&user_ring_##size, take_##size, 0, BPF_RB_NO_WAKEUP) < 0) failed++; \
    return 0;                                                                                      \
  }

MESSAGE(40)
MESSAGE(80)
MESSAGE(88)
USER_RING(40)
USER_RING(80)
USER_RING(88)

SEC("syscall") int note_tgid(void* context) {
  own_tgid_seen = bpf_get_current_pid_tgid() >> 32;
  return 0;
}

SEC("raw_tp/sys_enter") int count_system_calls(void* context) {
  if (bpf_get_current_pid_tgid() >> 32 == own_tgid_seen) system_calls++;
  return 0;
}

char _license[] SEC("license") = "GPL";
