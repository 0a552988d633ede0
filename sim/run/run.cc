// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/run.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "scheduler/core/hash.h"

namespace reprise::sim {
namespace {

// Between two looks at whether anything can still move.
constexpr u64 kLookNs = 10 * kNsPerMs;
constexpr u32 kWaitingShown = 20;
constexpr u32 kSoftHrtimer = 8;  // HRTIMER_SOFTIRQ: the dispatcher's timers

class Measure final : public EventSink {
 public:
  Measure(u32 cpus, EventSink* next) : builder_(cpus), next_(next) {}
  void keep_details() { builder_.keep_details(); }
  void mark_own(i32 tid) { builder_.mark_own(tid); }
  void event(const trace::KernelEvent& e) override {
    builder_.event(e);
    if (next_) next_->event(e);
  }
  Metrics finish(u64 end_ns) { return builder_.finish(end_ns); }

 private:
  MetricsBuilder builder_;
  EventSink* next_;
};

// Ends the run with the workload, to the nanosecond.
class Watched final : public Behaviour {
 public:
  explicit Watched(Workload& workload) : workload_(workload) {}
  void watch(KernelModel& kernel) { kernel_ = &kernel; }
  Action next(Kernel& kernel, TaskId task) override {
    const Action action = workload_.next(kernel, task);
    if (action.next != Next::kRun && workload_.finished()) kernel_->stop();
    return action;
  }
  void timer(Kernel& kernel, u64 cookie) override { workload_.timer(kernel, cookie); }

 private:
  Workload& workload_;
  KernelModel* kernel_ = nullptr;
};

void steal(KernelModel& kernel, const Program& program, u64 start_ns) {
  for (const Theft& theft : program.thefts) {
    const auto kind = static_cast<trace::IrqKind>(theft.kind >> 16);
    const bool of_model =
        kind == trace::kIrqVector || (kind == trace::kIrqSoft && (theft.kind & 0xffff) == kSoftHrtimer);
    if (of_model || theft.cpu >= kernel.cpus()) continue;
    const u64 begin = start_ns + (theft.at_ns > theft.duration_ns ? theft.at_ns - theft.duration_ns : 0);
    if (theft.duration_ns != 0) kernel.steal(theft.cpu, begin, theft.duration_ns, kind, theft.kind & 0xffff);
  }
}

// Until the workload has ended, or nothing moves any more, or the time is over.
Expected<void> drive(KernelModel& kernel, Workload& workload, const RunOptions& options, RunResult& result) {
  const u64 end = options.duration_ns == 0 ? ~u64{0} : options.machine.start_ns + options.duration_ns;
  u64 shown = options.machine.start_ns;
  while (!workload.finished() && kernel.now() < end) {
    if (auto ran = kernel.run_until(std::min(end, kernel.now() + kLookNs)); !ran) return ran;
    if (options.progress && kernel.now() - shown >= options.progress_ns) options.progress(shown = kernel.now());
    if (workload.finished() || !kernel.quiet()) continue;
    if (result.waiting.empty()) {
      result.stuck = workload.alive();
      result.waiting = workload.waiting(kWaitingShown);
    }
    if (!workload.relieve(kernel)) break;
  }
  return {};
}

}  // namespace

Expected<RunResult> run(const Program& program, const RunOptions& options, EventSink* events, StepSink* steps) {
  if (program.endless && options.duration_ns == 0)
    return fail(ExitCode::kUsage, "the workload never ends by itself", {}, "say for how long: --duration SECONDS");
  Workload workload(program);
  Measure measure(options.machine.topology.size(), events);
  if (options.details) measure.keep_details();
  Watched watched(workload);
  auto made = KernelModel::create(options.machine, watched, &measure, steps);
  if (!made) return std::unexpected(made.error());
  KernelModel& kernel = **made;
  watched.watch(kernel);
  measure.mark_own(options.machine.scheduler_tid);
  for (const TaskProgram& task : program.tasks)
    if (task.own) measure.mark_own(task.tid);
  workload.begin(kernel);
  if (options.thefts) steal(kernel, program, options.machine.start_ns);

  RunResult result;
  if (auto driven = drive(kernel, workload, options, result); !driven) return std::unexpected(driven.error());
  result.finished = workload.finished();
  result.simulated_ns = kernel.now() - options.machine.start_ns;
  result.metrics = measure.finish(kernel.now());
  result.counters = kernel.counters();
  result.workload = workload.stats();
  result.events = result.counters.wakeups + result.counters.switches;
  const u64 hashes[] = {kernel.hash(), workload.state_hash()};
  result.state_hash = hash_bytes(std::as_bytes(std::span(hashes)));
  result.task_cpu_ns.resize(program.tasks.size());
  std::unordered_map<i32, u32> entry_of_tid;  // looked up, never walked over
  for (TaskId id = 0; id < kernel.tasks(); ++id) {
    const u32 entry = workload.program_of(id);
    if (entry == kNoTaskId) continue;
    result.task_cpu_ns[entry] += kernel.cpu_time(id);
    entry_of_tid[kernel.tid_of(id)] = entry;
  }
  for (TaskMetrics& task : result.metrics.tasks) {
    const auto at = entry_of_tid.find(task.tid);
    result.task_entry.push_back(at == entry_of_tid.end() ? kNoTaskId : at->second);
    // A run's events name only tasks that take another name.
    if (at != entry_of_tid.end() && task.comm[0] == 0)
      std::memcpy(task.comm.data(), program.tasks[at->second].comm, task.comm.size() - 1);
  }
  return result;
}

}  // namespace reprise::sim
