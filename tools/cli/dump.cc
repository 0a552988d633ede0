// SPDX-License-Identifier: GPL-2.0-only
// reprise dump: what is in a trace, item by item, in the order of time.
#include <algorithm>
#include <deque>
#include <map>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/trace_text.h"
#include "traces/format.h"
#include "traces/ordered_events.h"

namespace reprise::cli {
namespace {

using trace::Item;

constexpr char kDumpDescription[] =
    "Prints what FILE holds in the order of time: steps with the engine's events and its decisions, and the\n"
    "kernel's events between them. Where sessions begin and end and where something is missing is always said.\n"
    "Without a choice of kinds all is printed; with a range of steps, only steps. --from-ms and --to-ms count from\n"
    "the first session's start. Times are seconds since boot, in JSON ns.";
constexpr char kDumpFooter[] =
    "examples\n"
    "  reprise dump run.rtrace --steps --from-step 1200 --limit 20\n"
    "  reprise dump run.rtrace --tid 4711 --from-ms 500 --to-ms 600\n"
    "  reprise dump run.rtrace --events --jsonl | grep '\"switch\"'\n\n"
    "exit status\n"
    "  0 done   65 the trace is damaged (what can be read is printed)";

struct Filter {
  u64 from_step = 0, to_step = ~u64{0};
  u64 from_ms = 0, to_ms = ~u64{0};
  u32 session = 0;  // 0: all
  u64 tid = 0;      // 0: all
  u64 limit = ~u64{0};
};

// Where items go: text, one JSON document, or a JSON object per line.
class Sink {
 public:
  enum class Form { kText, kDocument, kLines };
  Sink(Console& console, Form form, const std::string& file) : console_(console), form_(form) {
    const Json header = {{"schema", console.schema()}, {"file", file}};
    if (form_ == Form::kDocument) {
      const std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
      console_.print("{},\"items\":[", std::string_view(text).substr(0, text.size() - 1));
    }
    if (form_ == Form::kLines) console_.print("{}\n", header.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  [[nodiscard]] bool text() const { return form_ == Form::kText; }
  /// `object` is a JSON object that is not empty; `kind` becomes its first key.
  void add(std::string_view kind, std::string_view object) {
    separate();
    console_.print("{{\"item\":\"{}\",{}", kind, object.substr(1));
    if (form_ == Form::kLines) console_.write("\n");
  }
  void add_json(std::string_view kind, const Json& object) {
    add(kind, object.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  void end(const Json& summary) {
    if (form_ != Form::kDocument) return;
    const std::string text = summary.dump(-1, ' ', false, Json::error_handler_t::replace);
    console_.print("\n],{}\n", std::string_view(text).substr(1));
  }

 private:
  void separate() {
    if (form_ == Form::kDocument) console_.write(first_ ? "\n" : ",\n");
    first_ = false;
  }

  Console& console_;
  Form form_;
  bool first_ = true;
};

class Dumper {
 public:
  /// `events` reads the same file for its kernel events only.
  Dumper(trace::Reader& reader, trace::Reader& events, const Filter& filter, u32 kinds, Console& console, Sink& sink)
      : reader_(reader),
        events_(events),
        filter_(filter),
        kinds_(kinds),
        console_(console),
        sink_(sink),
        ordered_([this](const trace::KernelEvent& event) { ready_.push_back(event); }) {}

  void run();
  [[nodiscard]] u64 shown() const { return shown_; }
  [[nodiscard]] bool full() const { return shown_ >= filter_.limit; }

 private:
  void session();
  void step();
  [[nodiscard]] std::string step_text(const trace::StepRecord&) const;
  void kernel_event(const trace::KernelEvent&);
  void show(std::string_view kind, std::string_view text);
  /// Once what is of an earlier time has been shown.
  void hold(u64 time_ns, std::string_view kind, std::string text) {
    held_.emplace(time_ns, Held{kind, std::move(text)});
  }
  /// Kernel events and what is held back, up to that time.
  void show_until(u64 time_ns);
  void take_events(u64 until_ns);
  void finish_session();
  void snapshot();
  void losses();
  void gap();
  void session_end();
  [[nodiscard]] bool in_session() const { return filter_.session == 0 || reader_.session_number() == filter_.session; }
  [[nodiscard]] bool in_time(u64 ns) const { return ns >= from_ns_ && ns <= to_ns_; }
  [[nodiscard]] i32 tid_of(TaskSlot slot) const {
    const auto found = tids_.find(slot);
    return found == tids_.end() ? 0 : found->second;
  }
  [[nodiscard]] bool wanted(i32 tid) const { return filter_.tid == 0 || static_cast<u64>(tid) == filter_.tid; }
  [[nodiscard]] bool past_the_end() const { return kinds_ == trace::kReadSteps && past_; }
  [[nodiscard]] bool done() const { return full() || console_.closed(); }

  trace::Reader& reader_;
  trace::Reader& events_;
  const Filter& filter_;
  u32 kinds_;
  Console& console_;
  Sink& sink_;
  // Steps are in order among themselves. Kernel events of their time may stand anywhere in the file, before or behind
  // them, as frames fill up; so where both are asked for, a second reader fetches the events up to each step.
  trace::OrderedEvents ordered_;
  std::deque<trace::KernelEvent> ready_;  // in order
  u64 newest_event_ns_ = 0;
  struct Held {
    std::string_view kind;
    std::string text;
  };
  std::multimap<u64, Held> held_;  // snapshots, losses, gaps
  std::map<TaskSlot, i32> tids_;
  u32 current_ = 0;  // the session that is shown; 0: none
  bool steps_come_ = false, events_over_ = false;
  bool started_ = false;
  u64 from_ns_ = 0, to_ns_ = ~u64{0};
  u64 shown_ = 0;
  bool past_ = false;
};

void Dumper::run() {
  while (!done() && !past_the_end()) {
    const Item item = reader_.next();
    if (item == Item::kEnd) break;
    if (item == Item::kSession) {
      finish_session();
      session();  // before the filter: it gives the start of time
    }
    if (!in_session()) continue;
    switch (item) {
      case Item::kStep:
        step();
        break;
      case Item::kEvents:
        if (steps_come_) break;
        ordered_.add(reader_.events());
        if (!ready_.empty()) show_until(ready_.back().time_ns);
        break;
      case Item::kSnapshot:
        snapshot();
        break;
      case Item::kLoss:
        losses();
        break;
      case Item::kGap:
        gap();
        break;
      case Item::kSessionEnd:
        finish_session();
        session_end();
        break;
      case Item::kSession:
      case Item::kEnd:
        break;
    }
  }
  finish_session();
}

void Dumper::show(std::string_view kind, std::string_view text) {
  if (sink_.text())
    console_.write(text);
  else
    sink_.add(kind, text);
}

void Dumper::show_until(u64 time_ns) {
  if (steps_come_) take_events(time_ns);
  while (!done()) {
    const bool event = !ready_.empty() && ready_.front().time_ns <= time_ns;
    const bool held = !held_.empty() && held_.begin()->first <= time_ns;
    if (!event && !held) return;
    if (held && !(event && ready_.front().time_ns <= held_.begin()->first)) {
      show(held_.begin()->second.kind, held_.begin()->second.text);
      held_.erase(held_.begin());
    } else {
      kernel_event(ready_.front());
      ready_.pop_front();
    }
  }
}

/// Until no event of the session up to then can be missing.
void Dumper::take_events(u64 until_ns) {
  constexpr u64 kWindowNs = trace::OrderedEvents::kWindowNs;
  const u64 enough_ns = until_ns > ~u64{0} - kWindowNs ? ~u64{0} : until_ns + kWindowNs;
  while (!events_over_ && events_.session_number() <= current_ && newest_event_ns_ <= enough_ns) {
    const Item item = events_.next();
    if (item == Item::kEnd) events_over_ = true;
    if (item != Item::kEvents || events_.session_number() != current_ || events_.events().empty()) continue;
    newest_event_ns_ = std::max(newest_event_ns_, events_.events().back().time_ns);
    ordered_.add(events_.events());
  }
  if (events_over_ || events_.session_number() > current_) ordered_.finish();
}

void Dumper::finish_session() {
  if (current_ == 0) return;
  if (!steps_come_) ordered_.finish();
  show_until(~u64{0});
  ready_.clear();
  held_.clear();
  current_ = 0;
}

void Dumper::session() {
  const trace::SessionInfo& info = reader_.session();
  tids_.clear();
  if (!started_) {
    started_ = true;
    const auto at = [&](u64 ms) {
      return ms > (~u64{0} - info.start_ns) / kNsPerMs ? ~u64{0} : info.start_ns + ms * kNsPerMs;
    };
    from_ns_ = filter_.from_ms == 0 ? 0 : at(filter_.from_ms);
    to_ns_ = at(filter_.to_ms);
  }
  if (!in_session()) return;
  current_ = reader_.session_number();
  steps_come_ = (kinds_ & trace::kReadSteps) != 0 && (kinds_ & trace::kReadEvents) != 0 && !info.policy.empty();
  newest_event_ns_ = 0;
  if (!sink_.text()) {
    Json json = {{"session", reader_.session_number()}};
    json.update(session_json(info));
    return sink_.add_json("session", json);
  }
  console_.print("session {} ({}) begins at {} s: policy {}, {}, kernel {}\n", reader_.session_number(),
                 trace::name_of(info.kind), seconds_text(info.start_ns), policy_text(info.policy, info.options),
                 counted(info.cpus, "CPU"), info.kernel_release);
}

void Dumper::step() {
  trace::StepRecord step = reader_.step();
  for (const Event& event : step.input.events)
    if (event.tid != 0) tids_[event.task] = event.tid;
  // Steps are numbered per session; time goes on.
  past_ = step.input.now_ns > to_ns_ || (filter_.session != 0 && step.input.number > filter_.to_step);
  if (step.input.number < filter_.from_step || step.input.number > filter_.to_step) return;
  if (!in_time(step.input.now_ns)) return;
  std::vector<Event> events;
  std::vector<Decision> decisions;
  if (filter_.tid != 0) {
    std::ranges::copy_if(step.input.events, std::back_inserter(events), [&](const Event& e) { return wanted(e.tid); });
    std::ranges::copy_if(step.decisions, std::back_inserter(decisions),
                         [&](const Decision& d) { return wanted(tid_of(d.task)); });
    if (events.empty() && decisions.empty()) return;
    step.input.events = events;
    step.decisions = decisions;
  }
  show_until(step.input.now_ns);
  if (done()) return;
  ++shown_;
  show("step", sink_.text() ? step_text(step) : trace::json_step(step));
}

std::string Dumper::step_text(const trace::StepRecord& step) const {
  std::string text = trace::format_step(step) + '\n';
  for (const Event& event : step.input.events) text += fmt::format("    {}\n", trace::format_event(event));
  for (const Decision& decision : step.decisions)
    text += fmt::format("    -> {} tid {}\n", trace::format_decision(decision), tid_of(decision.task));
  for (const i32 cpu : step.preempts) text += fmt::format("    -> preempt CPU {}\n", cpu);
  return text;
}

void Dumper::kernel_event(const trace::KernelEvent& event) {
  // A switch concerns two tasks; `a` is the one that leaves.
  const bool leaves = event.type == trace::KernelEventType::kSwitch && wanted(static_cast<i32>(event.a));
  if (!in_time(event.time_ns) || !(wanted(event.tid) || leaves)) return;
  ++shown_;
  show("kernel_event", sink_.text() ? trace::format_kernel_event(event) + '\n' : trace::json_kernel_event(event));
}

void Dumper::snapshot() {
  const trace::SnapshotRecord& record = reader_.snapshot();
  if (filter_.tid != 0 || !in_time(record.time_ns)) return;
  const Json json = {{"step", record.step}, {"time_ns", record.time_ns}, {"bytes", record.state.size()}};
  hold(record.time_ns, "snapshot",
       sink_.text() ? fmt::format("snapshot after step {}: {}\n", record.step, bytes_text(record.state.size()))
                    : json.dump());
}

void Dumper::losses() {
  const trace::LossRecord& record = reader_.loss();
  if (!in_time(record.time_ns)) return;
  u64 total = 0;
  for (const trace::Loss& loss : record.losses) total += loss.count;
  const Json json = {{"time_ns", record.time_ns}, {"losses", losses_json(record.losses)}};
  hold(record.time_ns, "loss",
       sink_.text() ? fmt::format("losses at {} s: {} since the session began\n", seconds_text(record.time_ns),
                                  counted(total, "record"))
                    : json.dump());
}

void Dumper::gap() {
  const trace::GapRecord& record = reader_.gap();
  hold(record.after_ns, "gap",
       sink_.text() ? fmt::format("GAP: steps {}..{} are missing ({})\n", record.first_step, record.last_step,
                                  record.damage ? "damage" : "the recorder could not keep up")
                    : gap_json(record).dump());
}

void Dumper::session_end() {
  const trace::SessionEnd& end = reader_.session_end();
  if (sink_.text())
    return console_.print("session {} ends at {} s: {}\n", reader_.session_number(), seconds_text(end.end_ns),
                          end.reason);
  sink_.add_json("session_end", {{"session", reader_.session_number()},
                                 {"end_ns", end.end_ns},
                                 {"reason", end.reason},
                                 {"exit_code", end.exit_code},
                                 {"counts", totals_json(end.totals)}});
}

class Dump final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  [[nodiscard]] u32 kinds() const;

  std::string file_;
  Filter filter_;
  bool steps_ = false, events_ = false, all_ = false, lines_ = false;
};

void Dump::declare(CLI::App& app) {
  app.description(kDumpDescription);
  app.footer(kDumpFooter);
  app.add_option("FILE", file_, "a trace (.rtrace)")->required();
  app.add_flag("--steps", steps_, "steps with the engine's events and its decisions");
  app.add_flag("--events", events_, "the kernel's events");
  app.add_flag("--all", all_, "both, snapshots and losses");
  app.add_flag("--jsonl", lines_, "one JSON object per line");
  add_number(app, "--from-step", filter_.from_step, {"N", 1, ~u64{0}, false}, "first step");
  add_number(app, "--to-step", filter_.to_step, {"N", 1, ~u64{0}, false}, "last step");
  add_number(app, "--from-ms", filter_.from_ms, {"MS", 0, ~u64{0}, false}, "not before this time");
  add_number(app, "--to-ms", filter_.to_ms, {"MS", 0, ~u64{0}, false}, "not after this time");
  add_number(app, "--session", filter_.session, {"N", 1, ~u32{0}, false}, "only this session, counted from 1");
  add_number(app, "--tid", filter_.tid, {"TID", 1, 4'194'304, false}, "only what concerns this task");
  add_number(app, "-n,--limit", filter_.limit, {"N", 1, ~u64{0}, false}, "stop after N steps and kernel events");
}

u32 Dump::kinds() const {
  const bool step_range = filter_.from_step != 0 || filter_.to_step != ~u64{0};
  if (all_ || (!steps_ && !events_ && !step_range)) return trace::kReadAll;
  u32 kinds = events_ ? u32{trace::kReadEvents} : 0;
  if (steps_ || !events_) kinds |= trace::kReadSteps;
  return kinds;
}

Expected<ExitCode> Dump::run(Console& console) {
  if (filter_.from_step > filter_.to_step || filter_.from_ms > filter_.to_ms)
    return fail(ExitCode::kUsage, "the range is empty: it begins after its end", {},
                "see --from-step and --to-step, --from-ms and --to-ms");
  auto reader = open_trace(file_, kinds());
  if (!reader) return std::unexpected(reader.error());
  auto events = open_trace(file_, trace::kReadEvents);
  if (!events) return std::unexpected(events.error());
  const Sink::Form form = lines_ ? Sink::Form::kLines : console.json() ? Sink::Form::kDocument : Sink::Form::kText;
  Sink sink(console, form, file_);
  Dumper dumper(*reader, *events, filter_, kinds(), console, sink);
  dumper.run();
  std::optional<Error> error;
  if (reader->damaged()) error = damage_error(*reader, "what is printed could be read");
  Json summary = {
      {"shown", dumper.shown()}, {"limit_reached", dumper.full()}, {"problems", problems_json(reader->problems())}};
  if (error) summary["error"] = error_json(*error);
  sink.end(summary);
  show_problems(console, reader->problems());
  if (dumper.shown() == 0 && !error) console.message("{} holds no step and no event of what was asked for", file_);
  if (dumper.full()) console.message("stopped after {} (--limit)", counted(dumper.shown(), "item"));
  if (error) console.error(*error);
  return error ? error->code : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_dump() { return std::make_unique<Dump>(); }

}  // namespace reprise::cli
