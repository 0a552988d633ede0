// SPDX-License-Identifier: GPL-2.0-only
// CSV and JSON lines.
#include <fmt/format.h>

#include "traces/event_fields.h"
#include "traces/export_form.h"
#include "traces/format.h"

namespace reprise::trace {
namespace {

// ---- CSV (RFC 4180, but lines end in \n alone) ----

class CsvRow final : public EventFieldSink {
 public:
  void clear() {
    for (std::string& cell : cells_) cell.clear();
  }
  void number(std::size_t field, u64 value) override { cells_[field] = fmt::format_int(value).str(); }
  void signed_number(std::size_t field, i64 value) override { cells_[field] = fmt::format_int(value).str(); }
  void flag(std::size_t field, bool value) override { cells_[field] = value ? "1" : "0"; }
  void text(std::size_t field, std::string_view value) override { cells_[field] = quoted(value); }
  void append_to(std::string& line) const {
    for (const std::string& cell : cells_) line += ',' + cell;
  }
  /// A comm may hold anything: bytes that are not printable come as \xNN, so that a row stays a line.
  static std::string quoted(std::string_view raw) {
    char comm[16] = {};
    raw.copy(comm, sizeof comm);
    std::string text = printable_comm(comm);
    // What a spreadsheet would take for a formula gets quotes, too; what it then makes of it is its own affair.
    if (text.find_first_of(",\"=+@") == std::string::npos) return text;
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? "\"\"" : std::string(1, c);
    return result + '"';
  }

 private:
  std::array<std::string, kEventFieldNames.size()> cells_;
};

class CsvForm final : public Form {
 public:
  explicit CsvForm(TextOut& out) : out_(out) {
    std::string header = "session,time_ns,cpu,seq,event,tid,comm,flags";
    for (const std::string_view name : kEventFieldNames) (header += ',') += name;
    out_.write(header += '\n');
  }
  void session(const SessionInfo&, u32 number) override { session_ = number; }
  void event(const KernelEvent& e, const TaskNames& names) override {
    line_ = fmt::format("{},{},{},{},{},{},{},{}", session_, e.time_ns, e.cpu, e.seq, name_of(e.type), e.tid,
                        CsvRow::quoted(names.comm(e.tid)), e.flags);
    row_.clear();
    name_fields(e, names, row_);
    row_.append_to(line_);
    out_.write(line_ += '\n');
  }

 private:
  TextOut& out_;
  u32 session_ = 0;
  CsvRow row_;
  std::string line_;
};

// ---- JSON lines ----

class JsonFields final : public EventFieldSink {
 public:
  explicit JsonFields(std::string& line) : line_(line) {}
  void number(std::size_t field, u64 value) override { put(field, fmt::format_int(value).str()); }
  void signed_number(std::size_t field, i64 value) override { put(field, fmt::format_int(value).str()); }
  void flag(std::size_t field, bool value) override { put(field, value ? "true" : "false"); }
  void text(std::size_t field, std::string_view value) override { put(field, '"' + json_escape(value) + '"'); }

 private:
  void put(std::size_t field, std::string_view value) {
    fmt::format_to(std::back_inserter(line_), ",\"{}\":{}", kEventFieldNames[field], value);
  }
  std::string& line_;
};

class JsonLinesForm final : public Form {
 public:
  explicit JsonLinesForm(TextOut& out) : out_(out) {}

  void session(const SessionInfo& info, u32 number) override {
    session_ = number;
    line_ = fmt::format(
        R"({{"item":"session","session":{},"kind":"{}","start_ns":{},"policy":"{}","options":"{}","seed":{},"cpus":{})",
        number, name_of(info.kind), info.start_ns, json_escape(info.policy), json_escape(info.options), info.seed,
        info.cpus);
    fmt::format_to(std::back_inserter(line_),
                   R"(,"kernel_release":"{}","machine":"{}","realtime_offset_ns":{},"boottime_offset_ns":{},"tasks":[)",
                   json_escape(info.kernel_release), json_escape(info.machine), info.realtime_offset_ns,
                   info.boottime_offset_ns);
    bool first = true;
    for (const SessionTask& task : info.tasks) {
      fmt::format_to(std::back_inserter(line_), R"({}{{"tid":{},"tgid":{},"comm":"{}","weight":{}}})", first ? "" : ",",
                     task.tid, task.tgid, json_escape(comm_view(task.comm)), task.weight);
      first = false;
    }
    out_.write(line_ += "]}\n");
  }
  void event(const KernelEvent& e, const TaskNames& names) override {
    line_ = fmt::format(R"({{"item":"kernel_event","session":{},"type":"{}","time_ns":{},"cpu":{},"seq":{},"tid":{})",
                        session_, name_of(e.type), e.time_ns, e.cpu, e.seq, e.tid);
    fmt::format_to(std::back_inserter(line_), R"(,"comm":"{}","flags":{})", json_escape(names.comm(e.tid)), e.flags);
    JsonFields fields(line_);
    name_fields(e, names, fields);
    out_.write(line_ += "}\n");
  }
  void step(const StepRecord& step) override {
    out_.write(fmt::format(R"({{"item":"step","session":{},{})", session_, json_step(step).substr(1)) + '\n');
  }
  void loss(const LossRecord& record) override {
    for (const Loss& loss : record.losses)
      out_.write(fmt::format(R"({{"item":"loss","session":{},"time_ns":{},"ring":"{}","cpu":{},"count":{}}})", session_,
                             record.time_ns, name_of(loss.ring),
                             loss.cpu == kLossAllCpus ? "null" : fmt::format_int(loss.cpu).str(), loss.count) +
                 '\n');
  }
  void gap(const GapRecord& gap) override {
    out_.write(fmt::format(R"({{"item":"gap","session":{},"first_step":{},"last_step":{},"damage":{}}})", session_,
                           gap.first_step, gap.last_step, gap.damage) +
               '\n');
  }
  void session_end(const SessionEnd& end) override {
    out_.write(fmt::format(R"({{"item":"session_end","session":{},"end_ns":{},"reason":"{}"}})", session_, end.end_ns,
                           json_escape(end.reason)) +
               '\n');
  }

 private:
  TextOut& out_;
  u32 session_ = 0;
  std::string line_;
};

}  // namespace

std::unique_ptr<Form> make_csv_form(TextOut& out) { return std::make_unique<CsvForm>(out); }
std::unique_ptr<Form> make_json_lines_form(TextOut& out) { return std::make_unique<JsonLinesForm>(out); }

}  // namespace reprise::trace
