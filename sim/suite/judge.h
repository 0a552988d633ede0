// SPDX-License-Identifier: GPL-2.0-only
// What a case's samples are worth against what was expected.
//
// Bounds hold for each seed. Comparisons with another policy take the median, over seeds, of the ratio of both runs of
// a seed.
//
// Gates compare with the baseline. Both thresholds of a gate have to be passed, and chance has to be out of the
// question:
//   the same seeds as in the baseline   each seed's run differs from its own baseline by nothing but the change that is
//                                       judged: the median of the differences counts, and a sign test over seeds must
//                                       not be above kAlphaPaired
//   other seeds                         medians are compared (sim/metrics/gates.h), a Mann-Whitney test must not be
//                                       above kAlphaUnpaired, and all runs are worse than all of the baseline's, by
//                                       more than the threshold and what either spreads over
// With so few seeds that a test cannot get there, it has to say what it can as clearly as it can.
#pragma once

#include <string>
#include <vector>

#include "sim/suite/baseline.h"
#include "sim/suite/sample.h"
#include "sim/suite/suite.h"

namespace reprise::sim {

inline constexpr double kAlphaPaired = 0.05;
inline constexpr double kAlphaUnpaired = 0.01;

/// In the order of how bad they are.
enum class CaseVerdict : u8 { kPass, kUndecided, kFail, kError };
[[nodiscard]] std::string_view name(CaseVerdict);
[[nodiscard]] CaseVerdict worst(CaseVerdict, CaseVerdict);

struct Finding {
  enum class Kind : u8 { kBound, kVersus, kGate, kDecisions, kPolicy };
  Kind kind = Kind::kGate;
  CaseVerdict verdict = CaseVerdict::kPass;
  std::string metric;    // "frames.p99_run_delay_ns"; empty: about the run as a whole
  std::string sentence;  // for people
  double base = 0;       // baseline, bound, or the other policy's value
  double now = 0;
  double allowed = 0;  // how much worse it may be
  double worse = 0;    // how much it is; below 0: better
  double chance = 1;   // of the test; 1: none was made
  u64 seed = 0;        // whose run shows it best

  /// What is sorted by: 1 and more fails.
  [[nodiscard]] double severity() const { return allowed > 0 ? worse / allowed : worse > 0 ? 1e9 : 0; }
};
[[nodiscard]] std::string_view name(Finding::Kind);

/// All findings that do not pass, and gates whose value moved by at least a tenth of what is allowed.
struct CaseReport {
  u32 index = 0;  // in Suite::cases
  CaseVerdict verdict = CaseVerdict::kPass;
  std::vector<Finding> findings;  // worst first
  u64 events = 0;                 // of all seeds, of the case's own policy
  u64 cpu_ns = 0;
  u64 seed = 0;            // that shows the worst finding
  std::string divergence;  // where decisions first differ from the baseline's; empty: not known
  std::string worst_wait;  // who waited longest, and when
  std::vector<std::string> notes;
};

/// Samples of a setup, in the order of its seeds; fewer where the process ended: `failure` says how.
struct SetupResult {
  std::vector<Sample> samples;
  std::string failure;
  u64 wall_ns = 0;
};

/// `results` by setup; `baseline` null: gates are left out.
[[nodiscard]] CaseReport judge_case(const Suite&, u32 index, const std::vector<SetupResult>& results,
                                    const Baseline* baseline);

}  // namespace reprise::sim
