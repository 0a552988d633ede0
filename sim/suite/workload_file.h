// SPDX-License-Identifier: GPL-2.0-only
// A workload as a file of its own ("reprise.workload/1", JSON): what `reprise shrink` leaves over, and what a suite
// takes as `workload = FILE`. Lossless: the same program comes back. A line per operation, so that people can read and
// edit it.
#pragma once

#include <string>

#include "sim/workload/program.h"

namespace reprise::sim {

struct WorkloadFile {
  Program program;
  std::string note;  // where it comes from
};

[[nodiscard]] std::string write_workload(const WorkloadFile&);
/// Errors (kBadInput): no JSON (with line and column), another schema, an unknown operation, what check() refuses.
Expected<WorkloadFile> read_workload(const std::string& text, const std::string& file_name);

}  // namespace reprise::sim
