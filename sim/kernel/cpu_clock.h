// SPDX-License-Identifier: GPL-2.0-only
// When something next happens on each CPU by itself: a tree of minima, eight to a node. A key is the time with the
// CPU's number in its low bits, so that one comparison orders by time and, at the same time, by CPU. Internal.
#pragma once

#include <algorithm>
#include <vector>

#include "scheduler/core/types.h"

namespace reprise::sim {

class CpuClock {
 public:
  static constexpr u64 kNever = ~u64{0};

  explicit CpuClock(u32 cpus) : alone_(cpus == 1) {
    u32 count = cpus;
    do {
      count = (count + 7) / 8;
      levels_.emplace_back(std::size_t{count} * 8, kNever);
    } while (count > 1);
  }

  [[nodiscard]] u64 time(u32 cpu) const { return time_of(levels_[0][cpu]); }
  /// kNever: nothing on any CPU.
  [[nodiscard]] u64 next_time() const { return time_of(least_); }
  [[nodiscard]] u32 next_cpu() const { return static_cast<u32>(least_) & (kMaxCpus - 1); }
  /// As next_time, of all CPUs but this one.
  [[nodiscard]] u64 next_time_but(u32 cpu) const {
    if (alone_) return kNever;
    u64 least = kNever;
    for (const std::vector<u64>& level : levels_) {
      const u64* const node = &level[cpu & ~7u];
      for (u32 i = 0; i < 8; ++i)
        if (i != (cpu & 7)) least = std::min(least, node[i]);
      cpu /= 8;
    }
    return time_of(least);
  }
  void clear(u32 cpu) { set_key(cpu, kNever); }
  /// Below 2^54 ns, which is 208 days; later than that is never.
  void set(u32 cpu, u64 time) { set_key(cpu, time >> (64 - kCpuBits) ? kNever : time << kCpuBits | cpu); }

 private:
  static constexpr u32 kCpuBits = 10;
  static_assert(kMaxCpus <= 1u << kCpuBits);

  [[nodiscard]] static u64 time_of(u64 key) { return key == kNever ? kNever : key >> kCpuBits; }

  void set_key(u32 cpu, u64 key) {
    if (alone_) {
      levels_[0][0] = least_ = key;
      return;
    }
    u32 at = cpu;
    for (std::vector<u64>& level : levels_) {
      u64* const node = &level[at & ~7u];
      node[at & 7] = key;
      const u64 a = std::min(node[0], node[1]), b = std::min(node[2], node[3]);
      const u64 c = std::min(node[4], node[5]), d = std::min(node[6], node[7]);
      key = std::min(std::min(a, b), std::min(c, d));
      at /= 8;
    }
    least_ = key;
  }

  const bool alone_;  // one CPU: nothing to compare
  std::vector<std::vector<u64>> levels_;
  u64 least_ = kNever;
};

}  // namespace reprise::sim
