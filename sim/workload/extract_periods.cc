// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract_periods.h"

#include <algorithm>

namespace reprise::sim {
namespace {

constexpr std::size_t kLeastGaps = 8;
constexpr u64 kNear = kNsPerUs;   // times that are the same
constexpr u64 kMostLate = 1'000;  // periods; later than that it was not the timer

// How many periods; 0: not a multiple.
u64 multiple(u64 gap, u64 period) {
  const u64 count = (gap + period / 2) / period;
  const u64 off = gap > count * period ? gap - count * period : count * period - gap;
  return off <= kNear ? count : 0;
}

// The shortest gap that is there twice, if most others are multiples of it; else 0.
u64 period_of(const std::vector<Op>& ops) {
  std::vector<u64> gaps;
  u64 last = 0;
  for (const Op& op : ops) {
    if (op.code != OpCode::kSleepUntil) continue;
    if (last != 0 && op.value > last) gaps.push_back(op.value - last);
    last = op.value;
  }
  if (gaps.size() < kLeastGaps) return 0;
  std::sort(gaps.begin(), gaps.end());
  std::size_t first = 0;
  while (first + 1 < gaps.size() && gaps[first + 1] - gaps[first] > kNear) ++first;
  const u64 period = gaps[first];
  if (period <= 2 * kNear) return 0;
  const auto fits = std::count_if(gaps.begin(), gaps.end(), [&](u64 gap) { return multiple(gap, period) != 0; });
  return 2 * static_cast<std::size_t>(fits) > gaps.size() ? period : 0;
}

}  // namespace

u64 restore_late_periods(std::vector<Op>& ops) {
  const u64 period = period_of(ops);
  if (period == 0) return 0;
  u64 restored = 0;
  std::vector<Op> out;
  out.reserve(ops.size());
  bool slept = false;
  std::size_t begin = 0;  // in `ops`, behind the last sleep, until `last`
  u64 last = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].code != OpCode::kSleepUntil) continue;
    const u64 gap = ops[i].value > last ? ops[i].value - last : 0;
    const u64 periods = slept ? std::min(multiple(gap, period), kMostLate) : 0;
    u64 cpu = 0, done = 0, next = 1;
    for (std::size_t k = begin; k < i; ++k) cpu += ops[k].code == OpCode::kRun ? ops[k].value : 0;
    for (std::size_t k = begin; k < i; ++k) {
      Op op = ops[k];
      while (op.code == OpCode::kRun && next < periods && done + op.value >= cpu * next / periods) {
        const u64 part = cpu * next / periods - done;
        if (part != 0) out.push_back({.code = OpCode::kRun, .value = part});
        out.push_back({.code = OpCode::kSleepUntil, .extra = ops[i].extra, .value = last + next * period});
        ++next, ++restored;
        done += part;
        op.value -= part;
      }
      done += op.code == OpCode::kRun ? op.value : 0;
      if (op.code != OpCode::kRun || op.value != 0) out.push_back(op);
    }
    out.push_back(ops[i]);
    slept = true;
    last = ops[i].value;
    begin = i + 1;
  }
  out.insert(out.end(), ops.begin() + static_cast<std::ptrdiff_t>(begin), ops.end());
  ops = std::move(out);
  return restored;
}

}  // namespace reprise::sim
