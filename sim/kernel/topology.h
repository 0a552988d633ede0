// SPDX-License-Identifier: GPL-2.0-only
// Which CPUs share a core, a last-level cache and a NUMA node. Numbered as Linux mostly does on x86: first one thread
// of each core, node by node, then their siblings.
//
// Topology decides where tasks go and what a migration costs. It does not decide how fast a CPU runs: siblings that
// share a core run at full speed both, caches and nodes do not slow each other down.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"
#include "traces/session.h"

namespace reprise::sim {

struct CpuPlace {
  u16 core;
  u16 llc;
  u16 node;
  bool operator==(const CpuPlace&) const = default;
};

/// Cores, caches and nodes are numbered 0, 1, 2... without gaps.
struct Topology {
  std::vector<CpuPlace> cpus;

  [[nodiscard]] u32 size() const { return static_cast<u32>(cpus.size()); }
  /// As `parse` takes it, where all nodes, caches and cores are alike; else "8 CPUs, 5 cores, 2 caches, 1 nodes".
  [[nodiscard]] std::string text() const;
  /// One node, one cache, no siblings. 1..kMaxCpus.
  [[nodiscard]] static Topology flat(u32 cpus);
  /// Error (kUsage): a factor of 0, or more than kMaxCpus CPUs.
  static Expected<Topology> make(u32 nodes, u32 llcs_per_node, u32 cores_per_llc, u32 threads_per_core);
  /// "1n2l4c2t": nodes, last-level caches per node, cores per cache, threads per core, in this order; what is left out
  /// is 1. A plain number is that many cores. Error (kUsage): anything else, and what `make` refuses.
  static Expected<Topology> parse(std::string_view text);
  /// As a trace names them. CPUs 0..cpus-1; one that is not named gets a core of its own in the first cache. Error
  /// (kBadInput): a CPU named twice or out of range, a core in two caches, a cache in two nodes.
  static Expected<Topology> from_places(std::span<const trace::CpuPlace> places, u32 cpus);
};

}  // namespace reprise::sim
