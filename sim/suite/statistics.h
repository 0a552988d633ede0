// SPDX-License-Identifier: GPL-2.0-only
// Exact tests for few values: how likely it is that nothing changed and the values still came out so.
//
// Both are one-sided (is it greater?) and take ties for no evidence, so they never claim more than there is.
#pragma once

#include <span>

#include "scheduler/core/types.h"

namespace reprise::sim {

/// Sign test: that many positive ones or more among `differences`, zeros counted as negative, if each sign were a coin.
[[nodiscard]] double sign_test(std::span<const double> differences);

/// Mann-Whitney: as many pairs or more in which `now` is greater than `base`, if both came from one distribution. Exact
/// for up to 25 values on each side, beyond that by the normal approximation.
[[nodiscard]] double mann_whitney(std::span<const double> base, std::span<const double> now);

/// The least that the test can give with so many values, at which it speaks as clearly as it can.
[[nodiscard]] double least_sign_test(std::size_t values);
[[nodiscard]] double least_mann_whitney(std::size_t base, std::size_t now);

}  // namespace reprise::sim
