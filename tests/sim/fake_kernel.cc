// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/fake_kernel.h"

#include <algorithm>

#include "scheduler/core/check.h"

namespace reprise::test {

sim::TaskId FakeKernel::create(const sim::TaskInfo& info) {
  tasks_.push_back({.info = info});
  left_.push_back(0);
  if (info.state == sim::TaskState::kBlocked) tasks_.back().state = Task::State::kBlocked;
  return static_cast<sim::TaskId>(tasks_.size() - 1);
}

void FakeKernel::start(sim::TaskId id) {
  REPRISE_CHECK(tasks_[id].state == Task::State::kNew);
  tasks_[id].state = Task::State::kRunnable;
  tasks_[id].woken_ns = now_;
  queue_.push_back(id);
}

void FakeKernel::wake(sim::TaskId id, sim::WakeContext) {
  if (tasks_[id].state != Task::State::kBlocked) {
    idle_wakes_ += 1;
    return;
  }
  tasks_[id].state = Task::State::kRunnable;
  tasks_[id].woken_ns = now_;
  if (woken_first_)
    queue_.push_front(id);
  else
    queue_.push_back(id);
}

void FakeKernel::arm(u64 at_ns, u64 cookie, u32 cpu, u64) {
  agenda_.push({std::max(at_ns, now_), sequence_++, cookie, cpu, true});
}

void FakeKernel::set_affinity(sim::TaskId id, const sim::CpuSet& set) {
  tasks_[id].info.allowed = set;
  tasks_[id].sets += 1;
}

void FakeKernel::set_weight(sim::TaskId id, u32 weight) {
  tasks_[id].info.weight = weight;
  tasks_[id].sets += 1;
}

void FakeKernel::ask(sim::Workload& workload, u32 cpu) {
  const sim::TaskId id = running_[cpu];
  if (left_[id] == 0) {
    const sim::Action action = workload.next(*this, id);
    events_ += 1;
    switch (action.next) {
      case sim::Next::kRun:
        REPRISE_CHECK(action.run_ns > 0);
        left_[id] = action.run_ns;
        break;
      case sim::Next::kBlock:
        tasks_[id].state = Task::State::kBlocked;
        tasks_[id].slept += 1;
        running_[cpu] = sim::kNoTaskId;
        return;
      case sim::Next::kYield:
        tasks_[id].state = Task::State::kRunnable;
        tasks_[id].woken_ns = now_;
        queue_.push_back(id);
        running_[cpu] = sim::kNoTaskId;
        return;
      case sim::Next::kExit:
        tasks_[id].state = Task::State::kEnded;
        running_[cpu] = sim::kNoTaskId;
        return;
    }
  }
  runs_for_[cpu] = slice_ns_ ? std::min(left_[id], slice_ns_) : left_[id];
  agenda_.push({now_ + runs_for_[cpu], sequence_++, 0, cpu, false});
}

void FakeKernel::fill(sim::Workload& workload) {
  for (u32 cpu = 0; cpu < running_.size(); ++cpu) {
    while (running_[cpu] == sim::kNoTaskId && !queue_.empty()) {
      const sim::TaskId id = queue_.front();
      queue_.pop_front();
      running_[cpu] = id;
      tasks_[id].state = Task::State::kRunning;
      tasks_[id].cpu = cpu;
      tasks_[id].switches += 1;
      tasks_[id].waited_ns += now_ - tasks_[id].woken_ns;
      ask(workload, cpu);
    }
  }
}

void FakeKernel::run(sim::Workload& workload, u64 until_ns, bool relieve) {
  runs_for_.assign(running_.size(), 0);
  for (;;) {
    // A task that blocked may have woken one that belongs on a CPU filled before.
    while (!queue_.empty() && std::count(running_.begin(), running_.end(), sim::kNoTaskId) > 0) fill(workload);
    if (agenda_.empty()) {
      if (relieve && workload.relieve(*this)) continue;
      return;
    }
    const Event event = agenda_.top();
    if (event.at_ns > until_ns) return;
    agenda_.pop();
    now_ = event.at_ns;
    if (event.timer) {
      workload.timer(*this, event.cookie);
      continue;
    }
    const sim::TaskId id = running_[event.cpu];
    tasks_[id].ran_ns += runs_for_[event.cpu];
    left_[id] -= runs_for_[event.cpu];
    if (left_[id] > 0 && !queue_.empty()) {  // the slice is over
      tasks_[id].state = Task::State::kRunnable;
      tasks_[id].woken_ns = now_;
      queue_.push_back(id);
      running_[event.cpu] = sim::kNoTaskId;
      continue;
    }
    ask(workload, event.cpu);
  }
}

}  // namespace reprise::test
