// SPDX-License-Identifier: GPL-2.0-only
#include "sim/metrics/details.h"

#include <algorithm>

namespace reprise::sim {
namespace {

std::size_t count_stays(const std::vector<CpuLane>& lanes) {
  std::size_t count = 0;
  for (const CpuLane& lane : lanes) count += lane.stays.size();
  return count;
}

// Stays shorter than `width`, with gaps shorter than it, become one as long as that is no longer than `width`. Those
// that begin or end at `mark` or `other` stay alone.
std::vector<Stay> merged(const std::vector<Stay>& stays, u64 width, u64 mark, u64 other) {
  std::vector<Stay> out;
  bool open = false;  // the last one may take in another
  for (const Stay& stay : stays) {
    const bool alone = stay.end_ns - stay.begin_ns >= width || stay.end_ns == mark || stay.begin_ns == other;
    if (open && !alone && stay.end_ns - out.back().begin_ns <= width) {
      Stay& group = out.back();
      if (group.task != stay.task) group.task = WorstMoment::kSeveral;
      group.end_ns = stay.end_ns;
      group.stays += stay.stays;
      group.busy_ns += stay.busy_ns;
    } else {
      out.push_back(stay);
      open = !alone;
    }
  }
  return out;
}

}  // namespace

void DetailsBuilder::woken(u32 task, u64 latency_ns) {
  if (task >= tasks_.size()) tasks_.resize(task + 1);
  ++tasks_[task].wakeups;
  if (task < kTasksMeasured) tasks_[task].wakeup_latency_ns.add(latency_ns);
}

void DetailsBuilder::waited(u32 task, u64 begin_ns, u64 end_ns, u32 cpu_before, u32 cpu_after) {
  if (end_ns - begin_ns <= worst_.running_ns - worst_.runnable_ns) return;
  worst_.task = task;
  worst_.runnable_ns = begin_ns, worst_.running_ns = end_ns;
  worst_.over = cpu_after != WorstMoment::kNone;
  worst_.cpu_before = cpu_before, worst_.cpu_after = cpu_after;
  is_kept_ = false;
}

void DetailsBuilder::switched(u64 time_ns, u32 cpu, u32 task) {
  if (log_.size() == kLogMax) {
    if (!is_kept_) keep(log_.back().time_ns);
    forget();
  }
  if (log_.empty() && log_begin_ns_ == 0) log_begin_ns_ = time_ns;
  log_.push_back({time_ns, cpu, task});
}

// The older half.
void DetailsBuilder::forget() {
  constexpr std::size_t kHalf = kLogMax / 2;
  for (std::size_t i = 0; i < kHalf; ++i)
    if (log_[i].cpu < before_.size()) before_[log_[i].cpu] = log_[i].task;
  log_begin_ns_ = log_[kHalf - 1].time_ns;
  log_.erase(log_.begin(), log_.begin() + kHalf);
}

// Copies the worst moment out of the log, as far as it is in there.
void DetailsBuilder::keep(u64 now_ns) {
  const u64 margin = (worst_.running_ns - worst_.runnable_ns) / 4;
  worst_.from_ns = std::max(worst_.runnable_ns - std::min(worst_.runnable_ns, margin), log_begin_ns_);
  worst_.to_ns = std::min(std::max(now_ns, worst_.running_ns), worst_.running_ns + margin);
  kept_before_ = before_;
  kept_.clear();
  for (const Switch& one : log_) {
    if (one.cpu >= kept_before_.size() || one.time_ns > worst_.to_ns) continue;
    if (one.time_ns <= worst_.from_ns)
      kept_before_[one.cpu] = one.task;
    else
      kept_.push_back(one);
  }
  is_kept_ = true;
}

std::vector<u32> DetailsBuilder::chosen_cpus() const {
  std::vector<u32> cpus;
  for (const u32 cpu : {worst_.cpu_after, worst_.cpu_before})
    if (cpu < before_.size() && std::ranges::find(cpus, cpu) == cpus.end()) cpus.push_back(cpu);
  for (u32 cpu = 0; cpu < before_.size() && cpus.size() < kLanesMax; ++cpu)
    if (std::ranges::find(cpus, cpu) == cpus.end()) cpus.push_back(cpu);
  std::ranges::sort(cpus);
  return cpus;
}

Details DetailsBuilder::finish(u64 end_ns) {
  if (!is_kept_) keep(end_ns);
  if (worst_.task != WorstMoment::kNone) {
    for (const u32 cpu : chosen_cpus()) {
      CpuLane lane{cpu, {}};
      Stay stay{worst_.from_ns, 0, kept_before_[cpu], 1, 0};
      const auto close = [&](u64 at_ns) {
        stay.end_ns = at_ns;
        stay.busy_ns = at_ns - stay.begin_ns;
        if (stay.task != kIdle && stay.busy_ns != 0) lane.stays.push_back(stay);
      };
      for (const Switch& one : kept_) {
        if (one.cpu != cpu) continue;
        close(one.time_ns);
        stay.begin_ns = one.time_ns;
        stay.task = one.task;
      }
      close(worst_.to_ns);
      worst_.lanes.push_back(std::move(lane));
    }
    worst_.cpus_left_out = static_cast<u32>(before_.size() - worst_.lanes.size());
    // Wider and wider until it is few enough; at the width of the whole window there is one per CPU.
    const std::vector<CpuLane> exact = worst_.lanes;
    for (u64 width = std::max<u64>((worst_.to_ns - worst_.from_ns) / kStaysMax, 1);
         count_stays(worst_.lanes) > kStaysMax; width *= 2) {
      worst_.merged_below_ns = width;
      for (std::size_t i = 0; i < exact.size(); ++i)
        worst_.lanes[i].stays = merged(exact[i].stays, width, worst_.runnable_ns, worst_.running_ns);
    }
  }
  return {std::move(tasks_), std::move(worst_)};
}

}  // namespace reprise::sim
