// SPDX-License-Identifier: GPL-2.0-only
// The gate before deployment: has this very code passed a suite? Reads what `reprise test --json` wrote (docs/suite.md,
// "Results"). A digest against mistakes, not a boundary against an attacker: who can write the file can also seal it.
#pragma once

#include <string>

#include "scheduler/policies/table.h"

namespace reprise::cli {

/// A sentence about what passed, and when. Errors: kIo; kBadInput: no results, or edited by hand; kExpectationFailed:
/// they do not say that this policy with these options, its code, engine and dispatcher passed; says what differs.
Expected<std::string> require_passed(const std::string& results, const PolicySpec& policy);

}  // namespace reprise::cli
