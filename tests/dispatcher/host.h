// SPDX-License-Identifier: GPL-2.0-only
// A kernel just large enough to call the natively compiled dispatcher: queues, idle CPUs, kicks, rings with a capacity.
// It keeps the rule that matters most for the dispatcher: an insertion from ops.dispatch lies in a buffer until it is
// flushed, and is dropped when the task has been queued anew in between (kernel/sched/ext/ext.c, finish_dispatch).
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "bpf/state.h"

namespace reprise::test {

inline constexpr u64 kShared = 0x10000;
inline constexpr u64 kScheduler = 0x10001;
inline constexpr u64 kWakeup = 1;

struct Inserted {
  task_struct* task;
  u64 slice;
  u64 vtime;
};

class DispatcherHost {
 public:
  explicit DispatcherHost(u32 cpus, u32 max_tasks = 64, u64 offline = 0);
  ~DispatcherHost();

  task_struct& add_task(int tid, u64 allowed_mask);  // ops.init_task
  void remove_task(int tid);                         // ops.exit_task
  void wake(task_struct&, u64 flags = kWakeup);      // ops.enqueue
  void dequeue(task_struct&, u64 flags = 2);
  void dispatch(int cpu, task_struct* prev = nullptr);  // with the flush that the kernel does afterwards
  void run(task_struct&);                               // takes it from its queue: ops.running
  void decide(u32 slot, u32 generation, s32 cpu, u64 vtime = 1, u32 flags = 0, u64 slice = 1000);

  dispatcher_state state{};
  u64 now = 1'000'000;
  u32 current_cpu = 0;
  task_struct* current = nullptr;
  cpumask online{};
  u64 possible = 0;  // bit per CPU, as the next
  u64 idle = 0;      // bit per CPU
  std::size_t events_room = 1000;
  std::size_t slots_in_buffer = 64;
  bool drop_insertions = false;    // as when the tasks change between insertion and flush
  bool refuse_insertions = false;  // as of a task that is not ours any more
  std::function<void()> on_insert;
  std::vector<wire_event> events;
  std::vector<wire_kernel_event> records;
  std::deque<wire_message> messages;
  std::map<u64, std::vector<Inserted>> queues;
  std::vector<std::pair<s32, u64>> kicks;
  std::map<u32, u64> timers;

  // What the native functions of kernel_native.h and state_native.h work on.
  struct Pending {
    task_struct* task;
    u64 queue, slice, vtime;
    u32 sequence;
  };
  std::vector<slot> slots;
  std::vector<u32> free_slots;
  std::map<int, std::unique_ptr<task_struct>> tasks;
  std::map<const task_struct*, std::unique_ptr<task_context>> contexts;
  std::map<const task_struct*, u32> sequences;  // the kernel's, bumped by each enqueue
  std::map<const task_struct*, bool> queued;    // handed to the dispatcher and not yet in a queue
  std::map<const task_struct*, std::unique_ptr<cpumask>> masks;
  std::vector<Pending> buffer;
  task_struct* enqueueing = nullptr;
  wire_event event_scratch{};
  wire_kernel_event record_scratch{};
  u32 event_seq = 0, record_seq = 0;
  void flush();
  std::vector<Inserted>* queue_of(const task_struct&);
};

}  // namespace reprise::test
