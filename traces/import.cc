// SPDX-License-Identifier: GPL-2.0-only
#include "traces/import.h"

#include <algorithm>
#include <functional>

#include "scheduler/core/event.h"
#include "traces/file.h"
#include "traces/import_tasks.h"
#include "traces/task_names.h"
#include "traces/writer.h"

namespace reprise::trace {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;  // what is longer is no line of these tools
constexpr std::size_t kNumbersKept = 5;
constexpr const char* kHint =
    "make one with: perf sched record -o FILE -- COMMAND; perf script --ns -i FILE\n"
    "  or: trace-cmd record -e sched COMMAND; trace-cmd report";

// The lines of a file, in memory that does not depend on it.
class Lines {
 public:
  explicit Lines(ReadableFile& file) : file_(file), buffer_(1u << 18) {}

  /// False at the end. What is longer than kMaxLineBytes is cut there.
  Expected<bool> next(std::string& line) {
    line.clear();
    for (;;) {
      if (at_ == have_) {
        if (offset_ == file_.size()) return !line.empty();
        have_ = static_cast<std::size_t>(std::min<u64>(buffer_.size(), file_.size() - offset_));
        if (auto got = file_.read(offset_, {buffer_.data(), have_}); !got) return std::unexpected(got.error());
        offset_ += have_;
        at_ = 0;
      }
      const auto* begin = buffer_.data() + at_;
      const auto* end = std::find(begin, static_cast<const u8*>(buffer_.data() + have_), u8{'\n'});
      const auto bytes = static_cast<std::size_t>(end - begin);
      line.append(reinterpret_cast<const char*>(begin),
                  std::min(bytes, kMaxLineBytes - std::min(kMaxLineBytes, line.size())));
      at_ += bytes;
      if (at_ == have_) continue;
      ++at_;
      return true;
    }
  }

 private:
  ReadableFile& file_;
  std::vector<u8> buffer_;
  std::size_t at_ = 0, have_ = 0;
  u64 offset_ = 0;
};

bool later(const Line& a, const Line& b) {
  return a.time_ns != b.time_ns ? a.time_ns > b.time_ns : a.number > b.number;
}

class Importer {
 public:
  Importer(const std::string& path, const std::string& out, const ImportOptions& options)
      : path_(path), out_(out), options_(options) {}
  Expected<ImportResult> run();

 private:
  using TakeLine = std::function<Expected<void>(Line&)>;
  Expected<void> read(const TakeLine&);
  Expected<void> survey(Line&);
  Expected<void> add(Line&);
  Expected<void> hand_on();
  Expected<void> write(const Line&);
  Expected<void> begin();
  Expected<void> finish();
  void not_understood(u64 number, const std::string& text);

  const std::string path_, out_;
  const ImportOptions& options_;
  std::unique_ptr<ReadableFile> file_;
  ImportSurvey survey_;
  ImportedTasks tasks_;
  std::unique_ptr<Writer> writer_;
  std::vector<Line> waiting_;  // a heap, the oldest on top
  u64 handed_ns_ = 0;
  std::vector<Loss> losses_;
  std::vector<KernelEvent> events_;
  ImportResult result_;
};

Expected<void> Importer::read(const TakeLine& take) {
  Lines lines(*file_);
  std::string text;
  for (u64 number = 1;; ++number) {
    auto more = lines.next(text);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    Line line = parse_line(text);
    line.number = number;
    if (line.kind == LineKind::kNotUnderstood && result_.lines < number) not_understood(number, text);
    result_.lines = std::max(result_.lines, number);
    if (auto taken = take(line); !taken) return taken;
  }
}

void Importer::not_understood(u64 number, const std::string& text) {
  if (result_.not_understood++ == 0) result_.first_not_understood = text.substr(0, 120);
  if (result_.not_understood_at.size() < kNumbersKept) result_.not_understood_at.push_back(number);
}

Expected<void> Importer::survey(Line& line) {
  switch (line.kind) {
    case LineKind::kNotUnderstood:
      return {};
    case LineKind::kComment:
      ++result_.comments;
      return {};
    case LineKind::kUnneeded:
      ++result_.unneeded;
      return {};
    case LineKind::kLost:
      result_.lost += line.lost;
      return {};
    default:
      break;
  }
  if (line.cpu >= kMaxTopologyCpus)
    return fail(ExitCode::kBadInput, "names CPU " + std::to_string(line.cpu),
                path_ + ", line " + std::to_string(line.number),
                "CPUs are numbered 0 to " + std::to_string(kMaxTopologyCpus - 1));
  survey_.take(line);
  ++result_.events;
  if (line.kind == LineKind::kSwitch) ++result_.switches;
  return {};
}

Expected<void> Importer::begin() {
  auto writer = Writer::create(out_);
  if (!writer) return std::unexpected(writer.error());
  writer_ = std::move(*writer);
  SessionInfo info;
  info.kind = SessionKind::kImported;
  info.start_ns = survey_.first_ns();
  info.cpus = survey_.cpus();
  info.version = options_.version;
  info.tasks = survey_.tasks();
  for (u32 cpu = 0; cpu < info.cpus; ++cpu) info.topology.push_back({.cpu = cpu, .core = cpu, .llc = 0, .node = 0});
  if (auto begun = writer_->begin_session(info); !begun) return begun;
  for (const SessionTask& task : info.tasks) {
    KernelEvent event{.time_ns = info.start_ns,
                      .seq = 0,
                      .cpu = 0,
                      .type = KernelEventType::kTask,
                      .flags = 0,
                      .tid = task.tid,
                      .a = static_cast<u32>(task.tgid),
                      .b = 0,
                      .c = task.weight};
    events_.push_back(event);
    event.type = KernelEventType::kName;
    event.a = 0;
    set_comm(event, comm_view(task.comm));
    events_.push_back(event);
  }
  for (u32 i = 0; i < events_.size(); ++i) events_[i].seq = i;
  tasks_.lost(0, events_.size());  // not lost: the numbers are taken
  const auto added = writer_->add_events(events_);
  events_.clear();
  return added;
}

Expected<void> Importer::add(Line& line) {
  if (line.kind == LineKind::kNotUnderstood || line.kind == LineKind::kComment || line.kind == LineKind::kUnneeded)
    return {};
  // Belongs where it stands: among what was handed on last.
  if (line.kind == LineKind::kLost) return write(line);
  if (line.time_ns < handed_ns_)
    return fail(ExitCode::kBadInput, "the times go back by more than " + std::to_string(kImportWindow) + " lines",
                path_ + ", line " + std::to_string(line.number),
                "sort it by time (perf script and trace-cmd report do); import recordings one by one");
  waiting_.push_back(std::move(line));
  std::ranges::push_heap(waiting_, later);
  return waiting_.size() > kImportWindow ? hand_on() : Expected<void>{};
}

Expected<void> Importer::hand_on() {
  std::ranges::pop_heap(waiting_, later);
  const Line line = std::move(waiting_.back());
  waiting_.pop_back();
  handed_ns_ = line.time_ns;
  return write(line);
}

Expected<void> Importer::write(const Line& line) {
  if (line.kind == LineKind::kLost) {
    const bool known = line.cpu < survey_.cpus();
    const u32 cpu = known ? line.cpu : kLossAllCpus;
    if (known) tasks_.lost(cpu, line.lost);
    auto found = std::ranges::find(losses_, cpu, &Loss::cpu);
    if (found == losses_.end()) found = losses_.insert(losses_.end(), {LossRing::kKernelEvents, cpu, 0});
    found->count += line.lost;
    return {};
  }
  events_.clear();
  tasks_.take(line, events_);
  return writer_->add_events(events_);
}

Expected<void> Importer::finish() {
  while (!waiting_.empty())
    if (auto handed = hand_on(); !handed) return handed;
  if (!losses_.empty())
    if (auto lost = writer_->add_loss({.time_ns = survey_.last_ns(), .losses = losses_}); !lost) return lost;
  SessionEnd end;
  end.end_ns = survey_.last_ns();
  end.reason = "imported";
  if (auto ended = writer_->end_session(end); !ended) return ended;
  return writer_->finish();
}

Expected<ImportResult> Importer::run() {
  auto file = open_file(path_);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  if (auto surveyed = read([this](Line& line) { return survey(line); }); !surveyed)
    return std::unexpected(surveyed.error());
  if (result_.events == 0) {
    const std::string what =
        result_.lines == 0 ? "is empty"
        : result_.unneeded > 0
            ? "holds events, but none of the scheduler's switches and wakeups"
            : "is not understood: no line of it is an event that perf script or trace-cmd report prints";
    return fail(ExitCode::kBadInput, what, path_, kHint);
  }
  if (auto begun = begin(); !begun) return std::unexpected(begun.error());
  auto written = read([this](Line& line) { return add(line); });
  if (written) written = finish();
  if (!written) return std::unexpected(written.error());
  result_.cpus = survey_.cpus();
  result_.tasks = survey_.seen();
  result_.first_ns = survey_.first_ns();
  result_.last_ns = survey_.last_ns();
  result_.bytes = writer_->sink().bytes();
  return result_;
}

}  // namespace

Expected<ImportResult> import_text(const std::string& path, const std::string& out, const ImportOptions& options) {
  return Importer(path, out, options).run();
}

}  // namespace reprise::trace
