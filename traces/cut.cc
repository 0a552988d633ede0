// SPDX-License-Identifier: GPL-2.0-only
#include "traces/cut.h"

#include <algorithm>

#include "traces/writer.h"

namespace reprise::trace {
namespace {

class Cutter {
 public:
  Cutter(Reader& reader, std::string out, const CutRange& range)
      : reader_(reader), out_(std::move(out)), range_(range) {}

  Expected<CutResult> run();

 private:
  Expected<void> enter(Reader&) const;
  Expected<void> find_end();
  Expected<void> take(Item);
  Expected<void> take_step();
  Expected<void> take_events();
  Expected<void> take_snapshot();
  Expected<CutResult> finish();
  /// The session that is wanted has come and has not ended.
  [[nodiscard]] bool inside() const { return writer_ != nullptr && !over_; }

  Reader& reader_;
  const std::string out_;
  CutRange range_;
  u64 events_from_ns_ = 0;  // kernel events outside are left out
  u64 events_to_ns_ = ~u64{0};
  std::unique_ptr<Writer> writer_;
  std::vector<KernelEvent> kept_;
  bool steps_over_ = false;  // the steps that are wanted lie behind us
  bool over_ = false;        // so does everything
  bool started_ = false;     // the piece has its beginning
  u64 last_ns_ = 0;
  CutResult result_;
};

Expected<CutResult> Cutter::run() {
  if (range_.from_step > range_.to_step || range_.from_ns > range_.to_ns || range_.session == 0) {
    return fail(ExitCode::kUsage, "the range to cut out is empty", reader_.name());
  }
  if (auto found = find_end(); !found) return std::unexpected(found.error());
  if (auto entered = enter(reader_); !entered) return std::unexpected(entered.error());
  for (Item item = reader_.next(); item != Item::kEnd && !over_; item = reader_.next()) {
    if (auto taken = take(item); !taken) return std::unexpected(taken.error());
  }
  return finish();
}

/// The newest snapshot at or before the range's beginning, if it does not begin with the session.
Expected<void> Cutter::enter(Reader& reader) const {
  std::optional<FrameEntry> entry;
  if (range_.from_step > 1) entry = reader.find_snapshot(range_.session, range_.from_step - 1);
  if (range_.from_ns > 0) {
    const auto by_time = reader.find_snapshot_by_time(range_.session, range_.from_ns);
    if (by_time && (!entry || by_time->first_step > entry->first_step)) entry = by_time;
  }
  return entry ? reader.seek(*entry) : Expected<void>{};
}

/// Frames of kernel events and of steps overlap, so where a range ends in time is found out first.
Expected<void> Cutter::find_end() {
  events_to_ns_ = range_.to_ns;
  if (range_.to_step == ~u64{0}) return {};
  auto reader = Reader::open(reader_.name(), {.kinds = kReadSteps});
  if (!reader) return std::unexpected(reader.error());
  if (auto entered = enter(*reader); !entered) return entered;
  for (Item item = reader->next(); item != Item::kEnd; item = reader->next()) {
    if (item != Item::kStep || reader->session_number() != range_.session) continue;
    if (reader->step().input.number > range_.to_step) {
      events_to_ns_ = std::min(events_to_ns_, reader->step().input.now_ns);
      return {};
    }
  }
  return {};
}

Expected<void> Cutter::take(Item item) {
  if (item == Item::kSession) {
    over_ = reader_.session_number() > range_.session;
    if (reader_.session_number() != range_.session) return {};
    auto writer = Writer::create(out_);
    if (!writer) return std::unexpected(writer.error());
    writer_ = std::move(*writer);
    // Where an engine decided, the piece begins where its state is known, which may be before the range.
    if (reader_.session().policy.empty()) events_from_ns_ = range_.from_ns;
    return writer_->begin_session(reader_.session());
  }
  if (!inside()) return {};
  switch (item) {
    case Item::kStep:
      return take_step();
    case Item::kEvents:
      return take_events();
    case Item::kSnapshot:
      return take_snapshot();
    case Item::kLoss:
      return started_ ? writer_->add_loss(reader_.loss()) : Expected<void>{};
    case Item::kGap: {
      const GapRecord& gap = reader_.gap();
      // A gap inside the piece stays one; before its beginning there is nothing to begin with.
      if (started_ || steps_over_ || gap.before_ns == 0) return {};
      return fail(ExitCode::kBadInput, "steps are missing before the range, and no snapshot follows them",
                  reader_.name(), "choose a range that begins after a snapshot");
    }
    case Item::kSessionEnd:
      over_ = true;
      return {};
    default:
      return {};
  }
}

Expected<void> Cutter::take_step() {
  const StepRecord& step = reader_.step();
  const u64 number = step.input.number;
  if (number > range_.to_step || step.input.now_ns > range_.to_ns) {
    steps_over_ = true;
    reader_.select(kReadEvents);
    return {};
  }
  started_ = true;
  if (result_.steps == 0) result_.first_step = number;
  result_.last_step = number;
  result_.steps += 1;
  result_.events += step.input.events.size();
  result_.decisions += step.decisions.size();
  last_ns_ = std::max(last_ns_, step.input.now_ns);
  return writer_->add_step(step);
}

Expected<void> Cutter::take_events() {
  if (reader_.events().front().time_ns > events_to_ns_) {
    over_ = steps_over_ || reader_.session().policy.empty();
    return {};
  }
  kept_.clear();
  for (const KernelEvent& event : reader_.events()) {
    if (event.time_ns >= events_from_ns_ && event.time_ns <= events_to_ns_) kept_.push_back(event);
  }
  if (kept_.empty()) return {};
  started_ = true;
  last_ns_ = std::max(last_ns_, kept_.back().time_ns);
  result_.kernel_events += kept_.size();
  return writer_->add_events(kept_);
}

Expected<void> Cutter::take_snapshot() {
  const SnapshotRecord& snapshot = reader_.snapshot();
  if (result_.steps == 0) result_.after_snapshot = snapshot.step;
  started_ = true;
  return writer_->add_snapshot(snapshot);
}

Expected<CutResult> Cutter::finish() {
  if (writer_ == nullptr) {
    return fail(ExitCode::kBadInput, "holds no session " + std::to_string(range_.session), reader_.name());
  }
  const bool before_the_range =
      last_ns_ < range_.from_ns || (range_.from_step > 0 && result_.last_step < range_.from_step);
  if ((result_.steps == 0 && result_.kernel_events == 0) || before_the_range) {
    return fail(ExitCode::kBadInput, "holds nothing in this range", reader_.name(),
                "see its range with `reprise info`");
  }
  SessionEnd end;
  end.end_ns = last_ns_;
  end.reason = "cut";
  if (auto ended = writer_->end_session(end); !ended) return std::unexpected(ended.error());
  if (auto finished = writer_->finish(); !finished) return std::unexpected(finished.error());
  result_.bytes = writer_->sink().bytes();
  return result_;
}

}  // namespace

Expected<CutResult> cut(const std::string& in, const std::string& out, const CutRange& range) {
  auto reader = Reader::open(in);
  if (!reader) return std::unexpected(reader.error());
  return Cutter(*reader, out, range).run();
}

}  // namespace reprise::trace
