// SPDX-License-Identifier: GPL-2.0-only
// Words and numbers that every part of Reprise shares. Depends on nothing.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace reprise {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

/// Number of the table slot that the dispatcher gave to a task (ops.init_task). A slot is used again after the
/// task's exit; (tid, start time) tells two users of one slot apart.
using TaskSlot = u32;
inline constexpr TaskSlot kNoTask = ~TaskSlot{0};

/// In a decision: the dispatcher's shared queue, which every CPU serves.
inline constexpr i32 kAnyCpu = -1;

/// Limits. Every queue and table has one; nothing grows after start.
inline constexpr u32 kMaxCpus = 1024;
inline constexpr u32 kCpuWords = kMaxCpus / 64;
inline constexpr u32 kMaxTasksDefault = 65'536;
inline constexpr u32 kMaxTasks = 1'048'576;
inline constexpr u32 kMaxEventsPerStep = 512;
inline constexpr u32 kMaxDecisionsPerStep = 512;
inline constexpr u32 kMaxPreemptsPerStep = 64;

/// Weight of a task at nice 0; range 1..10000, as sched_ext shows it (kernel/sched/ext.c, sched_weight_to_cgroup).
inline constexpr u32 kWeightDefault = 100;
inline constexpr u32 kWeightMin = 1;
inline constexpr u32 kWeightMax = 10'000;

inline constexpr u64 kNsPerUs = 1'000;
inline constexpr u64 kNsPerMs = 1'000'000;
inline constexpr u64 kNsPerSec = 1'000'000'000;

/// A set of CPUs. Plain words, so that it can be hashed, compared and stored as it is.
struct CpuMask {
  std::array<u64, kCpuWords> words{};

  [[nodiscard]] constexpr bool test(u32 cpu) const { return cpu < kMaxCpus && ((words[cpu / 64] >> (cpu % 64)) & 1); }
  constexpr void set(u32 cpu) { words[cpu / 64] |= u64{1} << (cpu % 64); }
  constexpr void clear(u32 cpu) { words[cpu / 64] &= ~(u64{1} << (cpu % 64)); }
  [[nodiscard]] constexpr u32 count() const {
    u32 total = 0;
    for (u64 word : words) total += static_cast<u32>(std::popcount(word));
    return total;
  }
  constexpr bool operator==(const CpuMask&) const = default;
};

/// `a` lies before `b` on a clock that may wrap (kernel: time_before64). A total order only for values less than
/// 2^63 apart, which virtual times are.
[[nodiscard]] constexpr bool before(u64 a, u64 b) { return static_cast<i64>(a - b) < 0; }

}  // namespace reprise
