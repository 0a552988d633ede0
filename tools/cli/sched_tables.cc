// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/sched_tables.h"

#include <functional>
#include <unordered_map>

#include "sim/metrics/timehist.h"
#include "traces/ordered_events.h"
#include "traces/task_names.h"

namespace reprise::cli {
namespace {

using trace::KernelEvent;

// Hands a trace's events on in order of time, with the names as they were then; per session.
void walk(Console& console, trace::Reader& reader, const std::function<void(const trace::SessionInfo&)>& begin,
          const std::function<void(const KernelEvent&, const trace::TaskNames&)>& take) {
  trace::TaskNames names;
  trace::OrderedEvents ordered([&](const KernelEvent& event) {
    names.before(event);
    take(event, names);
    names.after(event);
  });
  reader.select(trace::kReadEvents);
  for (trace::Item item = reader.next(); item != trace::Item::kEnd && !console.closed(); item = reader.next()) {
    if (item == trace::Item::kSession) {
      ordered.finish();
      names.begin(reader.session());
      begin(reader.session());
    }
    if (item == trace::Item::kEvents) ordered.add(reader.events());
  }
  ordered.finish();
}

// Seconds with six digits, cut and not rounded, as perf prints them.
std::string perf_seconds(u64 ns) { return fmt::format("{}.{:06}", ns / kNsPerSec, ns % kNsPerSec / kNsPerUs); }

// Milliseconds with three digits; perf cuts, too.
std::string perf_ms(u64 ns) { return fmt::format("{:5}.{:03}", ns / kNsPerMs, ns % kNsPerMs / kNsPerUs); }

std::string printable(std::string_view comm) {
  char raw[16] = {};
  std::copy_n(comm.data(), std::min<std::size_t>(comm.size(), sizeof raw), raw);
  std::string text;
  for (const char c : trace::comm_view(raw)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text;
}

std::string task_text(i32 tid, const trace::TaskNames& names) {
  if (tid == 0) return "<idle>";
  const i32 tgid = names.tgid(tid);
  std::string text = printable(names.comm(tid));
  if (text.empty()) text = fmt::format(":{}", tid);
  return tgid == 0 || tgid == tid ? fmt::format("{}[{}]", text, tid) : fmt::format("{}[{}/{}]", text, tid, tgid);
}

// perf's names of two characters: A0 to Z0, A1 to Z9, then from the start again.
class ShortNames {
 public:
  /// True: the reader has to be told whose it is, since it was made just now or the task has another comm.
  bool of(i32 tid, std::string_view comm, std::string& name) {
    const auto [at, fresh] = names_.try_emplace(tid);
    if (fresh && tid == 0) at->second.name = ". ";
    if (fresh && tid != 0) {
      at->second.name = {letter_, digit_};
      letter_ = letter_ == 'Z' ? 'A' : static_cast<char>(letter_ + 1);
      if (letter_ == 'A') digit_ = digit_ == '9' ? '0' : static_cast<char>(digit_ + 1);
    }
    name = at->second.name;
    const bool renamed = at->second.comm != comm;
    at->second.comm = comm;
    return fresh || renamed;
  }

 private:
  struct Entry {
    std::string name, comm;
  };
  std::unordered_map<i32, Entry> names_;  // looked up, never walked over
  char letter_ = 'A', digit_ = '0';
};

}  // namespace

void show_timehist(Console& console, trace::Reader& reader) {
  console.print("{:>15} {:>6}  {:<30}  {:>9}  {:>9}  {:>9}\n", "time", "cpu", "task name", "wait time", "sch delay",
                "run time");
  console.print("{:>15} {:<6}  {:<30}  {:>9}  {:>9}  {:>9}\n", "", "", "[tid/pid]", "(msec)", "(msec)", "(msec)");
  console.print("{:-<15} {:-<6}  {:-<30}  {:-<9}  {:-<9}  {:-<9}\n", "", "", "", "", "", "");
  sim::TimeHistory history;
  walk(
      console, reader, [&](const trace::SessionInfo&) { history = {}; },
      [&](const KernelEvent& event, const trace::TaskNames& names) {
        sim::TaskStay stay;
        if (!history.event(event, stay)) return;
        console.print("{:>15} [{:04}]  {:<30}  {:>9}  {:>9}  {:>9}\n", perf_seconds(stay.time_ns), stay.cpu,
                      task_text(stay.tid, names), perf_ms(stay.wait_ns), perf_ms(stay.delay_ns), perf_ms(stay.run_ns));
      });
}

void show_map(Console& console, trace::Reader& reader) {
  ShortNames names;
  std::vector<std::string> running;
  walk(
      console, reader,
      [&](const trace::SessionInfo& info) {
        names = {};
        running.assign(info.cpus, "  ");
      },
      [&](const KernelEvent& event, const trace::TaskNames& known) {
        if (event.type != trace::KernelEventType::kSwitch) return;
        if (event.cpu >= running.size()) running.resize(event.cpu + 1u, "  ");
        const bool fresh = names.of(event.tid, known.comm(event.tid), running[event.cpu]);
        std::string row = "  ";
        for (std::size_t cpu = 0; cpu < running.size(); ++cpu)
          row += fmt::format("{}{} ", cpu == event.cpu ? '*' : ' ', running[cpu]);
        row += fmt::format("  {:>12} secs ", perf_seconds(event.time_ns));
        if (fresh && event.tid == 0) row += ".  => swapper:0";
        if (fresh && event.tid != 0)
          row += fmt::format("{} => {}:{}", running[event.cpu], printable(known.comm(event.tid)), event.tid);
        console.print("{}\n", row);
      });
}

}  // namespace reprise::cli
