// SPDX-License-Identifier: GPL-2.0-only
#include "tests/replay/trace_maker.h"

#include <algorithm>
#include <cstring>

#include "scheduler/core/check.h"
#include "traces/format.h"

namespace reprise::test {

using trace::KernelEvent;
using trace::KernelEventType;

std::unique_ptr<trace::Writer> writer_to(trace::Bytes& bytes, const trace::WriterOptions& options) {
  auto sink = trace::FileSink::create(std::make_unique<VectorFile>(bytes));
  REPRISE_CHECK(sink.has_value());
  return std::make_unique<trace::Writer>(std::move(*sink), options);
}

trace::Reader reader_of(const trace::Bytes& bytes, u32 kinds) {
  auto reader = trace::Reader::open_memory(std::as_bytes(std::span(bytes)), "memory", {.kinds = kinds});
  REPRISE_CHECK(reader.has_value());
  return std::move(*reader);
}

Recording::Recording(const Workload& workload) : workload_(workload) {
  auto policy = parse_policy(workload.policy);
  REPRISE_CHECK(policy.has_value());
  MachineConfig config = workload.machine;
  config.log = true;
  machine_ = std::make_unique<Machine>(config, *policy->info, policy->options);
  for (u32 i = 0; i < workload.tasks; ++i) {
    Plan plan;
    plan.comm = i % 4 == 3 ? "worker" : "talker";
    plan.weight = i % 4 == 3 ? 50 + 50 * (i % 3) : kWeightDefault;
    plan.at_attach = i % 2 == 0;
    const u64 run_ns = workload.run_ns;
    plan.next = [run_ns](Prng& random) {
      return Burst{.run_ns = random.between(run_ns / 4 + 1, 2 * run_ns),
                   .sleep_ns = random.between(run_ns, 4 * run_ns)};
    };
    REPRISE_CHECK(machine_->spawn(plan) != kNoTask);
  }
  machine_->run_for(workload.duration_ns);
  REPRISE_CHECK(machine_->violation().empty());
}

trace::SessionInfo Recording::session() const {
  const auto policy = parse_policy(workload_.policy);
  trace::SessionInfo info;
  info.start_ns = kNsPerSec;
  info.policy = policy->info->name;
  info.options = policy->options.text();
  info.seed = workload_.machine.seed;
  info.cpus = workload_.machine.cpus;
  info.max_tasks = workload_.machine.max_tasks;
  info.version = "0.0.0-test";
  info.kernel_release = "7.3.4-test";
  info.hz = 250;
  info.sched_ext_features = {"scx_bpf_dsq_insert", "scx_bpf_dsq_move_to_local"};
  for (u32 cpu = 0; cpu < info.cpus; ++cpu) info.topology.push_back({cpu, cpu & ~1u, 0, 0});
  info.dispatcher = {{"slice_default_ns", 3'000'000}};
  for (i32 tid = 100; tid < 104; ++tid) {
    trace::SessionTask task;
    task.tid = task.tgid = tid;
    std::memcpy(task.comm, "talker", 6);
    info.tasks.push_back(task);
  }
  return info;
}

trace::StepRecord Recording::record(std::size_t i) const {
  const LoggedStep& step = machine_->log()[i];
  trace::StepRecord record;
  record.input = step.input;
  record.input.events = step.events;
  record.input.idle = step.idle;
  record.end_ns = step.input.now_ns + 1500 + 40 * step.decisions.size();
  record.decisions = step.decisions;
  record.preempts = step.preempts;
  record.wake_at_ns = step.wake_at_ns;
  record.more = step.more;
  return record;
}

std::vector<KernelEvent> Recording::events_of(std::size_t i) const {
  const LoggedStep& step = machine_->log()[i];
  std::vector<KernelEvent> events;
  const auto add = [&](u64 time_ns, u32 cpu, KernelEventType type, i32 tid) -> KernelEvent& {
    events.push_back({});
    KernelEvent& made = events.back();
    made.time_ns = time_ns, made.cpu = static_cast<u16>(cpu), made.type = type, made.tid = tid;
    made.seq = static_cast<u32>(8 * i + events.size());
    return made;
  };
  const u32 cpus = workload_.machine.cpus;
  for (const Event& event : step.events) {
    if (event.type != EventType::kEnqueue || (event.flags & kEnqueueWakeup) == 0) continue;
    KernelEvent& waking = add(event.time_ns, event.cpu % cpus, KernelEventType::kWaking, event.tid);
    waking.a = 100, waking.flags = trace::kWakeSoftirq;
  }
  for (const Decision& decision : step.decisions) {
    const Machine::Running& task = machine_->task(decision.task);
    const u32 cpu = decision.cpu == kAnyCpu ? decision.task % cpus : static_cast<u32>(decision.cpu);
    KernelEvent& answer = add(step.input.now_ns + 2000, cpu, KernelEventType::kAnswer, task.tid);
    answer.a = decision.generation, answer.c = decision.vtime, answer.flags = trace::kAnswerInserted;
    KernelEvent& gets = add(step.input.now_ns + 2500, cpu, KernelEventType::kSwitch, task.tid);
    gets.a = 0, gets.b = u64{trace::kClassExt} << 40 | u64{trace::kClassIdle} << 32;
  }
  std::ranges::sort(events, [](const KernelEvent& a, const KernelEvent& b) {
    return a.time_ns != b.time_ns ? a.time_ns < b.time_ns : a.seq < b.seq;
  });
  return events;
}

std::vector<std::byte> Recording::snapshot_after(std::size_t last) const {
  const auto policy = parse_policy(workload_.policy);
  auto engine =
      Engine::create({.limits = {workload_.machine.cpus, workload_.machine.max_tasks}, .seed = workload_.machine.seed},
                     *policy->info, policy->options);
  REPRISE_CHECK(engine.has_value());
  StepOutput output;
  for (std::size_t i = 0; i <= last; ++i) REPRISE_CHECK((*engine)->step(record(i).input, output).has_value());
  std::vector<std::byte> state;
  (*engine)->snapshot(state);
  return state;
}

void write_session(trace::Writer& writer, const Recording& recording, const Shape& shape) {
  REPRISE_CHECK(writer.begin_session(recording.session()).has_value());
  const std::size_t end = shape.first + std::min(shape.count, recording.steps().size() - shape.first);
  if (shape.first > 0) {
    const std::vector<std::byte> state = recording.snapshot_after(shape.first - 1);
    const StepInput& before = recording.steps()[shape.first - 1].input;
    REPRISE_CHECK(writer.add_snapshot({before.number, before.now_ns, state}).has_value());
  }
  u64 lost = 0;
  for (std::size_t i = shape.first; i < end; ++i) {
    trace::StepRecord record = recording.record(i);
    if (shape.hash_every > 0 && record.input.number % shape.hash_every == 0) {
      record.state_hash = recording.steps()[i].state_hash;
    }
    const bool missing = i >= shape.missing_first && i - shape.missing_first < shape.missing_count;
    lost += missing ? 1 : 0;
    if (!missing) REPRISE_CHECK(writer.add_step(record).has_value());
    if (shape.kernel_events) REPRISE_CHECK(writer.add_events(recording.events_of(i)).has_value());
    if (shape.snapshot_every > 0 && (i + 1) % shape.snapshot_every == 0) {
      REPRISE_CHECK(
          writer.add_snapshot({record.input.number, record.input.now_ns, recording.snapshot_after(i)}).has_value());
    }
  }
  if (!shape.end) return;
  trace::SessionEnd over;
  over.end_ns = recording.steps()[end - 1].input.now_ns + 1;
  over.reason = "test ended";
  over.totals.last_step = recording.steps()[end - 1].input.number;
  over.totals.steps_lost = lost;
  REPRISE_CHECK(writer.end_session(over).has_value());
}

trace::Bytes make_trace(const Recording& recording, const Shape& shape) {
  trace::Bytes bytes;
  const auto writer = writer_to(bytes, shape.writer);
  write_session(*writer, recording, shape);
  REPRISE_CHECK(writer->finish().has_value());
  return bytes;
}

trace::Bytes make_trace(const Workload& workload, const Shape& shape) { return make_trace(Recording(workload), shape); }

trace::Bytes tiny_trace() {
  trace::SessionInfo info;
  info.policy = "fifo";
  info.cpus = 1, info.max_tasks = 4;
  info.start_ns = 1'000'000'000;
  Event enqueue{};
  enqueue.type = EventType::kEnqueue;
  enqueue.time_ns = 1'000'010'000;
  enqueue.task = 2, enqueue.tid = 77, enqueue.generation = 1, enqueue.seq = 1, enqueue.flags = kEnqueueWakeup;
  enqueue.enqueue.weight = kWeightDefault, enqueue.enqueue.waker = kNoTask, enqueue.enqueue.allowed_cpus = 1;
  const Decision decision{2, 1, kAnyCpu, 0, 20'000'000, 0};
  const u64 idle = 1;
  trace::StepRecord step;
  step.input = {.number = 1, .now_ns = 1'000'012'000, .events = {&enqueue, 1}, .idle = {&idle, 1}, .room = 448};
  step.decisions = {&decision, 1};
  step.end_ns = 1'000'013'500;
  KernelEvent gets{};
  gets.type = KernelEventType::kSwitch;
  gets.time_ns = 1'000'016'000, gets.seq = 2, gets.tid = 77, gets.b = u64{trace::kClassExt} << 40;

  trace::Bytes bytes;
  auto sink = trace::FileSink::create(std::make_unique<VectorFile>(bytes), 0);
  REPRISE_CHECK(sink.has_value());
  trace::Writer writer(std::move(*sink), {.compression_level = 0});
  REPRISE_CHECK(writer.begin_session(info).has_value());
  REPRISE_CHECK(writer.add_step(step).has_value());
  REPRISE_CHECK(writer.add_events({&gets, 1}).has_value());
  trace::SessionEnd end;
  end.end_ns = 1'000'020'000;
  end.reason = "done";
  REPRISE_CHECK(writer.end_session(end).has_value());
  REPRISE_CHECK(writer.finish().has_value());
  return bytes;
}

trace::PolicyFinder finder() {
  return [](std::string_view spec) -> Expected<trace::ChosenPolicy> {
    auto found = parse_policy(spec);
    if (!found) return std::unexpected(found.error());
    return trace::ChosenPolicy{found->info, found->options};
  };
}

std::string contents(trace::Reader& reader) {
  using trace::Item;
  std::string text;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    switch (item) {
      case Item::kSession:
        text += "session " + reader.session().policy + ":" + reader.session().options + " " +
                std::to_string(reader.session().tasks.size()) + "\n";
        break;
      case Item::kStep:
        text += trace::json_step(reader.step()) + "\n";
        break;
      case Item::kEvents:
        for (const KernelEvent& event : reader.events()) text += trace::json_kernel_event(event) + "\n";
        break;
      case Item::kSnapshot:
        text += "snapshot " + std::to_string(reader.snapshot().step) + " " +
                std::to_string(trace::checksum(
                    {reinterpret_cast<const u8*>(reader.snapshot().state.data()), reader.snapshot().state.size()})) +
                "\n";
        break;
      case Item::kLoss:
        text += "loss " + std::to_string(reader.loss().losses.size()) + "\n";
        break;
      case Item::kGap:
        text += "gap " + std::to_string(reader.gap().first_step) + ".." + std::to_string(reader.gap().last_step) + "\n";
        break;
      case Item::kSessionEnd:
        text += "end " + reader.session_end().reason + "\n";
        break;
      case Item::kEnd:
        break;
    }
  }
  return text;
}

}  // namespace reprise::test
