// SPDX-License-Identifier: GPL-2.0-only
// Makes a failing workload small: delta debugging (Zeller, Hildebrandt, TSE 2002) over simulated time, tasks, faults,
// loops and operations, for as long as the failure is still there.
//
// Deterministic: the same program and the same answers of `fails` give the same result.
#pragma once

#include <functional>
#include <string>

#include "sim/run/run.h"

namespace reprise::sim {

struct ShrinkOptions {
  u32 max_runs = 2'000;
  /// After each run that still failed; may be empty.
  std::function<void(u32 runs, const Program&, const RunOptions&)> progress;
};

struct Shrunk {
  Program program;
  RunOptions options;
  u32 runs = 0;
  bool whole = true;  // nothing more can be taken away; false: max_runs was reached
};

/// `fails` must hold for what is given. A workload that ends by itself gets a duration.
Shrunk shrink(Program, RunOptions, const std::function<bool(const Program&, const RunOptions&)>& fails,
              const ShrinkOptions& = {});

/// What remains without some tasks: nobody forks them, and nothing of them is left.
[[nodiscard]] Program without_tasks(const Program&, const std::vector<bool>& keep);
/// ... and without some operations. Loops lose both ends or none.
[[nodiscard]] Program without_ops(const Program&, const std::vector<bool>& keep);

}  // namespace reprise::sim
