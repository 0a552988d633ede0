// SPDX-License-Identifier: GPL-2.0-only
// What the running kernel offers, read from its BTF and from /sys: whether sched_ext is there, who uses it, and the
// values of the enums that the dispatcher needs. Never guessed from the release number.
#pragma once

#include <string>
#include <vector>

#include "bpf/wire.h"
#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::live {

struct KernelFeatures {
  wire_kernel_values values{};
  u64 ops_keep_builtin_idle = 0;  // SCX_OPS_*; 0: the kernel lacks it
  u64 ops_enq_last = 0;
  u64 ops_switch_partial = 0;
  u64 ops_allow_queued_wakeup = 0;
  u64 exit_code_restart = 0;         // bits of the exit code that ask for a restart (hotplug)
  bool truncated_enums = false;      // BTF holds 64-bit enums cut to 32 bits; documented values are used instead
  std::vector<std::string> present;  // names of optional kfuncs that exist, for provenance
};

/// Error (kNoSchedExt): no BTF, or no sched_ext in it.
Expected<KernelFeatures> read_kernel_features();

struct SchedExtState {
  bool available = false;  // /sys/kernel/sched_ext exists
  std::string state;       // "disabled", "enabled", ...
  std::string ops;         // name of the scheduler that is attached; may be empty
  u64 hotplug_seq = 0;
};
SchedExtState read_sched_ext_state();

/// What doctor shows: a line each.
struct Finding {
  enum class Verdict { kGood, kNote, kBad } verdict;
  std::string what;
  std::string hint;
};
std::vector<Finding> diagnose();

/// Reads a small file whole; empty when it cannot be read. The trailing newline is cut.
std::string read_small_file(const std::string& path);

}  // namespace reprise::live
