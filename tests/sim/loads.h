// SPDX-License-Identifier: GPL-2.0-only
// Simple seeded loads that need only Behaviour.
#pragma once

#include <functional>
#include <vector>

#include "scheduler/core/prng.h"
#include "sim/kernel/kernel_model.h"

namespace reprise::test {

/// A load of many tasks, each with a kind of its own.
class Load : public sim::Behaviour {
 public:
  explicit Load(u64 seed) : random_(Prng::seeded(seed)) {}

  // Each creates tasks of the kernel and starts them.
  sim::TaskId spinner(sim::Kernel&, u32 weight = kWeightDefault, const sim::CpuSet& affinity = {},
                      u64 run_ns = kNsPerSec);
  /// Runs for run_ns, sleeps for sleep_ns by a timer, for ever.
  sim::TaskId sleeper(sim::Kernel&, u64 run_ns, u64 sleep_ns, u32 weight = kWeightDefault);
  /// Two that wake each other in turn, with run_ns in between.
  void ping_pong(sim::Kernel&, u64 run_ns);
  /// As hackbench: senders write to every receiver of their group, receivers wait for messages.
  void groups(sim::KernelModel&, u32 groups, u32 pairs, u64 run_ns, bool even_cpus = false);
  /// Forks `children` one after the other, each of which runs for run_ns and exits; then waits for them and begins
  /// again.
  void fork_storm(sim::Kernel&, u32 children, u64 run_ns, u32 rounds = ~0u);
  /// Yields after each run_ns.
  sim::TaskId yielder(sim::Kernel&, u64 run_ns);
  /// Runs once.
  sim::TaskId once(sim::Kernel&, u64 run_ns);

  sim::Action next(sim::Kernel&, sim::TaskId) override;
  void timer(sim::Kernel&, u64 cookie) override;

  struct Doing {
    enum Kind : u8 { kSpin, kSleep, kPing, kSend, kReceive, kForker, kOnce, kYield } kind = kOnce;
    bool ran = false;
    bool waits = false;  // for a message or a child
    u64 run_ns = 0, sleep_ns = 0;
    sim::TaskId peer = sim::kNoTaskId;  // first receiver of the group, the forker of a child
    u32 tokens = 0;
    u32 at = 0, count = 0;
    u32 rounds = 0;
  };
  [[nodiscard]] const Doing& doing(sim::TaskId task) const { return tasks_[task]; }
  u64 messages = 0;

 private:
  sim::TaskId add(sim::Kernel&, const Doing&, const sim::TaskInfo& = {});
  void give(sim::Kernel&, sim::TaskId);
  u64 about(u64 ns) { return ns < 4 ? ns + 1 : ns - ns / 4 + random_.below(ns / 2); }

  Prng random_;
  std::vector<Doing> tasks_;
};

/// The options that most tests use.
[[nodiscard]] sim::SimOptions machine_of(u32 cpus, std::string_view policy = "fifo");

/// Keeps all events, or counts them.
class KeptEvents : public sim::EventSink {
 public:
  void event(const trace::KernelEvent& e) override { events.push_back(e); }
  [[nodiscard]] std::vector<trace::KernelEvent> of(trace::KernelEventType type) const;
  std::vector<trace::KernelEvent> events;
};

}  // namespace reprise::test
