// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include "sim/suite/sample.h"

namespace reprise::sim {

using nlohmann::json;

std::string to_line(const Sample& sample) {
  json values = json::array(), checkpoints = json::array();
  for (const MetricValue& value : sample.values) values.push_back({value.value, value.count});
  for (const Checkpoint& at : sample.checkpoints) checkpoints.push_back({at.decisions, at.time_ns, at.hash});
  json out = {{"seed", sample.seed},
              {"values", values},
              {"events", sample.events},
              {"decisions", sample.decisions},
              {"simulated_ns", sample.simulated_ns},
              {"state_hash", sample.state_hash},
              {"cpu_ns", sample.cpu_ns},
              {"worst", {sample.worst_tid, sample.worst_comm, sample.worst_wait_ns, sample.worst_at_ns}},
              {"checkpoints", checkpoints},
              {"sha256", sample.decisions_sha256},
              {"notes", sample.notes}};
  if (sample.error)
    out["error"] = {static_cast<int>(sample.error->code), sample.error->what, sample.error->where, sample.error->hint};
  return out.dump(-1, ' ', true, json::error_handler_t::replace);
}

namespace {

Sample read(const json& in) {
  Sample sample;
  sample.seed = in.at("seed");
  for (const json& value : in.at("values")) sample.values.push_back({value.at(0), value.at(1)});
  sample.events = in.at("events");
  sample.decisions = in.at("decisions");
  sample.simulated_ns = in.at("simulated_ns");
  sample.state_hash = in.at("state_hash");
  sample.cpu_ns = in.at("cpu_ns");
  const json& worst = in.at("worst");
  sample.worst_tid = worst.at(0);
  sample.worst_comm = worst.at(1);
  sample.worst_wait_ns = worst.at(2);
  sample.worst_at_ns = worst.at(3);
  for (const json& at : in.at("checkpoints")) sample.checkpoints.push_back({at.at(0), at.at(1), at.at(2)});
  sample.decisions_sha256 = in.at("sha256");
  sample.notes = in.at("notes");
  if (const auto error = in.find("error"); error != in.end())
    sample.error = Error{static_cast<ExitCode>(error->at(0).get<int>()), error->at(1), error->at(2), error->at(3)};
  return sample;
}

}  // namespace

std::optional<Sample> from_line(const std::string& line) {
  try {
    return read(json::parse(line));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace reprise::sim
