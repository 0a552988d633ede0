// SPDX-License-Identifier: GPL-2.0-only
// When something next happens on each CPU by itself: a tree of minima, eight to a node, over an array of times. Two
// CPUs with the same time come in the order of their numbers. Internal.
#pragma once

#include <vector>

#include "scheduler/core/types.h"

namespace reprise::sim {

class CpuClock {
 public:
  static constexpr u64 kNever = ~u64{0};

  explicit CpuClock(u32 cpus) {
    u32 count = cpus;
    do {
      count = (count + 7) / 8;
      levels_.push_back({std::vector<u64>(std::size_t{count} * 8, kNever), std::vector<u16>(count, 0)});
    } while (count > 1);
  }

  [[nodiscard]] u64 time(u32 cpu) const { return levels_[0].times[cpu]; }
  /// kNever: nothing on any CPU.
  [[nodiscard]] u64 next_time() const { return next_time_; }
  [[nodiscard]] u32 next_cpu() const {
    u32 at = 0;
    for (std::size_t level = levels_.size(); level-- > 0;) at = at * 8 + levels_[level].who[at];
    return at;
  }
  void clear(u32 cpu) { set(cpu, kNever); }

  void set(u32 cpu, u64 time) {
    u32 at = cpu;
    for (Level& level : levels_) {
      level.times[at] = time;
      at /= 8;
      const u64* const times = &level.times[std::size_t{at} * 8];
      u64 least = times[0];
      u32 who = 0;
      for (u32 i = 1; i < 8; ++i) {
        who = times[i] < least ? i : who;
        least = times[i] < least ? times[i] : least;
      }
      level.who[at] = static_cast<u16>(who);
      time = least;
    }
    next_time_ = time;
  }

 private:
  struct Level {
    std::vector<u64> times;
    std::vector<u16> who;  // of each eight the first with the least time
  };
  std::vector<Level> levels_;
  u64 next_time_ = kNever;
};

}  // namespace reprise::sim
