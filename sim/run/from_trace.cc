// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/from_trace.h"

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>

#include "traces/reader.h"

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

constexpr u32 kTasksLeast = 1024;

// What of a session costs are fitted on and metrics are taken from.
struct Timeline {
  trace::SessionInfo session;
  std::vector<KernelEvent> events;  // in order of time
  std::vector<StepTime> steps;
  u64 end_ns = 0;
};

Expected<Timeline> read_timeline(const std::string& path, u32 session) {
  using enum trace::Item;
  auto reader = trace::Reader::open(path, {.kinds = trace::kReadSteps | trace::kReadEvents});
  if (!reader) return std::unexpected(reader.error());
  Timeline out;
  const u32 wanted = session == 0 ? 1 : session;
  for (trace::Item item = reader->next(); item != kEnd; item = reader->next()) {
    if (reader->session_number() != wanted) continue;
    switch (item) {
      case kSession:
        out.session = reader->session();
        break;
      case kEvents:
        out.events.insert(out.events.end(), reader->events().begin(), reader->events().end());
        break;
      case kStep: {
        const trace::StepRecord& step = reader->step();
        out.steps.push_back({step.input.now_ns, step.end_ns, static_cast<u32>(step.input.events.size()),
                             static_cast<u32>(step.decisions.size())});
        break;
      }
      case kSessionEnd:
        out.end_ns = std::max(out.end_ns, reader->session_end().end_ns);
        break;
      default:
        break;
    }
  }
  std::ranges::sort(out.events, [](const KernelEvent& a, const KernelEvent& b) {
    return std::tie(a.time_ns, a.cpu, a.seq) < std::tie(b.time_ns, b.cpu, b.seq);
  });
  if (!out.events.empty()) out.end_ns = std::max(out.end_ns, out.events.back().time_ns);
  return out;
}

// A simulation ends with the last task of the foreground; what the recording has after that is left out.
u64 workload_end(const Program& program, const Timeline& timeline) {
  std::set<i32> foreground;
  bool background = false;
  for (const TaskProgram& task : program.tasks) {
    background = background || task.background;
    if (!task.background) foreground.insert(task.tid);
  }
  if (!background) return timeline.end_ns;
  u64 ended = 0;
  for (const KernelEvent& e : timeline.events) {
    const bool left = e.type == KernelEventType::kSwitch && foreground.contains(static_cast<i32>(e.a));
    if (left) ended = e.time_ns;
  }
  return ended == 0 ? timeline.end_ns : ended;
}

u64 setting(const trace::SessionInfo& info, std::string_view name, u64 otherwise) {
  for (const trace::Setting& setting : info.dispatcher)
    if (setting.name == name) return setting.value;
  return otherwise;
}

}  // namespace

SimOptions machine_of(const trace::SessionInfo& info) {
  SimOptions machine;
  const u32 cpus = std::clamp<u32>(info.cpus, 1, kMaxCpus);
  machine.topology = Topology::flat(cpus);
  if (auto topology = Topology::from_places(info.topology, cpus)) machine.topology = std::move(*topology);
  if (info.hz >= 100 && info.hz <= 10'000) machine.hz = info.hz;
  machine.seed = info.seed;
  if (info.max_tasks != 0) machine.max_tasks = info.max_tasks;
  machine.slice_default_ns = setting(info, "slice_default_ns", machine.slice_default_ns);
  machine.slice_scheduler_ns = setting(info, "slice_scheduler_ns", machine.slice_scheduler_ns);
  machine.heartbeat_ns = setting(info, "heartbeat_ns", machine.heartbeat_ns);
  machine.fallback_ns = setting(info, "fallback_ns", machine.fallback_ns);
  machine.watchdog_ns = setting(info, "timeout_ms", machine.watchdog_ns / kNsPerMs) * kNsPerMs;
  machine.kick_preempt = setting(info, "kick_preempt", machine.kick_preempt) != 0;
  machine.kick_interval_us = static_cast<u32>(setting(info, "kick_interval_us", machine.kick_interval_us));
  machine.events_bytes = setting(info, "events_bytes", machine.events_bytes);
  machine.decisions_bytes = setting(info, "decisions_bytes", machine.decisions_bytes);
  return machine;
}

Expected<Recorded> from_trace(const std::string& path, const FromTraceOptions& options) {
  auto timeline = read_timeline(path, options.session);
  if (!timeline) return std::unexpected(timeline.error());
  Recorded out;
  out.session = std::move(timeline->session);
  if (!out.session.topology.empty())
    if (auto topology = Topology::from_places(out.session.topology, std::max(out.session.cpus, 1u)); !topology)
      return fail(topology.error().code, topology.error().what, path,
                  "record on a machine that says how its CPUs are arranged");
  out.machine = machine_of(out.session);

  // First only who the scheduler is, then, with the costs known, what the tasks do without them.
  const auto read = [&](const ExtractOptions& with) -> Expected<Extracted> {
    auto reader = trace::Reader::open(path);
    if (!reader) return std::unexpected(reader.error());
    return extract(*reader, with);
  };
  ExtractOptions how;
  how.session = options.session;
  const i32 scheduler = find_scheduler(timeline->events);
  out.fit = options.fit ? fit_costs(timeline->events, timeline->steps, scheduler, kNsPerSec / out.machine.hz,
                                    out.machine.kick_interval_us * kNsPerUs)
                        : Fit{};
  const u64 tick_at = out.fit.tick_at_ns;
  if (options.costs) out.fit = {.costs = *options.costs, .tick_at_ns = tick_at, .fields = {}};
  const bool live = out.session.kind == trace::SessionKind::kLive;
  const Costs& costs = out.fit.costs;
  const u64 bpf_in = costs.bpf_dispatch + 2 * costs.bpf_running, bpf_wake = costs.bpf_select_cpu + costs.bpf_enqueue;
  how.overheads = {.switch_in_ns = costs.switch_in() - (live ? 0 : bpf_in),
                   .preempt_ns = costs.preempt,
                   .wake_ns = costs.wake() - (live ? 0 : bpf_wake),
                   .block_ns = costs.block};
  if (out.session.hz != 0 && options.fit) {
    how.tick_ns = kNsPerSec / out.machine.hz;
    how.tick_at_ns = tick_at;
  }
  // Before, another scheduler had the machine.
  if (!timeline->steps.empty()) how.from_ns = timeline->steps.front().begin_ns;
  auto extracted = read(how);
  if (!extracted) return std::unexpected(extracted.error());
  out.program = std::move(extracted->program);
  out.extracted = std::move(extracted->report);
  out.machine.costs = costs;
  // A table for the tasks that there are: one for 65,536 takes longer to set up than a short recording to run.
  const u32 enough = std::bit_ceil(out.program.max_instances + 64);
  out.machine.max_tasks = std::min(out.machine.max_tasks, std::max(enough, kTasksLeast));
  if (scheduler != 0) out.machine.scheduler_tid = scheduler;
  // The clock of the simulation is as far from a tick as that of the machine.
  const u64 period = kNsPerSec / out.machine.hz;
  out.machine.start_ns = (extracted->base_ns % period + period - tick_at % period) % period;

  const u64 ended = workload_end(out.program, *timeline);
  MetricsBuilder builder(out.session.cpus, extracted->base_ns);
  if (options.details) builder.keep_details();
  for (const KernelEvent& e : timeline->events)
    if (e.time_ns <= ended) builder.event(e);
  out.metrics = builder.finish(ended);
  return out;
}

}  // namespace reprise::sim
