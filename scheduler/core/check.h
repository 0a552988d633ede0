// SPDX-License-Identifier: GPL-2.0-only
// Checks for programmer errors. They stay on in release: a scheduler that goes on after one corrupts a machine.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace reprise {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace reprise

#define REPRISE_CHECK(condition)                               \
  (__builtin_expect(static_cast<bool>(condition), 1) ? (void)0 \
                                                     : ::reprise::check_failed(#condition, __FILE__, __LINE__))
