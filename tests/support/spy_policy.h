// SPDX-License-Identifier: GPL-2.0-only
// SpyPolicy: writes down what the engine calls, and does in `dispatch` and `timer` what the test says. Its notes lie
// outside the engine's block: for looking on, not for replaying.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "scheduler/core/engine.h"

namespace reprise::test {

class SpyPolicy final : public Policy {
 public:
  std::vector<std::string> calls;  // "enqueue 3"
  std::function<void(Context&)> on_dispatch;
  std::function<void(Context&)> on_timer;
  std::function<void(const Task&)> on_exit;

  void task_new(Context&, TaskSlot slot) override { note("task_new", slot); }
  void task_exit(Context& context, TaskSlot slot) override {
    note("task_exit", slot);
    if (on_exit) on_exit(context.task(slot));
  }
  void task_changed(Context&, TaskSlot slot) override { note("task_changed", slot); }
  void enqueue(Context&, TaskSlot slot) override { note("enqueue", slot); }
  void dequeue(Context&, TaskSlot slot) override { note("dequeue", slot); }
  void running(Context&, TaskSlot slot, const Event&) override { note("running", slot); }
  void stopping(Context&, TaskSlot slot, const Event&) override { note("stopping", slot); }
  void timer(Context& context) override {
    calls.emplace_back("timer");
    if (on_timer) on_timer(context);
  }
  void dispatch(Context& context) override {
    if (on_dispatch) on_dispatch(context);
  }

 private:
  void note(const char* what, TaskSlot slot) { calls.push_back(std::string(what) + " " + std::to_string(slot)); }
};

inline std::size_t spy_bytes(const Limits&) { return 0; }
inline Expected<std::unique_ptr<Policy>> make_spy(Arena&, const Limits&, const Options&) {
  return std::make_unique<SpyPolicy>();
}
inline constexpr PolicyInfo kSpy = {
    .name = "spy", .summary = "looks on", .options = {}, .interests = 0, .state_bytes = spy_bytes, .create = make_spy};
inline constexpr PolicyInfo kSpyOnRunning = {.name = "spy_running",
                                             .summary = "looks on",
                                             .options = {},
                                             .interests = kInterestRunning,
                                             .state_bytes = spy_bytes,
                                             .create = make_spy};

/// An engine with a spy, and a shorter way to make steps.
struct SpiedEngine {
  explicit SpiedEngine(Limits limits = {.cpus = 4, .max_tasks = 8}, const PolicyInfo& info = kSpy) {
    Expected<std::unique_ptr<Engine>> made = Engine::create({.limits = limits, .seed = 1}, info, Options(info.options));
    REPRISE_CHECK(made.has_value());
    engine = std::move(*made);
    spy = &static_cast<SpyPolicy&>(engine->policy());
  }

  /// One step with these events; returns what the policy was told during it.
  std::vector<std::string> step(const std::vector<Event>& events) {
    input.number += 1;
    input.events = events;
    spy->calls.clear();
    result = engine->step(input, output);
    return spy->calls;
  }

  std::unique_ptr<Engine> engine;
  SpyPolicy* spy;
  StepInput input{.number = 0, .now_ns = 1000, .room = kMaxDecisionsPerStep};
  StepOutput output;
  Expected<void> result;
};

}  // namespace reprise::test
