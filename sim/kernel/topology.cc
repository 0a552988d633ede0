// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/topology.h"

namespace reprise::sim {

Topology Topology::flat(u32 cpus) {
  Topology result;
  for (u32 cpu = 0; cpu < cpus; ++cpu) result.cpus.push_back({static_cast<u16>(cpu), 0, 0});
  return result;
}

Expected<Topology> Topology::make(u32 nodes, u32 llcs_per_node, u32 cores_per_llc, u32 threads_per_core) {
  const auto refuse = [] {
    return fail(ExitCode::kUsage, "impossible topology", {},
                "nodes, caches per node, cores per cache and threads per core are 1 or more, and there are at most " +
                    std::to_string(kMaxCpus) + " CPUs");
  };
  u64 total = 1;
  for (const u32 factor : {nodes, llcs_per_node, cores_per_llc, threads_per_core}) {
    if (factor == 0 || factor > kMaxCpus) return refuse();
    total *= factor;
    if (total > kMaxCpus) return refuse();
  }
  Topology result;
  const u32 cores = nodes * llcs_per_node * cores_per_llc;
  for (u32 cpu = 0; cpu < total; ++cpu) {
    const u32 core = cpu % cores, llc = core / cores_per_llc;
    result.cpus.push_back({static_cast<u16>(core), static_cast<u16>(llc), static_cast<u16>(llc / llcs_per_node)});
  }
  return result;
}

}  // namespace reprise::sim
