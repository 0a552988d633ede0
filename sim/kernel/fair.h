// SPDX-License-Identifier: GPL-2.0-only
// The kernel's default class (kernel/sched/fair.c): EEVDF. Internal.
#pragma once

#include "sim/kernel/machine.h"

namespace reprise::sim {

class Fair {
 public:
  explicit Fair(Machine& machine) : m_(machine) {}

  void enqueue(u32 cpu, Task&, u64 enq_flags);
  void dequeue(u32 cpu, Task&, bool sleep);
  TaskId pick(u32 cpu, Task* prev);
  void put_prev(u32 cpu, Task&);
  void set_next(u32 cpu, Task&);
  void update_curr(u32 cpu, Task&, u64 delta);
  void yield(u32 cpu);
  void reweight(Task&, u32 weight);
  bool tick(u32 cpu);  // true: another task's turn
  [[nodiscard]] u64 tick_wanted(u32 cpu, const Task&) const;
  u32 select_cpu(Task&, u64 wake_flags);
  void balance();

 private:
  Machine& m_;
};

}  // namespace reprise::sim
