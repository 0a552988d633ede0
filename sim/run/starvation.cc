// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/starvation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "scheduler/core/step.h"
#include "traces/task_names.h"

namespace reprise::sim {
namespace {

using trace::KernelEvent;
using trace::KernelEventType;

std::string seconds(u64 ns) { return fmt::format("{}.{:06} s", ns / kNsPerSec, ns % kNsPerSec / kNsPerUs); }

// Since when each task waits that the policy was told of.
class Waiting final : public EventSink, public StepSink {
 public:
  void event(const KernelEvent& e) override {
    if (e.type == KernelEventType::kSwitch) since.erase(e.tid);
  }
  void step(const StepInput& input, const StepOutput&, u64) override {
    for (const Event& event : input.events)
      if (event.type == EventType::kEnqueue) since.try_emplace(event.tid, event.time_ns);
  }
  std::map<i32, u64> since;
};

struct Given {
  u64 step = 0, time_ns = 0;
  Decision decision{};
};

// What was decided while one task waited.
class Watch final : public EventSink, public StepSink {
 public:
  explicit Watch(i32 tid) : tid_(tid) {}
  void event(const KernelEvent& e) override {
    names_.before(e);
    if (e.type == KernelEventType::kSwitch && e.tid == tid_) forget();
    names_.after(e);
  }
  void step(const StepInput& input, const StepOutput& output, u64) override {
    last_step_ = input.number;
    for (const Event& event : input.events) {
      if (event.tid != 0) tid_of_[event.task] = event.tid;
      if (event.type == EventType::kTaskNew) known_as_[event.tid] = trace::comm_view(event.task_new.comm);
      if (event.tid != tid_ || event.type != EventType::kEnqueue) continue;
      forget();
      told_ = Given{.step = input.number, .time_ns = input.now_ns};
    }
    for (const Decision& decision : output.decisions()) decided({input.number, input.now_ns, decision});
  }
  [[nodiscard]] std::string text() const;

 private:
  void forget() { told_ = answer_ = passed_ = std::nullopt; }
  void decided(const Given& given) {
    if (!told_) return;
    const bool own = tid(given) == tid_;
    if (own) {
      answer_ = given;
      passed_.reset();
    } else if (!passed_ && (!answer_ || goes_before(given.decision))) {
      passed_ = given;
    }
  }
  [[nodiscard]] bool goes_before(const Decision& other) const {
    return other.cpu == answer_->decision.cpu && static_cast<i64>(other.vtime - answer_->decision.vtime) < 0;
  }
  [[nodiscard]] i32 tid(const Given& given) const {
    const auto found = tid_of_.find(given.decision.task);
    return found == tid_of_.end() ? 0 : found->second;
  }
  [[nodiscard]] std::string name(i32 tid) const {
    std::string_view comm = names_.comm(tid);
    if (const auto known = known_as_.find(tid); comm.empty() && known != known_as_.end()) comm = known->second;
    return fmt::format("{}[{}]", comm, tid);
  }
  [[nodiscard]] static std::string queue(const Decision& decision) {
    return decision.cpu == kAnyCpu ? "any CPU" : fmt::format("CPU {}", decision.cpu);
  }

  i32 tid_;
  trace::TaskNames names_;                         // as the kernel's events say,
  std::unordered_map<i32, std::string> known_as_;  // and what the policy was told, of tasks that were there before
  std::unordered_map<TaskSlot, i32> tid_of_;       // looked up, never walked over
  u64 last_step_ = 0;
  std::optional<Given> told_, answer_, passed_;
};

std::string Watch::text() const {
  if (!told_) return fmt::format("the policy was never told that {} is runnable", name(tid_));
  std::string text =
      fmt::format("the policy was told of {} in step {}, at {}", name(tid_), told_->step, seconds(told_->time_ns));
  if (answer_)
    text += fmt::format(", and handed it down in step {}, at {}, for {} with vtime {}", answer_->step,
                        seconds(answer_->time_ns), queue(answer_->decision), answer_->decision.vtime);
  else
    text += fmt::format(", and has not handed it down since (step {} was the last)", last_step_);
  if (passed_)
    return text + fmt::format("; the first decision that went before it: step {}, at {}, {} to {}{}", passed_->step,
                              seconds(passed_->time_ns), name(tid(*passed_)), queue(passed_->decision),
                              answer_ ? fmt::format(" with vtime {}", passed_->decision.vtime) : std::string());
  return text + "; no decision went before it";
}

}  // namespace

std::string explain_starvation(const Job& job) {
  Waiting waiting;
  (void)run(*job.program, job.options, &waiting, &waiting);  // ends as it did before
  i32 tid = 0;
  u64 since = ~u64{0};
  for (const auto& [candidate, at] : waiting.since)
    if (at < since && candidate != job.options.machine.scheduler_tid) tid = candidate, since = at;
  if (tid == 0) return {};
  Watch watch(tid);
  (void)run(*job.program, job.options, &watch, &watch);
  return watch.text();
}

}  // namespace reprise::sim
