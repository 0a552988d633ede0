// SPDX-License-Identifier: GPL-2.0-only
#include "traces/export.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "scheduler/core/prng.h"
#include "tests/support/temporary.h"
#include "traces/anonymizer.h"
#include "traces/ordered_events.h"
#include "traces/task_names.h"
#include "traces/writer.h"

namespace reprise::trace {
namespace {

using enum KernelEventType;

KernelEvent make(u64 time_ns, KernelEventType type, i32 tid, u32 a = 0, u64 b = 0, u64 c = 0, u8 flags = 0) {
  return {.time_ns = time_ns, .seq = 0, .cpu = 0, .type = type, .flags = flags, .tid = tid, .a = a, .b = b, .c = c};
}

KernelEvent named(u64 time_ns, i32 tid, std::string_view comm) {
  KernelEvent event = make(time_ns, kName, tid);
  set_comm(event, comm);
  return event;
}

std::string write_trace(const SessionInfo& info, std::span<const KernelEvent> events) {
  const std::string path = test::temporary("export.rtrace");
  auto writer = Writer::create(path);
  EXPECT_TRUE(writer);
  EXPECT_TRUE((*writer)->begin_session(info));
  EXPECT_TRUE((*writer)->add_events(events));
  EXPECT_TRUE((*writer)->end_session({}));
  EXPECT_TRUE((*writer)->finish());
  return path;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(OrderedEventsTest, PutsFramesThatOverlapInOrder) {
  Prng random = Prng::seeded(7);
  std::vector<KernelEvent> events;
  for (u32 i = 0; i < 20'000; ++i)
    events.push_back(make(u64{i} * kNsPerUs + random.below(100 * kNsPerMs), kSwitch, static_cast<i32>(i)));
  std::vector<u64> seen;
  OrderedEvents ordered([&](const KernelEvent& event) { seen.push_back(event.time_ns); });
  for (std::size_t i = 0; i < events.size(); i += 1000) ordered.add(std::span(events).subspan(i, 1000));
  ordered.finish();
  EXPECT_EQ(seen.size(), events.size());
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(ordered.late(), 0u);
}

TEST(OrderedEventsTest, CountsWhatComesTooLate) {
  OrderedEvents ordered([](const KernelEvent&) {});
  const KernelEvent events[] = {make(10 * kNsPerSec, kSwitch, 1), make(20 * kNsPerSec, kSwitch, 1),
                                make(1, kSwitch, 1)};
  ordered.add(events);
  ordered.finish();
  EXPECT_EQ(ordered.late(), 1u);
}

TEST(TaskNamesTest, FollowForkExecAndDeath) {
  TaskNames names;
  names.begin({});
  names.before(named(1, 5, "parent"));
  names.before(make(2, kFork, 6, 5, 0, 6));
  EXPECT_EQ(names.comm(6), "parent");
  names.before(named(3, 6, "child"));
  EXPECT_EQ(names.comm(6), "child");
  EXPECT_EQ(names.tgid(6), 6);
  const KernelEvent dies = make(4, kSwitch, 0, 6, 0x80);
  names.before(dies);
  EXPECT_EQ(names.comm(6), "child");
  names.after(dies);
  EXPECT_EQ(names.comm(6), "");
  EXPECT_EQ(names.comm(0), "swapper");
}

TEST(AnonymizerTest, GivesEachTaskOneNumberWhereverItStands) {
  Anonymizer anonymizer;
  SessionInfo info;
  info.kernel_release = "6.12.9-somebodys-laptop";
  info.kernel_version = "#1 built by somebody";
  info.realtime_offset_ns = 5;
  info.tasks.resize(2);
  info.tasks[0] = {.tid = 900, .tgid = 800, .comm = "secret"};
  info.tasks[1] = {.tid = 77, .tgid = 77, .flags = kTaskKernelThread, .comm = "jbd2/sda1-8"};
  const SessionInfo made = anonymizer.session(info);
  EXPECT_EQ(made.kernel_release, "6.12.9");
  EXPECT_EQ(made.kernel_version, "");
  EXPECT_EQ(made.realtime_offset_ns, 0);
  EXPECT_EQ(comm_view(made.tasks[0].comm), "thread-1");
  EXPECT_EQ(made.tasks[0].tid, 1);
  EXPECT_EQ(made.tasks[0].tgid, 2);
  EXPECT_EQ(comm_view(made.tasks[1].comm), "jbd-3");
  const KernelEvent out = anonymizer.event(make(1, kSwitch, 900, 77));
  EXPECT_EQ(out.tid, 1);
  EXPECT_EQ(out.a, 3u);
  EXPECT_EQ(anonymizer.event(make(1, kSwitch, 0, 800)).a, 2u);
  EXPECT_EQ(comm_of(anonymizer.event(named(2, 900, "other secret"))), "thread-1");
}

TEST(AnonymizerTest, RenumbersPidsInObjectsAndResults) {
  Anonymizer anonymizer;
  const auto object = [](ObjectKind kind, u64 value) { return u64{kind} << 56 | value; };
  EXPECT_EQ(anonymizer.event(make(1, kSwitch, 500)).tid, 1);
  EXPECT_EQ(anonymizer.event(make(1, kSyscallEnter, 500, 61, object(kObjectChild, 600), 0, kCallTake)).b,
            object(kObjectChild, 2));
  EXPECT_EQ(anonymizer.event(make(2, kSyscallExit, 500, 61, 600, 0, kCallTake)).b, 2u);
  // An error, or what another call gave back, is no pid.
  const u64 error = static_cast<u64>(-10);
  EXPECT_EQ(anonymizer.event(make(3, kSyscallEnter, 500, 61, object(kObjectChild, 0), 0, kCallTake)).b,
            object(kObjectChild, 0));
  EXPECT_EQ(anonymizer.event(make(4, kSyscallExit, 500, 61, error, 0, kCallTake)).b, error);
  EXPECT_EQ(anonymizer.event(make(5, kSyscallEnter, 500, 0, object(kObjectPipe, 600), 0, kCallTake)).b,
            object(kObjectPipe, 600));
  EXPECT_EQ(anonymizer.event(make(6, kSyscallExit, 500, 0, 600, 0, kCallTake)).b, 600u);
}

TEST(ExportTest, TheEndingChoosesTheForm) {
  EXPECT_EQ(export_form_of("a.pftrace").value(), ExportForm::kPerfetto);
  EXPECT_EQ(export_form_of("a.csv").value(), ExportForm::kCsv);
  EXPECT_EQ(export_form_of("a.b.jsonl").value(), ExportForm::kJsonLines);
  EXPECT_EQ(export_form_of("a.rtrace").value(), ExportForm::kTrace);
  for (const char* name : {"a", "a.json", ".csv", "", "csv"}) {
    const auto form = export_form_of(name);
    ASSERT_FALSE(form) << name;
    EXPECT_EQ(form.error().code, ExitCode::kUsage);
    EXPECT_NE(form.error().hint.find(".pftrace"), std::string::npos);
  }
}

TEST(ExportTest, CsvKeepsARowALineWhateverIsInAComm) {
  SessionInfo info;
  info.cpus = 1;
  const KernelEvent events[] = {named(10, 5, "a,\"b\"\n=c"), make(20, kSwitch, 5, 0, u64{2} << 40)};
  auto reader = Reader::open(write_trace(info, events));
  ASSERT_TRUE(reader);
  const std::string path = test::temporary("export.csv");
  const auto done = export_trace(*reader, path, {.form = ExportForm::kCsv});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->kernel_events, 2u);
  EXPECT_EQ(done->switches, 1u);
  const std::string text = text_of(path);
  EXPECT_EQ(std::ranges::count(text, '\n'), 3);
  EXPECT_NE(text.find("\n1,20,0,0,switch,5,\"a,\"\"b\"\"\\x0a=c\",0,0,swapper,"), std::string::npos) << text;
  EXPECT_EQ(done->bytes, text.size());
}

TEST(ExportTest, AFullDiskIsAnError) {
  std::vector<KernelEvent> events(20'000, make(5, kSwitch, 1));
  const std::string trace = write_trace({}, events);
  for (const ExportForm form : {ExportForm::kPerfetto, ExportForm::kCsv, ExportForm::kJsonLines, ExportForm::kTrace}) {
    auto reader = Reader::open(trace);
    const auto done = export_trace(*reader, "/dev/full", {.form = form});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ExitCode::kIo);
  }
}

TEST(ExportTest, APieceThatBeginsAtASnapshotIsNotAnonymized) {
  const std::string path = test::temporary("piece.rtrace");
  auto writer = Writer::create(path);
  ASSERT_TRUE((*writer)->begin_session({}));
  const std::byte state[8] = {};
  ASSERT_TRUE((*writer)->add_snapshot({.step = 100, .time_ns = 5, .state = state}));
  ASSERT_TRUE((*writer)->finish());
  auto reader = Reader::open(path);
  const auto done =
      export_trace(*reader, test::temporary("out.rtrace"), {.form = ExportForm::kTrace, .anonymize = true});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ExitCode::kBadInput);
}

}  // namespace
}  // namespace reprise::trace
