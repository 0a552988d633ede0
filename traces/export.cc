// SPDX-License-Identifier: GPL-2.0-only
#include "traces/export.h"

#include <array>

#include "traces/anonymizer.h"
#include "traces/export_form.h"
#include "traces/ordered_events.h"
#include "traces/writer.h"

namespace reprise::trace {
namespace {

struct Ending {
  std::string_view text;
  ExportForm form;
};
constexpr std::array kEndings = {Ending{".pftrace", ExportForm::kPerfetto}, Ending{".csv", ExportForm::kCsv},
                                 Ending{".jsonl", ExportForm::kJsonLines}, Ending{".rtrace", ExportForm::kTrace}};

// Feeds a form in order of time.
class Exporter {
 public:
  Exporter(Reader& reader, Form& form, TextOut& out, bool anonymize)
      : reader_(reader), form_(form), out_(out), anonymize_(anonymize) {}

  Expected<ExportResult> run();

 private:
  void take(Item);
  void take_event(const KernelEvent&);
  void take_step();
  void finish_session();

  Reader& reader_;
  Form& form_;
  TextOut& out_;
  const bool anonymize_;
  Anonymizer anonymizer_;
  TaskNames names_;
  OrderedEvents ordered_{[this](const KernelEvent& event) { take_event(event); }};
  ExportResult result_;
};

Expected<ExportResult> Exporter::run() {
  for (Item item = reader_.next(); item != Item::kEnd; item = reader_.next()) {
    take(item);
    if (out_.error()) return std::unexpected(*out_.error());
  }
  finish_session();
  out_.flush();
  if (out_.error()) return std::unexpected(*out_.error());
  result_.late_events = ordered_.late();
  result_.bytes = out_.bytes();
  return result_;
}

void Exporter::take(Item item) {
  if (item == Item::kSession) {
    finish_session();
    ++result_.sessions;
    const SessionInfo info = anonymize_ ? anonymizer_.session(reader_.session()) : reader_.session();
    names_.begin(info);
    return form_.session(info, reader_.session_number());
  }
  if (result_.sessions == 0) return;  // damage before the first session; the reader tells of it
  switch (item) {
    case Item::kEvents:
      return ordered_.add(reader_.events());
    case Item::kStep:
      return take_step();
    case Item::kLoss:
      return form_.loss(reader_.loss());
    case Item::kGap:
      return form_.gap(reader_.gap());
    case Item::kSessionEnd:
      ordered_.finish();
      return form_.session_end(reader_.session_end());
    default:
      return;
  }
}

void Exporter::take_event(const KernelEvent& recorded) {
  const KernelEvent event = anonymize_ ? anonymizer_.event(recorded) : recorded;
  ++result_.kernel_events;
  if (event.type == KernelEventType::kSwitch) ++result_.switches;
  names_.before(event);
  form_.event(event, names_);
  names_.after(event);
}

void Exporter::take_step() {
  ++result_.steps;
  form_.step(anonymize_ ? anonymizer_.step(reader_.step()) : reader_.step());
}

void Exporter::finish_session() {
  if (result_.sessions == 0) return;
  ordered_.finish();
  form_.session_over();
}

// The trace again. Frames stay in the order of the file, so events need no putting in order.
class TraceCopy {
 public:
  TraceCopy(Reader& reader, Writer& writer, bool anonymize) : reader_(reader), writer_(writer), anonymize_(anonymize) {}

  Expected<ExportResult> run();

 private:
  Expected<void> take(Item);
  Expected<void> take_events();
  Expected<void> take_snapshot();

  Reader& reader_;
  Writer& writer_;
  const bool anonymize_;
  Anonymizer anonymizer_;
  std::vector<KernelEvent> events_;
  u64 steps_of_session_ = 0;
  ExportResult result_;
};

Expected<ExportResult> TraceCopy::run() {
  for (Item item = reader_.next(); item != Item::kEnd; item = reader_.next())
    if (auto taken = take(item); !taken) return std::unexpected(taken.error());
  if (auto finished = writer_.finish(); !finished) return std::unexpected(finished.error());
  result_.bytes = writer_.sink().bytes();
  return result_;
}

Expected<void> TraceCopy::take(Item item) {
  if (item == Item::kSession) {
    ++result_.sessions;
    steps_of_session_ = 0;
    return writer_.begin_session(anonymize_ ? anonymizer_.session(reader_.session()) : reader_.session());
  }
  if (result_.sessions == 0) return {};
  switch (item) {
    case Item::kStep:
      ++result_.steps, ++steps_of_session_;
      return writer_.add_step(anonymize_ ? anonymizer_.step(reader_.step()) : reader_.step());
    case Item::kEvents:
      return take_events();
    case Item::kSnapshot:
      return take_snapshot();
    case Item::kLoss:
      return writer_.add_loss(reader_.loss());
    case Item::kSessionEnd: {
      SessionEnd end = reader_.session_end();
      if (anonymize_) end.totals.snapshots_lost = 0;
      return writer_.end_session(std::move(end));
    }
    default:
      return {};  // a gap stays one, since steps keep their numbers
  }
}

Expected<void> TraceCopy::take_events() {
  events_.assign(reader_.events().begin(), reader_.events().end());
  result_.kernel_events += events_.size();
  for (KernelEvent& event : events_) {
    if (event.type == KernelEventType::kSwitch) ++result_.switches;
    if (anonymize_) event = anonymizer_.event(event);
  }
  return writer_.add_events(events_);
}

Expected<void> TraceCopy::take_snapshot() {
  if (!anonymize_) return writer_.add_snapshot(reader_.snapshot());
  // A piece replays from its snapshot only, and a snapshot is the engine's memory with the names in it.
  if (steps_of_session_ == 0 && reader_.snapshot().step > 0)
    return fail(ExitCode::kBadInput, "begins in the middle, at a snapshot, which cannot be anonymized", reader_.name(),
                "anonymize the whole recording, then cut the piece out of that, without --from");
  ++result_.snapshots_left;
  return {};
}

}  // namespace

void TextOut::flush() {
  if (error_ || buffer_.empty()) return;
  const auto* bytes = reinterpret_cast<const u8*>(buffer_.data());
  if (auto written = file_->append(ByteView(bytes, buffer_.size())); !written) error_ = written.error();
  bytes_ += buffer_.size();
  buffer_.clear();
}

Expected<ExportForm> export_form_of(const std::string& path) {
  for (const Ending& ending : kEndings)
    if (path.size() > ending.text.size() && path.ends_with(ending.text)) return ending.form;
  return fail(ExitCode::kUsage, "the ending of OUT says which format is wanted, and this one is not known", path,
              "one of: .pftrace (Perfetto), .csv, .jsonl, .rtrace");
}

Expected<ExportResult> export_trace(Reader& reader, const std::string& path, const ExportOptions& options) {
  if (options.form == ExportForm::kTrace) {
    auto writer = Writer::create(path);
    if (!writer) return std::unexpected(writer.error());
    auto copied = TraceCopy(reader, **writer, options.anonymize).run();
    if (!copied) (*writer)->give_up();
    return copied;
  }
  auto file = create_file(path);
  if (!file) return std::unexpected(file.error());
  TextOut out(std::move(*file));
  std::unique_ptr<Form> form;
  switch (options.form) {
    case ExportForm::kCsv:
      form = make_csv_form(out);
      break;
    case ExportForm::kJsonLines:
      form = make_json_lines_form(out);
      break;
    default:
      form = make_perfetto_form(out);
      break;
  }
  return Exporter(reader, *form, out, options.anonymize).run();
}

}  // namespace reprise::trace
