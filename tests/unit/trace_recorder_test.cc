// SPDX-License-Identifier: GPL-2.0-only
#include "traces/recorder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/replay/trace_maker.h"
#include "traces/ring.h"

namespace reprise::trace {
namespace {

using test::contents;
using test::finder;
using test::Recording;  // not the recorder: a run of a small machine, kept in memory
using test::Workload;

class RecorderTest : public testing::Test {
 protected:
  RecorderTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    path_ = (std::filesystem::temp_directory_path() /
             ("reprise_" + std::to_string(::getpid()) + "_" + info->name() + ".rtrace"))
                .string();
  }
  ~RecorderTest() override { std::filesystem::remove(path_); }

  std::unique_ptr<Recorder> start(const SessionInfo& session, RecorderOptions options = {}) {
    options.path = path_;
    options.wake_interval_ns = kNsPerMs;
    auto recorder = Recorder::start(options, session);
    EXPECT_TRUE(recorder) << recorder.error().what;
    return std::move(*recorder);
  }

  static bool push(Recorder& recorder, const Recording& run, std::size_t i, u64 hash = 0) {
    const StepRecord step = run.record(i);
    StepOutput output;
    output.clear();
    std::ranges::copy(step.decisions, output.decision_storage.begin());
    output.decision_count = static_cast<u32>(step.decisions.size());
    output.wake_at_ns = step.wake_at_ns;
    output.more = step.more;
    return recorder.push_step(step.input, output, step.end_ns, hash);
  }
  /// As push, but waits for room: tests are faster than any scheduler.
  static void push_all(Recorder& recorder, const Recording& run) {
    for (std::size_t i = 0; i < run.steps().size(); ++i) {
      if (i % 200 == 199) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ASSERT_TRUE(push(recorder, run, i, i % 10 == 0 ? run.steps()[i].state_hash : 0));
    }
  }

  Reader open() {
    auto reader = Reader::open(path_);
    EXPECT_TRUE(reader) << reader.error().what;
    return std::move(*reader);
  }

  std::string path_;
};

TEST(TraceRingTest, RecordsOfAllSizesPassBetweenTwoThreadsInOrder) {
  ByteRing ring(4096);
  constexpr u32 kCount = 50'000;
  std::thread producer([&] {
    Prng random = Prng::seeded(1);
    for (u32 i = 0; i < kCount;) {
      const std::size_t size = 4 + random.below(600);
      std::byte* room = ring.reserve(size, 1 + i % 3);
      if (room == nullptr) {
        std::this_thread::yield();
        random = Prng::seeded(i);
        continue;
      }
      std::memset(room, static_cast<int>(i & 0xff), size);
      std::memcpy(room, &i, sizeof i);
      ring.commit();
      ++i;
    }
  });
  for (u32 expected = 0; expected < kCount;) {
    const ByteRing::Record record = ring.front();
    if (record.kind == 0) {
      std::this_thread::yield();
      continue;
    }
    u32 number = 0;
    std::memcpy(&number, record.bytes.data(), sizeof number);
    ASSERT_EQ(number, expected);
    ASSERT_EQ(record.kind, 1 + expected % 3);
    for (std::size_t i = 4; i < record.bytes.size(); ++i) {
      ASSERT_EQ(record.bytes[i], static_cast<std::byte>(expected & 0xff));
    }
    ring.pop();
    ++expected;
  }
  producer.join();
  EXPECT_EQ(ring.waiting(), 0u);
}

TEST(TraceRingTest, ARecordThatFindsNoRoomIsRefusedAndHarmsNothing) {
  ByteRing ring(4096);
  ASSERT_NE(ring.reserve(4000, 1), nullptr);
  ring.commit();
  EXPECT_EQ(ring.reserve(200, 2), nullptr);
  EXPECT_EQ(ring.reserve(1 << 20, 2), nullptr);
  EXPECT_EQ(ring.front().bytes.size(), 4000u);
  ring.pop();
  EXPECT_NE(ring.reserve(200, 2), nullptr);
}

TEST_F(RecorderTest, WhatIsPushedStandsInTheFile) {
  const Recording run({});
  auto recorder = start(run.session());
  push_all(*recorder, run);
  const auto stopped = recorder->stop({.end_ns = 9, .reason = "over", .exit_code = 64, .totals = {}});
  ASSERT_TRUE(stopped) << stopped.error().what;
  EXPECT_EQ(stopped->totals.steps, run.steps().size());
  EXPECT_EQ(stopped->bytes, std::filesystem::file_size(path_));
  Reader reader = open();
  std::size_t steps = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item != Item::kStep) continue;
    const StepRecord was = run.record(steps++);
    EXPECT_EQ(reader.step().end_ns, was.end_ns);
    EXPECT_TRUE(std::ranges::equal(reader.step().decisions, was.decisions));
    EXPECT_TRUE(test::same_bytes(reader.step().input.events, was.input.events));
  }
  EXPECT_EQ(steps, run.steps().size());
  EXPECT_EQ(reader.session_end().exit_code, 64);
  EXPECT_TRUE(reader.problems().empty());
  Reader again = open();
  const auto replayed = replay(again, finder());
  ASSERT_TRUE(replayed);
  EXPECT_FALSE(replayed->first_divergence);
  EXPECT_GT(replayed->hashes_checked, 0u);
}

/// Gives so many events at once, and says that it lost some.
class Source : public KernelEventSource {
 public:
  std::size_t drain(std::span<KernelEvent> out) override {
    const std::size_t count = std::min<std::size_t>(out.size(), left.load());
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = {};
      out[i].time_ns = ++time_ns;
      out[i].type = KernelEventType::kWaking;
    }
    left -= count;
    return count;
  }
  void losses(std::vector<Loss>& out) override {
    out.push_back({LossRing::kKernelEvents, 0, lost.load()});
    out.push_back({LossRing::kKernelEvents, 1, 0});
  }
  std::atomic<std::size_t> left = 0;
  std::atomic<u64> lost = 0;
  u64 time_ns = kNsPerSec;
};

TEST_F(RecorderTest, KernelEventsOfTheSourceAreTakenAndItsLossesSaid) {
  Source source;
  source.left = 100'000;
  source.lost = 17;
  auto recorder = start({}, {.source = &source});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  source.left += 50'000;
  ASSERT_TRUE(recorder->stop({}));
  Reader reader = open();
  u64 lost = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item != Item::kLoss) continue;
    ASSERT_EQ(reader.loss().losses.size(), 1u);
    lost = reader.loss().losses[0].count;
  }
  EXPECT_EQ(reader.totals().items.kernel_events, 150'000u);
  EXPECT_EQ(lost, 17u);
  EXPECT_FALSE(reader.damaged());
}

TEST_F(RecorderTest, WhatFindsNoRoomIsCountedAndAGapInTheTrace) {
  const Recording run({.duration_ns = 100 * kNsPerMs});
  RecorderOptions options{.ring_bytes = 64u << 10};
  auto recorder = start(run.session(), options);
  u64 lost = 0;
  bool due = false;
  for (std::size_t i = 0; i < run.steps().size(); ++i) {
    lost += push(*recorder, run, i) ? 0 : 1;
    due |= lost > 0 && recorder->snapshot_due(run.steps()[i].input.now_ns + 2 * kNsPerSec);
  }
  ASSERT_GT(lost, 0u);
  EXPECT_TRUE(due);  // a snapshot lets a replay go on behind the gap
  ASSERT_TRUE(recorder->stop({}));
  Reader reader = open();
  u64 missing = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kGap) missing += reader.gap().last_step - reader.gap().first_step + 1;
  }
  EXPECT_EQ(missing, lost);
  EXPECT_EQ(reader.session_end().totals.steps_lost, lost);
  EXPECT_EQ(reader.totals().items.steps + lost, run.steps().size());
  EXPECT_FALSE(reader.damaged());
}

TEST_F(RecorderTest, ARestartOpensASessionInTheSameFileWithASourceOfItsOwn) {
  const Recording first({.duration_ns = 5 * kNsPerMs});
  const Recording second({.policy = "fifo", .duration_ns = 5 * kNsPerMs});
  Source one, two;
  one.left = 10, two.left = 0;
  auto recorder = start(first.session(), {.source = &one});
  push_all(*recorder, first);
  ASSERT_TRUE(recorder->begin_session(second.session(), &two));
  two.left = 20;
  push_all(*recorder, second);
  ASSERT_TRUE(recorder->stop({}));
  Reader reader = open();
  std::vector<u64> events;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kSession) events.push_back(0);
    if (item == Item::kEvents) events.back() += reader.events().size();
  }
  EXPECT_EQ(events, (std::vector<u64>{10, 20}));
  EXPECT_EQ(reader.totals().items.steps, first.steps().size() + second.steps().size());
  EXPECT_FALSE(reader.damaged());
}

TEST_F(RecorderTest, ALimitOnFileSizesStopsTheRecordingAndNotTheScheduler) {
  const Recording run({.duration_ns = 200 * kNsPerMs});
  auto recorder = start(run.session(), {.frame_interval_ns = kNsPerMs});
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::size_t pushed = 0;
  for (; pushed < run.steps().size() && !recorder->failed(); ++pushed) {
    (void)push(*recorder, run, pushed);
    if (pushed % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const bool failed = recorder->failed();
  const bool accepted = push(*recorder, run, pushed % run.steps().size());
  const auto stopped = recorder->stop({});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);  // not earlier: the recorder may be in the middle of a write
  ASSERT_TRUE(failed);
  EXPECT_FALSE(accepted);  // dropped, at no cost
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ExitCode::kIo);
  EXPECT_NE(stopped.error().what.find("File too large"), std::string::npos);
  EXPECT_NE(stopped.error().what.find("are saved"), std::string::npos);
  EXPECT_EQ(stopped.error().where, path_);
  EXPECT_LE(std::filesystem::file_size(path_), 8192u);
  Reader reader = open();
  (void)contents(reader);
  EXPECT_GT(reader.totals().items.steps, 0u);
  EXPECT_NE(stopped.error().what.find(std::to_string(reader.totals().items.steps) + " steps"), std::string::npos);
}

TEST_F(RecorderTest, AFullDiskAtTheStartIsAnError) {
  const auto recorder = Recorder::start({.path = "/dev/full"}, {});
  ASSERT_FALSE(recorder);
  EXPECT_NE(recorder.error().what.find("No space left"), std::string::npos);
}

TEST_F(RecorderTest, OptionsOutOfRangeAreRefused) {
  for (const RecorderOptions& wrong :
       {RecorderOptions{.path = path_, .ring_bytes = 100'000}, RecorderOptions{.path = path_, .ring_bytes = 4096},
        RecorderOptions{.path = path_, .wake_interval_ns = 10}, RecorderOptions{.path = path_, .compression_level = 20},
        RecorderOptions{}}) {
    const auto recorder = Recorder::start(wrong, {});
    ASSERT_FALSE(recorder);
    EXPECT_EQ(recorder.error().code, ExitCode::kUsage);
  }
}

TEST_F(RecorderTest, ARecorderThatIsNotStoppedLeavesWhatACrashWouldLeave) {
  const Recording run({});
  {
    auto recorder = start(run.session(), {.frame_interval_ns = kNsPerMs});
    push_all(*recorder, run);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Reader reader = open();
  (void)contents(reader);
  EXPECT_GT(reader.totals().items.steps, run.steps().size() / 2);
  ASSERT_EQ(reader.problems().size(), 1u);
  EXPECT_NE(reader.problems()[0].what.find("cut after frame"), std::string::npos);
}

TEST_F(RecorderTest, StepsThatComeSlowlyAreWrittenAfterAWhile) {
  const Recording run({});
  auto recorder = start(run.session(), {.frame_interval_ns = 5 * kNsPerMs});
  ASSERT_TRUE(push(*recorder, run, 0));
  for (int i = 0; i < 500 && recorder->status().frames < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(recorder->status().frames, 2u);  // the session's and one of steps
}

/// Drives a flight recorder as live would: snapshots when they are due.
void fly(Recorder& recorder, const Recording& run, const std::function<bool(Recorder&, std::size_t)>& push_step) {
  for (std::size_t i = 0; i < run.steps().size(); ++i) {
    if (i % 100 == 99) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(push_step(recorder, i));
    const StepInput& input = run.steps()[i].input;
    if (recorder.snapshot_due(input.now_ns)) {
      ASSERT_TRUE(recorder.push_snapshot(input.number, input.now_ns, run.snapshot_after(i)));
    }
  }
}

TEST_F(RecorderTest, TheFlightRecorderKeepsTheLastSecondsAndTheyReplay) {
  const Recording run({.tasks = 3, .run_ns = kNsPerMs, .duration_ns = 8 * kNsPerSec});
  auto recorder = start(run.session(), {.last_seconds = 2});
  fly(*recorder, run, [&](Recorder& r, std::size_t i) { return push(r, run, i, run.steps()[i].state_hash); });
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(
      recorder->stop({.end_ns = run.steps().back().input.now_ns, .reason = "stalled", .exit_code = 0, .totals = {}}));
  const auto dumped = recorder->dump();
  ASSERT_TRUE(dumped) << dumped.error().what;

  Reader reader = open();
  u64 first = 0, last_ns = 0, first_ns = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    EXPECT_NE(item, Item::kGap);
    if (item != Item::kStep) continue;
    if (first == 0) first = reader.step().input.number, first_ns = reader.step().input.now_ns;
    last_ns = reader.step().input.now_ns;
  }
  EXPECT_TRUE(reader.problems().empty()) << reader.problems()[0].what;
  EXPECT_GT(first, 1u);
  EXPECT_EQ(last_ns, run.steps().back().input.now_ns);
  EXPECT_GE(last_ns - first_ns, 2 * kNsPerSec - 10 * kNsPerMs);
  EXPECT_LE(last_ns - first_ns, 4 * kNsPerSec);
  EXPECT_EQ(reader.session_end().reason, "stalled");

  Reader again = open();
  const auto replayed = replay(again, finder());
  ASSERT_TRUE(replayed) << replayed.error().what;
  EXPECT_EQ(replayed->started_after_step, first - 1);
  EXPECT_FALSE(replayed->first_divergence);
  EXPECT_EQ(replayed->identical, replayed->decisions);
  EXPECT_GT(replayed->hashes_checked, 100u);
}

TEST_F(RecorderTest, AFlightRecorderCanBeDumpedWhileItRecords) {
  const Recording run({.tasks = 3, .run_ns = kNsPerMs, .duration_ns = 3 * kNsPerSec});
  auto recorder = start(run.session(), {.last_seconds = 1});
  fly(*recorder, run, [&](Recorder& r, std::size_t i) { return push(r, run, i); });
  ASSERT_TRUE(recorder->dump());
  Reader reader = open();
  (void)contents(reader);
  EXPECT_FALSE(reader.damaged());
  EXPECT_EQ(reader.totals().items.last_step, run.steps().size());
}

TEST_F(RecorderTest, AFlightRecorderKeepsToItsMemory) {
  Source source;
  auto recorder = start({}, {.last_seconds = 100, .flight_bytes_max = 64u << 10, .source = &source});
  for (int i = 0; i < 50; ++i) {
    source.left += 100'000;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_LE(recorder->status().bytes, 64u << 10);
  }
  ASSERT_TRUE(recorder->stop({}));
  ASSERT_TRUE(recorder->dump());
  EXPECT_LE(std::filesystem::file_size(path_), 70u << 10);
}

TEST_F(RecorderTest, DumpingWithoutAFlightRecorderIsRefused) {
  auto recorder = start({});
  const auto dumped = recorder->dump();
  ASSERT_FALSE(dumped);
  EXPECT_EQ(dumped.error().code, ExitCode::kUsage);
}

TEST_F(RecorderTest, SnapshotsAreDueAtTheirInterval) {
  SessionInfo session;
  session.start_ns = kNsPerSec;
  auto recorder = start(session, {.snapshot_interval_ns = 3 * kNsPerSec});
  EXPECT_FALSE(recorder->snapshot_due(3 * kNsPerSec));
  EXPECT_TRUE(recorder->snapshot_due(4 * kNsPerSec));
  ASSERT_TRUE(recorder->push_snapshot(1, 4 * kNsPerSec, {}));
  EXPECT_FALSE(recorder->snapshot_due(5 * kNsPerSec));
  auto never = start(session, {.snapshot_interval_ns = 0});
  EXPECT_FALSE(never->snapshot_due(1000 * kNsPerSec));
}

}  // namespace
}  // namespace reprise::trace
