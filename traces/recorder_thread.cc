// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "scheduler/core/check.h"
#include "traces/recorder_impl.h"

namespace reprise::trace {
namespace {

constexpr int kTurns = 64;
constexpr int kBatchesPerTurn = 16;

template <typename T>
std::span<const T> take(const std::byte*& at, std::size_t count) {
  const std::span<const T> items{reinterpret_cast<const T*>(at), count};
  at += items.size_bytes();
  return items;
}

}  // namespace

void Recorder::Impl::run() {
  pthread_setname_np(pthread_self(), "reprise-record");
  tid.store(static_cast<i32>(::gettid()));
  tid.notify_all();
  if (options.nice != 0) (void)setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), options.nice);
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
      policy_events_lost = 0;
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
  // By turns: a flood of kernel events must not keep steps waiting until their ring is full. What arrives meanwhile is
  // for the next time.
  for (int turn = 0; turn < kTurns; ++turn) {
    take_ring();
    if (!take_source()) break;
  }
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
  policy_events_lost = head.lost_events;
  (void)writer.add_step(step);  // errors stick; look_for_failure sees them
}

void Recorder::Impl::take_snapshot(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const RingSnapshot& head = take<RingSnapshot>(at, 1)[0];
  // What the kernel did before it belongs before it.
  for (int turn = 0; turn < kTurns && take_source(); ++turn) {
  }
  (void)writer.add_snapshot({head.step, head.time_ns, bytes.subspan(sizeof head)});
}

bool Recorder::Impl::take_source() {
  if (source == nullptr) return false;
  for (int batch = 0; batch < kBatchesPerTurn; ++batch) {
    const std::size_t count = source->drain(drained);
    REPRISE_CHECK(count <= drained.size());
    if (count > 0) newest_ns = std::max(newest_ns, drained[count - 1].time_ns);
    if (!writer.error()) (void)writer.add_events(std::span(drained).first(count));
    if (count < drained.size()) return false;
  }
  return true;
}

/// Writes the totals of what was lost whenever they have changed.
void Recorder::Impl::note_losses() {
  losses_noted = Clock::now();
  losses.clear();
  if (source != nullptr) source->losses(losses);
  const u64 steps = steps_lost.load(std::memory_order_relaxed);
  const u64 events = events_lost.load(std::memory_order_relaxed);
  if (steps > 0) losses.push_back({LossRing::kSteps, kLossAllCpus, steps});
  if (policy_events_lost > 0) losses.push_back({LossRing::kPolicyEvents, kLossAllCpus, policy_events_lost});
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
  status.kernel_events_lost = 0;
  for (const Loss& loss : losses)
    if (loss.ring == LossRing::kKernelEvents) status.kernel_events_lost += loss.count;
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

}  // namespace reprise::trace
