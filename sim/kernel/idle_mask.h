// SPDX-License-Identifier: GPL-2.0-only
// The idle masks that sched_ext keeps: idle CPUs, and cores all of whose threads are idle (kernel/sched/ext/idle.c).
#pragma once

#include <vector>

#include "sim/kernel/topology.h"

namespace reprise::sim {

class IdleMask {
 public:
  explicit IdleMask(const Topology& topology);

  [[nodiscard]] bool test(u32 cpu) const { return cpus_.test(cpu); }
  [[nodiscard]] const CpuMask& cpus() const { return cpus_; }
  /// update_builtin_idle.
  void set(u32 cpu, bool idle);
  /// scx_idle_test_and_clear_cpu: takes the CPU, and with it its core out of the idle cores.
  bool take(u32 cpu);
  /// pick_idle_cpu_in_node: a CPU of an idle core first, then any idle one; the search goes on behind the last one
  /// found from `here` (cpumask_any_and_distribute). -1: none.
  i32 pick(const u64* allowed_words, u32 here);

 private:
  [[nodiscard]] i32 next_in(const CpuMask& mask, const u64* allowed, u32 after) const;

  u32 words_;
  bool smt_ = false;
  CpuMask cpus_{};
  CpuMask cores_{};
  std::vector<CpuPlace> places_;
  std::vector<std::vector<u16>> siblings_;  // by core
  std::vector<u16> last_;                   // distribute_cpu_mask_prev, by CPU
};

}  // namespace reprise::sim
