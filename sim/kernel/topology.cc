// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/topology.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace reprise::sim {
namespace {

const std::string kRange = "nodes, caches per node, cores per cache and threads per core: 1 or more each, at most " +
                           std::to_string(kMaxCpus) + " CPUs in all";

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 64)) + "'"; }

}  // namespace

Topology Topology::flat(u32 cpus) {
  Topology result;
  for (u32 cpu = 0; cpu < cpus; ++cpu) result.cpus.push_back({static_cast<u16>(cpu), 0, 0});
  return result;
}

Expected<Topology> Topology::make(u32 nodes, u32 llcs_per_node, u32 cores_per_llc, u32 threads_per_core) {
  struct Factor {
    u32 value;
    const char* name;
  };
  u64 total = 1;
  for (const Factor factor : {Factor{nodes, "nodes"}, Factor{llcs_per_node, "caches per node"},
                              Factor{cores_per_llc, "cores per cache"}, Factor{threads_per_core, "threads per core"}}) {
    if (factor.value == 0)
      return fail(ExitCode::kUsage, std::string("impossible topology: 0 ") + factor.name, {}, kRange);
    total *= std::min(factor.value, kMaxCpus + 1);
    if (total > kMaxCpus)
      return fail(ExitCode::kUsage,
                  "impossible topology: " + std::to_string(nodes) + " nodes of " + std::to_string(llcs_per_node) +
                      " caches of " + std::to_string(cores_per_llc) + " cores of " + std::to_string(threads_per_core) +
                      " threads are more than " + std::to_string(kMaxCpus) + " CPUs",
                  {}, kRange);
  }
  Topology result;
  const u32 cores = nodes * llcs_per_node * cores_per_llc;
  for (u32 cpu = 0; cpu < total; ++cpu) {
    const u32 core = cpu % cores, llc = core / cores_per_llc;
    result.cpus.push_back({static_cast<u16>(core), static_cast<u16>(llc), static_cast<u16>(llc / llcs_per_node)});
  }
  return result;
}

Expected<Topology> Topology::parse(std::string_view text) {
  const auto refuse = [text](const std::string& why) {
    return fail(
        ExitCode::kUsage, "impossible topology " + quoted(text) + ": " + why, {},
        "write it as 1n2l4c2t: nodes, caches per node, cores per cache, threads per core; or the number of CPUs");
  };
  constexpr std::string_view kLetters = "nlct";
  u32 factors[4] = {1, 1, 1, 1};
  std::size_t next = 0;
  if (text.empty()) return refuse("it is empty");
  for (const char *at = text.data(), *const end = text.data() + text.size(); at != end;) {
    u32 value = 0;
    const auto [rest, status] = std::from_chars(at, end, value);
    if (status == std::errc::result_out_of_range) return refuse("a number is larger than " + std::to_string(kMaxCpus));
    if (status != std::errc()) return refuse("no number before " + quoted(std::string_view(at, end)));
    if (rest == end) {
      if (at != text.data()) return refuse("the last number has no letter");
      factors[2] = value;
      break;
    }
    const std::size_t which = kLetters.find(*rest);
    if (which == std::string_view::npos) return refuse(quoted(std::string_view(rest, 1)) + " is none of n, l, c, t");
    if (which < next) return refuse(quoted(std::string_view(rest, 1)) + " is named twice or comes too late");
    factors[which] = value;
    next = which + 1;
    at = rest + 1;
  }
  return make(factors[0], factors[1], factors[2], factors[3]);
}

Expected<Topology> Topology::from_places(std::span<const trace::CpuPlace> places, u32 cpus) {
  const auto refuse = [](const std::string& why) {
    return fail(ExitCode::kBadInput, "impossible topology in the trace: " + why);
  };
  if (cpus < 1 || cpus > kMaxCpus)
    return refuse(std::to_string(cpus) + " CPUs; the range is 1.." + std::to_string(kMaxCpus));
  std::vector<const trace::CpuPlace*> by_cpu(cpus, nullptr);
  for (const trace::CpuPlace& place : places) {
    if (place.cpu >= cpus) return refuse("CPU " + std::to_string(place.cpu) + " of " + std::to_string(cpus));
    if (by_cpu[place.cpu]) return refuse("CPU " + std::to_string(place.cpu) + " is named twice");
    by_cpu[place.cpu] = &place;
  }
  // A number of our own for each group, in the order of the CPUs that name it first.
  std::map<u32, u16> cores, llcs, nodes;
  std::vector<u16> llc_of_core, node_of_llc;
  const auto number = [](std::map<u32, u16>& known, u32 name) {
    return known.try_emplace(name, static_cast<u16>(known.size())).first->second;
  };
  constexpr u32 kNowhere = 1u << 31;  // names of cores that the trace does not name
  Topology result;
  for (u32 cpu = 0; cpu < cpus; ++cpu) {
    const trace::CpuPlace* place = by_cpu[cpu];
    CpuPlace to{number(cores, place ? place->core : kNowhere + cpu), 0, 0};
    if (place) {
      to.llc = number(llcs, place->llc);
      to.node = number(nodes, place->node);
    } else if (!llc_of_core.empty()) {
      to.node = node_of_llc[0];
    } else {
      const trace::CpuPlace* first = places.empty() ? nullptr : &places[0];
      to.llc = number(llcs, first ? first->llc : 0);
      to.node = number(nodes, first ? first->node : 0);
    }
    if (to.core == llc_of_core.size()) llc_of_core.push_back(to.llc);
    if (to.llc == node_of_llc.size()) node_of_llc.push_back(to.node);
    if (llc_of_core[to.core] != to.llc) return refuse("the core of CPU " + std::to_string(cpu) + " has two caches");
    if (node_of_llc[to.llc] != to.node) return refuse("the cache of CPU " + std::to_string(cpu) + " is in two nodes");
    result.cpus.push_back(to);
  }
  return result;
}

std::string Topology::text() const {
  u32 cores = 0, llcs = 0, nodes = 0;
  for (const CpuPlace& place : cpus) {
    cores = std::max(cores, place.core + 1u);
    llcs = std::max(llcs, place.llc + 1u);
    nodes = std::max(nodes, place.node + 1u);
  }
  if (nodes != 0 && llcs % nodes == 0 && cores % llcs == 0 && size() % cores == 0) {
    const auto even = make(nodes, llcs / nodes, cores / llcs, size() / cores);
    if (even && even->cpus == cpus)
      return std::to_string(nodes) + "n" + std::to_string(llcs / nodes) + "l" + std::to_string(cores / llcs) + "c" +
             std::to_string(size() / cores) + "t";
  }
  return std::to_string(size()) + " CPUs, " + std::to_string(cores) + " cores, " + std::to_string(llcs) + " caches, " +
         std::to_string(nodes) + " nodes";
}

}  // namespace reprise::sim
