// SPDX-License-Identifier: GPL-2.0-only
#include "traces/ordered_events.h"

#include <algorithm>
#include <tuple>

namespace reprise::trace {
namespace {

// A total order up to events that are the same in all of the four.
bool later(const KernelEvent& a, const KernelEvent& b) {
  return std::tie(a.time_ns, a.cpu, a.seq, a.type) > std::tie(b.time_ns, b.cpu, b.seq, b.type);
}

}  // namespace

void OrderedEvents::add(std::span<const KernelEvent> events) {
  for (const KernelEvent& event : events) {
    waiting_.push_back(event);
    std::ranges::push_heap(waiting_, later);
    newest_ns_ = std::max(newest_ns_, event.time_ns);
    while (waiting_.size() > kMaxWaiting || waiting_.front().time_ns + kWindowNs < newest_ns_) hand_on();
  }
}

void OrderedEvents::finish() {
  while (!waiting_.empty()) hand_on();
  newest_ns_ = handed_ns_ = 0;
}

void OrderedEvents::hand_on() {
  std::ranges::pop_heap(waiting_, later);
  const KernelEvent event = waiting_.back();
  waiting_.pop_back();
  if (event.time_ns < handed_ns_) ++late_;
  handed_ns_ = std::max(handed_ns_, event.time_ns);
  take_(event);
}

}  // namespace reprise::trace
