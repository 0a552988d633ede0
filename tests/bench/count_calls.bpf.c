/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the system calls of one process, by number.
 */
#include "bpf/kernel.h"

#define MAX_CALLS 512

const volatile __u32 process = 0;
__u64 calls[MAX_CALLS];

SEC("raw_tp/sys_enter") int BPF_PROG(count_call, void* registers, long number) {
  if (bpf_get_current_pid_tgid() >> 32 == process && number >= 0 && number < MAX_CALLS) calls[number]++;
  return 0;
}

char _license[] SEC("license") = "GPL";
