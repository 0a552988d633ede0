// SPDX-License-Identifier: GPL-2.0-only
// reprise compare: two traces or results, metric by metric, with gates.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/result_details.h"
#include "tools/cli/results.h"

namespace reprise::cli {
namespace {

using sim::GateVerdict;

constexpr char kCompareDescription[] =
    "Holds B against A, metric by metric. Each is a trace, or what sim --json, info --metrics --json or fidelity "
    "--json\n"
    "wrote. Runs of the same policy and CPU count are compared; those that differ in the seed only count as one, by "
    "their\n"
    "median. A gate is broken when B is worse than A by more than both thresholds of that metric, and by more than "
    "the\n"
    "spread between seeds. Metrics without a gate are shown with -v.";
constexpr char kCompareFooter[] =
    "examples\n"
    "  reprise compare before.json after.json\n"
    "  reprise compare run.rtrace other.rtrace --gate p99_run_delay=5%,20us --gate migrations=off\n"
    "  reprise compare sim.json sim.json --policy-a fifo --policy-b vruntime\n"
    "  reprise compare a.json b.json --gate none --gate p99_wakeup_latency=10%,50us --json\n\n"
    "exit status\n"
    "  0 no gate is broken   1 one is   2 usage, or nothing in common   65 A or B is no result";

// Runs that differ in the seed only.
struct Group {
  std::string policy;
  u32 cpus = 0, session = 0;
  std::vector<const ResultRun*> runs;

  [[nodiscard]] std::string text() const {
    return fmt::format("{} on {}{}{}", policy, counted(cpus, "CPU"),
                       session > 1 ? fmt::format(", session {}", session) : "",
                       runs.size() > 1 ? fmt::format(", {} seeds", runs.size()) : "");
  }
};

struct Cell {
  const sim::MetricInfo* metric = nullptr;
  const sim::Gate* gate = nullptr;  // none: shown only
  sim::Judgement judgement;
  bool present = false;  // on both sides

  // How many times what is allowed: what the table is sorted by.
  [[nodiscard]] double badness() const {
    const double allowed = std::max(judgement.allowed, 1e-9);
    return gate == nullptr || !present ? -1e300 : judgement.worse / allowed;
  }
};

struct Pair {
  Group a, b;
  std::vector<Cell> cells;  // worst first
};

std::vector<Group> groups_of(const Result& result, const std::string& wanted) {
  std::vector<Group> groups;
  for (const ResultRun& run : result.runs) {
    if (wanted.empty() ? run.policy == "recorded"
                       : run.policy != wanted && run.policy.substr(0, run.policy.find(':')) != wanted)
      continue;
    const auto same = [&](const Group& group) {
      return group.policy == run.policy && group.cpus == run.cpus && group.session == run.session;
    };
    auto at = std::ranges::find_if(groups, same);
    if (at == groups.end()) at = groups.insert(at, {run.policy, run.cpus, run.session, {}});
    at->runs.push_back(&run);
  }
  return groups;
}

std::string value_text(const sim::MetricInfo& metric, double value) {
  switch (metric.unit) {
    case sim::Unit::kNs:
      return duration_text(static_cast<u64>(std::llround(value)));
    case sim::Unit::kCount:
      return grouped(static_cast<u64>(std::llround(value)));
    case sim::Unit::kRatio:
      return fmt::format("{:.3f}", value);
  }
  return {};
}

// Times and counts are whole numbers in JSON.
Json value_json(const sim::MetricInfo& metric, double value) {
  if (metric.unit == sim::Unit::kRatio) return value;
  return std::llround(value);
}

std::string change_text(const Cell& cell) {
  const double base = cell.judgement.base, now = cell.judgement.now;
  if (base == now) return "0 %";
  if (base == 0) return "from 0";
  return fmt::format("{:+.1f} %", 100 * (now - base) / base);
}

class Compare final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<void> read(Console&);
  Expected<void> parse_gates();
  Expected<void> pair_up(Console&);
  Expected<std::vector<Group>> chosen(const Result&, const std::string& policy, std::string_view option) const;
  [[nodiscard]] std::vector<Cell> cells_of(const Group&, const Group&) const;
  [[nodiscard]] u64 count(GateVerdict) const;
  [[nodiscard]] Json document(const Console&) const;
  void show(Console&) const;

  std::string a_file_, b_file_, a_policy_, b_policy_;
  std::vector<std::string> gate_text_;

  Result a_, b_;
  std::vector<sim::Gate> gates_;
  std::vector<Pair> pairs_;
  std::vector<std::string> unmatched_;
};

void Compare::declare(CLI::App& app) {
  app.description(kCompareDescription);
  app.footer(kCompareFooter);
  app.add_option("A", a_file_, "what B is held against: a trace (.rtrace) or a result (JSON)")->required();
  app.add_option("B", b_file_, "what is judged")->required();
  app.add_option("--gate", gate_text_,
                 "sets a gate, as p99_run_delay=10%,50us or mean_slice=5%,1ms,same (less, more or same is better); "
                 "NAME=off takes one out, none all so far; repeatable")
      ->type_name("NAME=...")
      ->allow_extra_args(false);
  app.add_option("--policy-a", a_policy_, "only runs of this policy in A; 'recorded' is what sim's runs were made from")
      ->type_name("P");
  app.add_option("--policy-b", b_policy_, "... in B")->type_name("P");
}

Expected<void> Compare::read(Console& console) {
  auto a = read_result(a_file_, console);
  if (!a) return std::unexpected(a.error());
  auto b = read_result(b_file_, console);
  if (!b) return std::unexpected(b.error());
  a_ = std::move(*a), b_ = std::move(*b);
  if (a_.table.data() == b_.table.data()) return {};
  return fail(ExitCode::kBadInput,
              fmt::format("{} is of fidelity and {} is not", a_.kind == "fidelity" ? a_file_ : b_file_,
                          a_.kind == "fidelity" ? b_file_ : a_file_),
              {}, "a result of fidelity compares with another one only");
}

Expected<void> Compare::parse_gates() {
  gates_ = sim::default_gates(a_.table);
  for (const std::string& text : gate_text_)
    if (auto applied = sim::apply_gate(gates_, text, a_.table); !applied) return applied;
  return {};
}

Expected<std::vector<Group>> Compare::chosen(const Result& result, const std::string& policy,
                                             std::string_view option) const {
  std::vector<Group> groups = groups_of(result, policy);
  if (!groups.empty()) return groups;
  std::vector<std::string_view> names, bare;  // bare: without options, as people name them
  for (const ResultRun& run : result.runs) {
    if (std::ranges::find(names, run.policy) != names.end()) continue;
    names.push_back(run.policy);
    bare.push_back(std::string_view(run.policy).substr(0, run.policy.find(':')));
  }
  return fail(ExitCode::kUsage,
              fmt::format("{}: {} holds no run of '{}'{}", option, result.file, policy, suggestion(policy, bare)), {},
              fmt::format("it holds {}", fmt::join(names, ", ")));
}

Expected<void> Compare::pair_up(Console& console) {
  auto a = chosen(a_, a_policy_, "--policy-a");
  if (!a) return std::unexpected(a.error());
  auto b = chosen(b_, b_policy_, "--policy-b");
  if (!b) return std::unexpected(b.error());
  const bool by_policy = a_policy_.empty() && b_policy_.empty();
  const bool single = a->size() == 1 && b->size() == 1;
  std::vector<bool> used(b->size());
  for (const Group& left : *a) {
    const auto fits = [&](const Group& right) {
      return single ||
             ((!by_policy || left.policy == right.policy) && left.cpus == right.cpus && left.session == right.session);
    };
    std::size_t partner = b->size();
    for (std::size_t i = 0; i < b->size() && partner == b->size(); ++i)
      if (!used[i] && fits((*b)[i])) partner = i;
    if (partner == b->size()) {
      unmatched_.push_back(fmt::format("{} in {}", left.text(), a_file_));
      continue;
    }
    used[partner] = true;
    pairs_.push_back({left, (*b)[partner], cells_of(left, (*b)[partner])});
  }
  for (std::size_t i = 0; i < b->size(); ++i)
    if (!used[i]) unmatched_.push_back(fmt::format("{} in {}", (*b)[i].text(), b_file_));
  if (pairs_.empty())
    return fail(ExitCode::kUsage, "no run in A has a partner in B: policy, CPU count and session must be the same", {},
                fmt::format("{}; --policy-a and --policy-b choose", fmt::join(unmatched_, ", ")));
  for (const std::string& group : unmatched_) console.warning(group + " has no partner");
  return {};
}

std::vector<Cell> Compare::cells_of(const Group& a, const Group& b) const {
  const auto values = [](const Group& group, std::size_t metric) {
    std::vector<sim::MetricValue> all;
    for (const ResultRun* run : group.runs)
      if (run->values[metric]) all.push_back(*run->values[metric]);
    return all;
  };
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < a_.table.size(); ++i) {
    Cell cell{.metric = &a_.table[i], .gate = nullptr, .judgement = {}, .present = false};
    const auto gate = std::ranges::find(gates_, cell.metric, &sim::Gate::metric);
    if (gate != gates_.end()) cell.gate = &*gate;
    const auto left = values(a, i), right = values(b, i);
    cell.present = !left.empty() && !right.empty();
    if (cell.present) {
      cell.judgement = cell.gate ? sim::judge(*cell.gate, left, right) : sim::compare(left, right);
    } else {
      cell.judgement.verdict = GateVerdict::kUndecided;
      cell.judgement.reason = fmt::format("not in {}", left.empty() ? a_file_ : b_file_);
    }
    cells.push_back(std::move(cell));
  }
  std::ranges::sort(cells, [](const Cell& x, const Cell& y) {
    const auto rank = [](const Cell& cell) {
      if (cell.gate == nullptr) return 3;
      return cell.judgement.verdict == GateVerdict::kFail ? 0 : cell.judgement.verdict == GateVerdict::kPass ? 1 : 2;
    };
    // Both metrics are entries of one table.
    return std::tuple(rank(x), -x.badness(), x.metric) < std::tuple(rank(y), -y.badness(), y.metric);
  });
  return cells;
}

u64 Compare::count(GateVerdict verdict) const {
  u64 sum = 0;
  for (const Pair& pair : pairs_)
    for (const Cell& cell : pair.cells) sum += cell.gate != nullptr && cell.judgement.verdict == verdict;
  return sum;
}

Json Compare::document(const Console& console) const {
  const auto side = [](const Group& group) {
    Json seeds = Json::array();
    for (const ResultRun* run : group.runs) seeds.push_back(run->seed);
    return Json{{"policy", group.policy}, {"cpus", group.cpus}, {"session", group.session}, {"seeds", seeds}};
  };
  Json results = Json::array();
  for (const Pair& pair : pairs_) {
    Json metrics = Json::array();
    for (const Cell& cell : pair.cells) {
      const sim::Judgement& judged = cell.judgement;
      Json row = {{"name", cell.metric->name}};
      row["a"] = cell.present ? value_json(*cell.metric, judged.base) : Json(nullptr);
      row["b"] = cell.present ? value_json(*cell.metric, judged.now) : Json(nullptr);
      row["spread"] = value_json(*cell.metric, judged.spread);
      row["gate"] = nullptr;
      row["allowed"] = nullptr;
      row["verdict"] = nullptr;
      if (cell.gate) {
        constexpr const char* kBetter[] = {"less", "more", "same"};
        row["gate"] = {{"relative", cell.gate->relative},
                       {"absolute", value_json(*cell.metric, cell.gate->absolute)},
                       {"better", kBetter[static_cast<std::size_t>(cell.gate->better)]}};
        row["allowed"] = value_json(*cell.metric, judged.allowed);
        row["verdict"] = sim::name(judged.verdict);
      }
      row["reason"] = judged.reason;
      metrics.push_back(row);
    }
    results.push_back({{"a", side(pair.a)}, {"b", side(pair.b)}, {"metrics", metrics}});
  }
  const u64 broken = count(GateVerdict::kFail);
  return {{"schema", "reprise.compare/1"},
          {"a", {{"file", a_file_}, {"kind", a_.kind}}},
          {"b", {{"file", b_file_}, {"kind", b_.kind}}},
          {"verdict", broken != 0 ? "fail" : "pass"},
          {"broken", broken},
          {"undecided", count(GateVerdict::kUndecided)},
          {"results", results},
          {"unmatched", unmatched_},
          {"provenance", provenance_json(console)}};
}

void Compare::show(Console& console) const {
  using enum Console::Colour;
  for (const Pair& pair : pairs_) {
    console.print("A  {}: {}\nB  {}: {}\n", a_file_, pair.a.text(), b_file_, pair.b.text());
    console.print("{:<24}{:>12}{:>12}{:>11}{:>12}\n", "metric", "A", "B", "change", "allowed");
    for (const Cell& cell : pair.cells) {
      if (!cell.gate && console.verbosity() == 0) continue;
      if (!cell.present) {
        if (cell.gate) console.print("{:<24}  {}\n", cell.metric->name, cell.judgement.reason);
        continue;
      }
      const sim::Judgement& judged = cell.judgement;
      const std::string line =
          fmt::format("{:<24}{:>12}{:>12}{:>11}{:>12}  ", cell.metric->name, value_text(*cell.metric, judged.base),
                      value_text(*cell.metric, judged.now), change_text(cell),
                      cell.gate ? value_text(*cell.metric, judged.allowed) : "");
      std::string verdict;
      if (!cell.gate)
        verdict = "";
      else if (judged.verdict == GateVerdict::kUndecided)
        verdict = console.out_colour(kYellow, "undecided: " + judged.reason);
      else if (judged.verdict == GateVerdict::kFail)
        verdict = console.out_colour(kRed, "WORSE");
      else
        verdict = -judged.worse > judged.allowed ? console.out_colour(kGreen, "better") : "as before";
      console.print("{}\n", line + verdict);
    }
    console.print("\n");
  }
  const u64 broken = count(GateVerdict::kFail), undecided = count(GateVerdict::kUndecided);
  console.print("{}{}\n",
                broken != 0 ? console.out_colour(kRed, fmt::format("{} broken", counted(broken, "gate")))
                            : console.out_colour(kGreen, "no gate is broken"),
                undecided != 0 ? fmt::format(", {} undecided", undecided) : "");
}

Expected<ExitCode> Compare::run(Console& console) {
  if (auto valid = read(console); !valid) return std::unexpected(valid.error());
  if (auto valid = parse_gates(); !valid) return std::unexpected(valid.error());
  if (auto paired = pair_up(console); !paired) return std::unexpected(paired.error());
  if (console.json())
    console.document(document(console));
  else
    show(console);
  return count(GateVerdict::kFail) != 0 ? ExitCode::kExpectationFailed : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_compare() { return std::make_unique<Compare>(); }

}  // namespace reprise::cli
