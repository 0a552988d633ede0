// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/extract_periods.h"

#include <algorithm>

namespace reprise::sim {
namespace {

constexpr std::size_t kLeastGaps = 8;
constexpr u64 kNear = kNsPerUs;  // times that are the same
constexpr std::size_t kOften = 10;
constexpr u64 kMostLate = 1'000;  // periods; later than that it was not the timer

// How many periods; 0: not a multiple.
u64 multiple(u64 gap, u64 period) {
  const u64 count = (gap + period / 2) / period;
  const u64 off = gap > count * period ? gap - count * period : count * period - gap;
  return off <= kNear ? count : 0;
}

struct Rhythm {
  u64 period = 0;            // 0: none
  bool begins_anew = false;  // when it is late, as the timers of rt-app have it; else the grid is kept
  bool often = false;        // late
};

// The period is the shortest gap that is there twice. A task that begins anew when it is late has gaps of exactly one
// period, and longer ones of any length; else most gaps are multiples. Of a task that was never late it is not known
// what it would do: it is taken to be like rt-app's, since that is what periodic loads are mostly made with.
Rhythm rhythm_of(const std::vector<Op>& ops) {
  std::vector<u64> gaps;
  u64 last = 0;
  for (const Op& op : ops) {
    if (op.code != OpCode::kSleepUntil) continue;
    if (last != 0 && op.value > last) gaps.push_back(op.value - last);
    last = op.value;
  }
  if (gaps.size() < kLeastGaps) return {};
  std::sort(gaps.begin(), gaps.end());
  std::size_t first = 0;
  while (first + 1 < gaps.size() && gaps[first + 1] - gaps[first] > kNear) ++first;
  const u64 period = gaps[first];
  if (period <= 2 * kNear) return {};
  const auto count = [&](auto&& holds) { return static_cast<std::size_t>(std::ranges::count_if(gaps, holds)); };
  const std::size_t exact = count([&](u64 gap) { return multiple(gap, period) == 1; });
  const std::size_t fits = count([&](u64 gap) { return multiple(gap, period) != 0; });
  const std::size_t longer = count([&](u64 gap) { return gap > period + kNear; });
  if (exact >= kLeastGaps / 2 && 5 * exact > gaps.size() && exact + longer == gaps.size() &&
      (longer == 0 || 2 * (fits - exact) < longer))
    return {.period = period, .begins_anew = true, .often = kOften * longer > gaps.size()};
  return {.period = 2 * fits > gaps.size() ? period : 0};
}

// A stretch of operations that ends with a sleep until a time.
struct Stretch {
  std::size_t begin = 0;
  std::size_t end = 0;  // the sleep
  u64 cpu = 0;
  u64 gap = 0;  // since the sleep before; 0: the first one
};

std::vector<Stretch> stretches_of(const std::vector<Op>& ops) {
  std::vector<Stretch> out;
  Stretch now;
  u64 last = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].code == OpCode::kRun) now.cpu += ops[i].value;
    if (ops[i].code != OpCode::kSleepUntil) continue;
    now.end = i;
    now.gap = out.empty() || ops[i].value < last ? 0 : ops[i].value - last;
    last = ops[i].value;
    out.push_back(now);
    now = {.begin = i + 1};
  }
  return out;
}

u64 usual_cpu(const std::vector<Stretch>& stretches, u64 period) {
  std::vector<u64> cpu;
  for (const Stretch& s : stretches)
    if (s.gap != 0 && multiple(s.gap, period) == 1) cpu.push_back(s.cpu);
  if (cpu.empty()) return 0;
  std::sort(cpu.begin(), cpu.end());
  return cpu[cpu.size() / 2];
}

}  // namespace

u64 restore_late_periods(std::vector<Op>& ops, ObjectTable& objects) {
  const Rhythm rhythm = rhythm_of(ops);
  const u64 period = rhythm.period;
  if (period == 0) return 0;
  const bool anew = rhythm.begins_anew;
  const std::vector<Stretch> stretches = stretches_of(ops);
  const u64 usual = anew ? usual_cpu(stretches, period) : 0;
  const u64 first = ops[stretches.front().end].value;
  u32 timer = anew ? objects.timer(first, kTimerBeginsAnew) : 0;
  const auto sleep = [&](const Op& as, u64 until) {
    if (anew) return Op{.code = OpCode::kTimer, .extra = as.extra, .target = timer, .value = period};
    return Op{.code = OpCode::kSleepUntil, .extra = as.extra, .value = until};
  };
  const auto periods_of = [&](const Stretch& s) -> u64 {
    if (s.gap == 0) return 0;
    if (!anew) return std::min(multiple(s.gap, period), kMostLate);
    if (multiple(s.gap, period) == 1 || usual == 0) return 1;
    return std::clamp<u64>((s.cpu + usual / 2) / usual, 2, kMostLate);
  };
  u64 restored = 0, last = 0;
  std::vector<Op> out;
  out.reserve(ops.size());
  for (const Stretch& s : stretches) {
    const u64 periods = periods_of(s);
    u64 done = 0, next = 1;
    for (std::size_t k = s.begin; k < s.end; ++k) {
      Op op = ops[k];
      while (op.code == OpCode::kRun && next < periods && done + op.value >= s.cpu * next / periods) {
        const u64 part = s.cpu * next / periods - done;
        if (part != 0) out.push_back({.code = OpCode::kRun, .value = part});
        out.push_back(sleep(ops[s.end], last + next * period));
        ++next, ++restored;
        done += part;
        op.value -= part;
      }
      done += op.code == OpCode::kRun ? op.value : 0;
      if (op.code != OpCode::kRun || op.value != 0) out.push_back(op);
    }
    last = ops[s.end].value;
    // Who is late now and then begins anew when it did in the recording: else tasks would fall out of the phase that
    // they had to each other.
    const bool anchor = anew && !rhythm.often && periods > 1;
    out.push_back(s.gap == 0 || anchor ? ops[s.end] : sleep(ops[s.end], last));
    if (anchor) timer = objects.timer(last, kTimerBeginsAnew);
  }
  out.insert(out.end(), ops.begin() + static_cast<std::ptrdiff_t>(stretches.back().end + 1), ops.end());
  ops = std::move(out);
  return restored;
}

}  // namespace reprise::sim
