/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cheapest trip through user space that there can be: a task becomes runnable, a thread of a process runs and
 * yields, the task may run. No message, no decision, no table. What another scheduler in user space costs beyond
 * this is its own doing.
 */
#include "bpf/kernel.h"

#define DSQ_TASKS 0x20000ull
#define DSQ_SCHEDULER 0x20001ull
#define SLICE_NS 20000000ull

const volatile __s32 scheduler_tid = 0;
const volatile __u32 preempt = 0; /* 1: a wakeup takes the CPU for the scheduler, once until it has run */
const volatile __u64 enq_wakeup = 0;
const volatile __u64 kick_preempt = 0;
const volatile __u32 task_queued = 0;

__u32 needed; /* a task waits for the scheduler to have run */
__u32 kicked;
__s32 exit_kind;

SEC("struct_ops/enqueue") void BPF_PROG(bound_enqueue, struct task_struct* p, u64 flags) {
  if (p->pid == scheduler_tid) {
    dsq_insert(p, DSQ_SCHEDULER, SLICE_NS, 0);
    return;
  }
  dsq_insert(p, DSQ_TASKS, SLICE_NS, 0);
  needed = 1;
  if (preempt && flags & enq_wakeup && !kicked) {
    kicked = 1;
    kick_cpu(scx_bpf_task_cpu(p), kick_preempt);
  }
}

SEC("struct_ops/dispatch") void BPF_PROG(bound_dispatch, s32 cpu, struct task_struct* prev) {
  if (needed) {
    needed = 0;
    kicked = 0;
    if (prev && prev->pid == scheduler_tid && prev->scx.flags & task_queued) {
      task_set_slice(prev, SLICE_NS);
      return;
    }
    if (dsq_move_to_local(DSQ_SCHEDULER)) return;
  }
  if (dsq_move_to_local(DSQ_TASKS)) return;
  if (prev && prev->pid != scheduler_tid && prev->scx.flags & task_queued) task_set_slice(prev, SLICE_NS);
}

SEC("struct_ops.s/init") s32 BPF_PROG(bound_init) {
  s32 error = create_dsq(DSQ_TASKS);
  return error ? error : create_dsq(DSQ_SCHEDULER);
}

SEC("struct_ops/exit") void BPF_PROG(bound_exit, struct scx_exit_info* info) { exit_kind = info->kind; }

SEC(".struct_ops.link")
struct sched_ext_ops bound_ops = {
    .enqueue = (void*)bound_enqueue,
    .dispatch = (void*)bound_dispatch,
    .init = (void*)bound_init,
    .exit = (void*)bound_exit,
    .name = "lower_bound",
};

char _license[] SEC("license") = "GPL";
