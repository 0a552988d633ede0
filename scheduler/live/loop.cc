// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/loop.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "scheduler/wire/wire.h"

namespace reprise::live {
namespace {

// A state hash goes into the trace this often, so that a replay that drifts is caught near where it began.
constexpr u64 kStepsPerHash = 1'000;
// Room that a step's preemptions and its wish may need beside its decisions.
constexpr u32 kRoomReserved = kMaxPreemptsPerStep + 1;
constexpr unsigned kFirstPauseUs = 500;

}  // namespace

u64 monotonic_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<u64>(time.tv_sec) * kNsPerSec + static_cast<u64>(time.tv_nsec);
}

Loop::Loop(Dispatcher& dispatcher, Engine& engine, trace::Recorder* recorder)
    : dispatcher_(dispatcher), engine_(engine), recorder_(recorder), idle_((dispatcher.cpus() + 63) / 64) {
  events_.reserve(kMaxEventsPerStep);
  output_.clear();
  // The largest that a snapshot can get, so that taking one allocates nothing.
  snapshot_.reserve(engine.memory().size() + 4096);
}

Expected<void> Loop::run(const std::atomic<bool>& stop) {
  volatile wire_shared& shared = dispatcher_.shared();
  while (!stop.load(std::memory_order_relaxed) && !dispatcher_.exited()) {
    shared.beat = shared.beat + 1;
    counters_.turns.fetch_add(1, std::memory_order_relaxed);
    take_events();
    const u64 now = monotonic_now();
    const bool timer_due = output_.wake_at_ns != 0 && now >= output_.wake_at_ns;
    const u32 room = dispatcher_.decisions().room();
    if (events_.empty() && !timer_due && !(output_.more && room > kRoomReserved)) {
      pause();
      continue;
    }
    for (std::size_t i = 0; i < idle_.size(); ++i) idle_[i] = shared.idle[i];
    const StepInput input{.number = ++steps_,
                          .now_ns = now,
                          .events = events_,
                          .idle = idle_,
                          .room = std::min(room > kRoomReserved ? room - kRoomReserved : 0, kMaxDecisionsPerStep),
                          .flags = shared.fallback ? u32{kStepFallback} : 0,
                          .lost_events = dispatcher_.lost_events()};
    if (auto stepped = engine_.step(input, output_); !stepped) {
      // A replay breaks off in the same step, with the same words; what was decided in it is not handed down.
      if (recorder_ && !recorder_->failed()) recorder_->push_step(input, output_, monotonic_now(), 0);
      return stepped;
    }
    submit();
    record(input);
    if (dispatcher_.events().empty()) sched_yield();
  }
  return {};
}

// Before the first event the dispatcher may not be attached yet, and yielding would spin in the kernel's default class.
void Loop::pause() {
  if (steps_ > 0)
    sched_yield();
  else
    usleep(kFirstPauseUs);
}

void Loop::take_events() {
  events_.clear();
  dispatcher_.events().drain([this](const std::byte* record, u32 size) {
    if (events_.size() == kMaxEventsPerStep) return false;
    Event event;
    if (wire::decode(record, size, event))
      events_.push_back(event);
    else
      counters_.malformed.fetch_add(1, std::memory_order_relaxed);
    return true;
  });
}

void Loop::submit() {
  RingWriter::Batch batch(dispatcher_.decisions());
  const u64 before = submitted_;
  auto put = [&](const wire_message& message) {
    std::memcpy(batch.next(), &message, sizeof(message));
    ++submitted_;
  };
  for (const Decision& decision : output_.decisions()) put(wire::encode(decision));
  for (const i32 cpu : output_.preempts())
    if (batch.room()) put(wire::encode_preempt(cpu));
  if (output_.wake_at_ns != wish_sent_ns_ && batch.room()) {
    put(wire::encode_wake_at(output_.wake_at_ns));
    wish_sent_ns_ = output_.wake_at_ns;
  }
  if (submitted_ == before) return;
  batch.publish();
  dispatcher_.shared().submitted = submitted_;
}

void Loop::record(const StepInput& input) {
  counters_.steps.store(steps_, std::memory_order_relaxed);
  counters_.events.fetch_add(input.events.size(), std::memory_order_relaxed);
  counters_.decisions.fetch_add(output_.decision_count, std::memory_order_relaxed);
  if (!recorder_ || recorder_->failed()) return;
  const u64 hash = steps_ % kStepsPerHash == 0 ? engine_.state_hash() : 0;
  recorder_->push_step(input, output_, monotonic_now(), hash);
  if (recorder_->snapshot_due(input.now_ns)) {
    engine_.snapshot(snapshot_);
    recorder_->push_snapshot(steps_, input.now_ns, snapshot_);
  }
}

}  // namespace reprise::live
