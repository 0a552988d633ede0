// SPDX-License-Identifier: GPL-2.0-only
#include "traces/recorder.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "scheduler/core/check.h"
#include "traces/recorder_impl.h"

namespace reprise::trace {
namespace {

template <typename T>
std::byte* append(std::byte* at, std::span<const T> items) {
  if (!items.empty()) std::memcpy(at, items.data(), items.size_bytes());
  return at + items.size_bytes();
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
