// SPDX-License-Identifier: GPL-2.0-only
// reprise fidelity: simulated against recorded, metric by metric.
#include "sim/run/fidelity.h"

#include "scheduler/policies/table.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/metrics_text.h"
#include "tools/cli/result_details.h"
#include "tools/cli/trace_text.h"

namespace reprise::cli {
namespace {

constexpr char kFidelityDescription[] =
    "Simulates the recorded policy on the recorded workload and holds each metric against the recording. What a "
    "metric\n"
    "may be off is fixed beforehand. Two controls show that the comparison can fail: run times 1.3 times as long, and\n"
    "another policy, have to be rejected, or the result is void. Several recordings of one workload count as one: "
    "the\n"
    "median of the differences counts, and the spread between the recordings is allowed: the greatest value less the\n"
    "least, a tenth of the recordings at either end left out.";
constexpr char kFidelityFooter[] =
    "examples\n"
    "  reprise fidelity run.rtrace\n"
    "  reprise fidelity run.rtrace --costs-from other.rtrace      costs fitted on another recording\n"
    "  reprise fidelity run1.rtrace run2.rtrace run3.rtrace --json\n\n"
    "exit status\n"
    "  0 all measured metrics agree   1 one disagrees, or the result is void   65 FILE cannot be simulated";

class FidelityCommand final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kFidelityDescription);
    app.footer(kFidelityFooter);
    app.add_option("FILE", files_, "traces (.rtrace) of one workload")->required();
    app.add_option("--costs-from", costs_from_, "fit the costs on this recording instead")->type_name("FILE");
    add_number(app, "--runs", runs_, {"N", 1, 1000}, "simulations of each recording; run times differ by 0.2 %");
    add_number(app, "--session", session_, {"N", 1, 1'000'000, false}, "of the traces; the first when not given");
  }
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<std::vector<sim::Recorded>> load(Console&) const;
  Expected<sim::FidelityOptions> options(const sim::Recorded&) const;
  Json document(const Console&, const sim::Fidelity&, const sim::Recorded&) const;
  void show(Console&, const sim::Fidelity&, const sim::Recorded&) const;

  std::vector<std::string> files_;
  std::string costs_from_;
  u32 session_ = 0, runs_ = sim::FidelityOptions{}.runs;
};

Expected<std::vector<sim::Recorded>> FidelityCommand::load(Console& console) const {
  std::optional<sim::Costs> costs;
  if (!costs_from_.empty()) {
    auto other = sim::from_trace(costs_from_, {});
    if (!other) return std::unexpected(about_trace(other.error()));
    costs = other->machine.costs;
  }
  std::vector<sim::Recorded> recordings;
  for (const std::string& file : files_) {
    auto loaded = sim::from_trace(file, {.session = session_, .costs = costs});
    if (!loaded) return std::unexpected(about_trace(loaded.error()));
    if (loaded->extracted.lost_events + loaded->extracted.sequence_gaps != 0)
      console.warning(file + " lost events; what is compared with it is guessed in part");
    console.detail("{}", loaded->extracted.text());
    recordings.push_back(std::move(*loaded));
    const sim::Recorded &first = recordings.front(), &last = recordings.back();
    if (last.session.policy != first.session.policy || last.session.options != first.session.options ||
        last.session.cpus != first.session.cpus)
      return fail(ExitCode::kUsage,
                  fmt::format("{} and {} are not recordings of the same policy and machine", files_.front(), file));
  }
  return recordings;
}

Expected<sim::FidelityOptions> FidelityCommand::options(const sim::Recorded& recorded) const {
  sim::FidelityOptions options;
  if (!recorded.session.policy.empty()) {
    auto spec =
        parse_policy(recorded.session.options.empty() ? recorded.session.policy
                                                      : recorded.session.policy + ":" + recorded.session.options);
    if (!spec) {
      Error error = spec.error();
      error.code = ExitCode::kBadInput;
      return std::unexpected(error);
    }
    options.policy = spec->info;
    options.policy_options = spec->options;
  }
  auto wrong = find_policy(recorded.session.policy == "fifo" ? "vruntime" : "fifo");
  if (!wrong) return std::unexpected(wrong.error());
  options.wrong = *wrong;
  options.runs = runs_;
  return options;
}

Json FidelityCommand::document(const Console& console, const sim::Fidelity& result,
                               const sim::Recorded& recorded) const {
  Json metrics = Json::array();
  for (const sim::FidelityCell& cell : result.cells)
    metrics.push_back({{"name", cell.metric->name},
                       {"recorded", cell.recorded},
                       {"simulated", cell.simulated},
                       {"difference", cell.difference},
                       {"error", cell.error},
                       {"tolerance", cell.metric->tolerance_per_mille / 1000.0},
                       {"goal", cell.metric->goal_per_mille / 1000.0},
                       {"spread", cell.spread},
                       {"allowed", cell.allowed},
                       {"within_goal", cell.goal},
                       {"verdict", sim::name(cell.verdict)},
                       {"reason", cell.reason}});
  Json controls = Json::array();
  bool rejected = true;
  for (const sim::Control& control : result.controls) {
    controls.push_back({{"name", control.name},
                        {"what", control.what},
                        {"applies", control.applies},
                        {"rejected", control.rejected},
                        {"metric", control.metric}});
    rejected = rejected && (control.rejected || !control.applies);
  }
  Json hashes = Json::array();
  for (const u64 hash : result.state_hashes) hashes.push_back(fmt::format("{:016x}", hash));
  return {{"schema", "reprise.fidelity/1"},
          {"files", files_},
          {"policy", policy_text(recorded.session.policy, recorded.session.options)},
          {"cpus", recorded.session.cpus},
          {"costs_from", costs_from_.empty() ? Json(nullptr) : Json(costs_from_)},
          {"verdict", sim::name(result.verdict)},
          {"control", {{"rejected", rejected}, {"runs", controls}}},
          {"metrics", metrics},
          {"state_hashes", hashes},
          {"recording", recording_json(files_.front(), recorded.session)},
          {"provenance", provenance_json(console)}};
}

std::string value_text(const sim::FidelityCell& cell, u64 value) {
  return cell.metric->name.ends_with("_ns") ? duration_text(value) : grouped(value);
}

void FidelityCommand::show(Console& console, const sim::Fidelity& result, const sim::Recorded& recorded) const {
  console.print("{} on {}, {}\n", policy_text(recorded.session.policy, recorded.session.options),
                counted(recorded.session.cpus, "CPU"), counted(files_.size(), "recording"));
  console.print("{:<24}{:>12}{:>12}{:>9}{:>9}{:>7}\n", "metric", "recorded", "simulated", "error", "allowed", "goal");
  for (const sim::FidelityCell& cell : result.cells) {
    std::string line = fmt::format("{:<24}{:>12}", cell.metric->name, value_text(cell, cell.recorded));
    if (cell.verdict == sim::MetricVerdict::kNotMeasured) {
      console.print("{}{:>12}  not measured: {}\n", line, value_text(cell, cell.simulated), cell.reason);
      continue;
    }
    line += fmt::format("{:>12}{:>8.1f}%{:>8.1f}%{:>6.0f}%", value_text(cell, cell.simulated), cell.error * 100,
                        cell.allowed * 100, cell.metric->goal_per_mille / 10.0);
    const bool agrees = cell.verdict == sim::MetricVerdict::kAgree;
    console.print("{}  {}\n", line,
                  console.out_colour(agrees ? Console::Colour::kGreen : Console::Colour::kRed,
                                     cell.goal ? "agree, goal" : sim::name(cell.verdict)));
  }
  for (const sim::Control& control : result.controls) {
    const std::string how = control.rejected  ? fmt::format("rejected by {}", control.metric)
                            : control.applies ? "NOT rejected"
                                              : "makes no difference here";
    console.print("control: {}: {}\n", control.what, how);
  }
  console.print("{}\n", console.out_colour(
                            result.verdict == sim::Verdict::kAgree ? Console::Colour::kGreen : Console::Colour::kRed,
                            sim::name(result.verdict)));
}

Expected<ExitCode> FidelityCommand::run(Console& console) {
  auto recordings = load(console);
  if (!recordings) return std::unexpected(recordings.error());
  auto options = this->options(recordings->front());
  if (!options) return std::unexpected(options.error());
  const auto result = sim::fidelity(*recordings, *options);
  if (!result) return std::unexpected(result.error());
  if (console.json())
    console.document(document(console, *result, recordings->front()));
  else
    show(console, *result, recordings->front());
  return result->verdict == sim::Verdict::kAgree ? ExitCode::kDone : ExitCode::kExpectationFailed;
}

}  // namespace

std::unique_ptr<Command> make_fidelity() { return std::make_unique<FidelityCommand>(); }

}  // namespace reprise::cli
