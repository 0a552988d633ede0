// SPDX-License-Identifier: GPL-2.0-only
// The table of policies. A new policy is one file and one row in table.cc; the conformance suite (tests/policy)
// covers it from then on.
#pragma once

#include <span>
#include <string_view>

#include "scheduler/core/policy.h"

namespace reprise {

/// A policy with its options, as `name:key=value,key=value` names it (or a path instead of the name: scheduler/load).
struct PolicySpec {
  const PolicyInfo* info = nullptr;  // for ever
  Options options;
  std::string code = {};  // SHA-256, hex, of the shared object that it is in; empty: it is in the table

  /// Name and options in full, defaults included; `parse_policy` reads it back if it is one of the table.
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] std::span<const PolicyInfo> policies();

/// Error (kUsage): no such policy; lists those that there are.
[[nodiscard]] Expected<const PolicyInfo*> find_policy(std::string_view name);

/// `name` or `name:key=value,key=value`. Error (kUsage): of find_policy, of Options::parse.
[[nodiscard]] Expected<PolicySpec> parse_policy(std::string_view text);

}  // namespace reprise
