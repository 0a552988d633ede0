// SPDX-License-Identifier: GPL-2.0-only
// Where two outputs of one step part, and how to tell people. Internal to traces/. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "traces/record.h"
#include "traces/replay.h"

namespace reprise::trace {

struct StepDifference {
  u32 identical = 0;  // decisions at their place
  u32 divergent = 0;  // decisions that differ, are missing or too many, and each other field as one
  /// The first one; its `field` is empty when the step came out the same.
  Divergence first;
};

/// Fills in position, field and both decisions of `first`.
[[nodiscard]] StepDifference difference(const StepRecord& recorded, const StepOutput& replayed);

/// The sentence for `d`, whose other fields are filled in.
[[nodiscard]] std::string sentence_for(const Divergence& d, const StepRecord& recorded, const StepOutput& replayed);

}  // namespace reprise::trace
