// SPDX-License-Identifier: GPL-2.0-only
// Policies with a bug each, made by make_mutants from mutants.toml.
#pragma once

#include <span>
#include <string_view>

#include "scheduler/core/policy.h"

namespace reprise {

struct Mutant {
  std::string_view name, what;
  std::string_view policy;  // whose place it takes
  bool subtle;              // effects of 25 % or less
  bool first;               // written before the suite's thresholds were fixed
  const PolicyInfo* info;
};

[[nodiscard]] std::span<const Mutant> mutants();

}  // namespace reprise
