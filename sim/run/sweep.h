// SPDX-License-Identifier: GPL-2.0-only
// Many simulations at once, one per thread.
#pragma once

#include <functional>
#include <vector>

#include "sim/run/run.h"

namespace reprise::sim {

/// CPUs that this process may use.
[[nodiscard]] u32 usable_cpus();

struct Job {
  const Program* program = nullptr;  // outlives the sweep
  RunOptions options;
};

struct JobResult {
  Expected<RunResult> result = fail(ExitCode::kInternal, "did not run");
  u64 wall_ns = 0;
};

/// Runs all jobs on `threads` threads (0: one per CPU that this process may use), those that take longest to be
/// expected first in the list. Results are in the order of the jobs. `done` is called from this thread's side of a
/// lock, with how many have ended.
std::vector<JobResult> sweep(const std::vector<Job>& jobs, u32 threads = 0,
                             const std::function<void(std::size_t done)>& done = {});

}  // namespace reprise::sim
