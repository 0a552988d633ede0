/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way down: decisions of the engine, one by one, each with an answer: inserted, cancelled, bounced or failed.
 */
#ifndef REPRISE_BPF_DOWN_H
#define REPRISE_BPF_DOWN_H

#include "bpf/up.h"

static __always_inline bool allowed_on(struct task_struct* p, s32 cpu) {
  return cpu >= 0 && (u32)cpu < config.cpus && bpf_cpumask_test_cpu(cpu, p->cpus_ptr);
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
  bool bounced;

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
  dsq_insert_vtime(p, queue, message->slice_ns, message->vtime, 0);
  /*
   * The insertion took the kernel's sequence number of the task as it was then. Only now can we tell whether it is
   * still the enqueue that the engine decided on: ops.dequeue bumps the generation before the kernel counts on.
   */
  if (slot->generation != message->generation || (queue < WIRE_MAX_CPUS && !allowed_on(p, (s32)queue))) {
    dispatch_cancel();
    result = WIRE_CANCELLED;
    count()->cancelled++;
  } else {
    if (queue < WIRE_MAX_CPUS) smp_add(&own.pinned_in[queue], 1);
    set_state(slot, SLOT_INSERTED, own.drained_at);
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

/* Returns 1 to stop draining: the kernel's dispatch buffer is full, the next dispatch goes on. */
static long carry_out(const struct wire_message* message) {
  smp_add(&shared.drained, 1);
  if (message->kind == WIRE_DISPATCH)
    dispatch_task(message);
  else if (message->kind == WIRE_PREEMPT && (u32)message->cpu < config.cpus)
    kick_cpu(message->cpu, config.kernel.kick_preempt);
  else if (message->kind == WIRE_WAKE_AT && message->vtime)
    timer_start(TIMER_WISH, message->vtime, true);
  else if (message->kind == WIRE_WAKE_AT)
    timer_cancel(TIMER_WISH);
  else
    count()->failed++;
  return dispatch_slots() <= 1;
}

#endif
