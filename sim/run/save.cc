// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/save.h"

namespace reprise::sim {

Expected<std::unique_ptr<SavedRun>> SavedRun::create(const std::string& path, trace::SessionInfo info,
                                                     const SimOptions& options) {
  info.kind = trace::SessionKind::kSimulated;
  info.start_ns = 0;
  info.policy = options.policy ? std::string(options.policy->name) : "";
  const Options defaults(options.policy ? options.policy->options : std::span<const OptionSpec>{});
  info.options = (options.policy_options.values().empty() ? defaults : options.policy_options).text();
  info.interests = options.policy ? options.policy->interests : 0;
  info.seed = options.seed;
  info.cpus = options.topology.size();
  info.max_tasks = options.max_tasks;
  info.hz = options.hz;
  info.realtime_offset_ns = info.boottime_offset_ns = 0;
  info.tasks.clear();
  info.topology.clear();
  for (u32 cpu = 0; cpu < info.cpus; ++cpu) {
    const CpuPlace& place = options.topology.cpus[cpu];
    info.topology.push_back({.cpu = cpu, .core = place.core, .llc = place.llc, .node = place.node});
  }
  auto writer = trace::Writer::create(path);
  if (!writer) return std::unexpected(writer.error());
  std::unique_ptr<SavedRun> run(new SavedRun(std::move(*writer), std::move(info)));
  run->state_ = run->writer_->begin_session(run->info_);
  if (!run->state_) return std::unexpected(run->state_.error());
  return run;
}

SavedRun::SavedRun(std::unique_ptr<trace::Writer> writer, trace::SessionInfo info)
    : writer_(std::move(writer)), info_(std::move(info)) {}

void SavedRun::event(const trace::KernelEvent& e) {
  if (state_) state_ = writer_->add_events({&e, 1});
}

void SavedRun::step(const StepInput& input, const StepOutput& output, u64 end_ns) {
  if (!state_) return;
  if (input.number <= last_step_) {  // the dispatcher was attached anew
    info_.start_ns = input.now_ns;
    state_ = writer_->begin_session(info_);
    if (!state_) return;
  }
  last_step_ = input.number;
  state_ = writer_->add_step({.input = input,
                              .end_ns = end_ns,
                              .decisions = output.decisions(),
                              .preempts = output.preempts(),
                              .wake_at_ns = output.wake_at_ns,
                              .more = output.more});
}

Expected<void> SavedRun::finish(u64 end_ns) {
  if (state_) state_ = writer_->end_session({.end_ns = end_ns, .reason = "simulation ended", .totals = {}});
  if (state_) state_ = writer_->finish();
  return state_;
}

}  // namespace reprise::sim
