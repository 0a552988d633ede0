// SPDX-License-Identifier: GPL-2.0-only
// Simulated against recorded: how far a simulation of this workload can be trusted.
//
// The recorded policy runs on the recorded workload, and each metric is held against the recording. What a metric may
// be off is fixed in kFidelityMetrics; no result changes it. Two controls say whether the comparison could have failed:
// with all run times 1.3 times as long, and with another policy, the simulation has to be rejected, or all is void. A
// metric that moves neither with the policy nor with the costs is no evidence for this workload and counts as not
// measured; so does one with too few values.
//
// Where a workload is chaotic one simulation is one of many that could have been, as one recording is. So each
// recording is simulated several times, first as recorded, then with run times that differ by at most kJitterPerMille,
// which is less than costs are known by, and their median counts. Several recordings are compared each with its own
// simulations, and the median of the differences counts: where a workload has two ways to go, each recording has gone
// one of them, and a median over all recordings lies now in one and now in the other.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/run/from_trace.h"

namespace reprise::sim {

struct FidelityMetric {
  std::string_view name;
  u32 tolerance_per_mille;  // of the recorded value: the best published in this field (scx_simulator's calibration)
  u32 goal_per_mille;
  u64 tolerance_absolute = 0;  // enough in any case
  u64 min_count = 0;           // values that a distribution needs
};

/// task_cpu_ns is the sum over tasks of how far each is off.
[[nodiscard]] std::span<const FidelityMetric> fidelity_metrics();

enum class MetricVerdict : u8 { kAgree, kDisagree, kNotMeasured };
enum class Verdict : u8 { kAgree, kDisagree, kVoid };
[[nodiscard]] std::string_view name(MetricVerdict);
[[nodiscard]] std::string_view name(Verdict);

struct FidelityCell {
  const FidelityMetric* metric = nullptr;
  u64 recorded = 0;       // median of the recordings
  u64 simulated = 0;      // median of all their simulations
  double difference = 0;  // of a recording's simulations from it, as a part of it: the median over the recordings
  double error = 0;       // its absolute value
  double spread = 0;      // between the recordings: greatest less least, of the median; a tenth at either end left out
  double allowed = 0;     // the tolerance, or the spread where that is larger
  bool goal = false;      // within the goal, too
  MetricVerdict verdict = MetricVerdict::kNotMeasured;
  std::string reason;  // why it is not measured
};

struct Control {
  std::string_view name;  // "occupancy", "policy"
  std::string what;       // "all run times 1.3 times as long", "fifo instead of vruntime"
  bool rejected = false;
  bool applies = true;      // false: makes no difference to this workload, so it cannot be rejected
  std::string_view metric;  // one that rejected it
};

struct Fidelity {
  Verdict verdict = Verdict::kVoid;
  std::vector<FidelityCell> cells;
  std::vector<Control> controls;
  std::vector<u64> state_hashes;  // of the simulations, one per recording
};

struct FidelityOptions {
  PolicyInfo const* policy = nullptr;  // the recorded one; null: the kernel's own
  Options policy_options;
  PolicyInfo const* wrong = nullptr;  // for the control
  u64 max_ns = 0;                     // of simulated time per run; 0: ten times the recorded time
  u32 runs = 5;                       // simulations of each recording, from 1
};

/// One or more recordings of the same workload on the same machine. Errors: of run.
Expected<Fidelity> fidelity(std::span<const Recorded> recordings, const FidelityOptions&);

}  // namespace reprise::sim
