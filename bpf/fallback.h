/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When user space does not answer: the heartbeat notices it, the walk runs over the slots and inserts the tasks that
 * were handed up, and ops.enqueue decides by itself, until the scheduler's loop moves again. The same walk, slower,
 * looks after tasks whose insertion the kernel may have dropped (their state changed between insertion and flush).
 */
#ifndef REPRISE_BPF_FALLBACK_H
#define REPRISE_BPF_FALLBACK_H

#include "bpf/up.h"

#define WALK_SLOTS 2048                /* slots looked at by one dispatch */
#define LOST_NS (2ull * 1000000000ull) /* inserted but not run for so long: insert again */
#define TIMER_FAST_NS (20ull * 1000000ull)

struct walk_context {
  u64 now;
};

static long walk_one(u32 i, void* data) {
  struct walk_context* context = data;
  u32 index = own.walk_cursor;
  struct slot* slot;
  struct task_struct* p;
  bool handed;

  if (!own.walk_left || !dispatch_slots()) return 1;
  own.walk_left--;
  own.walk_cursor = index + 1 < shared.slots_high ? index + 1 : 0;
  slot = slot_at(index);
  if (!slot) return 0;
  handed = slot->state == SLOT_HANDED;
  if (handed) {
    if (!shared.fallback) return 0; /* the engine has it and answers */
  } else if (slot->state != SLOT_INSERTED || context->now - slot->changed < LOST_NS) {
    return 0;
  }
  p = bpf_task_from_pid(slot->tid);
  if (!p) return 0;
  if (handed) {
    /* What the engine may still say about it is out of date. */
    if (answered(slot, slot->generation, context->now)) {
      smp_add(&slot->generation, 1);
      count()->recovered++;
      dsq_insert_vtime(p, DSQ_SHARED, config.slice_default_ns, shared.vtime_max, 0);
      wake_idle_for(p);
    }
  } else {
    slot->changed = context->now;
    /* Older kernels write slice and vtime at once, also of a task in a queue, which is then out of order. */
    if (!in_queue(p)) {
      count()->reinserted++;
      dsq_insert_vtime(p, DSQ_SHARED, config.slice_default_ns, shared.vtime_max, 0);
      wake_idle_for(p);
    }
  }
  bpf_task_release(p);
  return 0;
}

/*
 * `asked` goes back when the scheduler gets a CPU; whether it then gets on is another question. So the time that counts
 * is that of the first asking since `beat` was last seen to move, however often it has had a CPU since.
 */
static __always_inline void ask(u64 now) {
  if (shared.asked) return;
  shared.asked = 1;
  if (own.asked_since <= own.beat_changed) own.asked_since = now;
}

/* Two idle CPUs if there are: one that is about to go offline is idle, too, and does not dispatch. */
static __noinline void wake_any(void) {
  s32 idle = pick_any_idle_cpu(), other;

  if (idle >= 0) {
    other = pick_any_idle_cpu();
    kick_cpu(idle, config.kernel.kick_idle);
    if (other >= 0) kick_cpu(other, config.kernel.kick_idle);
  } else if (!shared.scheduler_running) {
    kick_cpu(this_cpu(), config.kernel.kick_preempt);
  }
}

/*
 * A CPU that goes offline is inactive for a while before the kernel asks for a restart: idle, but it takes no task from
 * any queue (kernel/sched/ext, scx_rq_online). Meanwhile somebody may wait for a task in its queue who has to finish
 * before the CPU can go: an RCU grace period needs rcu_preempt. So two heartbeats in a row at which it is idle, has
 * tasks, and has taken none in between: the others take them, and nothing more is sent there.
 */
static long look_at_queue(u32 cpu, void* context) {
  u32 here = cpu & (WIRE_MAX_CPUS - 1), out = own.pinned_out[here];

  if (own.pinned_in[here] == out || !idle_known((s32)cpu) || dsq_queued(cpu) <= 0)
    own.suspect[here] = 0;
  else if (own.suspect[here] == out + 1)
    own.stuck = cpu + 1;
  else
    own.suspect[here] = out + 1;
  return 0;
}

/*
 * Runs the scheduler now and then, well inside the watchdog's time, and watches that it gets on: `beat` must move
 * within fallback_ns after it was asked to. Else the dispatcher schedules by itself until it moves again.
 */
static void on_heartbeat(void) {
  u64 now = now_ns(), beat = shared.beat, next = config.fallback_ns / 2;

  if (beat != own.beat_seen) {
    own.beat_seen = beat;
    own.beat_changed = now;
    shared.fallback = 0;
  }
  if (shared.unanswered || events_waiting() > 0 || now - own.beat_changed >= config.heartbeat_ns) ask(now);
  look_at_queues(config.cpus);
  if (own.stuck) wake_any();
  if (shared.asked) {
    u64 since = own.asked_since > own.beat_changed ? own.asked_since : own.beat_changed;
    if (!shared.fallback && now - since > config.fallback_ns && shared.unanswered) {
      shared.fallback = 1;
      shared.fallbacks++;
    }
    wake_any();
  }
  if (shared.fallback) {
    own.walk_left = shared.slots_high;
    next = TIMER_FAST_NS;
  } else if (now - own.audited > LOST_NS) {
    own.audited = now;
    own.walk_left = shared.slots_high;
  }
  timer_start(TIMER_HEARTBEAT, next, false);
}

static void on_wish(void) {
  u64 now = now_ns();

  if (!own.wish || now < own.wish) return; /* taken back, or put off */
  own.wish = 0;
  ask(now);
  wake_any();
}

static void on_kick(void) {
  own.kick_armed = 0;
  if (!own.kicked && !shared.scheduler_running && events_waiting() > 0)
    preempt_for_scheduler((s32)this_cpu(), now_ns());
}

#endif
