// SPDX-License-Identifier: GPL-2.0-only
// The results document of `reprise test` (docs/suite.md, "Results").
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/suite/run_suite.h"

namespace reprise::sim {

/// Who made the results; from generated/version.h and the clock, which this library does not read.
struct ResultsOrigin {
  std::string at;  // UTC, "2026-11-25T16:04:05Z"
  std::string version, compiler, build_type;
  std::string engine_hash, policies_hash, dispatcher_hash;
  std::string command = {};                                  // that made them
  std::function<std::string(const CaseReport&)> again = {};  // the command that runs one case alone
};

/// Sealed. `complete` false makes a document on whose account nothing is loaded.
[[nodiscard]] nlohmann::ordered_json results_document(const Suite&, const SuiteReport&, const SuitePolicyFinder&,
                                                      const ResultsOrigin&, bool complete);

}  // namespace reprise::sim
