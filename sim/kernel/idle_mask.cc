// SPDX-License-Identifier: GPL-2.0-only
#include "sim/kernel/idle_mask.h"

#include <algorithm>

namespace reprise::sim {

IdleMask::IdleMask(const Topology& topology)
    : words_((topology.size() + 63) / 64), places_(topology.cpus), last_(topology.size(), 0) {
  for (u32 cpu = 0; cpu < topology.size(); ++cpu) {
    const u32 core = places_[cpu].core;
    if (siblings_.size() <= core) siblings_.resize(core + 1);
    siblings_[core].push_back(static_cast<u16>(cpu));
    smt_ = smt_ || siblings_[core].size() > 1;
  }
}

void IdleMask::set(u32 cpu, bool idle) {
  if (idle)
    cpus_.set(cpu);
  else
    cpus_.clear(cpu);
  if (!smt_) return;
  const auto& core = siblings_[places_[cpu].core];
  const bool all = idle && std::ranges::all_of(core, [this](u16 sibling) { return cpus_.test(sibling); });
  if (idle && !all) return;
  for (const u16 sibling : core) {
    if (all)
      cores_.set(sibling);
    else
      cores_.clear(sibling);
  }
}

bool IdleMask::take(u32 cpu) {
  if (smt_)
    for (const u16 sibling : siblings_[places_[cpu].core]) cores_.clear(sibling);
  const bool was = cpus_.test(cpu);
  cpus_.clear(cpu);
  return was;
}

i32 IdleMask::next_in(const CpuMask& mask, const u64* allowed, u32 after) const {
  const u32 first = after / 64;
  const u64 behind = after % 64 == 63 ? 0 : ~u64{0} << (after % 64 + 1);
  if (const u64 word = mask.words[first] & allowed[first] & behind)
    return static_cast<i32>(first * 64 + static_cast<u32>(std::countr_zero(word)));
  for (u32 i = 1; i <= words_; ++i) {
    const u32 index = first + i < words_ ? first + i : first + i - words_;
    if (const u64 word = mask.words[index] & allowed[index])
      return static_cast<i32>(index * 64 + static_cast<u32>(std::countr_zero(word)));
  }
  return -1;
}

i32 IdleMask::pick(const u64* allowed_words, u32 here) {
  i32 found = smt_ ? next_in(cores_, allowed_words, last_[here]) : -1;
  if (found < 0) found = next_in(cpus_, allowed_words, last_[here]);
  if (found < 0) return -1;
  last_[here] = static_cast<u16>(found);
  take(static_cast<u32>(found));
  return found;
}

}  // namespace reprise::sim
