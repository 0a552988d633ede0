// SPDX-License-Identifier: GPL-2.0-only
// Which CPUs share a core, a last-level cache and a NUMA node. Numbered as Linux mostly does on x86: first one thread
// of each core, node by node, then their siblings.
#pragma once

#include <array>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::sim {

struct CpuPlace {
  u16 core;
  u16 llc;
  u16 node;
};

struct Topology {
  std::vector<CpuPlace> cpus;

  [[nodiscard]] u32 size() const { return static_cast<u32>(cpus.size()); }
  /// One node, one cache, no siblings. 1..kMaxCpus.
  [[nodiscard]] static Topology flat(u32 cpus);
  /// Error (kUsage): a factor of 0, or more than kMaxCpus CPUs.
  static Expected<Topology> make(u32 nodes, u32 llcs_per_node, u32 cores_per_llc, u32 threads_per_core);
};

}  // namespace reprise::sim
