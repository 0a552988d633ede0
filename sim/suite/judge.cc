// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "sim/suite/measure.h"
#include "sim/suite/statistics.h"

namespace reprise::sim {
namespace {

// A gate's finding is worth showing from this part of what is allowed on.
constexpr double kShown = 0.1;
// Tests of few values are compared with a little tolerance for rounding.
constexpr double kRounding = 1e-9;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Column {
  std::vector<double> values;
  u64 count = 0;  // of all seeds together
};

Column column(const std::vector<Sample>& samples, u32 group, const MetricInfo& metric) {
  Column column;
  for (const Sample& sample : samples) {
    column.values.push_back(sample.value(group, metric).value);
    column.count += sample.value(group, metric).count;
  }
  return column;
}

class Judge {
 public:
  Judge(const Suite& suite, u32 index, const std::vector<SetupResult>& results, const Baseline* baseline)
      : case_(suite.cases[index]), setup_(suite.setups[case_.setup]), results_(results), mine_(results[case_.setup]) {
    report_.index = index;
    if (!baseline) return;
    gated_ = true;
    if (const auto at = baseline->cases.find(case_.name); at != baseline->cases.end()) approved_ = &at->second;
  }

  CaseReport judge() {
    for (const Sample& sample : mine_.samples) {
      report_.events += sample.events;
      report_.cpu_ns += sample.cpu_ns;
      for (const std::string& note : sample.notes)
        if (std::ranges::find(report_.notes, note) == report_.notes.end()) report_.notes.push_back(note);
    }
    if (!mine_.samples.empty()) report_.seed = mine_.samples.front().seed;
    if (runs_are_there(mine_, setup_.policy, CaseVerdict::kFail)) {
      if (setup_.source == Source::kReplay) {
        decisions();
      } else {
        for (const Bound& bound : case_.bounds) this->bound(bound);
        for (const Comparison& other : case_.versus) versus(other);
        if (gated_ && !case_.gates.empty()) gates();
      }
    }
    finish();
    return std::move(report_);
  }

 private:
  void add(Finding finding) {
    report_.verdict = worst(report_.verdict, finding.verdict);
    report_.findings.push_back(std::move(finding));
  }
  void add(Finding::Kind kind, CaseVerdict verdict, std::string sentence, u64 seed = 0) {
    Finding finding;
    finding.kind = kind, finding.verdict = verdict, finding.sentence = std::move(sentence), finding.seed = seed;
    finding.worse = 1;
    add(std::move(finding));
  }

  // False: there is nothing to judge. What a policy itself did wrong is a failure, all else an error.
  bool runs_are_there(const SetupResult& result, const std::string& policy, CaseVerdict fault) {
    for (const Sample& sample : result.samples) {
      if (!sample.error) continue;
      const bool policys = sample.error->code == ExitCode::kExpectationFailed;
      std::string text = fmt::format("{}, seed {}: {}", policy, sample.seed, sample.error->what);
      if (!sample.error->where.empty()) text += fmt::format(" ({})", sample.error->where);
      if (!sample.error->hint.empty()) text += fmt::format("; {}", sample.error->hint);
      add(Finding::Kind::kPolicy, policys ? fault : CaseVerdict::kError, std::move(text), sample.seed);
      return false;
    }
    if (!result.failure.empty()) {
      const std::size_t done = result.samples.size();
      const u64 seed = setup_.seeds[std::min(done, setup_.seeds.size() - 1)];
      add(Finding::Kind::kPolicy, fault, fmt::format("{}, seed {}: {}", policy, seed, result.failure), seed);
      return false;
    }
    if (result.samples.size() == setup_.seeds.size()) return true;
    add(Finding::Kind::kPolicy, CaseVerdict::kError, fmt::format("{}: the worker ended early", policy));
    return false;
  }

  void decisions() {
    const Sample& sample = mine_.samples.front();
    const std::string recorded = sample.notes.empty() ? std::string() : sample.notes.front();
    std::string wanted = case_.decisions_sha256, whose = "the suite";
    if (wanted.empty() && gated_ && approved_) wanted = approved_->decisions_sha256, whose = "the baseline";
    if (wanted.empty() ? recorded.empty() : wanted == sample.decisions_sha256) return report_.notes.clear();
    std::string text = wanted.empty()
                           ? std::string("decisions differ from those recorded")
                           : fmt::format("decisions_sha256 is {}, {} says {}", sample.decisions_sha256, whose, wanted);
    if (!recorded.empty()) text += ": " + recorded;
    report_.notes.clear();
    add(Finding::Kind::kDecisions, CaseVerdict::kFail, std::move(text));
  }

  void bound(const Bound& bound) {
    const Column mine = column(mine_.samples, bound.group, *bound.metric);
    const auto at = bound.upper ? std::ranges::max_element(mine.values) : std::ranges::min_element(mine.values);
    Finding finding;
    finding.kind = Finding::Kind::kBound;
    finding.metric = metric_name(setup_, bound.group, *bound.metric);
    finding.base = bound.value;
    finding.now = *at;
    finding.worse = bound.upper ? *at - bound.value : bound.value - *at;
    finding.seed = mine_.samples[static_cast<std::size_t>(at - mine.values.begin())].seed;
    if (mine.count < bound.metric->min_count) {
      finding.verdict = CaseVerdict::kUndecided;
      finding.sentence =
          fmt::format("{}: {} values, {} are needed", finding.metric, mine.count, bound.metric->min_count);
      return add(std::move(finding));
    }
    if (finding.worse <= 0) return;
    finding.verdict = CaseVerdict::kFail;
    finding.allowed = std::max(std::abs(bound.value) * 0.1, 1e-9);  // for the order of findings only
    finding.sentence =
        fmt::format("{} is {} with seed {}, at {} {} is expected", finding.metric, value_text(*bound.metric, *at),
                    finding.seed, bound.upper ? "most" : "least", value_text(*bound.metric, bound.value));
    add(std::move(finding));
  }

  void versus(const Comparison& other) {
    const SetupResult& theirs = results_[other.setup];
    if (!runs_are_there(theirs, other.policy, CaseVerdict::kError)) return;
    for (const Bound& bound : other.bounds) {
      const Column mine = column(mine_.samples, bound.group, *bound.metric);
      const Column base = column(theirs.samples, bound.group, *bound.metric);
      std::vector<double> ratios;
      for (std::size_t i = 0; i < mine.values.size(); ++i)
        ratios.push_back(base.values[i] == 0 ? (mine.values[i] == 0 ? 1 : 1e9) : mine.values[i] / base.values[i]);
      Finding finding;
      finding.kind = Finding::Kind::kVersus;
      finding.metric = metric_name(setup_, bound.group, *bound.metric);
      finding.base = median(base.values), finding.now = median(mine.values);
      const double ratio = median(ratios);
      finding.worse = bound.upper ? ratio - bound.value : bound.value - ratio;
      finding.allowed = std::max(bound.value * 0.1, 1e-9);  // for the order of findings only
      finding.seed = mine_.samples.front().seed;
      if (std::min(mine.count, base.count) < bound.metric->min_count) {
        finding.verdict = CaseVerdict::kUndecided;
        finding.sentence = fmt::format("{}: {} values, {} are needed", finding.metric, std::min(mine.count, base.count),
                                       bound.metric->min_count);
        add(std::move(finding));
      } else if (finding.worse > 0) {
        finding.verdict = CaseVerdict::kFail;
        finding.sentence =
            fmt::format("{} is {}, {:.3g} times {}'s {}; at {} {:g} times is expected", finding.metric,
                        value_text(*bound.metric, finding.now), ratio, other.policy,
                        value_text(*bound.metric, finding.base), bound.upper ? "most" : "least", bound.value);
        add(std::move(finding));
      }
    }
  }

  void gates() {
    constexpr const char* kUpdate = "; look at the results, then approve them with --update";
    if (!approved_)
      return add(Finding::Kind::kGate, CaseVerdict::kError,
                 std::string("the baseline does not have this case") + kUpdate);
    if (approved_->setup != setup_digest(setup_))
      return add(Finding::Kind::kGate, CaseVerdict::kError,
                 std::string("workload or machine of the case are no longer those of its baseline") + kUpdate);
    for (u32 group = 0; group <= setup_.groups.size(); ++group)
      for (const Gate& gate : case_.gates)
        if (group == 0 || per_task(*gate.metric)) this->gate(gate, group);
    diverged();
  }

  void gate(const Gate& gate, u32 group) {
    Finding finding;
    finding.metric = metric_name(setup_, group, *gate.metric);
    const auto at = approved_->metrics.find(finding.metric);
    if (at == approved_->metrics.end()) return;  // had too few values, or the gate is new
    const std::vector<double>& base = at->second;
    const Column mine = column(mine_.samples, group, *gate.metric);
    finding.seed = mine_.samples.front().seed;
    bool sure = false;
    if (paired()) {
      std::vector<double> worse;
      const bool less = gate.better == Better::kLess, same = gate.better == Better::kSame;
      for (std::size_t i = 0; i < base.size(); ++i)
        worse.push_back(less || same ? mine.values[i] - base[i] : base[i] - mine.values[i]);
      if (same && median(worse) < 0)
        for (double& d : worse) d = -d;
      finding.base = median(base), finding.now = median(mine.values);
      finding.worse = median(worse);
      finding.allowed = std::max(gate.relative * std::abs(finding.base), gate.absolute);
      finding.chance = sign_test(worse);
      sure = finding.chance <= std::max(kAlphaPaired, least_sign_test(base.size())) + kRounding;
      const auto most = std::ranges::max_element(worse);
      finding.seed = mine_.samples[static_cast<std::size_t>(most - worse.begin())].seed;
    } else {
      std::vector<MetricValue> before, after;
      for (const double value : base) before.push_back({value, gate.metric->min_count});
      for (const double value : mine.values) after.push_back({value, gate.metric->min_count});
      const Judgement judged = sim::judge(gate, before, after);
      finding.base = judged.base, finding.now = judged.now, finding.worse = judged.worse,
      finding.allowed = judged.allowed;
      finding.chance = gate.better == Better::kMore ? mann_whitney(mine.values, base) : mann_whitney(base, mine.values);
      if (gate.better == Better::kSame) finding.chance = 2 * std::min(finding.chance, mann_whitney(mine.values, base));
      sure =
          finding.chance <= std::max(kAlphaUnpaired, least_mann_whitney(base.size(), mine.values.size())) + kRounding &&
          apart(gate.better, base, mine.values) > finding.allowed;
    }
    const bool fails = finding.worse > finding.allowed && sure;
    if (fails && mine.count < gate.metric->min_count) {
      finding.verdict = CaseVerdict::kUndecided;
      finding.sentence =
          fmt::format("{}: {} values, {} are needed", finding.metric, mine.count, gate.metric->min_count);
      return add(std::move(finding));
    }
    if (!fails && std::abs(finding.worse) < kShown * finding.allowed) return;
    if (finding.worse == 0) return;
    finding.verdict = fails ? CaseVerdict::kFail : CaseVerdict::kPass;
    finding.sentence =
        fmt::format("{} went from {} to {} ({:+.1f} %); {} is allowed", finding.metric,
                    value_text(*gate.metric, finding.base), value_text(*gate.metric, finding.now),
                    finding.base == 0 ? 0.0 : (finding.now - finding.base) / std::abs(finding.base) * 100,
                    value_text(*gate.metric, finding.allowed));
    add(std::move(finding));
  }

  // How far the best of `now` is from the worst of `base`, less what either spreads over. A suite asks thousands of
  // questions at once, so one that other seeds answer wrongly once in a hundred times is wrong in every run.
  static double apart(Better better, const std::vector<double>& base, const std::vector<double>& now) {
    const auto [base_low, base_high] = std::ranges::minmax(base);
    const auto [now_low, now_high] = std::ranges::minmax(now);
    const double above = now_low - base_high, below = base_low - now_high;
    const double gap = better == Better::kLess ? above : better == Better::kMore ? below : std::max(above, below);
    return gap - std::max(base_high - base_low, now_high - now_low);
  }

  [[nodiscard]] bool paired() const { return approved_->seeds == setup_.seeds; }

  // Where the first seed's decisions leave those of the baseline.
  void diverged() {
    if (!paired() || mine_.samples.front().checkpoints.empty() || approved_->checkpoints.empty()) return;
    const std::vector<Checkpoint>& mine = mine_.samples.front().checkpoints;
    const std::vector<u16>& base = approved_->checkpoints;
    std::size_t same = 0;
    while (same < std::min(mine.size(), base.size()) && mine[same].hash == base[same]) ++same;
    const u64 seed = setup_.seeds.front();
    if (same == mine.size() && same == base.size()) {
      report_.divergence = fmt::format("none of the decisions that were sampled (seed {})", seed);
      return;
    }
    const auto at = [&](std::size_t i) {
      return fmt::format("decision {} at {:.6f} s", mine[i].decisions, static_cast<double>(mine[i].time_ns) / 1e9);
    };
    if (same >= mine.size()) {
      report_.divergence = fmt::format("after {} (seed {}), where this run has no more", at(mine.size() - 1), seed);
    } else if (same == 0) {
      report_.divergence = fmt::format("{} (seed {})", at(0), seed);
    } else {
      report_.divergence = fmt::format("after {}, by {} (seed {})", at(same - 1), at(same), seed);
    }
  }

  void finish() {
    const auto order = [](const Finding& a, const Finding& b) {
      if (a.verdict != b.verdict) return a.verdict > b.verdict;
      if (a.severity() != b.severity()) return a.severity() > b.severity();
      return std::tie(a.metric, a.kind, a.sentence) < std::tie(b.metric, b.kind, b.sentence);
    };
    std::ranges::sort(report_.findings, order);
    if (!report_.findings.empty() && report_.findings.front().seed != 0) report_.seed = report_.findings.front().seed;
    for (const Sample& sample : mine_.samples)
      if (sample.seed == report_.seed && sample.worst_wait_ns != 0)
        report_.worst_wait =
            fmt::format("task {} ({}) waited {:.3f} ms, up to {:.6f} s", sample.worst_tid, sample.worst_comm,
                        static_cast<double>(sample.worst_wait_ns) / 1e6, static_cast<double>(sample.worst_at_ns) / 1e9);
  }

  const Case& case_;
  const Setup& setup_;
  const std::vector<SetupResult>& results_;
  const SetupResult& mine_;
  bool gated_ = false;
  const BaselineCase* approved_ = nullptr;
  CaseReport report_;
};

}  // namespace

std::string_view name(CaseVerdict verdict) {
  switch (verdict) {
    case CaseVerdict::kPass:
      return "pass";
    case CaseVerdict::kUndecided:
      return "undecided";
    case CaseVerdict::kFail:
      return "fail";
    case CaseVerdict::kError:
      return "error";
  }
  return "unknown";
}

CaseVerdict worst(CaseVerdict a, CaseVerdict b) { return std::max(a, b); }

std::string_view name(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::kBound:
      return "bound";
    case Finding::Kind::kVersus:
      return "versus";
    case Finding::Kind::kGate:
      return "gate";
    case Finding::Kind::kDecisions:
      return "decisions";
    case Finding::Kind::kPolicy:
      return "run";
  }
  return "unknown";
}

CaseReport judge_case(const Suite& suite, u32 index, const std::vector<SetupResult>& results,
                      const Baseline* baseline) {
  return Judge(suite, index, results, baseline).judge();
}

}  // namespace reprise::sim
