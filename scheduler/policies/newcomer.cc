// SPDX-License-Identifier: GPL-2.0-only
// newcomer: vruntime that does not trust tasks which have only just begun.
//
// A build starts batches of compilers, each of which lives for a moment. Under plain vruntime each of them enters at
// the clock, with a clean record and a full slice, so an old task that needs a CPU in time (a game that draws a
// frame) finds, again and again, all CPUs just taken for a whole slice by tasks that owe nothing yet. Here a task
// is a newcomer until it has used some CPU time of its own, and
//   - starts as if it had already had a slice, so it queues behind those who are established and do not owe that much;
//   - is expected to use a whole slice, since nothing is known of it yet;
//   - gets short slices, so whoever it is in the way of waits for a short one only.
// Tasks that were there before the scheduler are no newcomers. Nothing is taken from anyone for good: after its first
// stretch a task is treated as vruntime treats it, and shares follow weights as before.
#include <algorithm>
#include <array>

#include "scheduler/policies/vruntime.h"

namespace reprise {
namespace {

constexpr std::size_t kShared = VirtualTime::kOptions.size();

constexpr auto kOptions = [] {
  std::array<OptionSpec, kShared + 2> options{};
  std::ranges::copy(VirtualTime::kOptions, options.begin());
  options[kShared] = {"newcomer_us", "us", 0, 60'000'000, 1'000'000, "CPU time after which a task is established"};
  options[kShared + 1] = {"newcomer_slice_us", "us", 50, 1'000'000, 2'000, "longest slice of a newcomer"};
  return options;
}();

class Newcomer final : public Vruntime {
 public:
  Newcomer(Arena& arena, const Limits& limits, const VirtualTime::Config& config, const Options& options)
      : Vruntime(arena, limits, config),
        full_slice_ns_(config.slice_ns),
        newcomer_ns_(options.get("newcomer_us") * kNsPerUs),
        newcomer_slice_ns_(options.get("newcomer_slice_us") * kNsPerUs) {}

 protected:
  u64 debit_ns(const Task& task) const override { return newcomer(task) ? full_slice_ns_ : 0; }

  u64 burst_ns(TaskSlot slot, const Task& task) const override {
    return newcomer(task) ? full_slice_ns_ : Vruntime::burst_ns(slot, task);
  }

  u64 slice_ns(TaskSlot slot, const Task& task) const override {
    const u64 slice = Vruntime::slice_ns(slot, task);
    return newcomer(task) ? std::min(slice, newcomer_slice_ns_) : slice;
  }

 private:
  [[nodiscard]] bool newcomer(const Task& task) const {
    return (task.flags & kTaskAtAttach) == 0 && task.exec_total_ns < newcomer_ns_;
  }

  const u64 full_slice_ns_;
  const u64 newcomer_ns_;
  const u64 newcomer_slice_ns_;
};

}  // namespace

extern const PolicyInfo kNewcomerPolicy;
constinit const PolicyInfo kNewcomerPolicy = {
    .name = "newcomer",
    .summary = "vruntime that gives new tasks short slices, behind established ones",
    .options = kOptions,
    .state_bytes = Vruntime::state_bytes,
    .create = [](Arena& arena, const Limits& limits, const Options& options) -> Expected<std::unique_ptr<Policy>> {
      const Expected<VirtualTime::Config> config = VirtualTime::config(options);
      if (!config) return std::unexpected(config.error());
      return std::make_unique<Newcomer>(arena, limits, *config, options);
    },
};

}  // namespace reprise
