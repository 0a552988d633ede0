// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/fair.h"

namespace reprise::sim {

void Fair::enqueue(u32, Task&, u64) { REPRISE_CHECK(false); }
void Fair::dequeue(u32, Task&, bool) {}
TaskId Fair::pick(u32, Task*) { return kNoTaskId; }
void Fair::put_prev(u32, Task&) {}
void Fair::set_next(u32, Task&) {}
void Fair::update_curr(u32, Task&, u64) {}
void Fair::yield(u32) {}
void Fair::reweight(Task&, u32) {}
bool Fair::tick(u32) { return false; }
u64 Fair::tick_wanted(u32, const Task&) const { return kNever; }
u32 Fair::select_cpu(Task& task, u64) { return task.cpu; }
void Fair::balance() { (void)m_; }

}  // namespace reprise::sim
