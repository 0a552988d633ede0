// SPDX-License-Identifier: GPL-2.0-only
// Runs jobs in processes of their own, so that one that crashes, never returns or eats all memory takes nothing along.
//
// A job writes lines; each is given to the caller as it comes. The calling process must have one thread only (it
// forks).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scheduler/core/types.h"

namespace reprise::sim {

struct PoolJob {
  /// Runs in the child. A false return of `line` means that nobody listens any more.
  std::function<void(const std::function<bool(const std::string&)>& line)> work;
  u64 cost = 1;          // what is most expensive begins first
  u32 cpu_limit_s = 60;  // of CPU time; ten times as much of time on the clock
};

struct PoolEvents {
  std::function<void(std::size_t job, const std::string& line)> line;
  /// `failure`: how it ended, in words, unless it ended well: "crashed: Segmentation fault".
  std::function<void(std::size_t job, const std::string& failure)> ended;
};

void run_pool(const std::vector<PoolJob>& jobs, u32 processes, const PoolEvents&);

}  // namespace reprise::sim
