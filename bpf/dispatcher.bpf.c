/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dispatcher: carries runnable tasks up to the engine and its decisions down to the kernel. It knows no policy.
 *
 *   task becomes runnable -> enqueue -> hand_up -> ring `events` -> engine -> ring `decisions` -> drain -> carry_out
 *     -> queue (DSQ) of a CPU or the shared one -> dispatch -> the CPU's local queue
 *
 * Queues. One per CPU (id = CPU), one shared, one for the scheduler's own thread. All but the last are ordered by
 * vtime, since a DSQ may not mix vtime with FIFO order; what the dispatcher inserts by itself goes to the tail
 * (vtime_max), so it starves nobody and is starved by nobody.
 *
 * The scheduler's own thread is a task like any other, except that it waits in its own queue and is run only when
 * work is pending: events that the ring's own positions show (bpf_ringbuf_query), or a timer's request (`asked`).
 *
 * Slots. Each task gets an index into `slots` for its life. The slot carries a generation number, bumped by every
 * enqueue and every dequeue: a decision names the generation it answers, and an older one is cancelled. The slots
 * are also the list of tasks handed up and not yet answered: when user space stops answering, `walk` runs over them
 * with a bounded cursor and inserts them by itself.
 */
#include "bpf/down.h"
#include "bpf/fallback.h"
#include "bpf/up.h"

#define PINNED_IN_A_ROW 4 /* takes from a CPU's own queue before the shared one gets a turn */

OPS(void, enqueue, struct task_struct* p, u64 enq_flags) {
  struct slot* slot;
  u32 index = WIRE_NO_TASK, reason, generation = 0;
  u64 now;

  if (is_scheduler(p)) {
    dsq_insert(p, DSQ_SCHEDULER, config.slice_scheduler_ns, 0);
    return;
  }
  now = now_ns();
  slot = slot_of(p, &index);
  if (slot) generation = smp_add(&slot->generation, 1) + 1;

  reason = bypass_reason(p);
  if (reason) {
    dsq_insert(p, config.kernel.dsq_local, config.slice_default_ns, 0);
    if (reason == WIRE_BYPASS_KERNEL_THREAD)
      count()->kernel_threads++;
    else
      count()->reclaim++;
    goto bypassed;
  }
  if (!slot) {
    reason = WIRE_BYPASS_NO_SLOT;
    count()->no_slot++;
  } else if (shared.fallback) {
    reason = WIRE_BYPASS_FALLBACK;
    count()->fallback++;
  } else if (!hand_up(p, slot, index, generation, enq_flags, now)) {
    reason = WIRE_BYPASS_CONGESTED;
    count()->congested++;
  } else {
    count()->handed_up++;
    wake_scheduler(scx_bpf_task_cpu(p), enq_flags & config.kernel.enq_wakeup, now);
    return;
  }
  to_tail(p);
  wake_idle_for(p);
  if (reason == WIRE_BYPASS_CONGESTED) wake_scheduler(scx_bpf_task_cpu(p), true, now);
bypassed:
  if (slot) set_state(slot, SLOT_NONE, now);
  RECORD(WIRE_K_BYPASS, reason, p->pid, generation, 0, 0);
}

OPS(void, dequeue, struct task_struct* p, u64 deq_flags) {
  struct wire_event* event;
  struct slot* slot;
  u32 index, generation;
  u64 now;

  /* Newer kernels also tell that a task has left for a terminal queue: no event, it merely goes on its way. */
  if (!deq_flags) return;
  slot = slot_of(p, &index);
  if (!slot || is_scheduler(p)) return;
  generation = smp_add(&slot->generation, 1) + 1;
  count()->dequeued++;
  RECORD(WIRE_K_DEQUEUE, 0, p->pid, generation, deq_flags, 0);
  if (slot->state != SLOT_HANDED) return;
  now = now_ns();
  set_state(slot, SLOT_NONE, now);
  event = event_begin(WIRE_DEQUEUE, index, p->pid, generation, deq_flags, now);
  if (!event) {
    count()->events_lost++; /* harmless: the next enqueue, or the exit, tells as much */
    return;
  }
  event_clear(event);
  event_end(event);
}

/* Takes a task for this CPU from a queue. */
static __always_inline bool take_task(s32 cpu) {
  u32 here = (u32)cpu & (WIRE_MAX_CPUS - 1);
  u32* row = &own.pinned_in_a_row[here];
  bool shared_first;

  if (own.stuck) {
    u32 stuck = (own.stuck - 1) & (WIRE_MAX_CPUS - 1);
    if (stuck == here) {
      own.stuck = 0; /* it takes its tasks by itself again */
    } else if (dsq_move_to_local(stuck)) {
      own.pinned_out[stuck]++;
      count()->rescued++;
      return true;
    }
  }
  shared_first = *row >= PINNED_IN_A_ROW;
  if (shared_first) *row = 0;
  if (shared_first && dsq_move_to_local(DSQ_SHARED)) return true;
  if (own.pinned_in[here] != own.pinned_out[here] && dsq_move_to_local((u32)cpu)) {
    own.pinned_out[here]++;
    ++*row;
    return true;
  }
  if (!shared_first && dsq_move_to_local(DSQ_SHARED)) {
    *row = 0;
    return true;
  }
  return false;
}

/*
 * What this CPU inserts is not to be seen before the kernel flushes it, at the latest when a task is taken from a
 * queue. A CPU that has gone idle since the decision looked for one has then not been claimed for it, nor has it seen
 * the task when it looked once more (update_idle).
 */
static __always_inline void look_for_idle_cpu(void) {
  s32 idle;

  own.look = 0;
  if (!any_idle() || dsq_queued(DSQ_SHARED) <= 0) return;
  idle = pick_any_idle_cpu();
  if (idle >= 0) kick_cpu(idle, config.kernel.kick_idle);
}

OPS(void, dispatch, s32 cpu, struct task_struct* prev) {
  bool taken;

  if (shared.submitted != shared.drained) {
    long drained;
    own.drained_at = now_ns();
    drained = decisions_drain();
    if (drained > 0)
      own.look = 1;
    else if (drained == -16) /* EBUSY */
      count()->drain_busy++;
  }

  if (work_pending()) {
    if (prev && is_scheduler(prev) && prev->scx.flags & config.kernel.task_queued) {
      shared.asked = 0; /* it goes on and makes the turn that was asked for: ops.running is not called */
      task_set_slice(prev, config.slice_scheduler_ns);
      return;
    }
    if (dsq_move_to_local(DSQ_SCHEDULER)) {
      if (own.look) look_for_idle_cpu();
      return;
    }
  }
  if (own.walk_left && smp_swap_if(&own.walking, 0, 1)) {
    struct walk_context context = {.now = now_ns()};
    walk_up_to(WALK_SLOTS, &context);
    own.look = 1;
    smp_swap_if(&own.walking, 1, 0);
  }
  taken = take_task(cpu);
  if (own.look) look_for_idle_cpu();
  if (taken) return;
  if (prev && !is_scheduler(prev) && prev->scx.flags & config.kernel.task_queued) {
    task_set_slice(prev, config.slice_default_ns); /* nobody else waits for this CPU */
    count()->kept++;
  }
}

OPS(s32, select_cpu, struct task_struct* p, s32 prev_cpu, u64 wake_flags) {
  struct task_struct* current = current_task();
  struct slot *slot, *waker;
  u32 index, waker_index = WIRE_NO_TASK;

  /* Which CPU it shall be is for the engine to say. Note who woke it: this callback runs in the waker's context. */
  slot = slot_of(p, &index);
  if (slot) {
    waker = slot_of(current, &waker_index);
    slot->waker = waker && current->pid ? waker_index : WIRE_NO_TASK;
    if (wake_flags & config.kernel.wake_sync) slot->why |= WIRE_ENQ_SYNC;
  }
  return prev_cpu;
}

OPS(void, running, struct task_struct* p) {
  struct wire_event* event;
  struct slot* slot;
  u32 index;
  u64 now;

  count()->switches++;
  if (is_scheduler(p)) {
    count()->scheduler_runs++;
    shared.scheduler_running = 1;
    shared.asked = 0;
    own.kicked = 0;
    return;
  }
  slot = slot_of(p, &index);
  if (!slot) return;
  now = now_ns();
  slot->started = now;
  slot->exec_start = p->se.sum_exec_runtime;
  set_state(slot, SLOT_NONE, now);
  if (!config.interests) return;
  event = event_begin(WIRE_RUNNING, index, p->pid, slot->generation, 0, now);
  if (!event) {
    count()->events_lost++;
    return;
  }
  event_clear(event);
  event_end(event);
}

OPS(void, stopping, struct task_struct* p, bool runnable) {
  struct wire_event* event;
  struct slot* slot;
  u32 index;

  if (is_scheduler(p)) {
    /*
     * Whoever hands a task up between dispatch's last look at the ring and here takes the scheduler for running, and
     * wakes nobody. So look once more, behind a barrier: either they see that it has stopped, or this sees the event.
     */
    smp_swap_if(&shared.scheduler_running, 1, 0);
    own.kicked = 0; /* a kick that came while it ran is spent */
    if (events_waiting() > 0) wake_scheduler(scx_bpf_task_cpu(p), true, now_ns());
    return;
  }
  slot = slot_of(p, &index);
  if (!slot) return;
  slot->stopped = now_ns();
  if (runnable)
    slot->why = p->se.sum_exec_runtime - slot->exec_start < slot->slice ? WIRE_ENQ_PREEMPTED : WIRE_ENQ_SLICE_END;
  else
    slot->why = 0;
  if (!config.interests) return;
  event = event_begin(WIRE_STOPPING, index, p->pid, slot->generation, 0, slot->stopped);
  if (!event) {
    count()->events_lost++;
    return;
  }
  event_clear(event);
  event->stopping.exec_total_ns = p->se.sum_exec_runtime;
  event->stopping.runnable = runnable;
  event_end(event);
}

OPS(void, set_weight, struct task_struct* p, u32 weight) {
  /* The engine reads the weight in the next enqueue, which the kernel brings about itself for a waiting task. */
  RECORD(WIRE_K_WEIGHT, 0, p->pid, weight, 0, 0);
}

OPS(void, set_cpumask, struct task_struct* p, const struct cpumask* cpumask) {
  struct slot* slot;
  u32 index;
  u64 word = 0;

  slot = slot_of(p, &index);
  if (slot) slot->dirty |= DIRTY_AFFINITY;
  if (!config.recording) return;
  for (u32 i = 0; i < WIRE_CPU_WORDS; i++) {
    if (i * 64 >= config.cpus) break;
    cpumask_words(&word, sizeof(word), cpumask, i * 8);
    RECORD(WIRE_K_AFFINITY, 0, p->pid, i, word, p->nr_cpus_allowed);
  }
}

/*
 * Somebody who queues a task, or hands one up, after this CPU's last dispatch and before its idle bit is set finds no
 * idle CPU to wake. So look once more when the bit is set: either they see the bit, or this sees what they queued
 * (kernel/sched/ext/idle.c, __scx_update_idle).
 */
OPS(void, update_idle, s32 cpu, bool idle) {
  u32 word = (u32)cpu / 64;

  if (word >= WIRE_CPU_WORDS) return;
  if (!idle) {
    smp_and(&shared.idle[word], ~(1ull << ((u32)cpu % 64)));
    return;
  }
  smp_or(&shared.idle[word], 1ull << ((u32)cpu % 64));
  if ((work_pending() && !shared.scheduler_running) || shared.submitted != shared.drained ||
      dsq_queued(DSQ_SHARED) > 0 || dsq_queued((u32)cpu) > 0)
    kick_cpu(cpu, config.kernel.kick_idle);
}

OPS_SLEEPABLE(s32, init_task, struct task_struct* p, struct scx_init_task_args* args) {
  struct task_context* context = context_make(p);
  struct slot* slot;
  u32 index;

  if (!context) return -12; /* ENOMEM */
  context->slot = WIRE_NO_TASK;
  if (!free_slot_take(&index)) {
    index = smp_add(&shared.slots_high, 1);
    if (index >= config.max_tasks) {
      smp_add(&shared.slots_high, (u32)-1);
      return 0; /* the dispatcher schedules it by itself, and counts that */
    }
  }
  slot = slot_at(index);
  if (!slot) return 0;
  slot->tid = p->pid;
  slot->start_time = 0; /* a task being forked has none yet */
  slot->state = SLOT_NONE;
  slot->started = slot->stopped = slot->exec_start = slot->slice = 0;
  slot->waker = WIRE_NO_TASK;
  slot->why = 0;
  slot->dirty = DIRTY_NEW | (args->fork ? DIRTY_FIRST : DIRTY_ATTACH);
  context->slot = index;
  return 0;
}

OPS(void, exit_task, struct task_struct* p, struct scx_exit_task_args* args) {
  struct task_context* context = context_of(p);
  struct wire_event* event;
  struct slot* slot;
  u32 index, generation;

  if (!context) return;
  index = context->slot;
  slot = slot_at(index);
  context->slot = WIRE_NO_TASK;
  if (!slot) return;
  generation = smp_add(&slot->generation, 1) + 1;
  set_state(slot, SLOT_NONE, 0);
  if (slot->dirty & DIRTY_INTRODUCED) {
    event = event_begin(WIRE_TASK_EXIT, index, p->pid, generation, 0, now_ns());
    if (event) {
      event_clear(event);
      event->task_exit.exec_total_ns = p->se.sum_exec_runtime;
      event_end(event);
    } else {
      count()->events_lost++; /* harmless: the slot's next user has another start time */
    }
  }
  slot->dirty = 0;
  slot->start_time = 0;
  free_slot_give(index);
}

OPS_SLEEPABLE(s32, init) {
  s32 error;

  error = create_dsq(DSQ_SHARED);
  if (error) return error;
  error = create_dsq(DSQ_SCHEDULER);
  if (error) return error;
  for (u32 cpu = 0; cpu < WIRE_MAX_CPUS; cpu++) {
    if (cpu >= config.cpus) break;
    error = create_dsq(cpu);
    if (error) return error;
  }
  error = timers_init();
  if (error) return error;
  timer_start(TIMER_HEARTBEAT, config.fallback_ns / 2, false);
  return 0;
}

OPS(void, exit, struct scx_exit_info* info) {
  kernel_string(exit_info.reason, sizeof(exit_info.reason), info->reason);
  kernel_string(exit_info.message, sizeof(exit_info.message), info->msg);
  kernel_string(exit_info.dump, sizeof(exit_info.dump), info->dump);
  exit_info.code = info->exit_code;
  smp_swap_if(&exit_info.kind, 0, info->kind); /* last, and ordered: user space waits for it */
}

#ifdef __bpf__
SEC(".struct_ops.link")
struct sched_ext_ops reprise_ops = {
    .select_cpu = (void*)reprise_select_cpu,
    .enqueue = (void*)reprise_enqueue,
    .dequeue = (void*)reprise_dequeue,
    .dispatch = (void*)reprise_dispatch,
    .running = (void*)reprise_running,
    .stopping = (void*)reprise_stopping,
    .set_weight = (void*)reprise_set_weight,
    .set_cpumask = (void*)reprise_set_cpumask,
    .update_idle = (void*)reprise_update_idle,
    .init_task = (void*)reprise_init_task,
    .exit_task = (void*)reprise_exit_task,
    .init = (void*)reprise_init,
    .exit = (void*)reprise_exit,
    .dispatch_max_batch = 512,
    .exit_dump_len = WIRE_EXIT_DUMP,
    .name = "reprise",
};

char _license[] SEC("license") = "GPL";
#else
const struct dispatcher_callbacks reprise_dispatcher = {
    .select_cpu = reprise_select_cpu,
    .enqueue = reprise_enqueue,
    .dequeue = reprise_dequeue,
    .dispatch = reprise_dispatch,
    .running = reprise_running,
    .stopping = reprise_stopping,
    .set_weight = reprise_set_weight,
    .set_cpumask = reprise_set_cpumask,
    .update_idle = reprise_update_idle,
    .init_task = reprise_init_task,
    .exit_task = reprise_exit_task,
    .init = reprise_init,
    .exit = reprise_exit,
    .carry_out = carry_out,
    .heartbeat_expired = on_heartbeat,
    .wish_expired = on_wish,
    .kick_expired = on_kick,
};
#endif
