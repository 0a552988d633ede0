// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/metrics.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace reprise::sim {

using trace::KernelEvent;
using trace::KernelEventType;

double Metrics::cpu_utilisation() const {
  const double all = static_cast<double>(makespan_ns) * cpus;
  return all == 0 ? 0 : static_cast<double>(busy_ns) / all;
}

double Metrics::fairness_jain() const {
  double sum = 0, squares = 0;
  u64 count = 0;
  for (const TaskMetrics& task : tasks) {
    const u64 asked = task.cpu_ns + task.delay_ns;
    if (task.own || asked == 0) continue;
    const double part = static_cast<double>(task.cpu_ns) / static_cast<double>(asked);
    sum += part, squares += part * part, ++count;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(count) * squares);
}

MetricsBuilder::MetricsBuilder(u32 cpus, u64 begin_ns)
    : busy_since_(cpus, kNever), running_(cpus, TidIndex::kNone), begin_ns_(begin_ns) {
  metrics_.cpus = cpus;
}

void MetricsBuilder::keep_details() { details_ = std::make_unique<DetailsBuilder>(metrics_.cpus); }

void MetricsBuilder::mark_own(i32 tid) {
  own_.push_back(tid);
  metrics_.tasks[task_of(tid)].own = true;
}

u32& TidIndex::first_use(i32 tid) {
  const u32 page = static_cast<u32>(tid) / kPage;
  if (page >= kPages) return others_.try_emplace(tid, kNone).first->second;
  if (page >= pages_.size()) pages_.resize(page + 1);
  pages_[page] = std::make_unique<std::array<u32, kPage>>();
  pages_[page]->fill(kNone);
  return (*pages_[page])[static_cast<u32>(tid) % kPage];
}

u32 MetricsBuilder::new_task(i32 tid) {
  tasks_.emplace_back();
  metrics_.tasks.emplace_back().tid = tid;
  return static_cast<u32>(tasks_.size() - 1);
}

void MetricsBuilder::event(const KernelEvent& event) {
  const bool counts = event.time_ns >= begin_ns_;
  if (counts) {
    first_ns_ = std::min(first_ns_, event.time_ns);
    last_ns_ = std::max(last_ns_, event.time_ns);
  }
  switch (event.type) {
    case KernelEventType::kWaking:
      return counts ? waking(event) : void();
    case KernelEventType::kSwitch:
      return counts ? switched(event) : void();
    case KernelEventType::kFork:
      index_of_tid_[event.tid] = TidIndex::kNone;  // the tid may have been another task's
      [[fallthrough]];
    case KernelEventType::kTask:
      metrics_.tasks[task_of(event.tid)].own =
          (event.flags & trace::kMarkOwn) != 0 || std::ranges::find(own_, event.tid) != own_.end();
      return;
    case KernelEventType::kName:
    case KernelEventType::kExec: {
      TaskMetrics& task = metrics_.tasks[task_of(event.tid)];
      std::memcpy(task.comm.data(), &event.b, 8);
      std::memcpy(task.comm.data() + 8, &event.c, 8);
      task.comm.back() = 0;
      return;
    }
    default:
      return;
  }
}

void MetricsBuilder::waking(const KernelEvent& event) {
  if (event.tid == 0) return;
  Task& task = tasks_[task_of(event.tid)];
  if (task.running_since != kNever) task.woken_early = true;
  if (task.running_since != kNever || task.runnable_at != kNever || (event.flags & trace::kWakeRunnable) != 0) return;
  task.runnable_at = event.time_ns;
  if ((event.flags & trace::kWakeNew) == 0) task.woken_at = event.time_ns;
}

void MetricsBuilder::switched(const KernelEvent& event) {
  ++metrics_.context_switches;
  const i32 previous = static_cast<i32>(event.a);
  if (event.cpu < busy_since_.size()) {
    u64& since = busy_since_[event.cpu];
    if (since != kNever) metrics_.busy_ns += event.time_ns - std::min(event.time_ns, since);
    since = event.tid != 0 ? event.time_ns : kNever;
  }
  const u32 left = previous != 0 ? task_of(previous) : TidIndex::kNone;
  const u32 next = event.tid != 0 ? task_of(event.tid) : DetailsBuilder::kIdle;
  if (event.cpu < running_.size()) {
    const u32 known = std::exchange(running_[event.cpu], event.tid != 0 ? next : TidIndex::kNone);
    // The switch away from it was lost: how long it ran is not known.
    if (known != TidIndex::kNone && known != left) tasks_[known].running_since = kNever;
  }
  if (left != TidIndex::kNone) out(left, event);
  if (details_) details_->switched(event.time_ns, event.cpu, next);
  if (event.tid != 0) in(next, event);
}

void MetricsBuilder::out(u32 index, const KernelEvent& event) {
  const bool runnable = (event.flags & trace::kSwitchPreempted) != 0 || static_cast<u32>(event.b) == 0;
  ++(runnable ? metrics_.involuntary_switches : metrics_.voluntary_switches);
  Task& task = tasks_[index];
  TaskMetrics& counts = metrics_.tasks[index];
  if (task.running_since != kNever) {
    const u64 slice = event.time_ns - std::min(event.time_ns, task.running_since);
    counts.cpu_ns += slice;
    if (!counts.own) metrics_.slice_ns.add(slice);
  }
  task.running_since = kNever;
  task.last_cpu = event.cpu;
  task.runnable_at = runnable ? event.time_ns : kNever;
  task.woken_at = kNever;
  task.woken_early = task.woken_early && !runnable;
  task.slept_at = event.time_ns;
}

void MetricsBuilder::in(u32 index, const KernelEvent& event) {
  Task& task = tasks_[index];
  TaskMetrics& counts = metrics_.tasks[index];
  ++counts.switches;
  if (task.last_cpu != ~u32{0} && task.last_cpu != event.cpu) {
    ++counts.migrations;
    ++metrics_.migrations;
  }
  const u32 cpu_before = std::exchange(task.last_cpu, event.cpu);
  // sched_waking comes before try_to_wake_up has the lock of the run queue. Who was on the way to sleep on another CPU
  // is asleep when it has, and is woken then, without another event.
  if (task.woken_early && task.runnable_at == kNever) task.woken_at = task.runnable_at = task.slept_at;
  task.woken_early = false;
  if (task.woken_at != kNever) {
    const u64 latency = event.time_ns - std::min(event.time_ns, task.woken_at);
    if (!counts.own) metrics_.wakeup_latency_ns.add(latency);
    if (details_) details_->woken(index, latency);
  }
  if (task.runnable_at != kNever) {
    const u64 delay = event.time_ns - std::min(event.time_ns, task.runnable_at);
    if (!counts.own) metrics_.run_delay_ns.add(delay);
    waited(index, delay, event.time_ns, cpu_before, event.cpu);
  }
  task.woken_at = task.runnable_at = kNever;
  task.running_since = event.time_ns;
}

void MetricsBuilder::waited(u32 index, u64 delay_ns, u64 now_ns, u32 cpu_before, u32 cpu_after) {
  TaskMetrics& counts = metrics_.tasks[index];
  counts.delay_ns += delay_ns;
  ++counts.delays;
  if (delay_ns > counts.max_delay_ns) counts.max_delay_ns = delay_ns, counts.max_delay_at_ns = now_ns;
  if (counts.own) return;
  metrics_.max_wait_ns = std::max(metrics_.max_wait_ns, delay_ns);
  if (details_) details_->waited(index, now_ns - delay_ns, now_ns, cpu_before, cpu_after);
}

Metrics MetricsBuilder::finish(u64 end_ns) {
  end_ns = std::max(end_ns, last_ns_);
  for (u32 index = 0; index < tasks_.size(); ++index) {
    const Task& task = tasks_[index];
    if (task.runnable_at != kNever) waited(index, end_ns - task.runnable_at, end_ns, task.last_cpu, WorstMoment::kNone);
    if (task.running_since != kNever) metrics_.tasks[index].cpu_ns += end_ns - task.running_since;
  }
  for (const u64 since : busy_since_)
    if (since != kNever) metrics_.busy_ns += end_ns - since;
  if (first_ns_ != kNever) metrics_.makespan_ns = end_ns - first_ns_;
  if (details_) {
    Details details = details_->finish(end_ns);
    details.tasks.resize(metrics_.tasks.size());
    metrics_.details = std::make_shared<const Details>(std::move(details));
  }
  return std::move(metrics_);
}

}  // namespace reprise::sim
