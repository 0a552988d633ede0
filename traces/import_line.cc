// SPDX-License-Identifier: GPL-2.0-only
#include "traces/import_line.h"

#include <algorithm>
#include <charconv>

namespace reprise::trace {
namespace {

using std::string_view;

string_view trim(string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool digits(string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == string_view::npos; }

template <typename Number>
bool number(string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Cuts the last word off, which is returned. Words are separated by blanks.
string_view take_last(string_view& text) {
  text = trim(text);
  const std::size_t at = text.find_last_of(" \t");
  const string_view word = at == string_view::npos ? text : text.substr(at + 1);
  text = at == string_view::npos ? string_view() : trim(text.substr(0, at));
  return word;
}

/// Cuts a number off the end.
bool take_last_number(string_view& text, i32& out) {
  const std::size_t at = text.find_last_not_of("0123456789");
  const string_view tail = at == string_view::npos ? text : text.substr(at + 1);
  text.remove_suffix(tail.size());
  return number(tail, out);
}

/// Seconds with a fraction of up to nine digits, in ns.
bool parse_time(string_view text, u64& out) {
  const std::size_t point = text.find('.');
  if (point == string_view::npos) return false;
  const string_view fraction = text.substr(point + 1);
  u64 whole = 0, part = 0;
  if (fraction.size() > 9 || !digits(fraction) || !digits(text.substr(0, point))) return false;
  if (!number(text.substr(0, point), whole) || !number(fraction, part) || whole > (~u64{0} >> 1) / kNsPerSec)
    return false;
  for (std::size_t i = fraction.size(); i < 9; ++i) part *= 10;
  out = whole * kNsPerSec + part;
  return true;
}

bool event_name(string_view word) {
  return word.size() > 1 && word.back() == ':' &&
         word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:.") ==
             string_view::npos;
}

/// Where a line's three parts are: what stands before the time, the event's name, its fields.
struct Parts {
  string_view head, event, fields;
  u64 time_ns = 0;
};

// The first word that is a time and is followed by the name of an event.
bool split(string_view text, Parts& parts) {
  for (std::size_t colon = text.find(": "); colon != string_view::npos; colon = text.find(": ", colon + 1)) {
    const std::size_t before = text.find_last_of(" \t", colon == 0 ? 0 : colon - 1);
    const std::size_t begin = before == string_view::npos ? 0 : before + 1;
    if (!parse_time(text.substr(begin, colon - begin), parts.time_ns)) continue;
    const string_view rest = trim(text.substr(colon + 1));
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    if (!event_name(rest.substr(0, end))) continue;
    parts.head = trim(text.substr(0, begin));
    parts.event = rest.substr(0, end - 1);
    parts.fields = trim(rest.substr(end));
    if (const std::size_t system = parts.event.rfind(':'); system != string_view::npos)
      parts.event.remove_prefix(system + 1);
    return true;
  }
  return false;
}

void context_of(string_view flags, Line& line) {
  for (const char flag : flags)
    if (flag == 'h' || flag == 'H' || flag == 's' || flag == 'z' || flag == 'Z') line.context = flag;
}

/// "12d.h2": the CPU and what ran there, in one word.
bool latency_word(string_view word, Line& line) {
  const std::size_t end = word.find_first_not_of("0123456789");
  if (end == 0 || end == string_view::npos || word.size() - end < 4 || word.size() - end > 8) return false;
  if (word.substr(end).find_first_not_of("dDnNpPbBlLhHszZ.#0123456789abcdefX") != string_view::npos) return false;
  context_of(word.substr(end), line);
  return number(word.substr(0, end), line.cpu);
}

/// comm, tid and CPU. Read from the right: the comm is what is left.
bool parse_head(string_view head, Line& line) {
  const std::size_t close = head.rfind(']');
  const std::size_t open = close == string_view::npos ? close : head.rfind('[', close);
  if (open != string_view::npos && number(head.substr(open + 1, close - open - 1), line.cpu)) {
    context_of(head.substr(close + 1), line);
    head = trim(head.substr(0, open));
  } else {
    const string_view word = take_last(head);
    if (!latency_word(word, line)) return false;
  }
  if (head.ends_with(')')) {  // the tgid, or ( ----- )
    const std::size_t paren = head.rfind('(');
    if (paren == string_view::npos) return false;
    const string_view tgid = trim(head.substr(paren + 1, head.size() - paren - 2));
    number(tgid, line.current_tgid);
    head = trim(head.substr(0, paren));
  }
  i32 last = 0;
  if (!take_last_number(head, last)) return false;
  if (head.ends_with('/')) {  // perf's tgid/tid
    head.remove_suffix(1);
    line.current = last;
    if (!take_last_number(head, line.current_tgid)) return false;
    return true;
  }
  // ":-1 -1" stands for a task that perf does not know.
  line.current = head.ends_with(" -") ? 0 : last;
  return true;
}

// ---- fields ----

/// The value behind " key" (with its =), up to the next blank.
string_view value_of(string_view fields, string_view key) {
  for (std::size_t at = fields.find(key); at != string_view::npos; at = fields.find(key, at + 1)) {
    if (at != 0 && fields[at - 1] != ' ') continue;
    const string_view rest = fields.substr(at + key.size());
    return rest.substr(0, std::min(rest.find(' '), rest.size()));
  }
  return {};
}

/// "comm=NAME pid=7 ...", where NAME may hold blanks: it ends before the last " pid=".
bool named_task(string_view fields, string_view comm_key, string_view pid_key, LineTask& task) {
  if (fields.starts_with(comm_key)) {
    const std::string end = ' ' + std::string(pid_key);
    const std::size_t at = fields.rfind(end);
    if (at == string_view::npos || at < comm_key.size()) return false;
    task.comm = fields.substr(comm_key.size(), at - comm_key.size());
    fields.remove_prefix(at + 1);
  }
  return number(value_of(fields, pid_key), task.tid);
}

/// "NAME:7 [120]": libtraceevent's spelling.
bool short_task(string_view text, LineTask& task) {
  if (!text.ends_with(']')) return false;
  const std::size_t open = text.rfind('[');
  if (open == string_view::npos || !number(text.substr(open + 1, text.size() - open - 2), task.priority)) return false;
  text = trim(text.substr(0, open));
  if (!take_last_number(text, task.tid) || !text.ends_with(':')) return false;
  text.remove_suffix(1);
  task.comm = text;
  return text.size() < 16;  // TASK_COMM_LEN, with the zero
}

bool long_switch(string_view left, string_view right, Line& line) {
  if (!named_task(left, "prev_comm=", "prev_pid=", line.task) ||
      !named_task(right, "next_comm=", "next_pid=", line.other))
    return false;
  number(value_of(right, "next_prio="), line.other.priority);
  number(value_of(left, "prev_prio="), line.task.priority);
  const auto state = parse_state(value_of(left, "prev_state="), line.preempted);
  if (state) line.state = *state;
  return state.has_value();
}

bool switched(string_view fields, Line& line) {
  constexpr string_view kLong = " ==> next_comm=", kShort = " ==> ";
  if (const std::size_t at = fields.rfind(kLong); fields.starts_with("prev_comm=") && at != string_view::npos)
    return long_switch(fields.substr(0, at), fields.substr(at + kShort.size()), line);
  // A comm may hold an arrow of its own: the right one has a priority and a state before it.
  for (std::size_t at = fields.find(kShort); at != string_view::npos; at = fields.find(kShort, at + 1)) {
    string_view left = fields.substr(0, at);
    const auto state = parse_state(take_last(left), line.preempted);
    if (!state || !short_task(left, line.task) || !short_task(trim(fields.substr(at + kShort.size())), line.other))
      continue;
    line.state = *state;
    return true;
  }
  return false;
}

bool woken(string_view fields, Line& line) {
  if (fields.starts_with("comm=")) {
    if (!named_task(fields, "comm=", "pid=", line.task)) return false;
    number(value_of(fields.substr(fields.rfind(" pid=")), "prio="), line.task.priority);
    return true;
  }
  const std::size_t end = fields.rfind(']');
  return end != string_view::npos && short_task(fields.substr(0, end + 1), line.task);
}

bool forked(string_view fields, Line& line) {
  const std::size_t child = fields.rfind(" child_comm=");
  return child != string_view::npos && named_task(fields.substr(0, child), "comm=", "pid=", line.task) &&
         named_task(fields.substr(child + 1), "child_comm=", "child_pid=", line.other);
}

// The new comm is the last part of the file's name, as the kernel cuts it.
bool execed(string_view fields, Line& line) {
  constexpr string_view kKey = "filename=";
  const std::size_t end = fields.rfind(" pid=");
  if (!fields.starts_with(kKey) || end == string_view::npos) return false;
  string_view name = fields.substr(kKey.size(), end - kKey.size());
  name = name.substr(name.rfind('/') + 1).substr(0, 15);
  line.task.comm = name;
  return number(value_of(fields.substr(end), "pid="), line.task.tid);
}

bool renamed(string_view fields, Line& line) {
  const std::size_t name = fields.rfind(" newcomm="), end = fields.rfind(" oom_score_adj=");
  if (name == string_view::npos || !number(value_of(fields.substr(0, name), "pid="), line.task.tid)) return false;
  const string_view from = fields.substr(name + 9);
  line.task.comm = end == string_view::npos || end < name ? from : from.substr(0, end - name - 9);
  return true;
}

struct Known {
  string_view event;
  LineKind kind;
  bool (*parse)(string_view, Line&);
};
constexpr Known kKnown[] = {
    {"sched_switch", LineKind::kSwitch, switched},   {"sched_waking", LineKind::kWaking, woken},
    {"sched_wakeup", LineKind::kWakeup, woken},      {"sched_wakeup_new", LineKind::kWakeupNew, woken},
    {"sched_process_fork", LineKind::kFork, forked}, {"sched_process_exec", LineKind::kExec, execed},
    {"sched_process_exit", LineKind::kExit, woken},  {"task_rename", LineKind::kRename, renamed},
};

/// "CPU:1 [LOST 12 EVENTS]" of trace-cmd and tracefs; "PERF_RECORD_LOST lost 12" of perf script --show-lost-events.
bool parse_lost(string_view text, Line& line) {
  line.cpu = ~u32{0};
  if (text.starts_with("CPU:")) {
    const std::size_t open = text.find(" [LOST ");
    if (open == string_view::npos || !number(text.substr(4, open - 4), line.cpu)) return false;
    const string_view rest = text.substr(open + 7);
    return number(rest.substr(0, std::min(rest.find(' '), rest.size())), line.lost);
  }
  const std::size_t record = text.find("PERF_RECORD_LOST");
  if (record == string_view::npos) return false;
  string_view rest = text.substr(record);
  const string_view count = take_last(rest);
  return rest.ends_with("lost") && number(count, line.lost);
}

bool comment(string_view text) {
  return text.empty() || text.front() == '#' || text.starts_with("cpus=") || text.starts_with("version = ") ||
         (text.starts_with("CPU ") && text.ends_with(" is empty"));
}

}  // namespace

std::optional<u32> parse_state(string_view text, bool& preempted) {
  // The letters of TASK_STATE_TO_CHAR (fs/proc/array.c) and of the older tracepoint's list.
  constexpr std::pair<char, u32> kStates[] = {{'R', 0},     {'S', 0x1},   {'D', 0x2},  {'T', 0x4},   {'t', 0x8},
                                              {'X', 0x10},  {'Z', 0x20},  {'P', 0x40}, {'I', 0x402}, {'x', 0x80},
                                              {'K', 0x100}, {'W', 0x200}, {'N', 0x400}};
  u32 state = 0;
  preempted = false;
  if (text.empty()) return std::nullopt;
  for (const char letter : text) {
    if (letter == '|') continue;
    if (letter == '+') {
      preempted = true;
      continue;
    }
    const auto* known = std::ranges::find(kStates, letter, &std::pair<char, u32>::first);
    if (known == std::end(kStates)) return std::nullopt;
    state |= known->second;
  }
  return state;
}

Line parse_line(string_view raw) {
  Line line;
  const string_view text = trim(raw);
  if (comment(text)) {
    line.kind = LineKind::kComment;
    return line;
  }
  if (parse_lost(text, line)) {
    line.kind = LineKind::kLost;
    return line;
  }
  Parts parts;
  line.cpu = 0;
  if (!split(text, parts) || !parse_head(parts.head, line)) return line;
  line.time_ns = parts.time_ns;
  const auto* known = std::ranges::find(kKnown, parts.event, &Known::event);
  if (known == std::end(kKnown)) {
    line.kind = LineKind::kUnneeded;
  } else if (known->parse(parts.fields, line)) {
    line.kind = known->kind;
  }
  return line;
}

}  // namespace reprise::trace
