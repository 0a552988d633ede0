// SPDX-License-Identifier: GPL-2.0-only
// Finds what a `--policy` names: a policy of the table, or one in a shared object, given by its path.
//
// A shared object is read once; what is hashed, looked through and loaded are the same bytes, in memory of this
// process. So nobody who builds it anew pulls it from under a scheduler that runs. It stays loaded until the process
// ends.
//
// Thread safety: any thread may call load_policy.
#pragma once

#include <string>
#include <string_view>

#include "scheduler/policies/table.h"

namespace reprise::loader {

/// Whether that names a file: it has a '/' before any ':', or the name ends in ".so".
[[nodiscard]] bool names_file(std::string_view text);

/// `name[:options]` or `path[:options]`. Errors: of parse_policy. kIo: there is no such file. kBadInput: it is no
/// shared object, of another machine or interface, has no policy, or asks for what a policy must not know; says which.
[[nodiscard]] Expected<PolicySpec> load_policy(std::string_view text);

}  // namespace reprise::loader
