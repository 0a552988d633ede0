// SPDX-License-Identifier: GPL-2.0-only
// Writer and Reader together, on whole files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/replay/trace_maker.h"

namespace reprise::trace {
namespace {

using test::contents;
using test::make_trace;
using test::reader_of;
using test::Recording;
using test::Shape;
using test::writer_to;

Error open_error(const Bytes& bytes) {
  auto reader = Reader::open_memory(std::as_bytes(std::span(bytes)), "some.rtrace");
  return reader ? Error{} : reader.error();
}

bool says(std::span<const Problem> problems, std::string_view what, Severity severity) {
  return std::ranges::any_of(
      problems, [&](const Problem& p) { return p.severity == severity && p.what.find(what) != std::string::npos; });
}

TEST(TraceFileTest, AllOfASessionsProvenanceComesBack) {
  SessionInfo info;
  info.kind = SessionKind::kSimulated;
  info.start_ns = 5, info.seed = ~u64{0}, info.cpus = 4, info.max_tasks = 100, info.interests = 1;
  info.policy = "vruntime", info.options = "slice_us=3000", info.version = "1.2.3", info.compiler = "GNU 12";
  info.build_type = "Debug", info.engine_hash = "aa", info.policies_hash = "bb", info.dispatcher_hash = "cc";
  info.kernel_release = "7.3.4", info.kernel_version = "#1 SMP", info.preemption = "lazy", info.hz = 250;
  info.sched_ext_features = {"one", "", "three"};
  info.machine = "x86_64", info.cpu_model = "A CPU";
  info.topology = {{0, 0, 0, 0}, {1, 0, 0, 1}};
  info.dispatcher = {{"kick", 1}, {"slice", ~u64{0}}};
  SessionTask task;
  task.tid = 12, task.tgid = -1, task.parent_tid = 1, task.weight = 10'000, task.flags = 3, task.cpu = 2;
  task.start_time_ns = 99, task.exec_total_ns = 1;
  std::memcpy(task.comm, "0123456789abcdef", 16);
  info.tasks = {task};
  info.realtime_offset_ns = std::numeric_limits<i64>::min();
  info.boottime_offset_ns = -1;

  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session(info));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  ASSERT_EQ(reader.next(), Item::kSession);
  const SessionInfo& back = reader.session();
  EXPECT_EQ(back.kind, info.kind);
  EXPECT_EQ(back.start_ns, info.start_ns);
  EXPECT_EQ(back.seed, info.seed);
  EXPECT_EQ(back.cpus, info.cpus);
  EXPECT_EQ(back.max_tasks, info.max_tasks);
  EXPECT_EQ(back.interests, info.interests);
  for (std::string SessionInfo::* text :
       {&SessionInfo::policy, &SessionInfo::options, &SessionInfo::version, &SessionInfo::compiler,
        &SessionInfo::build_type, &SessionInfo::engine_hash, &SessionInfo::policies_hash, &SessionInfo::dispatcher_hash,
        &SessionInfo::kernel_release, &SessionInfo::kernel_version, &SessionInfo::preemption, &SessionInfo::machine,
        &SessionInfo::cpu_model}) {
    EXPECT_EQ(back.*text, info.*text);
    EXPECT_FALSE((back.*text).empty());
  }
  EXPECT_EQ(back.hz, info.hz);
  EXPECT_EQ(back.sched_ext_features, info.sched_ext_features);
  EXPECT_EQ(back.topology, info.topology);
  EXPECT_EQ(back.dispatcher, info.dispatcher);
  ASSERT_EQ(back.tasks.size(), 1u);
  EXPECT_EQ(std::memcmp(&back.tasks[0], &info.tasks[0], sizeof(SessionTask)), 0);
  EXPECT_EQ(back.realtime_offset_ns, info.realtime_offset_ns);
  EXPECT_EQ(back.boottime_offset_ns, info.boottime_offset_ns);
}

TEST(TraceFileTest, WhatASessionHoldsTooMuchOfIsCutAndCounted) {
  SessionInfo info;
  info.kernel_version = std::string(10'000, 'x');
  info.tasks.resize(kMaxSessionTasks + 3);
  info.sched_ext_features.assign(1000, std::string(5000, 'f'));
  info.dispatcher.resize(1000);
  info.topology.resize(10'000);
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session(info));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  ASSERT_EQ(reader.next(), Item::kSession);
  EXPECT_EQ(reader.session().kernel_version.size(), kMaxStringBytes);
  EXPECT_EQ(reader.session().tasks.size(), kMaxSessionTasks);
  EXPECT_EQ(reader.session().tasks_omitted, 3u);
  EXPECT_EQ(reader.session().sched_ext_features.size(), kMaxFeatures);
  EXPECT_EQ(reader.session().dispatcher.size(), kMaxSettings);
  EXPECT_EQ(reader.session().topology.size(), kMaxTopologyCpus);
}

TEST(TraceFileTest, StepsAndEventsComeBackBitForBitAcrossManyFrames) {
  const Recording recording({});
  ASSERT_GT(recording.steps().size(), 500u);
  const Bytes bytes = make_trace(recording, {.writer = {.frame_items = 50}});
  Reader reader = reader_of(bytes);
  std::size_t steps = 0;
  std::vector<KernelEvent> events;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kEvents) events.insert(events.end(), reader.events().begin(), reader.events().end());
    if (item != Item::kStep) continue;
    const StepRecord& is = reader.step();
    const StepRecord was = recording.record(steps);
    ASSERT_EQ(is.input.number, was.input.number);
    EXPECT_EQ(is.input.now_ns, was.input.now_ns);
    EXPECT_EQ(is.input.room, was.input.room);
    EXPECT_EQ(is.end_ns, was.end_ns);
    EXPECT_EQ(is.wake_at_ns, was.wake_at_ns);
    EXPECT_EQ(is.more, was.more);
    EXPECT_EQ(is.state_hash, is.input.number % 16 == 0 ? recording.steps()[steps].state_hash : 0);
    EXPECT_TRUE(test::same_bytes(is.input.events, was.input.events));
    EXPECT_TRUE(std::ranges::equal(is.input.idle, was.input.idle));
    EXPECT_TRUE(std::ranges::equal(is.decisions, was.decisions));
    ++steps;
  }
  EXPECT_EQ(steps, recording.steps().size());
  std::vector<KernelEvent> expected;
  for (std::size_t i = 0; i < steps; ++i) {
    const auto more = recording.events_of(i);
    expected.insert(expected.end(), more.begin(), more.end());
  }
  const auto order = [](const KernelEvent& a, const KernelEvent& b) {
    return std::tie(a.time_ns, a.cpu, a.seq) < std::tie(b.time_ns, b.cpu, b.seq);
  };
  std::ranges::sort(expected, order);
  std::ranges::sort(events, order);
  ASSERT_EQ(events.size(), expected.size());
  EXPECT_EQ(std::memcmp(events.data(), expected.data(), events.size() * sizeof(KernelEvent)), 0);
  EXPECT_TRUE(reader.problems().empty());
  EXPECT_TRUE(reader.totals().complete);
  EXPECT_GT(reader.totals().frames, 20u);
}

TEST(TraceFileTest, TheSameItemsMakeTheSameBytes) { EXPECT_EQ(make_trace(), make_trace()); }

TEST(TraceFileTest, KernelEventsOfAFrameAreInOrderOfTime) {
  std::vector<KernelEvent> events(3000);
  for (u32 i = 0; i < events.size(); ++i) {
    events[i].time_ns = 1000 + 10 * (i ^ 3);  // a little out of order
    events[i].cpu = static_cast<u16>(i % 3);
    events[i].type = KernelEventType::kWaking;
  }
  std::reverse(events.begin() + 2000, events.end());  // and once badly
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session({}));
  ASSERT_TRUE(writer->add_events(events));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  ASSERT_EQ(reader.next(), Item::kSession);
  ASSERT_EQ(reader.next(), Item::kEvents);
  ASSERT_EQ(reader.events().size(), events.size());
  EXPECT_TRUE(std::ranges::is_sorted(reader.events(), {}, &KernelEvent::time_ns));
}

TEST(TraceFileTest, ASnapshotLargerThanAFrameComesBackWhole) {
  std::vector<std::byte> state((9u << 20) + 5);
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = static_cast<std::byte>(i * i >> 7);
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session({}));
  ASSERT_TRUE(writer->add_snapshot({77, 88, state}));
  ASSERT_TRUE(writer->add_snapshot({78, 89, {}}));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  ASSERT_EQ(reader.next(), Item::kSession);
  ASSERT_EQ(reader.next(), Item::kSnapshot);
  EXPECT_EQ(reader.snapshot().step, 77u);
  EXPECT_EQ(reader.snapshot().time_ns, 88u);
  EXPECT_TRUE(std::ranges::equal(reader.snapshot().state, state));
  ASSERT_EQ(reader.next(), Item::kSnapshot);
  EXPECT_TRUE(reader.snapshot().state.empty());
}

TEST(TraceFileTest, LossesAreGivenAndSaid) {
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session({}));
  const std::vector<Loss> losses = {{LossRing::kKernelEvents, 1, 5}, {LossRing::kPolicyEvents, kLossAllCpus, 7}};
  ASSERT_TRUE(writer->add_loss({99, losses}));
  ASSERT_TRUE(writer->end_session({}));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  ASSERT_EQ(reader.next(), Item::kSession);
  ASSERT_EQ(reader.next(), Item::kLoss);
  EXPECT_EQ(reader.loss().time_ns, 99u);
  EXPECT_TRUE(std::ranges::equal(reader.loss().losses, losses));
  EXPECT_EQ(reader.next(), Item::kSessionEnd);
  EXPECT_EQ(reader.next(), Item::kEnd);
  EXPECT_TRUE(says(reader.problems(), "5 kernel events", Severity::kLoss));
  EXPECT_TRUE(says(reader.problems(), "7 events found no room", Severity::kLoss));
  EXPECT_FALSE(reader.damaged());
}

TEST(TraceFileTest, AGapInTheStepsIsAnItemOfItsOwn) {
  const Recording recording({});
  const Bytes bytes = make_trace(recording, {.missing_first = 10, .missing_count = 3});
  Reader reader = reader_of(bytes);
  Item before = Item::kEnd;
  u64 steps = 0;
  for (Item item = reader.next(); item != Item::kEnd; before = item, item = reader.next()) {
    steps += item == Item::kStep ? 1 : 0;
    if (item != Item::kGap) continue;
    EXPECT_EQ(before, Item::kStep);
    EXPECT_EQ(steps, 10u);
    EXPECT_EQ(reader.gap().first_step, 11u);
    EXPECT_EQ(reader.gap().last_step, 13u);
    EXPECT_EQ(reader.gap().after_ns, recording.steps()[9].input.now_ns);
    EXPECT_EQ(reader.gap().before_ns, recording.steps()[13].input.now_ns);
    EXPECT_FALSE(reader.gap().damage);
  }
  EXPECT_EQ(steps, recording.steps().size() - 3);
  EXPECT_TRUE(says(reader.problems(), "steps 11..13 were not recorded", Severity::kLoss));
  EXPECT_FALSE(reader.damaged());
}

TEST(TraceFileTest, StepsMissingAtTheEndAreAGapToo) {
  const Recording recording({});
  const std::size_t count = recording.steps().size();
  const Bytes bytes = make_trace(recording, {.missing_first = count - 2, .missing_count = 2});
  Reader reader = reader_of(bytes);
  bool gap = false;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kGap) {
      gap = true;
      EXPECT_EQ(reader.gap().first_step, count - 1);
      EXPECT_EQ(reader.gap().last_step, count);
      EXPECT_EQ(reader.gap().before_ns, 0u);
      EXPECT_EQ(reader.next(), Item::kSessionEnd);
    }
  }
  EXPECT_TRUE(gap);
}

TEST(TraceFileTest, ARestartIsASecondSessionWhoseStepsCountFromOneAgain) {
  const Recording first({});
  const Recording second({.policy = "fifo", .duration_ns = 5 * kNsPerMs});
  Bytes bytes;
  const auto writer = writer_to(bytes);
  write_session(*writer, first);
  write_session(*writer, second);
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  std::vector<u64> steps;
  std::vector<std::string> policies;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kSession) steps.push_back(0), policies.push_back(reader.session().policy);
    if (item != Item::kStep) continue;
    EXPECT_EQ(reader.step().input.number, ++steps.back());
  }
  EXPECT_EQ(steps, (std::vector<u64>{first.steps().size(), second.steps().size()}));
  EXPECT_EQ(policies, (std::vector<std::string>{"vruntime", "fifo"}));
  EXPECT_TRUE(reader.problems().empty());
}

TEST(TraceFileTest, OnlyTheKindsThatWereAskedForCome) {
  const Bytes bytes = make_trace({}, {.snapshot_every = 100});
  Reader reader = reader_of(bytes, kReadEvents);
  u64 events = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    EXPECT_TRUE(item == Item::kSession || item == Item::kEvents || item == Item::kSessionEnd);
    events += item == Item::kEvents ? reader.events().size() : 0;
  }
  EXPECT_GT(events, 0u);
  EXPECT_TRUE(reader.totals().complete);
}

TEST(TraceFileTest, ManyFramesHaveSeveralIndexFramesAndEachSnapshotIsFound) {
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session({}));
  const std::vector<std::byte> state(8);
  for (u64 step = 1; step <= 10'000; ++step) ASSERT_TRUE(writer->add_snapshot({step, 1000 * step, state}));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  for (const u64 step : {u64{1}, u64{4094}, u64{4095}, u64{4096}, u64{4097}, u64{9999}, u64{10'000}}) {
    const auto found = reader.find_snapshot(1, step);
    ASSERT_TRUE(found) << step;
    EXPECT_EQ(found->first_step, step);
    ASSERT_TRUE(reader.seek(*found));
    ASSERT_EQ(reader.next(), Item::kSession);
    ASSERT_EQ(reader.next(), Item::kSnapshot);
    EXPECT_EQ(reader.snapshot().step, step);
  }
  EXPECT_EQ(reader.find_snapshot_by_time(1, 5500)->first_step, 5u);
  EXPECT_FALSE(reader.find_snapshot(1, 0));
  EXPECT_FALSE(reader.find_snapshot(2, 100));
  Reader again = reader_of(bytes);
  while (again.next() != Item::kEnd) {
  }
  EXPECT_TRUE(again.totals().complete) << again.problems()[0].what;
}

TEST(TraceFileTest, SnapshotsAreFoundWithoutAnIndexToo) {
  Bytes bytes = make_trace({}, {.snapshot_every = 100});
  Reader whole = reader_of(bytes);
  const auto with = whole.find_snapshot(1, 250);
  bytes.resize(bytes.size() - kTrailerBytes);
  Reader cut = reader_of(bytes);
  const auto without = cut.find_snapshot(1, 250);
  ASSERT_TRUE(with && without);
  EXPECT_EQ(with->first_step, 200u);
  EXPECT_EQ(with->offset, without->offset);
  EXPECT_EQ(with->number, without->number);
  EXPECT_EQ(with->bytes, without->bytes);
}

TEST(TraceFileTest, AnEmptyFileIsRefusedAsSuch) {
  const Error error = open_error({});
  EXPECT_EQ(error.code, ExitCode::kBadInput);
  EXPECT_NE(error.what.find("0 bytes"), std::string::npos);
  EXPECT_EQ(error.where, "some.rtrace");
}

TEST(TraceFileTest, SomethingElseIsRefusedAsSuch) {
  for (const std::string_view text : {"PERFILE2........................", "x", "{\"a\": 1}"}) {
    const Error error = open_error(Bytes(text.begin(), text.end()));
    EXPECT_EQ(error.code, ExitCode::kBadInput);
    EXPECT_NE(error.what.find("not a Reprise trace"), std::string::npos);
  }
}

TEST(TraceFileTest, ANewerFormatOrSchemaIsRefusedWithBothNumbersAndAWayOut) {
  for (const FileHeader header : {FileHeader{kFormatVersion + 1, kSchemaVersion}, FileHeader{kFormatVersion, 9}}) {
    Bytes bytes = make_trace();
    const auto head = encode(header);
    std::copy(head.begin(), head.end(), bytes.begin());
    const Error error = open_error(bytes);
    EXPECT_EQ(error.code, ExitCode::kBadInput);
    EXPECT_NE(error.what.find(std::to_string(header.format) + "." + std::to_string(header.schema)), std::string::npos);
    EXPECT_NE(error.what.find("reads 1.1"), std::string::npos);
    EXPECT_NE(error.hint.find("newer"), std::string::npos);
  }
}

TEST(TraceFileTest, ATraceWithoutEventsSaysSo) {
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session({}));
  ASSERT_TRUE(writer->end_session({}));
  ASSERT_TRUE(writer->finish());
  Reader reader = reader_of(bytes);
  (void)contents(reader);
  EXPECT_TRUE(says(reader.problems(), "0 events", Severity::kNote));
  EXPECT_FALSE(reader.damaged());
  EXPECT_TRUE(reader.totals().complete);
}

TEST(TraceFileTest, AFileThatCannotBeOpenedSaysWhy) {
  const auto missing = Reader::open("/nonexistent/a.rtrace");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ExitCode::kIo);
  EXPECT_EQ(missing.error().where, "/nonexistent/a.rtrace");
  const auto folder = Reader::open("/tmp");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ExitCode::kUsage);
}

TEST(TraceFileTest, AKindOfFrameFromTheFutureIsLeftOutAndSaid) {
  Bytes bytes;
  auto sink = FileSink::create(std::make_unique<test::VectorFile>(bytes));
  FrameHeader header;
  header.kind = static_cast<FrameKind>(77);
  ASSERT_TRUE((*sink)->put(header, {}));
  ASSERT_TRUE((*sink)->finish());
  Reader reader = reader_of(bytes);
  EXPECT_EQ(reader.next(), Item::kEnd);
  EXPECT_TRUE(says(reader.problems(), "kind 77", Severity::kNote));
}

TEST(TraceFileTest, StepNumbersThatDoNotGrowAreRefusedByTheWriter) {
  const Recording recording({});
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session(recording.session()));
  ASSERT_TRUE(writer->add_step(recording.record(1)));
  const auto again = writer->add_step(recording.record(1));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ExitCode::kInternal);
  EXPECT_FALSE(writer->finish());  // errors stick
}

}  // namespace
}  // namespace reprise::trace
