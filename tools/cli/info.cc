// SPDX-License-Identifier: GPL-2.0-only
// reprise info: what a trace holds, who made it and on what. Reads all of it, so it also says whether it is whole.
#include <algorithm>
#include <ctime>
#include <map>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/metrics_text.h"
#include "tools/cli/result_details.h"
#include "tools/cli/sched_tables.h"
#include "tools/cli/trace_text.h"
#include "traces/format.h"

namespace reprise::cli {
namespace {

constexpr char kInfoDescription[] =
    "Shows what FILE holds: sessions (one per attach), policy and options, the code, kernel and machine that made it,\n"
    "counts, losses and snapshots. All of the file is read and every checksum verified.";
constexpr char kInfoFooter[] =
    "examples\n"
    "  reprise info run.rtrace\n"
    "  reprise info run.rtrace --metrics --latency\n"
    "  reprise info run.rtrace --json | jq '.sessions[0].policy'\n\n"
    "exit status\n"
    "  0 the trace is whole   65 it is damaged or cut short (what can be read is shown)";

struct SessionSummary {
  trace::SessionInfo info;
  trace::SessionTotals totals;  // as read
  u64 first_ns = 0, last_ns = 0;
  std::vector<trace::Loss> losses;
  std::vector<trace::GapRecord> gaps;
  std::vector<u64> snapshot_steps;
  bool ended = false;
  trace::SessionEnd end;

  void cover(u64 time_ns) {
    if (first_ns == 0 || time_ns < first_ns) first_ns = time_ns;
    last_ns = std::max(last_ns, time_ns);
  }
  [[nodiscard]] u64 duration_ns() const {
    const u64 begin = info.start_ns != 0 && info.start_ns < first_ns ? info.start_ns : first_ns;
    const u64 finish = ended ? std::max(end.end_ns, last_ns) : last_ns;
    return finish > begin ? finish - begin : 0;
  }
};

std::vector<SessionSummary> read_sessions(trace::Reader& reader) {
  using enum trace::Item;
  std::vector<SessionSummary> sessions;
  for (;;) {
    const trace::Item item = reader.next();
    if (item == kEnd) return sessions;
    if (item == kSession) {
      sessions.emplace_back().info = reader.session();
      continue;
    }
    if (sessions.empty()) continue;  // damage before the first session; the reader has told of it
    SessionSummary& now = sessions.back();
    switch (item) {
      case kStep:
        ++now.totals.steps;
        now.totals.events += reader.step().input.events.size();
        now.totals.decisions += reader.step().decisions.size();
        now.cover(reader.step().input.now_ns);
        break;
      case kEvents:
        now.totals.kernel_events += reader.events().size();
        if (!reader.events().empty()) {
          now.cover(reader.events().front().time_ns);
          now.cover(reader.events().back().time_ns);
        }
        break;
      case kSnapshot:
        ++now.totals.snapshots;
        now.snapshot_steps.push_back(reader.snapshot().step);
        break;
      case kLoss:
        now.losses.assign(reader.loss().losses.begin(), reader.loss().losses.end());
        break;
      case kGap:
        now.gaps.push_back(reader.gap());
        break;
      case kSessionEnd:
        now.ended = true;
        now.end = reader.session_end();
        now.totals.steps_lost = now.end.totals.steps_lost;
        now.totals.snapshots_lost = now.end.totals.snapshots_lost;
        break;
      case kSession:
      case kEnd:
        break;
    }
  }
}

// Per engine event and kernel event; the first number people compare with perf's about 100.
double bytes_per_event(const trace::ReadTotals& totals) {
  const u64 events = totals.items.events + totals.items.kernel_events;
  return events == 0 ? 0.0 : static_cast<double>(totals.bytes) / static_cast<double>(events);
}

Json summary_json(const SessionSummary& session) {
  Json json = session_json(session.info);
  json["duration_ns"] = session.duration_ns();
  json["counts"] = totals_json(session.totals);
  json["losses"] = losses_json(session.losses);
  json["gaps"] = Json::array();
  for (const trace::GapRecord& gap : session.gaps) json["gaps"].push_back(gap_json(gap));
  json["snapshot_steps"] = session.snapshot_steps;
  json["end"] = nullptr;
  if (session.ended)
    json["end"] = {{"end_ns", session.end.end_ns},
                   {"reason", session.end.reason},
                   {"exit_code", session.end.exit_code},
                   {"counts", totals_json(session.end.totals)}};
  return json;
}

Json info_json(const trace::Reader& reader, std::span<const SessionSummary> sessions) {
  const trace::ReadTotals& totals = reader.totals();
  Json list = Json::array();
  for (const SessionSummary& session : sessions) list.push_back(summary_json(session));
  return {{"schema", "reprise.info/1"},
          {"file", reader.name()},
          {"complete", totals.complete},
          {"bytes", totals.bytes},
          {"frames", totals.frames},
          {"duration_ns", totals.last_ns > totals.first_ns ? totals.last_ns - totals.first_ns : 0},
          {"counts", totals_json(totals.items)},
          {"bytes_per_event", bytes_per_event(totals)},
          {"sessions", list},
          {"problems", problems_json(reader.problems())}};
}

// "4 CPUs, 2 cores, 1 LLC, 1 node".
std::string topology_text(const trace::SessionInfo& info) {
  if (info.topology.empty()) return counted(info.cpus, "CPU");
  std::map<u32, u32> cores, llcs, nodes;
  std::vector<u32> cpus;
  for (const trace::CpuPlace& place : info.topology) {
    cpus.push_back(place.cpu);
    ++cores[place.core], ++llcs[place.llc], ++nodes[place.node];
  }
  std::ranges::sort(cpus);
  return fmt::format("{} ({}), {}, {}, {}", counted(cpus.size(), "CPU"), cpuset_text(cpus),
                     counted(cores.size(), "core"), counted(llcs.size(), "LLC"), counted(nodes.size(), "node"));
}

// The wall clock at attach, in UTC.
std::string clock_text(const trace::SessionInfo& info) {
  if (info.realtime_offset_ns == 0) return "not known";
  const auto seconds = static_cast<std::time_t>((static_cast<i64>(info.start_ns) + info.realtime_offset_ns) /
                                                static_cast<i64>(kNsPerSec));
  std::tm utc{};
  char text[32];
  if (gmtime_r(&seconds, &utc) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
    return "not known";
  return text;
}

std::string loss_text(const SessionSummary& session) {
  std::map<trace::LossRing, u64> per_ring;
  for (const trace::Loss& loss : session.losses) per_ring[loss.ring] += loss.count;
  std::string text;
  const auto add = [&](u64 count, std::string_view what) {
    if (count != 0) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", grouped(count), what);
  };
  for (const auto& [ring, count] : per_ring) add(count, trace::name_of(ring));
  if (!per_ring.contains(trace::LossRing::kSteps)) add(session.totals.steps_lost, "steps");
  add(session.totals.snapshots_lost, "snapshots");
  return text.empty() ? "none" : text;
}

// "a6f3...": the first digits tell two versions apart.
std::string short_hash(std::string_view hash) { return hash.empty() ? "-" : std::string(hash.substr(0, 12)); }

void show_session(Console& console, const SessionSummary& session, std::size_t number) {
  const trace::SessionInfo& info = session.info;
  const auto row = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) console.print("  {:<11} {}\n", name, value);
  };
  console.print("\nsession {} ({})\n", number, trace::name_of(info.kind));
  row("policy", fmt::format("{}, seed {}", policy_text(info.policy, info.options), info.seed));
  row("began", fmt::format("{}, {} s after boot; lasted {}", clock_text(info), seconds_text(info.start_ns),
                           duration_text(session.duration_ns())));
  row("ended",
      session.ended
          ? fmt::format("{}{}", session.end.reason,
                        session.end.exit_code == 0 ? "" : fmt::format(" (exit code {:#x})", session.end.exit_code))
          : "without an end record: stopped by force, or the file was cut");
  row("steps", fmt::format("{}: {}, {}", grouped(session.totals.steps), counted(session.totals.events, "event"),
                           counted(session.totals.decisions, "decision")));
  row("observed", counted(session.totals.kernel_events, "event") + " of the kernel");
  row("snapshots", session.snapshot_steps.empty()
                       ? "none"
                       : fmt::format("{}, after step {}", session.snapshot_steps.size(),
                                     session.snapshot_steps.size() == 1
                                         ? grouped(session.snapshot_steps.front())
                                         : fmt::format("{} .. {}", grouped(session.snapshot_steps.front()),
                                                       grouped(session.snapshot_steps.back()))));
  row("losses", loss_text(session));
  for (const trace::GapRecord& gap : session.gaps)
    row("gap", fmt::format("steps {}..{} are missing ({})", gap.first_step, gap.last_step,
                           gap.damage ? "damage" : "the recorder could not keep up"));
  row("machine",
      fmt::format("{}{}{}; {}", info.machine, info.cpu_model.empty() ? "" : ", ", info.cpu_model, topology_text(info)));
  row("kernel", fmt::format("{}{}{}", info.kernel_release, info.hz == 0 ? "" : fmt::format(", HZ {}", info.hz),
                            info.preemption.empty() ? "" : fmt::format(", preemption {}", info.preemption)));
  row("code", fmt::format("reprise {} ({}, {}); engine {}, policies {}, dispatcher {}", info.version, info.compiler,
                          info.build_type, short_hash(info.engine_hash), short_hash(info.policies_hash),
                          short_hash(info.dispatcher_hash)));
  row("tasks", fmt::format("{} at the start{}; table of {}", grouped(info.tasks.size()),
                           info.tasks_omitted == 0 ? "" : fmt::format(" ({} more left out)", info.tasks_omitted),
                           grouped(info.max_tasks)));
  if (console.verbosity() == 0) return;
  if (!session.snapshot_steps.empty())
    row("snapshots", fmt::format("after the steps {}", fmt::join(session.snapshot_steps, " ")));
  row("version", info.kernel_version);
  row("sched_ext", fmt::format("{}", fmt::join(info.sched_ext_features, " ")));
  for (const trace::Setting& setting : info.dispatcher)
    row("dispatcher", fmt::format("{} {}", setting.name, setting.value));
}

class Info final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kInfoDescription);
    app.footer(kInfoFooter);
    app.add_option("FILE", file_, "a trace (.rtrace)")->required();
    app.add_flag("--metrics", metrics_, "latencies, slices, switches, fairness of each session");
    app.add_flag("--latency", latency_, "a row per task, laid out as perf sched latency");
    auto* history =
        app.add_flag("--timehist", timehist_, "only a row per stay on a CPU, laid out as perf sched timehist");
    app.add_flag("--map", map_, "only a row per switch and what each CPU runs, as perf sched map")->excludes(history);
  }
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<std::vector<SessionMetrics>> metrics(bool details) const;

  std::string file_;
  Expected<ExitCode> table(Console&) const;

  bool metrics_ = false, latency_ = false, timehist_ = false, map_ = false;
};

Expected<std::vector<SessionMetrics>> Info::metrics(bool details) const {
  if (!metrics_ && !latency_) return {};
  auto reader = open_trace(file_);
  if (!reader) return std::unexpected(reader.error());
  return read_metrics(*reader, details);
}

// In place of all else, so that it can be laid beside perf's and be piped on.
Expected<ExitCode> Info::table(Console& console) const {
  if (console.json())
    return fail(ExitCode::kUsage, "--timehist and --map are tables for people", {},
                "reprise export FILE -o OUT.jsonl has the events as JSON");
  auto reader = open_trace(file_);
  if (!reader) return std::unexpected(reader.error());
  if (timehist_)
    show_timehist(console, *reader);
  else
    show_map(console, *reader);
  show_problems(console, reader->problems());
  if (!reader->damaged()) return ExitCode::kDone;
  return std::unexpected(damage_error(*reader, "what is shown could be read"));
}

Expected<ExitCode> Info::run(Console& console) {
  if (timehist_ || map_) return table(console);
  auto reader = open_trace(file_);
  if (!reader) return std::unexpected(reader.error());
  const std::vector<SessionSummary> sessions = read_sessions(*reader);
  const trace::ReadTotals& totals = reader->totals();
  show_problems(console, reader->problems());
  const auto metrics = this->metrics(console.json());
  if (!metrics) return std::unexpected(metrics.error());
  std::optional<Error> error;
  if (reader->damaged()) error = damage_error(*reader, "what is shown could be read");
  if (console.json()) {
    Json json = info_json(*reader, sessions);
    if (metrics_) {
      for (std::size_t i = 0; i < metrics->size(); ++i) {
        json["sessions"][i]["metrics"] = metrics_json((*metrics)[i].metrics);
        json["sessions"][i]["details"] = details_json((*metrics)[i].metrics);
      }
      json["metrics"] = metrics->size() == 1 ? metrics_json(metrics->front().metrics) : Json(nullptr);
    }
    json["provenance"] = provenance_json(console);
    if (error) json["error"] = error_json(*error);
    console.document(json);
  } else {
    console.print("{}: {}, {} in {}, {}\n", reader->name(), bytes_text(totals.bytes),
                  counted(sessions.size(), "session"), counted(totals.frames, "frame"),
                  totals.complete ? "whole" : "NOT whole");
    console.print("  {} ({} for the engine, {} of the kernel), {:.1f} bytes per event\n",
                  counted(totals.items.events + totals.items.kernel_events, "event"), grouped(totals.items.events),
                  grouped(totals.items.kernel_events), bytes_per_event(totals));
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      show_session(console, sessions[i], i + 1);
      if (metrics_) console.print("{}", metrics_text((*metrics)[i].metrics));
      if (latency_) console.print("{}", latency_table((*metrics)[i].metrics));
    }
  }
  if (error) console.error(*error);
  return error ? error->code : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_info() { return std::make_unique<Info>(); }

}  // namespace reprise::cli
