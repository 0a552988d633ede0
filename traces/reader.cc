// SPDX-License-Identifier: GPL-2.0-only
#include "traces/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "traces/columns_events.h"
#include "traces/columns_steps.h"
#include "traces/frame_stream.h"

namespace reprise::trace {

struct Reader::Impl {
  Item next();
  Expected<void> seek(const FrameEntry& entry);

  std::string name;
  ReaderOptions options;
  ProblemList problems;
  std::unique_ptr<FrameStream> stream;

  // The current frame and what is left of it.
  FrameHeader frame;
  StepsDecoder steps;
  EventsDecoder events_decoder;
  Item after_gap = Item::kEnd;  // what next() returns after a gap; kEnd: nothing waits
  bool ended = false;

  // Items.
  SessionInfo session;
  SessionInfo next_session;  // so that a bad one does not harm the one before
  StepRecord step;
  std::vector<KernelEvent> events;
  SnapshotRecord snapshot;
  std::vector<u8> snapshot_bytes;
  u32 snapshot_parts_seen = 0;
  LossRecord loss;
  LossesMessage losses;
  GapRecord gap;
  SessionEnd end;

  // Where we are.
  u32 session_number = 0;
  u32 foreign_session = 0;     // last one whose frames were left out
  u32 session_frame = 0;       // number of the session's frame
  bool whole_session = false;  // from its first step, all kinds
  bool session_open = false;
  bool want_snapshot = false;  // after a seek
  bool announce_session = false;
  u64 last_step = 0;
  u64 last_step_ns = 0;
  u64 damages_at_step = 0;
  u64 damages_at_session = 0;
  SessionTotals seen;  // of the session
  ReadTotals totals;

 private:
  bool wanted(const FrameHeader&);
  std::optional<Item> take_frame();
  std::optional<Item> take_session();
  std::optional<Item> take_steps();
  std::optional<Item> take_step();
  std::optional<Item> take_events();
  std::optional<Item> take_snapshot();
  std::optional<Item> take_losses();
  std::optional<Item> take_end();
  std::optional<Item> bad(const std::string& why);
  Item make_gap(u64 first_missing, u64 last_missing, u64 before_ns, Item then);
  void check_totals();
  void say_losses();
  Item finish();
  void stretch(u64 first_ns, u64 last_ns);
};

Item Reader::Impl::next() {
  if (after_gap != Item::kEnd) return std::exchange(after_gap, Item::kEnd);
  if (ended) return Item::kEnd;
  if (std::exchange(announce_session, false)) return Item::kSession;
  if (steps.left() > 0) {
    if (const auto item = take_step()) return *item;
  }
  while (const auto header = stream->next([this](const FrameHeader& h) { return wanted(h); }, problems)) {
    frame = *header;
    if (const auto item = take_frame()) return *item;
  }
  return finish();
}

/// Sees the header of every good frame, also of those that are not read.
bool Reader::Impl::wanted(const FrameHeader& header) {
  const bool known = header.kind >= FrameKind::kSession && header.kind <= FrameKind::kIndex;
  if (!known) {
    problems.add(Severity::kNote, stream->frame_offset(),
                 fmt::format("frame {} is of kind {}, which this program does not know; it is left out", header.number,
                             static_cast<u32>(header.kind)));
    return false;
  }
  if (header.kind == FrameKind::kSession) return true;
  if (header.session != session_number || !session_open) {
    if (header.session != foreign_session) {
      problems.add(Severity::kDamage, stream->frame_offset(),
                   fmt::format("the beginning of session {} is missing; from frame {} on its frames are left out",
                               header.session, header.number));
    }
    foreign_session = header.session;
    return false;
  }
  if (header.kind == FrameKind::kSnapshot && header.number == session_frame + 1 && last_step == 0 &&
      header.first_step > 0) {
    // A piece of a longer session (flight recorder, cut): what lies before the snapshot is no gap.
    last_step = header.first_step;
    last_step_ns = header.first_ns;
    whole_session = false;
  }
  const u32 kinds = options.kinds;
  switch (header.kind) {
    case FrameKind::kSteps:
      return (kinds & kReadSteps) != 0;
    case FrameKind::kEvents:
      return (kinds & kReadEvents) != 0;
    case FrameKind::kSnapshot:
      return (kinds & kReadSnapshots) != 0 || want_snapshot;
    case FrameKind::kLosses:
      return (kinds & kReadLosses) != 0;
    default:
      return true;
  }
}

std::optional<Item> Reader::Impl::take_frame() {
  if (snapshot_parts_seen > 0 && frame.kind != FrameKind::kSnapshot) {
    snapshot_parts_seen = 0;
    problems.add(Severity::kDamage, stream->frame_offset(),
                 fmt::format("the snapshot after step {} is not whole; it is left out", snapshot.step));
  }
  switch (frame.kind) {
    case FrameKind::kSession:
      return take_session();
    case FrameKind::kSteps:
      return take_steps();
    case FrameKind::kEvents:
      return take_events();
    case FrameKind::kSnapshot:
      return take_snapshot();
    case FrameKind::kLosses:
      return take_losses();
    case FrameKind::kEnd:
      return take_end();
    case FrameKind::kIndex:
      break;
  }
  return std::nullopt;
}

std::optional<Item> Reader::Impl::bad(const std::string& why) {
  problems.add(Severity::kDamage, stream->frame_offset(), fmt::format("frame {} {}", frame.number, why));
  return std::nullopt;
}

std::optional<Item> Reader::Impl::take_session() {
  std::string why;
  if (session_open) say_losses();
  session_open = false;
  if (!decode(stream->message(), next_session, why)) return bad("(session) " + why);
  if (frame.session <= session_number) return bad(fmt::format("opens session {} again", frame.session));
  const auto kind = static_cast<u32>(next_session.kind);
  if (kind < static_cast<u32>(SessionKind::kLive) || kind > static_cast<u32>(SessionKind::kImported) ||
      next_session.cpus > kMaxCpus || next_session.max_tasks > kMaxTasks) {
    return bad("(session) has limits or a kind that this program does not know");
  }
  std::swap(session, next_session);
  session_open = true;
  session_number = frame.session;
  session_frame = frame.number;
  whole_session = options.kinds == kReadAll;
  last_step = last_step_ns = 0;
  damages_at_step = damages_at_session = problems.damages();
  seen = SessionTotals{};
  losses.losses.clear();
  totals.sessions += 1;
  return Item::kSession;
}

std::optional<Item> Reader::Impl::take_steps() {
  std::string why;
  StepsMessage message;
  if (!decode(stream->message(), message, why)) return bad("(steps) " + why);
  if (message.first_number != frame.first_step || message.steps != frame.items || !steps.open(message)) {
    return bad("(steps) contradicts its header or breaks a limit");
  }
  return take_step();
}

std::optional<Item> Reader::Impl::take_step() {
  const u64 expected = last_step + 1;
  if (!steps.next(step)) return bad(fmt::format("(steps) contradicts itself after step {}", last_step));
  const u64 number = step.input.number;
  if (number < expected) {
    steps.close();
    return bad(fmt::format("(steps) holds step {}, after step {}", number, last_step));
  }
  const u64 now_ns = step.input.now_ns;
  stretch(now_ns, now_ns);
  seen.steps += 1, totals.items.steps += 1;
  seen.events += step.input.events.size(), totals.items.events += step.input.events.size();
  seen.decisions += step.decisions.size(), totals.items.decisions += step.decisions.size();
  totals.items.last_step = number;
  Item item = Item::kStep;
  if (number > expected) item = make_gap(expected, number - 1, now_ns, Item::kStep);
  last_step = number;
  last_step_ns = now_ns;
  damages_at_step = problems.damages();
  return item;
}

Item Reader::Impl::make_gap(u64 first_missing, u64 last_missing, u64 before_ns, Item then) {
  gap = GapRecord{first_missing, last_missing, last_step_ns, before_ns, problems.damages() > damages_at_step};
  if (!gap.damage) {
    problems.add(Severity::kLoss, stream->frame_offset(),
                 fmt::format("steps {}..{} were not recorded: {}", first_missing, last_missing,
                             then == Item::kSessionEnd ? end.reason : "the recorder's ring had no room"));
  }
  after_gap = then;
  return Item::kGap;
}

std::optional<Item> Reader::Impl::take_events() {
  std::string why;
  EventsMessage message;
  if (!decode(stream->message(), message, why)) return bad("(kernel events) " + why);
  if (message.events != frame.items || !events_decoder.decode(message, events)) {
    return bad("(kernel events) contradicts its header or itself");
  }
  stretch(frame.first_ns, frame.last_ns);
  seen.kernel_events += events.size(), totals.items.kernel_events += events.size();
  return Item::kEvents;
}

std::optional<Item> Reader::Impl::take_snapshot() {
  std::string why;
  SnapshotMessage message;
  if (!decode(stream->message(), message, why)) return bad("(snapshot) " + why);
  const bool first = message.part == 0;
  const bool sound = message.step == frame.first_step && message.parts >= 1 && message.parts <= kMaxSnapshotParts &&
                     message.total_bytes <= kMaxSnapshotBytes && message.part < message.parts &&
                     message.part == (first ? 0 : snapshot_parts_seen) && (first || message.step == snapshot.step) &&
                     message.state.size <= kSnapshotPartBytes;
  if (!sound) {
    snapshot_parts_seen = 0;
    return bad("(snapshot) does not follow its other parts or breaks a limit");
  }
  if (first) snapshot_bytes.clear();
  snapshot_bytes.insert(snapshot_bytes.end(), message.state.data, message.state.data + message.state.size);
  snapshot.step = message.step;
  snapshot.time_ns = message.time_ns;
  snapshot_parts_seen = message.part + 1;
  if (snapshot_parts_seen < message.parts) return std::nullopt;
  snapshot_parts_seen = 0;
  if (snapshot_bytes.size() != message.total_bytes) return bad("(snapshot) is not as long as it says");
  snapshot.state = std::as_bytes(std::span(snapshot_bytes));
  want_snapshot = false;
  seen.snapshots += 1, totals.items.snapshots += 1;
  return Item::kSnapshot;
}

std::optional<Item> Reader::Impl::take_losses() {
  std::string why;
  if (!decode(stream->message(), losses, why)) return bad("(losses) " + why);
  loss = LossRecord{losses.time_ns, losses.losses};
  return Item::kLoss;
}

std::optional<Item> Reader::Impl::take_end() {
  std::string why;
  if (!decode(stream->message(), end, why)) return bad("(end) " + why);
  totals.items.steps_lost += end.totals.steps_lost;
  totals.items.snapshots_lost += end.totals.snapshots_lost;
  Item item = Item::kSessionEnd;
  if ((options.kinds & kReadSteps) != 0 && end.totals.last_step > last_step) {
    item = make_gap(last_step + 1, end.totals.last_step, 0, Item::kSessionEnd);
  }
  check_totals();
  say_losses();
  session_open = false;
  return item;
}

/// The checksums say that what is here is what was written; the totals, that what was written is here.
void Reader::Impl::check_totals() {
  if (!whole_session || problems.damages() > damages_at_session) return;
  const SessionTotals& t = end.totals;
  if (t.steps != seen.steps || t.events != seen.events || t.decisions != seen.decisions ||
      t.kernel_events != seen.kernel_events || t.snapshots != seen.snapshots) {
    problems.add(Severity::kDamage, stream->frame_offset(),
                 fmt::format("the end of session {} counts {} steps, {} events, {} decisions, {} kernel events; here "
                             "are {}, {}, {}, {}",
                             session_number, t.steps, t.events, t.decisions, t.kernel_events, seen.steps, seen.events,
                             seen.decisions, seen.kernel_events));
  }
}

void Reader::Impl::say_losses() {
  u64 events_lost = 0;
  u64 kernel_events_lost = 0;
  for (const Loss& l : losses.losses) {
    if (l.ring == LossRing::kPolicyEvents) events_lost += l.count;
    if (l.ring == LossRing::kKernelEvents) kernel_events_lost += l.count;
  }
  if (events_lost > 0) {
    problems.add(
        Severity::kLoss, stream->frame_offset(),
        fmt::format("session {}: {} events found no room on their way to the engine", session_number, events_lost));
  }
  if (kernel_events_lost > 0) {
    problems.add(Severity::kLoss, stream->frame_offset(),
                 fmt::format("session {}: {} kernel events found no room and were not recorded", session_number,
                             kernel_events_lost));
  }
}

Item Reader::Impl::finish() {
  ended = true;
  if (snapshot_parts_seen > 0) {
    problems.add(Severity::kDamage, stream->size(),
                 fmt::format("the snapshot after step {} is not whole; it is left out", snapshot.step));
  }
  if (session_open) {
    say_losses();
    if (stream->complete()) {
      problems.add(Severity::kNote, stream->size(), fmt::format("session {} has no orderly end", session_number));
    }
  }
  if (totals.sessions == 0) {
    problems.add(Severity::kNote, 0, "holds no session");
  } else if (options.kinds == kReadAll && totals.items.steps == 0 && totals.items.kernel_events == 0) {
    problems.add(Severity::kNote, 0, "holds 0 events: nothing was recorded");
  }
  totals.complete = stream->complete() && !problems.damaged();
  totals.frames = stream->frames();
  return Item::kEnd;
}

void Reader::Impl::stretch(u64 first_ns, u64 last_ns) {
  const bool none = totals.items.steps == 0 && totals.items.kernel_events == 0;
  totals.first_ns = none ? first_ns : std::min(totals.first_ns, first_ns);
  totals.last_ns = std::max(totals.last_ns, last_ns);
}

Expected<void> Reader::Impl::seek(const FrameEntry& entry) {
  std::optional<u64> beginning;
  auto visited = stream->visit_entries([&](const FrameEntry& e) {
    if (e.kind != static_cast<u32>(FrameKind::kSession) || e.session != entry.session) return false;
    beginning = e.offset;
    return true;
  });
  if (!visited) return visited;
  session_open = ended = announce_session = false;
  session_number = 0;
  steps.close();
  after_gap = Item::kEnd;
  snapshot_parts_seen = 0;
  const auto any = [](const FrameHeader&) { return true; };
  if (beginning) {
    stream->seek(*beginning);
    if (const auto header = stream->next(any, problems); header && header->kind == FrameKind::kSession) {
      frame = *header;
      (void)take_session();
    }
  }
  if (!session_open || session_number != entry.session) {
    return fail(ExitCode::kBadInput, fmt::format("the beginning of session {} is missing", entry.session), name);
  }
  stream->seek(entry.offset);
  last_step = entry.first_step;
  last_step_ns = entry.first_ns;
  whole_session = false;
  want_snapshot = true;
  announce_session = true;
  return {};
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

namespace {

template <typename Impl>
Expected<std::unique_ptr<Impl>> make_impl(std::unique_ptr<ReadableFile> file, const std::string& name,
                                          const ReaderOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->name = name;
  impl->options = options;
  impl->totals.bytes = file->size();
  auto stream = FrameStream::open(std::move(file), name, impl->problems);
  if (!stream) return std::unexpected(stream.error());
  impl->stream = std::move(*stream);
  return impl;
}

}  // namespace

Expected<Reader> Reader::open(const std::string& path, const ReaderOptions& options) {
  auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  auto impl = make_impl<Impl>(std::move(*file), path, options);
  if (!impl) return std::unexpected(impl.error());
  return Reader(std::move(*impl));
}

Expected<Reader> Reader::open_memory(std::span<const std::byte> bytes, const std::string& name,
                                     const ReaderOptions& options) {
  const ByteView view{reinterpret_cast<const u8*>(bytes.data()), bytes.size()};
  auto impl = make_impl<Impl>(memory_file(view), name, options);
  if (!impl) return std::unexpected(impl.error());
  return Reader(std::move(*impl));
}

Item Reader::next() { return impl_->next(); }
void Reader::select(u32 kinds) { impl_->options.kinds = kinds; }
const SessionInfo& Reader::session() const { return impl_->session; }
u32 Reader::session_number() const { return impl_->session_number; }
const StepRecord& Reader::step() const { return impl_->step; }
std::span<const KernelEvent> Reader::events() const { return impl_->events; }
const SnapshotRecord& Reader::snapshot() const { return impl_->snapshot; }
const LossRecord& Reader::loss() const { return impl_->loss; }
const GapRecord& Reader::gap() const { return impl_->gap; }
const SessionEnd& Reader::session_end() const { return impl_->end; }
std::span<const Problem> Reader::problems() const { return impl_->problems.list(); }
bool Reader::damaged() const { return impl_->problems.damaged(); }
const ReadTotals& Reader::totals() const { return impl_->totals; }
const std::string& Reader::name() const { return impl_->name; }

std::optional<FrameEntry> Reader::find_snapshot(u32 session, u64 step) {
  std::optional<FrameEntry> found;
  (void)impl_->stream->visit_entries([&](const FrameEntry& entry) {
    const bool fits =
        entry.kind == static_cast<u32>(FrameKind::kSnapshot) && entry.session == session && entry.first_step <= step;
    if (fits) found = entry;
    return fits;
  });
  return found;
}

std::optional<FrameEntry> Reader::find_snapshot_by_time(u32 session, u64 time_ns) {
  std::optional<FrameEntry> found;
  (void)impl_->stream->visit_entries([&](const FrameEntry& entry) {
    const bool fits =
        entry.kind == static_cast<u32>(FrameKind::kSnapshot) && entry.session == session && entry.first_ns <= time_ns;
    if (fits) found = entry;
    return fits;
  });
  return found;
}

Expected<void> Reader::seek(const FrameEntry& entry) { return impl_->seek(entry); }

}  // namespace reprise::trace
