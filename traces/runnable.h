// SPDX-License-Identifier: GPL-2.0-only
// How many tasks are runnable and wait for a CPU, as the kernel's events tell. Tasks that were waiting when the
// recording began are counted from the first event that says so. Thread safety: none.
#pragma once

#include <unordered_set>

#include "traces/kernel_event.h"

namespace reprise::trace {

class RunnableCount {
 public:
  void clear() { waiting_.clear(), running_.clear(); }
  void event(const KernelEvent& e) {
    const auto previous = static_cast<i32>(e.a);
    switch (e.type) {
      case KernelEventType::kFork:
        waiting_.insert(e.tid);
        return;
      case KernelEventType::kWaking:
        if ((e.flags & kWakeRunnable) == 0 && e.tid != 0 && !running_.contains(e.tid)) waiting_.insert(e.tid);
        return;
      case KernelEventType::kSwitch:
        running_.erase(previous);
        waiting_.erase(previous);
        if (previous != 0 && ((e.flags & kSwitchPreempted) != 0 || static_cast<u32>(e.b) == 0))
          waiting_.insert(previous);
        waiting_.erase(e.tid);
        if (e.tid != 0) running_.insert(e.tid);
        return;
      default:
        return;
    }
  }
  [[nodiscard]] u64 waiting() const { return waiting_.size(); }

 private:
  std::unordered_set<i32> waiting_, running_;
};

}  // namespace reprise::trace
