// SPDX-License-Identifier: GPL-2.0-only
// A kernel that costs nothing and has no policy: runnable tasks run in the order in which they became runnable, each
// until it blocks, on as many CPUs as it was given. What a workload is tried on before there is a real one.
#pragma once

#include <deque>
#include <queue>
#include <vector>

#include "sim/workload/workload.h"

namespace reprise::test {

class FakeKernel final : public sim::Kernel {
 public:
  struct Task {
    sim::TaskInfo info;
    enum class State : u8 { kNew, kBlocked, kRunnable, kRunning, kEnded } state = State::kNew;
    u64 ran_ns = 0;
    u64 switches = 0;
    u64 slept = 0;  // times that it blocked
    u32 cpu = 0;
    u32 sets = 0;  // changes of affinity and weight
    u64 woken_ns = 0;
    u64 waited_ns = 0;  // runnable, not running
  };

  /// slice_ns 0: a task runs until it blocks. woken_first: who is woken runs next, else last.
  explicit FakeKernel(u32 cpus, u64 slice_ns = 0, bool woken_first = false)
      : slice_ns_(slice_ns), woken_first_(woken_first), running_(cpus, sim::kNoTaskId) {}

  [[nodiscard]] u64 now() const override { return now_; }
  sim::TaskId create(const sim::TaskInfo&) override;
  void start(sim::TaskId) override;
  void wake(sim::TaskId, sim::WakeContext) override;
  void arm(u64 at_ns, u64 cookie, u32 cpu, u64 slack_ns) override;
  void set_affinity(sim::TaskId, const sim::CpuSet&) override;
  void set_weight(sim::TaskId, u32 weight) override;
  [[nodiscard]] u32 cpu_of(sim::TaskId task) const override { return tasks_[task].cpu; }

  /// Until nothing happens any more, or `until_ns`. Relieves a workload that is stuck when `relieve` is set.
  void run(sim::Workload&, u64 until_ns = ~u64{0}, bool relieve = false);

  [[nodiscard]] const std::vector<Task>& tasks() const { return tasks_; }
  [[nodiscard]] u64 events() const { return events_; }
  [[nodiscard]] u64 idle_wakes() const { return idle_wakes_; }  // of tasks that were not blocked

 private:
  struct Event {
    u64 at_ns;
    u64 sequence;
    u64 cookie;
    u32 cpu;
    bool timer;
    bool operator>(const Event& o) const { return at_ns != o.at_ns ? at_ns > o.at_ns : sequence > o.sequence; }
  };
  void fill(sim::Workload&);
  void ask(sim::Workload&, u32 cpu);

  u64 now_ = 0;
  u64 sequence_ = 0;
  u64 slice_ns_;
  bool woken_first_;
  u64 events_ = 0;
  u64 idle_wakes_ = 0;
  std::vector<Task> tasks_;
  std::vector<u64> left_;  // of what a task asked to run
  std::vector<sim::TaskId> running_;
  std::vector<u64> runs_for_;
  std::deque<sim::TaskId> queue_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> agenda_;
};

}  // namespace reprise::test
