// SPDX-License-Identifier: GPL-2.0-only
// What has to stay true while a failing case is made smaller, from what a suite expected.
//
//   the policy fails by itself      it breaks its contract, an invariant, lets the watchdog fire, crashes
//   a bound                         is broken; where there is a good policy, that one keeps it
//   worse than the good policy      by more than a gate allows, on the same workload
//
// Each try runs in a process of its own.
#pragma once

#include <optional>
#include <string>

#include "sim/suite/judge.h"
#include "sim/suite/shrink.h"

namespace reprise::sim {

struct ShrinkGoal {
  enum class Kind : u8 { kFailure, kBound, kWorse };
  Kind kind = Kind::kFailure;
  Bound bound;  // kBound
  Gate gate;    // kWorse
  u32 group = 0;
  std::string text;  // for people
};

/// Error (kUsage): a gate failed and there is no good policy to hold the small case against; the finding is none that
/// can be made smaller (golden decisions).
Expected<ShrinkGoal> goal_of(const Suite&, const Case&, const Finding&, bool has_good);

struct ShrinkCase {
  Setup setup;              // of the failing policy
  std::string good_policy;  // empty: none
  u64 seed = 1;
  u32 try_limit_s = 60;  // of CPU time, for one try
};

struct ShrinkOutcome {
  Shrunk small;
  u64 events_before = 0, events_after = 0;
  bool plain = true;  // begins at time 0, so that a suite runs it as it is; else `phase_ns` after a tick
  u64 phase_ns = 0;
};

/// `find_bad` and `find_good` find the policies of the two sides. Error (kExpectationFailed): the case does not fail as
/// the goal says.
Expected<ShrinkOutcome> shrink_case(const ShrinkCase&, const ShrinkGoal&, const SuitePolicyFinder& find_bad,
                                    const SuitePolicyFinder& find_good, const ShrinkOptions&);

/// Whether the goal holds for this workload, and how many events it has under the failing policy.
struct Tried {
  bool holds = false;
  u64 events = 0;
};
Tried try_goal(const ShrinkCase&, const ShrinkGoal&, const SuitePolicyFinder& find_bad,
               const SuitePolicyFinder& find_good, const Program&, const RunOptions&);

}  // namespace reprise::sim
