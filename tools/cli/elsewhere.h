// SPDX-License-Identifier: GPL-2.0-only
// Runs this program again where memory looks different: addresses at fixed places instead of random ones, memory that
// is not zero when it is fresh and overwritten when it is freed, large blocks straight from the kernel. Whatever
// comes out different then depended on addresses, or on memory that nobody had written.
#pragma once

#include <string>
#include <vector>

#include "tools/cli/console.h"

namespace reprise::cli {

/// The document that `reprise ARGUMENTS... --json` prints there; its messages are dropped. Error: kInternal, kIo.
Expected<Json> run_elsewhere(const std::vector<std::string>& arguments);

}  // namespace reprise::cli
