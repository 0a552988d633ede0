// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/check.h"

#include <cstdio>
#include <cstdlib>

namespace reprise {
namespace {

thread_local bool foreign_here = false;

}  // namespace

ForeignState::ForeignState(bool foreign) : before_(foreign_here) { foreign_here = foreign; }
ForeignState::~ForeignState() { foreign_here = before_; }

void check_failed(const char* condition, const char* file, int line) {
  if (foreign_here) throw StateContradiction{condition};
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace reprise
