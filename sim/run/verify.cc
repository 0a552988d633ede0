// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/verify.h"

#include <fmt/format.h>

#include <optional>
#include <span>

#include "scheduler/core/hash.h"

namespace reprise::sim {
namespace {

u64 digest(const trace::KernelEvent& e) { return hash_bytes(std::as_bytes(std::span(&e, 1))); }

class First final : public EventSink {
 public:
  void event(const trace::KernelEvent& e) override { digests.push_back(digest(e)); }
  std::vector<u64> digests;
};

class Second final : public EventSink {
 public:
  explicit Second(const std::vector<u64>& digests) : digests_(digests) {}
  void event(const trace::KernelEvent& e) override {
    if (!different && (count >= digests_.size() || digests_[count] != digest(e))) different = e;
    if (!different) ++count;
  }
  std::optional<trace::KernelEvent> different;
  std::size_t count = 0;  // events that are alike

 private:
  const std::vector<u64>& digests_;
};

}  // namespace

Expected<std::string> first_difference(const Job& job) {
  First first;
  if (auto result = run(*job.program, job.options, &first); !result) return std::unexpected(result.error());
  Second second(first.digests);
  if (auto result = run(*job.program, job.options, &second); !result) return std::unexpected(result.error());
  if (second.different)
    return fmt::format("event {} is the first that differs, at {} ns on CPU {}, type {}, task {}", second.count + 1,
                       second.different->time_ns, second.different->cpu, static_cast<int>(second.different->type),
                       second.different->tid);
  if (second.count < first.digests.size())
    return fmt::format("the second run ended after {} of {} events", second.count, first.digests.size());
  return "no difference";
}

}  // namespace reprise::sim
