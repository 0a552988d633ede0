// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/results.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sim/run/fidelity.h"
#include "tools/cli/metrics_text.h"
#include "tools/cli/trace_text.h"

namespace reprise::cli {
namespace {

constexpr char kWhatCompareReads[] =
    "compare reads traces and what sim --json, info --metrics --json and fidelity --json wrote";
constexpr std::size_t kMaxResultBytes = 256u << 20;

std::unexpected<Error> bad(const std::string& file, std::string what, std::string hint = kWhatCompareReads) {
  return fail(ExitCode::kBadInput, std::move(what), file, std::move(hint));
}

// How far a simulation is off: the smaller the better, and a change of two in a hundred is none.
std::span<const sim::MetricInfo> fidelity_table() {
  static const std::vector<sim::MetricInfo> table = [] {
    std::vector<sim::MetricInfo> made;
    for (const sim::FidelityMetric& metric : sim::fidelity_metrics())
      made.push_back({metric.name, metric.name, "", sim::Unit::kRatio, 0, sim::Better::kLess, 0.10, 0.02});
    return made;
  }();
  return table;
}

// The values of a run's metrics as metrics_json wrote them.
std::vector<std::optional<sim::MetricValue>> values_from(const Json& metrics) {
  std::vector<std::optional<sim::MetricValue>> values;
  for (const sim::MetricInfo& info : sim::metric_table()) {
    values.emplace_back();
    const auto at = metrics.find(info.key);
    if (at == metrics.end()) continue;
    if (info.part.empty()) {
      if (at->is_number()) values.back() = sim::MetricValue{at->get<double>()};
      continue;
    }
    const auto part = at->find(info.part), count = at->find("count");
    if (part != at->end() && part->is_number() && count != at->end() && count->is_number())
      values.back() = sim::MetricValue{part->get<double>(), count->get<u64>()};
  }
  return values;
}

void add_run(Result& result, const Json& metrics, std::string policy, u32 cpus, u64 seed, u32 session = 1) {
  result.runs.push_back(
      {.policy = std::move(policy), .cpus = cpus, .session = session, .seed = seed, .values = values_from(metrics)});
}

void read_sim(const Json& json, Result& result, Console& console) {
  for (const Json& row : json.at("results")) {
    const std::string policy = row.at("policy");
    if (!row.contains("metrics")) {
      console.warning(fmt::format("{}: the run of {} failed and is left out", result.file, policy));
      continue;
    }
    add_run(result, row.at("metrics"), policy, row.value("cpus", 0u), row.at("seed"));
  }
  if (const auto recorded = json.find("recorded"); recorded != json.end())
    add_run(result, recorded->at("metrics"), "recorded", recorded->value("cpus", 0u), 0);
}

void read_info(const Json& json, Result& result) {
  u32 number = 0;
  for (const Json& session : json.at("sessions")) {
    ++number;
    if (!session.contains("metrics")) continue;
    const Json& policy = session.at("policy");
    add_run(result, session.at("metrics"), policy.is_null() ? "none" : policy.at("text").get<std::string>(),
            session.at("cpus"), session.at("seed"), number);
  }
}

void read_fidelity(const Json& json, Result& result) {
  result.table = fidelity_table();
  ResultRun run{.policy = json.at("policy"), .cpus = json.value("cpus", 0u), .values = {}};
  run.values.resize(result.table.size());
  for (const Json& metric : json.at("metrics")) {
    const auto at = std::ranges::find(result.table, metric.at("name").get<std::string>(), &sim::MetricInfo::name);
    if (at == result.table.end() || metric.at("verdict") == "not_measured") continue;
    run.values[static_cast<std::size_t>(at - result.table.begin())] =
        sim::MetricValue{metric.at("error").get<double>()};
  }
  result.runs.push_back(std::move(run));
}

Expected<Result> read_document(const std::string& file, const std::string& text, Console& console) {
  Result result{.file = file, .kind = {}, .table = sim::metric_table(), .runs = {}};
  try {
    const Json json = Json::parse(text);
    const std::string schema = json.is_object() ? json.value("schema", std::string()) : std::string();
    if (schema.empty()) return bad(file, "is JSON without a \"schema\", so it is no result of reprise");
    if (const auto error = json.find("error");
        error != json.end() && !json.contains("results") && !json.contains("sessions"))
      return bad(file, fmt::format("holds no result but an error: {}", error->value("what", std::string())));
    if (schema == "reprise.sim/1") {
      result.kind = "sim";
      read_sim(json, result, console);
    } else if (schema == "reprise.info/1") {
      result.kind = "info";
      read_info(json, result);
    } else if (schema == "reprise.fidelity/1") {
      result.kind = "fidelity";
      read_fidelity(json, result);
    } else {
      return bad(file, fmt::format("is of the schema '{}', which holds nothing to compare", schema));
    }
  } catch (const Json::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 3, column 7: syntax error while parsing..."
    const std::string_view what = error.what();
    const std::size_t at = what.find(" at ");
    return bad(file, fmt::format("is not JSON: {}", at == what.npos ? what : what.substr(at + 1)));
  } catch (const Json::exception& error) {
    const std::string_view what = error.what();
    return bad(file, fmt::format("is not as reprise writes it: {}", what.substr(what.find("] ") + 2)),
               "write it anew; results are not made to be edited");
  }
  return result;
}

Expected<Result> read_trace(const std::string& file, Console& console) {
  auto reader = open_trace(file);
  if (!reader) {
    Error error = reader.error();
    if (error.code == ExitCode::kBadInput)
      error.hint += (error.hint.empty() ? "" : "; ") + std::string(kWhatCompareReads);
    return std::unexpected(std::move(error));
  }
  Result result{.file = file, .kind = "trace", .table = sim::metric_table(), .runs = {}};
  for (const SessionMetrics& session : read_metrics(*reader)) {
    ResultRun run{.policy = policy_text(session.info.policy, session.info.options),
                  .cpus = session.info.cpus,
                  .session = static_cast<u32>(result.runs.size() + 1),
                  .seed = session.info.seed,
                  .values = {}};
    for (const sim::MetricInfo& info : result.table) run.values.emplace_back(sim::value_of(session.metrics, info));
    result.runs.push_back(std::move(run));
  }
  show_problems(console, reader->problems());
  if (reader->damaged()) return std::unexpected(damage_error(*reader, "part of it does not compare"));
  std::erase_if(result.runs, [](const ResultRun& run) { return run.values.front()->value == 0; });
  if (result.runs.empty())
    return bad(file, "the trace holds no context switches, so there is nothing to measure",
               "record with reprise live --record or reprise record");
  return result;
}

}  // namespace

Expected<Result> read_result(const std::string& file, Console& console) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ExitCode::kIo, fmt::format("cannot be opened: {}", std::strerror(errno)), file);
  char first = 0;
  in >> first;  // past blanks
  if (first != '{' && first != '[') return read_trace(file, console);
  in.seekg(0);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (text.size() > kMaxResultBytes) return bad(file, fmt::format("is larger than {}", bytes_text(kMaxResultBytes)));
  auto result = read_document(file, text, console);
  if (result && result->runs.empty())
    return bad(file, "holds no metrics",
               result->kind == "info" ? "reprise info --metrics --json writes them" : kWhatCompareReads);
  return result;
}

}  // namespace reprise::cli
