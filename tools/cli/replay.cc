// SPDX-License-Identifier: GPL-2.0-only
// reprise replay: the recorded inputs go through an engine again; says whether the decisions came out identical, and
// where they first did not.
#include "traces/replay.h"

#include <algorithm>
#include <chrono>

#include "scheduler/load/load.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/elsewhere.h"
#include "tools/cli/result_details.h"
#include "tools/cli/trace_text.h"
#include "traces/format.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kReplayDescription[] =
    "Feeds the inputs that FILE holds to an engine again and compares every decision with the recorded one: CPU,\n"
    "slice, vtime and flags, field by field. With --policy it asks how often another policy would have decided\n"
    "alike; what the machine would then have done is not what a replay can tell.";
constexpr char kReplayFooter[] =
    "examples\n"
    "  reprise replay run.rtrace                             are all decisions identical?\n"
    "  reprise replay run.rtrace --policy vruntime:slice_us=3000\n"
    "  reprise replay run.rtrace --policy build/mine.so --twice\n"
    "  reprise replay run.rtrace --from-step 50000 --to-step 60000 --json\n\n"
    "exit status\n"
    "  0 identical   3 diverged   1 the policy broke its contract, or --twice failed   65 the trace is damaged, has a "
    "gap or is empty";

Json decision_json(const std::optional<Decision>& decision) {
  if (!decision) return nullptr;
  return Json::parse(trace::json_decision(*decision));
}

Json divergence_json(const std::optional<trace::Divergence>& found) {
  if (!found) return nullptr;
  Json event = nullptr;
  if (found->event) event = Json::parse(trace::json_event(*found->event));
  return {{"session", found->session},
          {"step", found->step},
          {"time_ns", found->time_ns},
          {"position", found->position},
          {"field", found->field},
          {"tid", found->tid},
          {"comm", found->comm},
          {"event_step", found->event_step},
          {"event", event},
          {"recorded", decision_json(found->recorded)},
          {"replayed", decision_json(found->replayed)},
          {"sentence", found->sentence}};
}

/// May be in a shared object.
Expected<trace::ChosenPolicy> find_wanted_policy(std::string_view spec) {
  auto found = loader::load_policy(spec);
  if (!found) return std::unexpected(found.error());
  return trace::ChosenPolicy{found->info, std::move(found->options), std::move(found->code)};
}

class Replay final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<void> check_options() const;
  Expected<void> replay_elsewhere(const trace::ReplayResult&) const;
  [[nodiscard]] bool partial() const { return options_.from_step != 0 || options_.to_step != ~u64{0}; }
  Expected<trace::Reader> read_the_rest() const;
  Error gap_error(const trace::ReplayResult&, const std::string& so_far) const;
  ExitCode judge(const trace::Reader&, const trace::ReplayResult&, std::optional<Error>&) const;
  Json result_json(const Console&, const trace::Reader&, const trace::ReplayResult&, u64 per_second) const;
  void show(Console&, const trace::ReplayResult&, u64 per_second) const;

  std::string file_;
  bool twice_ = false;
  bool agreed_ = false;  // both times
  trace::ReplayOptions options_;
};

void Replay::declare(CLI::App& app) {
  app.description(kReplayDescription);
  app.footer(kReplayFooter);
  app.add_option("FILE", file_, "a trace (.rtrace)")->required();
  app.add_option("-p,--policy", options_.policy,
                 "another policy instead of the recorded one, as NAME:KEY=VALUE,..., or a shared object's path")
      ->type_name("P");
  add_number(app, "--from-step", options_.from_step, {"N", 1, ~u64{0}, false},
             "start at the newest snapshot that lets this step be reached");
  app.add_flag(
      "--twice", twice_,
      "replay again in a process with other addresses and another use of memory; the decisions must be the same");
  add_number(app, "--to-step", options_.to_step, {"N", 1, ~u64{0}, false}, "stop after this step");
}

// Spelled wrong, it should not take a pass over the trace to be told so.
Expected<void> Replay::check_options() const {
  if (options_.from_step > options_.to_step)
    return fail(ExitCode::kUsage,
                fmt::format("--from-step {} lies after --to-step {}", options_.from_step, options_.to_step));
  if (options_.policy.empty()) return {};
  auto found = find_wanted_policy(options_.policy);
  if (!found) return std::unexpected(found.error());
  return {};
}

Expected<ExitCode> Replay::run(Console& console) {
  if (auto checked = check_options(); !checked) return std::unexpected(checked.error());
  auto reader = open_trace(file_, trace::kReadSteps | trace::kReadSnapshots);
  if (!reader) return std::unexpected(reader.error());
  if (console.shows_progress()) {
    options_.progress = [&](u64 steps, u64 decisions) {
      if (steps != 0) console.progress(fmt::format("{} steps, {} decisions", grouped(steps), grouped(decisions)));
    };
  }
  options_.engine_hash = kEngineHash;
  options_.policies_hash = kPoliciesHash;
  const auto began = std::chrono::steady_clock::now();
  // A trace may come from anywhere: what it says was its policy is looked up in the table only.
  const trace::PolicyFinder find = [this](std::string_view spec) {
    return spec == options_.policy ? find_wanted_policy(spec) : find_recorded_policy(spec);
  };
  auto result = trace::replay(*reader, find, options_);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  if (result && !reader->damaged() && !partial()) {
    auto rest = read_the_rest();
    if (!rest) return std::unexpected(rest.error());
    if (rest->damaged()) *reader = std::move(*rest);
  }
  show_problems(console, reader->problems());
  if (!result) return std::unexpected(about_trace(result.error()));
  const auto per_second = static_cast<u64>(static_cast<double>(result->decisions) / std::max(seconds.count(), 1e-9));

  std::optional<Error> error;
  ExitCode code = judge(*reader, *result, error);
  if (twice_ && !error) {
    if (auto same = replay_elsewhere(*result); !same) {
      error = same.error();
      code = error->code;
    } else {
      agreed_ = true;
    }
  }
  if (!console.json()) show(console, *result, per_second);
  if (error) console.error(*error);
  if (console.json()) {
    Json json = result_json(console, *reader, *result, per_second);
    if (error) json["error"] = error_json(*error);
    console.document(json);
  }
  return code;
}

Expected<void> Replay::replay_elsewhere(const trace::ReplayResult& here) const {
  std::vector<std::string> arguments = {"replay", file_};
  if (!options_.policy.empty()) arguments.insert(arguments.end(), {"--policy", options_.policy});
  if (options_.from_step != 0) arguments.insert(arguments.end(), {"--from-step", std::to_string(options_.from_step)});
  if (options_.to_step != ~u64{0}) arguments.insert(arguments.end(), {"--to-step", std::to_string(options_.to_step)});
  auto there = run_elsewhere(arguments);
  if (!there) return std::unexpected(there.error());
  if (there->value("decisions_sha256", "") == here.decisions_sha256) return {};
  return fail(ExitCode::kExpectationFailed,
              fmt::format("the policy decides otherwise in another process: decisions {} there",
                          there->value("decisions_sha256", "none")),
              file_,
              "something beside its inputs reached a decision: an address, memory that nobody wrote, a clock "
              "(docs/determinism.md)");
}

// A replay needs the steps only. That the rest of the file is what was written is part of the answer all the same.
Expected<trace::Reader> Replay::read_the_rest() const {
  auto reader = open_trace(file_, trace::kReadEvents | trace::kReadSnapshots | trace::kReadLosses);
  if (!reader) return reader;
  while (reader->next() != trace::Item::kEnd) {
  }
  return reader;
}

// Says of each session with a gap which steps are missing and which were therefore not replayed.
Error Replay::gap_error(const trace::ReplayResult& result, const std::string& so_far) const {
  std::vector<std::string> parts;
  for (const trace::Unreplayed& part : result.gaps)
    parts.push_back(fmt::format(
        "session {}: steps {}..{} are missing ({}){}", part.session, part.gap.first_step, part.gap.last_step,
        part.gap.damage ? "damage" : "the recorder could not keep up",
        part.steps == 0 ? std::string()
                        : fmt::format(", so the {} behind them could not be replayed", counted(part.steps, "step"))));
  std::string hint = so_far;
  if (result.gaps.front().session == 1)
    hint += "; --from-step replays what follows the next snapshot, which reprise info -v shows";
  return {ExitCode::kBadInput, fmt::format("{}", fmt::join(parts, "; ")), file_, hint};
}

// A divergence before the damage is as real as one in a whole trace: it counts first.
ExitCode Replay::judge(const trace::Reader& reader, const trace::ReplayResult& result,
                       std::optional<Error>& error) const {
  const std::string so_far = fmt::format("what was replayed is right: {}", counted(result.steps, "step"));
  if (result.contract) {
    error = result.contract;
    return ExitCode::kExpectationFailed;
  }
  if (result.first_divergence) return ExitCode::kDiverged;
  if (reader.damaged()) {
    error = damage_error(reader, so_far);
  } else if (!result.gaps.empty()) {
    error = gap_error(result, so_far);
  } else if (result.decisions == 0 && result.events == 0) {
    error = Error{ExitCode::kBadInput, "nothing was compared: these steps hold no events and no decisions", file_,
                  "record for longer, or with a workload: reprise live --policy P --record FILE -- COMMAND"};
  } else {
    return ExitCode::kDone;
  }
  return ExitCode::kBadInput;
}

Json Replay::result_json(const Console& console, const trace::Reader& reader, const trace::ReplayResult& result,
                         u64 per_second) const {
  Json gap = nullptr, gaps = Json::array();
  if (!result.gaps.empty()) gap = gap_json(result.gaps.front().gap);
  for (const trace::Unreplayed& part : result.gaps) {
    Json row = {{"session", part.session}, {"steps_not_replayed", part.steps}};
    row.update(gap_json(part.gap));
    gaps.push_back(row);
  }
  Json contract = nullptr;
  if (result.contract) contract = error_json(*result.contract);
  Json policy = nullptr;
  if (result.policy_replaced) policy = options_.policy;
  return {{"schema", "reprise.replay/1"},
          {"file", file_},
          {"sessions", result.sessions},
          {"steps", result.steps},
          {"events", result.events},
          {"decisions", result.decisions},
          {"identical", result.identical},
          {"divergent", result.divergent},
          {"decisions_sha256", result.decisions_sha256},
          {"first_divergence", divergence_json(result.first_divergence)},
          {"hashes_checked", result.hashes_checked},
          {"hashes_different", result.hashes_different},
          {"started_after_step", result.started_after_step},
          {"other_policy", policy},
          {"different_code", result.different_code},
          {"gap", gap},
          {"gaps", gaps},
          {"contract", contract},
          {"twice", agreed_},
          {"damaged", reader.damaged()},
          {"problems", problems_json(reader.problems())},
          {"decisions_per_second", per_second},
          {"provenance", provenance_json(console)}};
}

// Both decisions side by side, a line per field, the ones that differ marked.
void show_decisions(Console& console, const trace::Divergence& found) {
  const Json recorded = decision_json(found.recorded);
  const Json replayed = decision_json(found.replayed);
  const Json& keys = recorded.is_null() ? replayed : recorded;
  if (keys.is_null()) return;
  console.print("\n  {:<14}{:>24}{:>24}\n", "decision", "recorded", "replayed");
  for (const auto& item : keys.items()) {
    const std::string& key = item.key();
    const auto text = [&key](const Json& side) { return side.is_null() ? "-" : side.at(key).dump(); };
    const std::string left = text(recorded);
    const std::string right = text(replayed);
    const std::string line = fmt::format("  {:<14}{:>24}{:>24}", key, left, right);
    if (left == right) {
      console.print("{}\n", line);
    } else {
      console.print("{}\n", console.out_colour(Console::Colour::kRed, line + "  <- differs"));
    }
  }
}

void show_divergence(Console& console, const trace::Divergence& found) {
  console.print("\nfirst divergence: {}\n", found.sentence);
  console.print("  session {}, step {}, position {}\n", found.session, found.step, found.position);
  if (found.event) console.print("  answers, from step {}: {}\n", found.event_step, trace::format_event(*found.event));
  show_decisions(console, found);
}

void Replay::show(Console& console, const trace::ReplayResult& result, u64 per_second) const {
  const auto counts =
      fmt::format("{} in {}, {} ({} events)", counted(result.decisions, "decision"), counted(result.steps, "step"),
                  counted(result.sessions, "session"), grouped(result.events));
  if (result.started_after_step != 0)
    console.print("started from the snapshot after step {}\n", grouped(result.started_after_step));
  if (!result.first_divergence && result.divergent == 0) {
    console.print("{}: {}\n", console.out_colour(Console::Colour::kGreen, "identical"), counts);
  } else {
    console.print("{}: {}\n", console.out_colour(Console::Colour::kRed, "diverged"), counts);
    console.print("  identical {}, different {} ({} alike)\n", grouped(result.identical), grouped(result.divergent),
                  percent_text(result.identical, result.decisions));
  }
  if (result.hashes_checked != 0)
    console.print("  state hashes compared: {}, different: {}\n", grouped(result.hashes_checked),
                  grouped(result.hashes_different));
  if (!result.different_code.empty())
    console.print("  recorded by other code than this program's: {}\n", fmt::join(result.different_code, ", "));
  if (result.first_divergence) show_divergence(console, *result.first_divergence);
  console.print("decisions sha256 {}\n", result.decisions_sha256);
  if (agreed_) console.message("twice: the same decisions with other addresses and another use of memory");
  console.message("{} decisions per second", grouped(per_second));
}

}  // namespace

std::unique_ptr<Command> make_replay() { return std::make_unique<Replay>(); }

}  // namespace reprise::cli
