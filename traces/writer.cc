// SPDX-License-Identifier: GPL-2.0-only
#include "traces/writer.h"

#include <algorithm>
#include <tuple>

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

bool earlier(const KernelEvent& a, const KernelEvent& b) {
  return std::tie(a.time_ns, a.cpu, a.seq) < std::tie(b.time_ns, b.cpu, b.seq);
}

/// Events come nearly in order: CPUs take their time before they reserve room in a common ring.
void put_in_order(std::vector<KernelEvent>& events) {
  std::size_t moves = 4 * events.size();  // above that, it is no small disorder
  for (std::size_t i = 1; i < events.size(); ++i) {
    if (!earlier(events[i], events[i - 1])) continue;
    const KernelEvent event = events[i];
    std::size_t at = i;
    for (; at > 0 && earlier(event, events[at - 1]); --at) {
      events[at] = events[at - 1];
      if (moves-- == 0) {
        events[at - 1] = event;
        std::sort(events.begin(), events.end(), earlier);
        return;
      }
    }
    events[at] = event;
  }
}

void cut_text(std::string& text) {
  if (text.size() > kMaxStringBytes) text.resize(kMaxStringBytes);
}

void keep_limits(SessionInfo& info) {
  for (std::string* text : {&info.policy, &info.options, &info.version, &info.compiler, &info.build_type,
                            &info.engine_hash, &info.policies_hash, &info.dispatcher_hash, &info.kernel_release,
                            &info.kernel_version, &info.preemption, &info.machine, &info.cpu_model}) {
    cut_text(*text);
  }
  info.sched_ext_features.resize(std::min(info.sched_ext_features.size(), kMaxFeatures));
  for (std::string& feature : info.sched_ext_features) cut_text(feature);
  info.dispatcher.resize(std::min(info.dispatcher.size(), kMaxSettings));
  for (Setting& setting : info.dispatcher) cut_text(setting.name);
  info.topology.resize(std::min(info.topology.size(), kMaxTopologyCpus));
  if (info.tasks.size() > kMaxSessionTasks) {
    info.tasks_omitted += info.tasks.size() - kMaxSessionTasks;
    info.tasks.resize(kMaxSessionTasks);
  }
}

}  // namespace

Writer::Writer(std::unique_ptr<FrameSink> sink, const WriterOptions& options)
    : sink_(std::move(sink)), options_(options), compressor_(options.compression_level) {
  REPRISE_CHECK(options.frame_items >= 1 && options.frame_items <= 16'384);
  events_.reserve(options_.frame_items);
}

Expected<std::unique_ptr<Writer>> Writer::create(const std::string& path, const WriterOptions& options) {
  auto file = create_file(path);
  if (!file) return std::unexpected(file.error());
  auto sink = FileSink::create(std::move(*file));
  if (!sink) return std::unexpected(sink.error());
  return std::make_unique<Writer>(std::move(*sink), options);
}

Expected<void> Writer::stick(Expected<void> result) {
  if (!result && !error_) error_ = result.error();
  return result;
}

/// `carries`: what is saved when the frame is.
Expected<void> Writer::put(FrameHeader header, const SessionTotals& carries) {
  if (error_) return std::unexpected(*error_);
  header.session = session_;
  compressor_.pack(raw_, header, packed_);
  last_ns_ = std::max(last_ns_, header.last_ns);
  if (auto done = stick(sink_->put(header, packed_)); !done) return done;
  saved_.steps += carries.steps, saved_.events += carries.events, saved_.decisions += carries.decisions;
  saved_.kernel_events += carries.kernel_events, saved_.snapshots += carries.snapshots;
  return {};
}

void Writer::give_up() {
  if (!error_ || !session_saved_) return;
  SessionEnd end;
  end.end_ns = last_ns_;
  end.reason = "recording stopped: " + error_->what;
  cut_text(end.reason);
  end.totals = saved_;
  end.totals.last_step = totals_.last_step;
  encode(end, raw_);
  FrameHeader header;
  header.kind = FrameKind::kEnd;
  header.session = session_;
  header.first_ns = header.last_ns = last_ns_;
  compressor_.pack(raw_, header, packed_);
  if (sink_->put(header, packed_)) (void)sink_->finish();
}

Expected<void> Writer::begin_session(SessionInfo info) {
  if (auto done = flush(); !done) return done;
  keep_limits(info);
  ++session_;
  totals_ = saved_ = SessionTotals{};
  last_step_ = 0;
  encode(info, raw_);
  FrameHeader header;
  header.kind = FrameKind::kSession;
  header.first_ns = header.last_ns = info.start_ns;
  header.items = static_cast<u32>(info.tasks.size());
  session_saved_ = false;
  if (auto done = put(header); !done) return done;
  session_saved_ = true;
  return {};
}

Expected<void> Writer::add_step(const StepRecord& step) {
  REPRISE_CHECK(session_ > 0);
  if (error_) return std::unexpected(*error_);
  const StepInput& in = step.input;
  if (in.number <= last_step_) {
    return stick(fail(ExitCode::kInternal, "step numbers do not grow: " + std::to_string(in.number) + " after " +
                                               std::to_string(last_step_)));
  }
  const bool full = steps_.steps() > 0 && (steps_.events() + in.events.size() > options_.frame_items ||
                                           steps_.decisions() + step.decisions.size() > options_.frame_items ||
                                           steps_.steps() >= options_.frame_items || !steps_.fits(step) ||
                                           in.now_ns - steps_.first_ns() > options_.frame_interval_ns);
  if (full) {
    if (auto done = flush_steps(); !done) return done;
  }
  steps_.add(step);
  last_step_ = in.number;
  totals_.steps += 1;
  totals_.last_step = std::max(totals_.last_step, in.number);
  totals_.events += in.events.size();
  totals_.decisions += step.decisions.size();
  return {};
}

Expected<void> Writer::add_events(std::span<const KernelEvent> events) {
  REPRISE_CHECK(session_ > 0);
  for (const KernelEvent& event : events) {
    if (error_) return std::unexpected(*error_);
    const bool full = !events_.empty() && (events_.size() >= options_.frame_items ||
                                           (event.time_ns > events_.front().time_ns &&
                                            event.time_ns - events_.front().time_ns > options_.frame_interval_ns));
    if (full) {
      if (auto done = flush_events(); !done) return done;
    }
    events_.push_back(event);
    totals_.kernel_events += 1;
  }
  return {};
}

Expected<void> Writer::add_snapshot(const SnapshotRecord& snapshot) {
  REPRISE_CHECK(session_ > 0);
  if (snapshot.state.size() > kMaxSnapshotBytes) {
    totals_.snapshots_lost += 1;
    return fail(
        ExitCode::kUsage,
        "a snapshot of " + std::to_string(snapshot.state.size() >> 20) + " MiB is more than a trace takes (256 MiB)",
        {}, "use a smaller table of tasks");
  }
  if (auto done = flush(); !done) return done;
  SnapshotMessage message;
  message.step = snapshot.step;
  message.time_ns = snapshot.time_ns;
  message.total_bytes = snapshot.state.size();
  message.parts =
      static_cast<u32>(std::max<std::size_t>(1, (snapshot.state.size() + kSnapshotPartBytes - 1) / kSnapshotPartBytes));
  FrameHeader header;
  header.kind = FrameKind::kSnapshot;
  header.first_ns = header.last_ns = snapshot.time_ns;
  header.first_step = snapshot.step;
  for (; message.part < message.parts; ++message.part) {
    const std::size_t offset = message.part * kSnapshotPartBytes;
    message.state.data = reinterpret_cast<const u8*>(snapshot.state.data()) + offset;
    message.state.size = std::min(kSnapshotPartBytes, snapshot.state.size() - offset);
    encode(message, raw_);
    header.items = message.part;
    SessionTotals carries;
    carries.snapshots = message.part + 1 == message.parts ? 1 : 0;
    if (auto done = put(header, carries); !done) return done;
  }
  totals_.snapshots += 1;
  return {};
}

Expected<void> Writer::add_loss(const LossRecord& loss) {
  REPRISE_CHECK(session_ > 0);
  LossesMessage message;
  message.time_ns = loss.time_ns;
  message.losses.assign(loss.losses.begin(), loss.losses.end());
  message.losses.resize(std::min(message.losses.size(), kMaxLossesPerFrame));
  encode(message, raw_);
  FrameHeader header;
  header.kind = FrameKind::kLosses;
  header.first_ns = header.last_ns = loss.time_ns;
  header.items = static_cast<u32>(message.losses.size());
  return put(header);
}

Expected<void> Writer::end_session(SessionEnd end) {
  REPRISE_CHECK(session_ > 0);
  if (auto done = flush(); !done) return done;
  cut_text(end.reason);
  totals_.last_step = std::max(totals_.last_step, end.totals.last_step);
  totals_.steps_lost = end.totals.steps_lost;
  totals_.snapshots_lost = std::max(totals_.snapshots_lost, end.totals.snapshots_lost);
  end.totals = totals_;
  encode(end, raw_);
  FrameHeader header;
  header.kind = FrameKind::kEnd;
  header.first_ns = header.last_ns = end.end_ns;
  return put(header);
}

Expected<void> Writer::flush() {
  if (auto done = flush_events(); !done) return done;
  return flush_steps();
}

Expected<void> Writer::flush_steps() {
  if (steps_.steps() == 0) return error_ ? Expected<void>(std::unexpected(*error_)) : Expected<void>{};
  FrameHeader header;
  header.kind = FrameKind::kSteps;
  header.first_ns = steps_.first_ns();
  header.last_ns = steps_.last_ns();
  header.first_step = steps_.first_number();
  header.items = steps_.steps();
  SessionTotals carries;
  carries.steps = steps_.steps(), carries.events = steps_.events(), carries.decisions = steps_.decisions();
  encode(steps_.message(), raw_);
  steps_.clear();
  return put(header, carries);
}

Expected<void> Writer::flush_events() {
  if (events_.empty()) return error_ ? Expected<void>(std::unexpected(*error_)) : Expected<void>{};
  put_in_order(events_);
  FrameHeader header;
  header.kind = FrameKind::kEvents;
  header.first_ns = events_.front().time_ns;
  header.last_ns = events_.back().time_ns;
  header.items = static_cast<u32>(events_.size());
  SessionTotals carries;
  carries.kernel_events = events_.size();
  encode(events_encoder_.encode(events_), raw_);
  events_.clear();
  return put(header, carries);
}

Expected<void> Writer::finish() {
  if (auto done = flush(); !done) return done;
  return stick(sink_->finish());
}

}  // namespace reprise::trace
