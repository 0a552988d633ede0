// SPDX-License-Identifier: GPL-2.0-only
// The recorder's insides, shared by its two sides: recorder.cc (producer and control), recorder_thread.cc (the thread
// that encodes and writes). Internal to traces/.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "traces/recorder.h"
#include "traces/ring.h"
#include "traces/writer.h"

namespace reprise::trace {

using Clock = std::chrono::steady_clock;

enum RecordKind : u32 { kStepRecord = 1, kSnapshotRecord = 2, kEventsRecord = 3 };

/// A step in the ring; behind it its idle words, events, decisions and preempts.
struct RingStep {
  u64 number, now_ns, lost_events, end_ns, state_hash, wake_at_ns;
  u32 room, flags;
  u32 events, decisions, preempts, idle_words;
  u64 more;
};

struct RingSnapshot {
  u64 step, time_ns;
};

struct Recorder::Impl {
  Impl(const RecorderOptions& o, std::unique_ptr<FrameSink> sink, FlightSink* flight_sink)
      : options(o),
        ring(o.ring_bytes),
        writer(std::move(sink), WriterOptions{o.compression_level, o.frame_interval_ns, 16'384}),
        flight(flight_sink),
        source(o.source) {
    drained.resize(4096);
    if (o.last_seconds > 0) {
      const u64 half = o.last_seconds * kNsPerSec / 2;
      snapshot_interval_ns = o.snapshot_interval_ns == 0 ? half : std::min(half, o.snapshot_interval_ns);
    } else {
      snapshot_interval_ns = o.snapshot_interval_ns;
    }
  }

  enum class Command : u8 { kNone, kSession, kFlush, kStop, kAbandon };
  Expected<void> command(Command what);
  void run();
  void take_all();
  void take_ring();
  void take_step(std::span<const std::byte> bytes);
  void take_snapshot(std::span<const std::byte> bytes);
  bool take_source();  // true: there may be more
  void note_losses();
  void flush_when_old();
  Expected<void> obey(Command what);
  void look_for_failure();
  void publish();

  const RecorderOptions options;
  ByteRing ring;
  Writer writer;
  FlightSink* const flight;  // owned by the writer
  u64 snapshot_interval_ns;

  // Producer's.
  u64 snapshot_ns = 0;  // of the last snapshot, or of the session's start
  bool gap_since_snapshot = false;
  u64 last_step = 0;
  u64 last_now_ns = 0;

  // Producer to recorder.
  alignas(64) std::atomic<u64> steps_lost{0};
  std::atomic<u64> last_step_offered{0};
  std::atomic<u64> snapshots_lost{0};
  std::atomic<u64> events_lost{0};  // push_kernel_events
  std::atomic<bool> failed{false};  // recorder to producer

  // Recorder's thread.
  alignas(64) KernelEventSource* source;
  std::vector<KernelEvent> drained;
  std::vector<Loss> losses, losses_written;
  u64 policy_events_lost = 0;  // as the last step taken says
  u64 newest_ns = 0;
  u64 high_water = 0;
  Clock::time_point gathering_since = Clock::now();
  Clock::time_point losses_noted = Clock::now();
  bool gathering = false;

  // Between control and recorder.
  mutable std::mutex mutex;
  std::condition_variable wake, done;
  Command pending = Command::kNone;
  Expected<void> answer;
  SessionInfo new_session;
  KernelEventSource* new_source = nullptr;
  SessionEnd end;
  RecorderStatus status;
  std::atomic<i32> tid{0};
  std::thread thread;
};

}  // namespace reprise::trace
