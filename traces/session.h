// SPDX-License-Identifier: GPL-2.0-only
// Who made a trace and on what: the contents of its session frames. A trace holds one session per attach; a restart
// (CPU hotplug) opens another one in the same file.
//
// Plain values without behaviour; safe to copy between threads. Only <cstdint> types: the Cap'n Proto side
// (message.cc) is compiled as C++17, where scheduler/core/types.h is not available.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace reprise::trace {

/// Limits of a session frame. The writer cuts strings and counts what it leaves out; a reader refuses more.
inline constexpr std::size_t kMaxStringBytes = 4096;
inline constexpr std::size_t kMaxSettings = 256;
inline constexpr std::size_t kMaxFeatures = 256;
inline constexpr std::size_t kMaxTopologyCpus = 4096;
inline constexpr std::size_t kMaxSessionTasks = 131'072;

enum class SessionKind : std::uint8_t {
  kLive = 1,       // an engine scheduled a machine
  kPassive = 2,    // no engine: the kernel's events only (reprise record)
  kSimulated = 3,  // an engine scheduled the simulator
  kImported = 4,   // made from another tool's trace
};

/// Where a CPU sits. Groups are named by the lowest CPU number in them, so that equal machines give equal bytes.
struct CpuPlace {
  std::uint32_t cpu = 0;
  std::uint32_t core = 0;  // SMT siblings share it
  std::uint32_t llc = 0;   // CPUs that share the last-level cache
  std::uint32_t node = 0;  // number of the NUMA node
  bool operator==(const CpuPlace& o) const { return cpu == o.cpu && core == o.core && llc == o.llc && node == o.node; }
};

/// A setting of the dispatcher, by its name in bpf/dispatcher.bpf.c.
struct Setting {
  std::string name;
  std::uint64_t value = 0;
  bool operator==(const Setting& o) const { return name == o.name && value == o.value; }
};

/// A task that existed when the session began. (tid, start_time_ns) is its identity.
struct SessionTask {
  std::int32_t tid = 0;  // in the initial PID namespace
  std::int32_t tgid = 0;
  std::int32_t parent_tid = 0;
  std::uint32_t weight = 100;
  std::uint32_t flags = 0;  // TaskFlag
  std::int32_t cpu = -1;    // where it ran last; -1: not known
  std::uint64_t start_time_ns = 0;
  std::uint64_t exec_total_ns = 0;  // CPU time since birth
  char comm[16] = {};
};

struct SessionInfo {
  SessionKind kind = SessionKind::kLive;
  std::uint64_t start_ns = 0;  // CLOCK_MONOTONIC at attach

  // What decides. Enough to make an equal engine.
  std::string policy;   // name in the table; empty: none (passive)
  std::string options;  // canonical "key=value,key=value"; empty: all defaults
  std::uint64_t seed = 1;
  std::uint32_t cpus = 0;       // Limits: CPUs are numbered 0..cpus-1
  std::uint32_t max_tasks = 0;  // Limits: slots of the task table
  std::uint32_t interests = 0;  // PolicyInterest

  // The code that decided (generated/version.h).
  std::string version;
  std::string compiler;
  std::string build_type;
  std::string engine_hash;      // SHA-256, hex
  std::string policies_hash;    // SHA-256, hex; of a shared object where the policy is one
  std::string dispatcher_hash;  // SHA-256, hex

  // The kernel and the machine. No hostname.
  std::string kernel_release;
  std::string kernel_version;
  std::string preemption;                       // "none", "voluntary", "full", "lazy"; "" where not known
  std::uint32_t hz = 0;                         // 0: not known
  std::vector<std::string> sched_ext_features;  // kfuncs, ops and flags found at load
  std::string machine;                          // uname -m
  std::string cpu_model;
  std::vector<CpuPlace> topology;
  std::vector<Setting> dispatcher;

  std::vector<SessionTask> tasks;
  std::uint64_t tasks_omitted = 0;  // more than kMaxSessionTasks; the writer counts them here

  // The only fields of time and place. Other clocks minus CLOCK_MONOTONIC, at attach.
  std::int64_t realtime_offset_ns = 0;
  std::int64_t boottime_offset_ns = 0;
};

/// What a session held, as counted by whoever wrote it.
struct SessionTotals {
  std::uint64_t steps = 0;
  std::uint64_t last_step = 0;  // number of the last step that took place, recorded or lost
  std::uint64_t events = 0;     // given to the engine
  std::uint64_t decisions = 0;
  std::uint64_t kernel_events = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t steps_lost = 0;  // the recorder's ring had no room
  std::uint64_t snapshots_lost = 0;
  bool operator==(const SessionTotals& o) const {
    return steps == o.steps && last_step == o.last_step && events == o.events && decisions == o.decisions &&
           kernel_events == o.kernel_events && snapshots == o.snapshots && steps_lost == o.steps_lost &&
           snapshots_lost == o.snapshots_lost;
  }
};

/// How a session ended. Its frame is there only after an orderly end.
struct SessionEnd {
  std::uint64_t end_ns = 0;
  std::string reason;          // "command ended", "watchdog: runnable task stall"
  std::int64_t exit_code = 0;  // of sched_ext (scx_exit_code); 0: none
  SessionTotals totals;        // filled in by the writer
};

enum class LossRing : std::uint8_t {
  kSteps = 1,         // recorder ring: step records
  kPolicyEvents = 2,  // dispatcher to engine
  kKernelEvents = 3,  // recording-only events
};

/// What found no room, since the session began. `cpu` kLossAllCpus where a ring does not count per CPU.
struct Loss {
  LossRing ring = LossRing::kKernelEvents;
  std::uint32_t cpu = 0;
  std::uint64_t count = 0;
  bool operator==(const Loss& o) const { return ring == o.ring && cpu == o.cpu && count == o.count; }
};
inline constexpr std::uint32_t kLossAllCpus = ~std::uint32_t{0};

}  // namespace reprise::trace
