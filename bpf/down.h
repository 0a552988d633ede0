/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way down: decisions of the engine, one by one, each with an answer: inserted, cancelled, bounced or failed.
 */
#ifndef REPRISE_BPF_DOWN_H
#define REPRISE_BPF_DOWN_H

#include "bpf/up.h"

/*
 * A task's mask may name CPUs that are offline, or were never there; nobody takes anything from their queues. The
 * kernel is asked each time and not once at init: a CPU that comes online runs its own threads long before the kernel
 * asks us for a restart, and waits for them.
 */
static __always_inline bool is_online(s32 cpu) {
  const struct cpumask* online = scx_bpf_get_online_cpumask();
  bool yes = bpf_cpumask_test_cpu((u32)cpu, online);

  scx_bpf_put_cpumask(online);
  return yes;
}
static __always_inline bool allowed_on(struct task_struct* p, s32 cpu) {
  return cpu >= 0 && (u32)cpu < config.cpus && bpf_cpumask_test_cpu((u32)cpu, p->cpus_ptr) && is_online(cpu);
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
    *claimed = pick_idle_cpu(p->cpus_ptr);
    return DSQ_SHARED;
  }
  if (message->flags & WIRE_DISPATCH_IDLE) {
    if (allowed_on(p, message->cpu) && !is_stuck(message->cpu) && take_idle_cpu(message->cpu))
      *claimed = message->cpu;
    else
      *claimed = pick_idle_cpu(p->cpus_ptr);
    return *claimed >= 0 ? (u64)*claimed : DSQ_SHARED;
  }
  if (!allowed_on(p, message->cpu) || is_stuck(message->cpu)) {
    *bounced = true;
    *claimed = pick_idle_cpu(p->cpus_ptr);
    return DSQ_SHARED;
  }
  return (u64)message->cpu;
}

static __always_inline void dispatch_task(const struct wire_message* message) {
  struct task_struct* p;
  struct slot* slot = slot_at(message->task);
  u64 queue;
  u32 result = WIRE_INSERTED;
  s32 claimed, tid;
  bool bounced, taken;

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
  taken = dsq_insert_vtime(p, queue, message->slice_ns, message->vtime, 0);
  /*
   * The insertion took the kernel's sequence number of the task as it was then. Only now can we tell whether it is
   * still the enqueue that the engine decided on: ops.dequeue bumps the generation before the task can be enqueued
   * again. What the kernel did not take must not be cancelled, either: that would cancel another task's insertion.
   */
  if (!taken) {
    result = WIRE_FAILED;
    count()->failed++;
  } else if ((queue < WIRE_MAX_CPUS && !bpf_cpumask_test_cpu((u32)queue, p->cpus_ptr)) ||
             !answered(slot, message->generation, own.drained_at)) {
    dispatch_cancel();
    result = WIRE_CANCELLED;
    count()->cancelled++;
  } else {
    if (queue < WIRE_MAX_CPUS) smp_add(&own.pinned_in[queue], 1);
    slot->slice = message->slice_ns;
    note_vtime(message->vtime);
    count()->inserted++;
    if (bounced) {
      result = WIRE_BOUNCED;
      count()->bounced++;
    }
  }
  if (claimed >= 0)
    kick_cpu(claimed, config.kernel.kick_idle);
  else if (result == WIRE_INSERTED && queue < WIRE_MAX_CPUS)
    kick_cpu((s32)queue, message->flags & WIRE_DISPATCH_PREEMPT ? config.kernel.kick_preempt : config.kernel.kick_idle);
  RECORD(WIRE_K_ANSWER, result, tid, message->generation, queue, message->vtime);
  bpf_task_release(p);
}

/*
 * A wish that is taken back leaves its timer running: to cancel one waits for its callback where that runs, and this
 * CPU's run queue is locked.
 */
static __always_inline void wish_for(u64 time) {
  own.wish = time;
  if (time) timer_start(TIMER_WISH, time, true);
}

/* Returns 1 to stop draining: the kernel's dispatch buffer is full, the next dispatch goes on. */
static long carry_out(const struct wire_message* message) {
  smp_add(&shared.drained, 1);
  if (message->kind == WIRE_DISPATCH)
    dispatch_task(message);
  else if (message->kind == WIRE_PREEMPT && (u32)message->cpu < config.cpus)
    kick_cpu(message->cpu, config.kernel.kick_preempt);
  else if (message->kind == WIRE_WAKE_AT)
    wish_for(message->vtime);
  else
    count()->failed++;
  return dispatch_slots() <= 1;
}

#endif
