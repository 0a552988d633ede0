// SPDX-License-Identifier: GPL-2.0-only
// The kernel side, loaded and attached: open, set, load, attach, read its rings, detach.
//
// Thread safety: `events` and `decisions` belong to the scheduler's thread, `recording` to the recorder's; the rest
// may be called from the thread that made it. Detached by the destructor; the kernel detaches by itself when the
// process dies, since the link is not pinned.
#pragma once

#include <memory>
#include <string>

#include "bpf/wire.h"
#include "scheduler/core/error.h"
#include "scheduler/live/kernel_features.h"
#include "scheduler/live/ring.h"

namespace reprise::live {

struct DispatcherSettings {
  i32 scheduler_tid = 0;
  i32 scheduler_tgid = 0;
  u32 max_tasks = kMaxTasksDefault;
  u64 slice_default_ns = 5 * kNsPerMs;    // for tasks that the dispatcher decides on by itself
  u64 slice_scheduler_ns = 5 * kNsPerMs;  // of the scheduler's own thread
  u64 heartbeat_ns = kNsPerSec;
  u64 fallback_ns = 100 * kNsPerMs;
  u32 timeout_ms = 5'000;  // watchdog; the kernel's limit is 30 s
  bool kick_preempt = true;
  u32 kick_interval_us = 200;
  bool recording = false;
  bool partial = false;
  u32 interests = 0;                   // PolicyInterest
  std::size_t events_bytes = 4 << 20;  // powers of two
  std::size_t decisions_bytes = 1 << 20;
  std::size_t recording_bytes = 64 << 20;
};

/// Why the kernel let the scheduler go, in words.
struct ExitReport {
  i32 kind = 0;
  u64 code = 0;
  std::string reason;
  std::string message;
  std::string dump;
  bool restart = false;  // the kernel asks for a restart: a CPU came or went
  bool error = false;    // thrown out: an error of the scheduler or the watchdog
};

class Dispatcher {
 public:
  /// Errors: kNoSchedExt, kNotPermitted, kInternal with the verifier's last lines.
  static Expected<std::unique_ptr<Dispatcher>> load(const DispatcherSettings&, const KernelFeatures&);
  ~Dispatcher();

  /// From here on the kernel calls us. Error: another scheduler is attached, or the kernel refuses.
  Expected<void> attach();
  /// Back to the kernel's default. Harmless when not attached.
  void detach();

  RingReader& events();
  RingReader& recording();
  RingWriter& decisions();
  volatile wire_shared& shared();
  /// Of the maps that the recorder's programs share.
  [[nodiscard]] int recording_fd() const;
  [[nodiscard]] int sequences_fd() const;
  [[nodiscard]] bool exited() const;
  [[nodiscard]] ExitReport exit_report() const;
  /// Summed over CPUs.
  [[nodiscard]] wire_cpu_counters counters() const;
  [[nodiscard]] u32 cpus() const;
  /// Events for the engine that found no room, since load. Cheap: read by the scheduler's thread in each step.
  [[nodiscard]] u64 lost_events() const;

 private:
  Dispatcher();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reprise::live
