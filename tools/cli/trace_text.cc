// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/trace_text.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "scheduler/policies/table.h"
#include "traces/format.h"

namespace reprise::cli {

using trace::Severity;

Expected<trace::ChosenPolicy> find_recorded_policy(std::string_view spec) {
  auto parsed = parse_policy(spec);
  if (!parsed) return std::unexpected(parsed.error());
  return trace::ChosenPolicy{.info = parsed->info, .options = std::move(parsed->options)};
}

Json policy_json(std::string_view name, std::string_view options) {
  if (name.empty()) return nullptr;
  Json values = Json::object();
  for (std::string_view rest = options; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) continue;
    u64 value = 0;
    std::from_chars(item.data() + equals + 1, item.data() + item.size(), value);
    values[std::string(item.substr(0, equals))] = value;
  }
  return {{"name", name}, {"options", values}, {"text", policy_text(name, options)}};
}

std::string policy_text(std::string_view name, std::string_view options) {
  if (name.empty()) return "none";
  return options.empty() ? std::string(name) : fmt::format("{}:{}", name, options);
}

Json session_json(const trace::SessionInfo& session) {
  Json topology = Json::array();
  for (const trace::CpuPlace& place : session.topology)
    topology.push_back({{"cpu", place.cpu}, {"core", place.core}, {"llc", place.llc}, {"node", place.node}});
  Json settings = Json::object();
  for (const trace::Setting& setting : session.dispatcher) settings[setting.name] = setting.value;
  return {{"kind", trace::name_of(session.kind)},
          {"policy", policy_json(session.policy, session.options)},
          {"seed", session.seed},
          {"cpus", session.cpus},
          {"max_tasks", session.max_tasks},
          {"interests", session.interests},
          {"start_ns", session.start_ns},
          {"realtime_offset_ns", session.realtime_offset_ns},
          {"boottime_offset_ns", session.boottime_offset_ns},
          {"code",
           {{"version", session.version},
            {"compiler", session.compiler},
            {"build_type", session.build_type},
            {"engine_hash", session.engine_hash},
            {"policies_hash", session.policies_hash},
            {"dispatcher_hash", session.dispatcher_hash}}},
          {"kernel",
           {{"release", session.kernel_release},
            {"version", session.kernel_version},
            {"preemption", session.preemption},
            {"hz", session.hz},
            {"sched_ext_features", session.sched_ext_features}}},
          {"machine", session.machine},
          {"cpu_model", session.cpu_model},
          {"topology", topology},
          {"dispatcher", settings},
          {"tasks_at_start", session.tasks.size()},
          {"tasks_omitted", session.tasks_omitted}};
}

Json totals_json(const trace::SessionTotals& totals) {
  return {{"steps", totals.steps},
          {"events", totals.events},
          {"decisions", totals.decisions},
          {"kernel_events", totals.kernel_events},
          {"snapshots", totals.snapshots},
          {"steps_lost", totals.steps_lost},
          {"snapshots_lost", totals.snapshots_lost}};
}

Json losses_json(std::span<const trace::Loss> losses) {
  Json list = Json::array();
  for (const trace::Loss& loss : losses) {
    Json cpu = nullptr;
    if (loss.cpu != trace::kLossAllCpus) cpu = loss.cpu;
    list.push_back({{"ring", trace::name_of(loss.ring)}, {"cpu", cpu}, {"count", loss.count}});
  }
  return list;
}

Json gap_json(const trace::GapRecord& gap) {
  return {{"first_step", gap.first_step},
          {"last_step", gap.last_step},
          {"after_ns", gap.after_ns},
          {"before_ns", gap.before_ns},
          {"cause", gap.damage ? "damage" : "recorder_full"}};
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kLoss:
      return "loss";
    case Severity::kDamage:
      return "damage";
  }
  return "unknown";
}

Json problems_json(std::span<const trace::Problem> problems) {
  Json list = Json::array();
  for (const trace::Problem& problem : problems)
    list.push_back({{"severity", name_of(problem.severity)}, {"byte", problem.byte}, {"what", problem.what}});
  return list;
}

std::string cpuset_text(std::span<const u32> ascending) {
  std::string text;
  for (std::size_t i = 0; i < ascending.size();) {
    std::size_t end = i + 1;
    while (end < ascending.size() && ascending[end] == ascending[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(ascending[i]);
    if (end - i > 1) text += '-' + std::to_string(ascending[end - 1]);
    i = end;
  }
  return text;
}

void show_problems(Console& console, std::span<const trace::Problem> problems) {
  for (const trace::Problem& problem : problems) {
    const std::string text = fmt::format("{} (at byte {})", problem.what, problem.byte);
    if (problem.severity == Severity::kNote) {
      console.detail("note: {}", text);
    } else {
      console.warning(text);
    }
  }
}

Error about_trace(Error error) {
  constexpr std::array<std::string_view, 4> kVerbs = {"is", "holds", "begins", "became"};
  const std::string_view first = std::string_view(error.what).substr(0, error.what.find(' '));
  if (std::ranges::find(kVerbs, first) != kVerbs.end()) error.what = "the trace " + error.what;
  return error;
}

Expected<trace::Reader> open_trace(const std::string& path, u32 kinds) {
  auto reader = trace::Reader::open(path, {.kinds = kinds});
  if (reader) return reader;
  Error error = about_trace(reader.error());
  if (error.code == ExitCode::kUsage) error.code = ExitCode::kBadInput;
  return std::unexpected(std::move(error));
}

Error damage_error(const trace::Reader& reader, std::string_view done_so_far) {
  const auto problems = reader.problems();
  const auto first = std::ranges::find(problems, Severity::kDamage, &trace::Problem::severity);
  const std::string what = first == problems.end() ? "not all of it can be read" : first->what;
  const u64 byte = first == problems.end() ? 0 : first->byte;
  return {ExitCode::kBadInput, fmt::format("the trace is damaged: {}", what),
          fmt::format("{} at byte {}", reader.name(), byte),
          fmt::format("{}; copy the trace again if it was copied, or record a new one", done_so_far)};
}

}  // namespace reprise::cli
