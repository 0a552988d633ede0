// SPDX-License-Identifier: GPL-2.0-only
#include "traces/recorder.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "scheduler/core/check.h"
#include "traces/ring.h"
#include "traces/writer.h"

namespace reprise::trace {
namespace {

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

template <typename T>
std::byte* append(std::byte* at, std::span<const T> items) {
  if (!items.empty()) std::memcpy(at, items.data(), items.size_bytes());
  return at + items.size_bytes();
}

template <typename T>
std::span<const T> take(const std::byte*& at, std::size_t count) {
  const std::span<const T> items{reinterpret_cast<const T*>(at), count};
  at += items.size_bytes();
  return items;
}

Expected<void> check_options(const RecorderOptions& o) {
  const auto wrong = [](const char* what) { return fail(ExitCode::kUsage, what); };
  if (!std::has_single_bit(o.ring_bytes) || o.ring_bytes < (64u << 10) || o.ring_bytes > (1u << 30)) {
    return wrong("the recorder's ring must be a power of two from 64 KiB to 1 GiB");
  }
  if (o.wake_interval_ns < kNsPerMs || o.wake_interval_ns > kNsPerSec) {
    return wrong("the recorder's wake interval must be from 1 ms to 1 s");
  }
  if (o.compression_level < 1 || o.compression_level > 19) return wrong("the compression level must be from 1 to 19");
  if (o.path.empty() && o.last_seconds == 0) return wrong("a recording needs a file to go to");
  if (o.last_seconds > 86'400) return wrong("the flight recorder keeps at most a day");
  return {};
}

/// Threads inherit the mask: signals are for the thread that knows what to do with them, and a full quota or a limit
/// on file sizes (SIGXFSZ) is to be an error here and no reason to die.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

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
  void take_source();
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

void Recorder::Impl::run() {
  pthread_setname_np(pthread_self(), "reprise-record");
  tid.store(static_cast<i32>(::gettid()));
  tid.notify_all();
  for (bool running = true; running;) {
    Command what = Command::kNone;
    {
      std::unique_lock lock(mutex);
      wake.wait_for(lock, std::chrono::nanoseconds(options.wake_interval_ns),
                    [this] { return pending != Command::kNone; });
      what = pending;
    }
    if (what != Command::kAbandon) take_all();
    Expected<void> result = obey(what);
    look_for_failure();
    publish();
    running = what != Command::kStop && what != Command::kAbandon;
    if (what == Command::kNone) continue;
    const std::scoped_lock lock(mutex);
    answer = std::move(result);
    pending = Command::kNone;
    done.notify_all();
  }
}

/// From the control thread: lets the recorder's thread do something and waits for it.
Expected<void> Recorder::Impl::command(Command what) {
  if (!thread.joinable()) return fail(ExitCode::kInternal, "the recorder has stopped");
  Expected<void> result;
  {
    std::unique_lock lock(mutex);
    pending = what;
    wake.notify_one();
    done.wait(lock, [this] { return pending == Command::kNone; });
    result = std::move(answer);
  }
  if (what == Command::kStop || what == Command::kAbandon) thread.join();
  return result;
}

Expected<void> Recorder::Impl::obey(Command what) {
  switch (what) {
    case Command::kNone:
      flush_when_old();
      return {};
    case Command::kFlush:
      return writer.flush();
    case Command::kSession: {
      note_losses();
      source = new_source;
      losses_written.clear();
      steps_lost.store(0), snapshots_lost.store(0), events_lost.store(0), last_step_offered.store(0);
      return writer.begin_session(new_session);
    }
    case Command::kStop: {
      note_losses();
      end.totals.last_step = last_step_offered.load(std::memory_order_relaxed);
      end.totals.steps_lost = steps_lost.load(std::memory_order_relaxed);
      end.totals.snapshots_lost = snapshots_lost.load(std::memory_order_relaxed);
      if (auto written = writer.end_session(end); !written) return written;
      return writer.finish();
    }
    case Command::kAbandon:
      return {};
  }
  return {};
}

void Recorder::Impl::take_all() {
  high_water = std::max(high_water, ring.waiting());
  take_ring();
  take_source();
  if (Clock::now() - losses_noted > std::chrono::seconds(1)) note_losses();
}

void Recorder::Impl::take_ring() {
  for (ByteRing::Record record = ring.front(); record.kind != 0; record = ring.front()) {
    if (!writer.error()) {
      if (record.kind == kStepRecord) take_step(record.bytes);
      if (record.kind == kSnapshotRecord) take_snapshot(record.bytes);
      if (record.kind == kEventsRecord) {
        const std::byte* at = record.bytes.data();
        (void)writer.add_events(take<KernelEvent>(at, record.bytes.size() / sizeof(KernelEvent)));
      }
    }
    ring.pop();
  }
}

void Recorder::Impl::take_step(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const RingStep& head = take<RingStep>(at, 1)[0];
  StepRecord step;
  step.input.number = head.number, step.input.now_ns = head.now_ns, step.input.lost_events = head.lost_events;
  step.input.room = head.room, step.input.flags = head.flags;
  step.end_ns = head.end_ns, step.state_hash = head.state_hash;
  step.wake_at_ns = head.wake_at_ns, step.more = head.more != 0;
  step.input.idle = take<u64>(at, head.idle_words);
  step.input.events = take<Event>(at, head.events);
  step.decisions = take<Decision>(at, head.decisions);
  step.preempts = take<i32>(at, head.preempts);
  newest_ns = std::max(newest_ns, head.now_ns);
  (void)writer.add_step(step);  // errors stick; look_for_failure sees them
}

void Recorder::Impl::take_snapshot(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const RingSnapshot& head = take<RingSnapshot>(at, 1)[0];
  // What the kernel did before it belongs before it.
  take_source();
  (void)writer.add_snapshot({head.step, head.time_ns, bytes.subspan(sizeof head)});
}

void Recorder::Impl::take_source() {
  if (source == nullptr) return;
  // One batch may always be followed by another; what arrives meanwhile is for the next time.
  for (int batch = 0; batch < 1024; ++batch) {
    const std::size_t count = source->drain(drained);
    REPRISE_CHECK(count <= drained.size());
    if (count > 0) newest_ns = std::max(newest_ns, drained[count - 1].time_ns);
    if (!writer.error()) (void)writer.add_events(std::span(drained).first(count));
    if (count < drained.size()) return;
  }
}

/// Writes the totals of what was lost whenever they have changed.
void Recorder::Impl::note_losses() {
  losses_noted = Clock::now();
  losses.clear();
  if (source != nullptr) source->losses(losses);
  const u64 steps = steps_lost.load(std::memory_order_relaxed);
  const u64 events = events_lost.load(std::memory_order_relaxed);
  if (steps > 0) losses.push_back({LossRing::kSteps, kLossAllCpus, steps});
  if (events > 0) losses.push_back({LossRing::kKernelEvents, kLossAllCpus, events});
  std::erase_if(losses, [](const Loss& loss) { return loss.count == 0; });
  if (losses == losses_written || writer.error()) return;
  losses_written = losses;
  (void)writer.add_loss({newest_ns, losses});
}

/// A frame that does not fill up is written all the same, after a while without company.
void Recorder::Impl::flush_when_old() {
  const bool now_gathering = writer.gathering();
  if (now_gathering && !gathering) gathering_since = Clock::now();
  gathering = now_gathering;
  const auto limit = std::chrono::nanoseconds(2 * options.frame_interval_ns);
  if (gathering && Clock::now() - gathering_since > limit) {
    (void)writer.flush();
    gathering = false;
  }
}

void Recorder::Impl::look_for_failure() {
  if (!writer.error() || failed.load(std::memory_order_relaxed)) return;
  failed.store(true, std::memory_order_relaxed);
  writer.give_up();
}

void Recorder::Impl::publish() {
  const std::scoped_lock lock(mutex);
  status.failed = failed.load(std::memory_order_relaxed);
  status.totals = status.failed ? writer.saved() : writer.totals();
  status.totals.last_step = last_step_offered.load(std::memory_order_relaxed);
  status.totals.steps_lost = steps_lost.load(std::memory_order_relaxed);
  status.totals.snapshots_lost = snapshots_lost.load(std::memory_order_relaxed);
  status.frames = writer.sink().frames();
  status.bytes = writer.sink().bytes();
  status.ring_high_water = high_water;
  if (writer.error() && !status.error) {
    status.error = *writer.error();
    status.error->what += fmt::format("; recording stopped, {} steps and {} kernel events ({} bytes) are saved",
                                      writer.saved().steps, writer.saved().kernel_events, status.bytes);
    if (status.error->where.empty()) status.error->where = options.path;
  }
}

Expected<std::unique_ptr<Recorder>> Recorder::start(const RecorderOptions& options, const SessionInfo& session) {
  if (auto good = check_options(options); !good) return std::unexpected(good.error());
  std::unique_ptr<FrameSink> sink;
  FlightSink* flight = nullptr;
  if (options.last_seconds > 0) {
    auto memory = std::make_unique<FlightSink>(options.last_seconds * kNsPerSec, options.flight_bytes_max);
    flight = memory.get();
    sink = std::move(memory);
  } else {
    auto file = create_file(options.path);
    if (!file) return std::unexpected(file.error());
    auto file_sink = FileSink::create(std::move(*file));
    if (!file_sink) return std::unexpected(file_sink.error());
    sink = std::move(*file_sink);
  }
  auto impl = std::make_unique<Impl>(options, std::move(sink), flight);
  impl->snapshot_ns = impl->newest_ns = session.start_ns;
  if (auto begun = impl->writer.begin_session(session); !begun) return std::unexpected(begun.error());
  {
    const AllSignalsBlocked blocked;
    impl->thread = std::thread([raw = impl.get()] { raw->run(); });
  }
  impl->tid.wait(0);
  return std::unique_ptr<Recorder>(new Recorder(std::move(impl)));
}

Recorder::Recorder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Recorder::~Recorder() {
  if (impl_->thread.joinable()) (void)impl_->command(Impl::Command::kAbandon);
}

bool Recorder::push_step(const StepInput& in, const StepOutput& out, u64 end_ns, u64 state_hash) {
  Impl& r = *impl_;
  if (r.failed.load(std::memory_order_relaxed)) return false;
  REPRISE_CHECK(in.number > r.last_step && in.events.size() <= kMaxEventsPerStep && in.idle.size() <= kCpuWords);
  r.last_step = in.number;
  r.last_step_offered.store(in.number, std::memory_order_relaxed);
  const std::span<const Decision> decisions = out.decisions();
  const std::span<const i32> preempts = out.preempts();
  const std::size_t bytes =
      sizeof(RingStep) + in.idle.size_bytes() + in.events.size_bytes() + decisions.size_bytes() + preempts.size_bytes();
  std::byte* at = r.ring.reserve(bytes, kStepRecord);
  if (at == nullptr) {
    r.steps_lost.fetch_add(1, std::memory_order_relaxed);
    r.gap_since_snapshot = true;
    return false;
  }
  const RingStep head{in.number,
                      in.now_ns,
                      in.lost_events,
                      end_ns,
                      state_hash,
                      out.wake_at_ns,
                      in.room,
                      in.flags,
                      static_cast<u32>(in.events.size()),
                      static_cast<u32>(decisions.size()),
                      static_cast<u32>(preempts.size()),
                      static_cast<u32>(in.idle.size()),
                      out.more ? 1u : 0u};
  at = append(at, std::span<const RingStep>(&head, 1));
  at = append(at, in.idle);
  at = append(at, in.events);
  at = append(at, decisions);
  append(at, preempts);
  r.ring.commit();
  return true;
}

bool Recorder::push_snapshot(u64 step, u64 now_ns, std::span<const std::byte> state) {
  Impl& r = *impl_;
  r.snapshot_ns = now_ns;
  r.gap_since_snapshot = false;
  if (r.failed.load(std::memory_order_relaxed)) return false;
  std::byte* at = r.ring.reserve(sizeof(RingSnapshot) + state.size(), kSnapshotRecord);
  if (at == nullptr) {
    r.snapshots_lost.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  const RingSnapshot head{step, now_ns};
  at = append(at, std::span<const RingSnapshot>(&head, 1));
  append(at, state);
  r.ring.commit();
  return true;
}

bool Recorder::push_kernel_events(std::span<const KernelEvent> events) {
  Impl& r = *impl_;
  if (r.failed.load(std::memory_order_relaxed)) return false;
  std::byte* at = r.ring.reserve(events.size_bytes(), kEventsRecord);
  if (at == nullptr) {
    r.events_lost.fetch_add(events.size(), std::memory_order_relaxed);
    return false;
  }
  append(at, events);
  r.ring.commit();
  return true;
}

bool Recorder::snapshot_due(u64 now_ns) const {
  const Impl& r = *impl_;
  if (r.failed.load(std::memory_order_relaxed)) return false;
  // After a gap soon, but not in every step while there is no room.
  if (r.gap_since_snapshot) return now_ns - r.snapshot_ns >= std::min(kNsPerSec, r.snapshot_interval_ns);
  return r.snapshot_interval_ns > 0 && now_ns - r.snapshot_ns >= r.snapshot_interval_ns;
}

bool Recorder::failed() const { return impl_->failed.load(std::memory_order_relaxed); }

Expected<void> Recorder::begin_session(const SessionInfo& session, KernelEventSource* source) {
  Impl& r = *impl_;
  {
    const std::scoped_lock lock(r.mutex);
    r.new_session = session;
    r.new_source = source;
  }
  r.last_step = 0;
  r.snapshot_ns = session.start_ns;
  r.gap_since_snapshot = false;
  return r.command(Impl::Command::kSession);
}

Expected<RecorderStatus> Recorder::stop(const SessionEnd& end) {
  Impl& r = *impl_;
  {
    const std::scoped_lock lock(r.mutex);
    r.end = end;
  }
  const Expected<void> result = r.command(Impl::Command::kStop);
  RecorderStatus last = status();
  if (last.error) return std::unexpected(*last.error);
  if (!result) return std::unexpected(result.error());
  return last;
}

Expected<RecorderStatus> Recorder::dump(const std::string& path) {
  Impl& r = *impl_;
  if (r.flight == nullptr)
    return fail(ExitCode::kUsage, "there is no flight recorder to dump", {}, "use --record-last");
  if (r.thread.joinable()) (void)r.command(Impl::Command::kFlush);
  const std::string& to = path.empty() ? r.options.path : path;
  auto file = create_file(to);
  if (!file) return std::unexpected(file.error());
  auto sink = FileSink::create(std::move(*file));
  if (!sink) return std::unexpected(sink.error());
  Expected<void> done = r.flight->write_to(**sink);
  if (done) done = (*sink)->finish();
  if (!done) {
    Error error = done.error();
    error.what += fmt::format("; {} frames ({} bytes) are saved", (*sink)->frames(), (*sink)->bytes());
    return std::unexpected(std::move(error));
  }
  RecorderStatus result = status();
  result.frames = (*sink)->frames();
  result.bytes = (*sink)->bytes();
  return result;
}

RecorderStatus Recorder::status() const {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->status;
}

std::span<std::byte> Recorder::memory() { return impl_->ring.memory(); }
i32 Recorder::thread_id() const { return impl_->tid.load(); }

}  // namespace reprise::trace
