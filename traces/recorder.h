// SPDX-License-Identifier: GPL-2.0-only
// Records a live run. The scheduler's thread copies each step into a ring; a thread of the recorder's own encodes,
// compresses and writes. The scheduler's thread makes no system call, takes no lock and allocates nothing here.
//
// Threads
//   producer  the one thread that calls push_step, push_snapshot, push_kernel_events, snapshot_due
//   recorder  owned; sleeps, wakes by itself every `wake_interval_ns`, is never woken by the producer
//   control   start, begin_session, stop, dump: any one thread; begin_session and stop only while nobody pushes
//   status() may be called from any thread but the producer, which asks failed(): status() takes a lock.
//
// What finds no room in the ring is counted and becomes a gap in the trace; the scheduler goes on. So it does when
// the disk is full: `status().failed` turns true and the trace stays readable up to its last whole frame.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/step.h"
#include "traces/kernel_event.h"
#include "traces/session.h"

namespace reprise::trace {

/// Where the kernel's events come from; live/ reads a BPF ring buffer behind this. Called on the recorder's thread.
class KernelEventSource {
 public:
  virtual ~KernelEventSource() = default;
  /// Moves waiting events into `out`; how many. Less than out.size() means that nothing is left for now.
  virtual std::size_t drain(std::span<KernelEvent> out) = 0;
  /// Appends what found no room so far, per ring and CPU: totals since the session began, not differences.
  virtual void losses(std::vector<Loss>& out) = 0;
};

struct RecorderOptions {
  std::string path = {};                      // the trace; with `last_seconds`, where `dump` goes by default
  u64 last_seconds = 0;                       // > 0: flight recorder; nothing is written before `dump`
  std::size_t flight_bytes_max = 256u << 20;  // of encoded frames in memory; the oldest go first
  std::size_t ring_bytes = 32u << 20;         // power of two, 64 KiB..1 GiB; about 130 bytes per scheduled task
  u64 wake_interval_ns = 10 * kNsPerMs;       // 1 ms..1 s
  u64 frame_interval_ns = kNsPerSec;          // a crash costs at most this much of the trace
  u64 snapshot_interval_ns = 10 * kNsPerSec;  // for snapshot_due; 0: only after a gap. Flight: at most last/2
  int nice = 0;                               // of the recorder's thread, -20..19; best effort
  int compression_level = 1;                  // zstd, 1..19
  KernelEventSource* source = nullptr;        // not owned; valid until stop() or begin_session() returns
};

struct RecorderStatus {
  bool failed = false;
  std::optional<Error> error;  // what happened, where, what was saved
  SessionTotals totals;        // of the current session, as encoded so far
  u64 kernel_events_lost = 0;  // found no room in any ring, in this session
  u64 frames = 0;
  u64 bytes = 0;            // written, or held in memory by the flight recorder
  u64 ring_high_water = 0;  // most bytes that waited at a time when the recorder looked
};

class Recorder {
 public:
  /// Opens the file, writes the session frame, starts the thread. Errors: kIo, kNotPermitted, kUsage.
  static Expected<std::unique_ptr<Recorder>> start(const RecorderOptions&, const SessionInfo&);
  ~Recorder();  // stops without an end frame if stop() was not called, as after a crash
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Producer.

  /// One step, both sides. `end_ns`: when its decisions were handed down (a stage time, not an input); `state_hash`:
  /// Engine::state_hash after it, 0: not taken. False: no room, counted. Numbers count up within a session.
  bool push_step(const StepInput&, const StepOutput&, u64 end_ns, u64 state_hash = 0);
  /// Engine::snapshot, taken after step `step`. False: no room, counted; the steps are not harmed. One that is larger
  /// than half the ring may never find room.
  bool push_snapshot(u64 step, u64 now_ns, std::span<const std::byte> state);
  /// Kernel events that come from no source (tests, the simulator).
  bool push_kernel_events(std::span<const KernelEvent>);
  /// It is time for a push_snapshot: the interval has passed, or step records were lost.
  [[nodiscard]] bool snapshot_due(u64 now_ns) const;
  /// Nothing is recorded any more (disk full, write error): pushes are dropped.
  [[nodiscard]] bool failed() const;

  // Control.

  /// A restart: a new session in the same trace. Waits until all of the old one is taken over, from ring and source.
  Expected<void> begin_session(const SessionInfo&, KernelEventSource* source);
  /// Takes what is left, writes the end frame, index and trailer, ends the thread. The flight recorder only ends
  /// its thread; call `dump` then. Error: what was lost of the trace, what was saved.
  Expected<RecorderStatus> stop(const SessionEnd& end);
  /// Flight recorder: writes the last seconds, from the snapshot before them, as a trace. `path` empty: options.path.
  /// Before stop() it covers what the recorder's thread has encoded by then. Error: kUsage without last_seconds, kIo.
  Expected<RecorderStatus> dump(const std::string& path = {});

  [[nodiscard]] RecorderStatus status() const;
  /// What the producer touches, for those who lock it into memory.
  [[nodiscard]] std::span<std::byte> memory();
  /// The recorder's thread, for those who mark their own threads.
  [[nodiscard]] i32 thread_id() const;

 private:
  struct Impl;
  explicit Recorder(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reprise::trace
