// SPDX-License-Identifier: GPL-2.0-only
// One run of a suite: a setup with a seed, simulated and measured.
//
// The seed changes the workload a little, so that several seeds tell a change of the policy from an accident: run times
// by up to the setup's jitter, and where in a tick the workload begins. It also goes to generators, to the policy's
// random numbers and to faults. Thread safety: as a plain value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/run/run.h"
#include "sim/suite/suite.h"

namespace reprise::sim {

/// The decisions up to here: two runs whose checkpoints agree have (all but surely) made the same ones so far.
struct Checkpoint {
  u64 decisions = 0;
  u64 time_ns = 0;  // of simulated time, from its start
  u16 hash = 0;
};

struct Sample {
  u64 seed = 0;
  std::vector<MetricValue> values;  // measures() for all tasks, then for each group; empty for a replay
  u64 events = 0;
  u64 decisions = 0;
  u64 simulated_ns = 0;
  u64 state_hash = 0;
  u64 cpu_ns = 0;  // of this computer
  // The longest wait of a task.
  i32 worst_tid = 0;
  std::string worst_comm;
  u64 worst_wait_ns = 0;
  u64 worst_at_ns = 0;  // when it was over, from the start
  std::vector<Checkpoint> checkpoints;
  std::string decisions_sha256;  // of a replay
  std::optional<Error> error;    // kExpectationFailed: the policy's fault
  std::vector<std::string> notes;

  [[nodiscard]] const MetricValue& value(u32 group, const MetricInfo&) const;
};

/// A sample on its way from a worker process, as a line of text.
[[nodiscard]] std::string to_line(const Sample&);
/// Empty: that is no sample.
[[nodiscard]] std::optional<Sample> from_line(const std::string&);

/// A setup with its workload read.
class SetupRun {
 public:
  /// Errors: of from_trace, read_rtapp, generate, Topology::parse, `find`.
  static Expected<SetupRun> load(const Setup&, const SuitePolicyFinder& find);

  /// `events` and `steps` may be null; `checkpoints`: takes them (costs some time).
  Sample run(u64 seed, bool checkpoints, EventSink* events = nullptr, StepSink* steps = nullptr) const;

  /// The workload as the seed makes it.
  Expected<Program> program(u64 seed) const;
  [[nodiscard]] RunOptions options(u64 seed) const;
  [[nodiscard]] const trace::SessionInfo* session() const { return session_ ? &*session_ : nullptr; }

 private:
  Sample replay() const;

  Setup setup_;
  SuitePolicy policy_;
  SuitePolicyFinder find_;
  Program program_;  // empty for a generator
  SimOptions machine_;
  std::optional<trace::SessionInfo> session_;
};

/// Runs and measures; of `setup` only the groups of tasks count, and whether it is of a trace.
Sample run_sample(const Setup& setup, const Program&, const RunOptions&, u64 seed, bool checkpoints = false,
                  EventSink* events = nullptr, StepSink* steps = nullptr);

}  // namespace reprise::sim
