// SPDX-License-Identifier: GPL-2.0-only
// Approved results, in a TOML file next to the suite: a line per metric with a value per seed, so that a change of it
// reads well in a review.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "sim/suite/sample.h"
#include "sim/suite/suite.h"

namespace reprise::sim {

struct BaselineCase {
  std::string setup;  // digest of Setup::key() without seeds
  std::vector<u64> seeds;
  std::vector<u16> checkpoints;                        // of the first seed
  std::string decisions_sha256;                        // of a replay
  std::map<std::string, std::vector<double>> metrics;  // by metric_name(); in the order of seeds
  bool operator==(const BaselineCase&) const = default;
};

struct Baseline {
  std::map<std::string, BaselineCase> cases;  // by name
  std::string sha256;                         // of the file; empty: there is none
};

/// A file that is not there is an empty baseline. Errors (kBadInput, with file and line): no TOML, another schema,
/// values that do not fit the seeds.
Expected<Baseline> read_baseline(const std::string& path);
/// Replaces the file whole, or not at all. Errors: kIo, kNotPermitted.
Expected<void> write_baseline(const std::string& path, const Suite&, const Baseline&);

/// What would be approved of these samples, one per seed. Metrics are those of `gates` that have enough values.
[[nodiscard]] BaselineCase approve(const Setup&, const std::vector<Gate>& gates, const std::vector<Sample>&);
[[nodiscard]] std::string setup_digest(const Setup&);

}  // namespace reprise::sim
