// SPDX-License-Identifier: GPL-2.0-only
// Errors for operators are values: what is wrong, where, and what to do next. Bugs are checks (check.h).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace reprise {

/// Exit codes of the command line; outside tools rely on them.
enum class ExitCode : int {
  kDone = 0,
  kExpectationFailed = 1,
  kUsage = 2,
  kDiverged = 3,
  kBadInput = 65,      // EX_DATAERR
  kNoSchedExt = 69,    // EX_UNAVAILABLE
  kInternal = 70,      // EX_SOFTWARE
  kIo = 74,            // EX_IOERR
  kNotPermitted = 77,  // EX_NOPERM
};

struct Error {
  ExitCode code = ExitCode::kInternal;
  std::string what;   // "frame 12 fails its checksum"
  std::string where;  // "a.rtrace at byte 81920"; may be empty
  std::string hint;   // "reprise cut a.rtrace ..."; may be empty
};

template <typename T>
using Expected = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ExitCode code, std::string what, std::string where = {},
                                                 std::string hint = {}) {
  return std::unexpected<Error>(Error{code, std::move(what), std::move(where), std::move(hint)});
}

}  // namespace reprise
