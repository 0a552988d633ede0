// SPDX-License-Identifier: GPL-2.0-only
// Kernel events of a session in order of (time, CPU, number). A trace has them so within a frame; from one frame to the
// next they overlap by what a CPU took between its clock and the ring.
//
//   OrderedEvents ordered([&](const KernelEvent& event) { ... });
//   ordered.add(reader.events());  ...  ordered.finish();
//
// Memory: events wait until one that is kWindowNs newer has come, at most kMaxWaiting of them (40 bytes each).
// Thread safety: none.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "traces/kernel_event.h"

namespace reprise::trace {

class OrderedEvents {
 public:
  static constexpr u64 kWindowNs = kNsPerSec / 2;
  static constexpr std::size_t kMaxWaiting = 1u << 20;

  explicit OrderedEvents(std::function<void(const KernelEvent&)> take) : take_(std::move(take)) {}
  void add(std::span<const KernelEvent>);
  /// Hands on what still waits. Then a new session may begin.
  void finish();
  /// Came later than the window allows, and were handed on out of order, with the time that they had.
  [[nodiscard]] u64 late() const { return late_; }

 private:
  void hand_on();

  std::function<void(const KernelEvent&)> take_;
  std::vector<KernelEvent> waiting_;  // a heap, the oldest on top
  u64 newest_ns_ = 0, handed_ns_ = 0;
  u64 late_ = 0;
};

}  // namespace reprise::trace
