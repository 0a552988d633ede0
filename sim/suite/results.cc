// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/results.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/suite/measure.h"
#include "sim/suite/seal.h"

namespace reprise::sim {
namespace {

using Json = nlohmann::ordered_json;

// "frames.p99_run_delay": that of the metric behind the group.
const char* unit_of(std::string_view metric) {
  const MetricInfo* info = find_measure(metric.substr(metric.find('.') + 1));
  if (!info || info->unit == Unit::kCount) return "count";
  if (info->unit == Unit::kNs) return "ns";
  return info->name.ends_with("_pct") ? "percent" : "ratio";
}

Json finding_json(const Finding& finding) {
  Json json = {{"kind", name(finding.kind)}, {"verdict", name(finding.verdict)}, {"sentence", finding.sentence}};
  if (finding.metric.empty()) return json;
  json["metric"] = finding.metric;
  json["unit"] = unit_of(finding.metric);
  json["base"] = finding.base;
  json["now"] = finding.now;
  json["worse"] = finding.worse;
  json["allowed"] = finding.allowed;
  if (finding.kind == Finding::Kind::kGate) json["chance"] = finding.chance;
  json["seed"] = finding.seed;
  return json;
}

Json case_json(const Suite& suite, const CaseReport& report, const ResultsOrigin& origin) {
  const Case& item = suite.cases[report.index];
  const Setup& setup = suite.setups[item.setup];
  Json findings = Json::array();
  for (const Finding& finding : report.findings) findings.push_back(finding_json(finding));
  Json json = {{"name", item.name},       {"line", item.line},      {"verdict", name(report.verdict)},
               {"policy", setup.policy},  {"workload", setup.file}, {"seeds", setup.seeds},
               {"events", report.events}, {"cpu_ns", report.cpu_ns}};
  json["first_divergence"] = report.divergence.empty() ? Json(nullptr) : Json(report.divergence);
  json["longest_wait"] = report.worst_wait.empty() ? Json(nullptr) : Json(report.worst_wait);
  if (origin.again) json["again"] = origin.again(report);
  json["findings"] = findings;
  return json;
}

struct PolicyRow {
  SuitePolicy policy;
  CaseVerdict verdict = CaseVerdict::kPass;
  u32 cases = 0;
};

}  // namespace

Json results_document(const Suite& suite, const SuiteReport& report, const SuitePolicyFinder& find,
                      const ResultsOrigin& origin, bool complete) {
  std::map<std::string, PolicyRow> rows;
  Json cases = Json::array();
  for (const CaseReport& one : report.cases) {
    cases.push_back(case_json(suite, one, origin));
    const Setup& setup = suite.setups[suite.cases[one.index].setup];
    if (setup.policy.empty()) continue;
    auto policy = find(setup.policy);
    if (!policy || !policy->info) continue;
    PolicyRow& row = rows[policy->text];
    row.policy = *policy;
    row.verdict = worst(row.verdict, one.verdict);
    ++row.cases;
  }
  Json policies = Json::array();
  for (const auto& [text, row] : rows)
    policies.push_back({{"policy", text},
                        {"name", row.policy.info->name},
                        {"options", row.policy.options.text()},
                        {"code", row.policy.code},
                        {"verdict", name(row.verdict)},
                        {"cases", row.cases}});
  const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  Json document = {
      {"schema", kResultsSchema},
      {"suite",
       {{"name", suite.name},
        {"file", suite.path},
        {"sha256", suite.sha256},
        {"baseline_sha256", or_null(report.baseline_sha256)}}},
      {"made",
       {{"at", origin.at},
        {"version", origin.version},
        {"compiler", origin.compiler},
        {"build_type", origin.build_type},
        {"command", origin.command}}},
      {"code",
       {{"engine", origin.engine_hash}, {"policies", origin.policies_hash}, {"dispatcher", origin.dispatcher_hash}}},
      {"complete", complete && report.complete},
      {"verdict", name(report.verdict)},
      {"counts",
       {{"pass", report.counts[0]},
        {"undecided", report.counts[1]},
        {"fail", report.counts[2]},
        {"error", report.counts[3]}}},
      {"events", report.events},
      {"policies", policies},
      {"cases", cases}};
  document["seal"] = seal_of(document);
  return document;
}

}  // namespace reprise::sim
