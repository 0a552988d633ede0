// SPDX-License-Identifier: GPL-2.0-only
// A suite as it was read: cases, each about one policy on one workload and machine, and what is expected of them.
// The file's format: docs/suite.md. Plain values.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/policy.h"
#include "sim/kernel/faults.h"
#include "sim/metrics/gates.h"

namespace reprise::sim {

inline constexpr std::size_t kMaxCases = 10'000;
inline constexpr std::size_t kMaxSeeds = 1'000;
inline constexpr std::size_t kMaxGroups = 16;  // of tasks, in a case

/// What a policy's text ("vruntime:slice_us=3000") names.
struct SuitePolicy {
  const PolicyInfo* info = nullptr;  // null: the kernel's own
  Options options;
  std::string text;  // with all options
  std::string code;  // SHA-256 of what decides, in hex
};
/// Passed in: the simulator does not know the table of policies. Error (kUsage): no such policy or option.
using SuitePolicyFinder = std::function<Expected<SuitePolicy>(std::string_view)>;

enum class Source : u8 {
  kTrace,     // a recorded workload
  kLoad,      // a generated one, as NAME:TASKS
  kRtapp,     // a file of rt-app
  kWorkload,  // a file that reprise shrink wrote (workload_file.h)
  kReplay,    // no simulation: the recorded inputs go through the engine again
};

struct TaskGroup {
  std::string name;
  std::vector<std::string> patterns;  // of task names, as fnmatch(3) takes them
};

/// All that decides about a run but the seed. Equal ones are run once.
struct Setup {
  Source source = Source::kTrace;
  std::string file;         // path, or NAME:TASKS
  std::string file_sha256;  // of its bytes; empty for a generator
  std::string policy;       // as the suite names it; empty with kReplay: the recorded one
  std::string topology;     // as Topology::parse takes it; empty: as recorded, else 4 CPUs
  u32 session = 0;
  u32 hz = 0;                 // 0: as recorded, else 1000
  u64 duration_ns = 0;        // 0: until the workload has ended
  u32 jitter_per_mille = 20;  // by how much the seed changes run times
  u64 bound_ns = 0;           // an invariant, with check_every: no runnable task waits longer; 0: the model's
  FaultOptions faults;
  u32 check_every = 0;     // hold all invariants after so many events
  u32 time_limit_s = 300;  // of CPU time, for all seeds
  std::vector<TaskGroup> groups;
  std::vector<u64> seeds;

  /// Whatever changes results; equal for equal runs.
  [[nodiscard]] std::string key() const;
};

/// An expectation: a metric is at most, or at least, so much.
struct Bound {
  u32 group = 0;  // 0: all tasks; n: Setup::groups[n - 1]
  const MetricInfo* metric = nullptr;
  bool upper = true;
  double value = 0;  // in the metric's unit; of a comparison: times the other policy's
  std::string key;   // as it stands in the file: "max_p99_run_delay_us"
  u32 line = 0;
};

struct Comparison {
  u32 setup = 0;  // of the other policy
  std::string policy;
  std::vector<Bound> bounds;
};

struct Case {
  std::string name;
  u32 line = 0;
  u32 setup = 0;  // in Suite::setups
  bool is_long = false;
  std::vector<Bound> bounds;
  std::vector<Comparison> versus;
  std::vector<Gate> gates;       // against the baseline
  std::string decisions_sha256;  // kReplay: expected; empty: as recorded
};

struct Suite {
  std::string name;
  std::string path;
  std::string sha256;  // of the file's bytes
  std::vector<Setup> setups;
  std::vector<Case> cases;

  [[nodiscard]] std::string baseline_path() const;
};

struct ReadSuiteOptions {
  u64 seed_offset = 0;
};

/// Paths in the file are relative to it. Errors: (kBadInput, with file and line) no TOML, an unknown key (names the
/// nearest one), a value of another type or out of range, bounds that contradict each other, two cases of one name, a
/// policy that `find` does not find, a missing trace, no case at all; (kIo) not readable.
Expected<Suite> read_suite(const std::string& path, const SuitePolicyFinder& find, const ReadSuiteOptions& = {});

/// "max_p99_run_delay_us" for a group, as a column's head: "frames.p99_run_delay".
[[nodiscard]] std::string metric_name(const Setup&, u32 group, const MetricInfo&);

}  // namespace reprise::sim
