// SPDX-License-Identifier: GPL-2.0-only
// Runs a suite: each setup in a process of its own, then judges the cases.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "sim/suite/judge.h"
#include "sim/suite/suite.h"

namespace reprise::sim {

struct SuiteRunOptions {
  std::vector<std::string> cases = {};  // patterns as fnmatch(3) takes them, or names; empty: all
  bool without_long = false;
  u32 processes = 0;    // 0: one per CPU
  bool update = false;  // the baseline becomes what came out
  /// After each setup, and now and then in between; may be empty.
  std::function<void(std::size_t done, std::size_t all)> progress = {};
};

struct SuiteReport {
  std::vector<CaseReport> cases;  // those that ran, in the order of the suite
  CaseVerdict verdict = CaseVerdict::kPass;
  std::array<u32, 4> counts{};  // by CaseVerdict
  bool complete = true;         // all cases of the suite ran
  u64 events = 0;               // simulated, by all setups
  u64 cpu_ns = 0;
  std::string baseline_sha256;  // empty: there is none
  std::size_t updated = 0;      // cases of which the baseline changed
};

/// The calling process must have one thread only. Errors: of read_baseline, write_baseline; (kUsage) no case of that
/// name.
Expected<SuiteReport> run_suite(const Suite&, const SuitePolicyFinder&, const SuiteRunOptions& = {});

}  // namespace reprise::sim
