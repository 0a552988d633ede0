// SPDX-License-Identifier: GPL-2.0-only
// Makes events for tests, well-formed ones and arbitrary ones.
#pragma once

#include <cstring>
#include <string_view>

#include "scheduler/core/event.h"
#include "scheduler/core/prng.h"
#include "scheduler/core/task.h"

namespace reprise::test {

/// Tids that tests give to the user of a slot when they do not care.
[[nodiscard]] inline i32 tid_of(TaskSlot slot) { return static_cast<i32>(slot % 1'000'000) + 1000; }

[[nodiscard]] inline Event event(EventType type, TaskSlot slot, u64 time_ns = 0) {
  Event event;
  std::memset(&event, 0, sizeof event);
  event.type = type;
  event.task = slot;
  event.tid = tid_of(slot);
  event.time_ns = time_ns;
  return event;
}

[[nodiscard]] inline Event task_new(TaskSlot slot, u32 weight = kWeightDefault, u32 flags = 0,
                                    std::string_view comm = "task") {
  Event made = event(EventType::kTaskNew, slot);
  made.task_new.start_time_ns = 1;
  made.task_new.tgid = made.tid;
  made.task_new.weight = weight;
  made.task_new.flags = flags;
  std::memcpy(made.task_new.comm, comm.data(), std::min(comm.size(), sizeof made.task_new.comm));
  return made;
}

[[nodiscard]] inline Event enqueue(TaskSlot slot, u32 generation, u64 exec_total_ns = 0, u32 flags = kEnqueueWakeup,
                                   u32 weight = kWeightDefault) {
  Event made = event(EventType::kEnqueue, slot);
  made.generation = generation;
  made.flags = flags;
  made.enqueue.exec_total_ns = exec_total_ns;
  made.enqueue.weight = weight;
  made.enqueue.waker = kNoTask;
  made.enqueue.allowed_cpus = 1;
  return made;
}

/// Anything at all, but often enough within range that it means something: few slots and tids, so that they collide.
[[nodiscard]] inline Event arbitrary_event(Prng& random, const Limits& limits) {
  Event made;
  made.time_ns = random.next() >> random.below(64);
  made.seq = static_cast<u32>(random.next());
  made.cpu = static_cast<u16>(random.chance(1, 8) ? random.next() : random.below(limits.cpus));
  made.type = static_cast<EventType>(random.chance(1, 16) ? random.below(256) : 1 + random.below(kEventTypeLast));
  made.reserved = 0;
  made.task = static_cast<TaskSlot>(random.chance(1, 16) ? random.next() : random.below(limits.max_tasks));
  made.tid = random.chance(1, 16) ? static_cast<i32>(random.next()) : tid_of(made.task);
  made.generation = static_cast<u32>(random.next());
  made.flags = static_cast<u32>(random.next() & random.next());
  for (u64& word : made.raw) word = random.chance(1, 2) ? random.next() >> random.below(64) : 0;
  if (made.type == EventType::kTaskNew) made.task_new.start_time_ns = random.below(2);
  if (made.type == EventType::kEnqueue) {
    if (random.chance(1, 2)) made.enqueue.exec_total_ns = made.time_ns;
    if (random.chance(1, 2)) made.enqueue.prev_cpu = static_cast<i32>(random.below(limits.cpus));
  }
  return made;
}

}  // namespace reprise::test
