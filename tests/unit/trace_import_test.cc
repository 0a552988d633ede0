// SPDX-License-Identifier: GPL-2.0-only
#include "traces/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/support/temporary.h"
#include "traces/import_line.h"
#include "traces/import_tasks.h"
#include "traces/reader.h"
#include "traces/task_names.h"

namespace reprise::trace {
namespace {

using enum LineKind;

std::string text_file(const char* name, const std::string& text) {
  const std::string path = test::temporary(name);
  std::ofstream(path) << text;
  return path;
}

struct Imported {
  Expected<ImportResult> result;
  SessionInfo session;
  std::vector<KernelEvent> events;
  std::vector<Loss> losses;
};

Imported import(const std::string& text) {
  const std::string out = test::temporary("imported.rtrace");
  Imported all{import_text(text_file("import.txt", text), out, {}), {}, {}, {}};
  if (!all.result) return all;
  auto reader = Reader::open(out);
  for (Item item = reader->next(); item != Item::kEnd; item = reader->next()) {
    if (item == Item::kSession) all.session = reader->session();
    if (item == Item::kEvents) all.events.insert(all.events.end(), reader->events().begin(), reader->events().end());
    if (item == Item::kLoss) all.losses.assign(reader->loss().losses.begin(), reader->loss().losses.end());
  }
  EXPECT_FALSE(reader->damaged());
  EXPECT_TRUE(reader->totals().complete);
  return all;
}

u64 count(const Imported& all, KernelEventType type) {
  return static_cast<u64>(std::ranges::count(all.events, type, &KernelEvent::type));
}

TEST(ImportLineTest, ReadsBothSpellingsOfASwitch) {
  const Line l = parse_line(
      "   hackbench  21338 [001] 37458.416454001: sched:sched_switch: prev_comm=hackbench prev_pid=21338 prev_prio=120 "
      "prev_state=S ==> next_comm=swapper/1 next_pid=0 next_prio=120");
  const Line s = parse_line(
      "   hackbench  21338 [001] 37458.416454001: sched:sched_switch: hackbench:21338 [120] S ==> swapper/1:0 [120]");
  for (const Line& line : {l, s}) {
    EXPECT_EQ(line.kind, kSwitch);
    EXPECT_EQ(line.time_ns, 37458416454001u);
    EXPECT_EQ(line.cpu, 1u);
    EXPECT_EQ(line.current, 21338);
    EXPECT_EQ(line.task.tid, 21338);
    EXPECT_EQ(line.task.comm, "hackbench");
    EXPECT_EQ(line.other.tid, 0);
    EXPECT_EQ(line.state, 1u);
    EXPECT_FALSE(line.preempted);
  }
}

TEST(ImportLineTest, ACommMayHoldBlanksColonsBracketsAndArrows) {
  const Line l = parse_line(
      "Web [x]: 12.5: y  77 [000] 5.000001: sched:sched_switch: prev_comm=Web ==> a:1 [2] prev_pid=77 prev_prio=120 "
      "prev_state=R+ ==> next_comm=k: pid=3 next_pid=4 next_prio=98");
  EXPECT_EQ(l.kind, kSwitch);
  EXPECT_EQ(l.task.comm, "Web ==> a:1 [2]");
  EXPECT_EQ(l.other.comm, "k: pid=3");
  EXPECT_EQ(l.other.tid, 4);
  EXPECT_EQ(l.other.priority, 98);
  EXPECT_TRUE(l.preempted);
  const Line s =
      parse_line("a-b-77 [000] d..2. 5.000001: sched_switch: a:1 [3] S ==> x:77 [120] D|K ==> my task:9:10 [49]");
  EXPECT_EQ(s.kind, kSwitch);
  EXPECT_EQ(s.task.comm, "a:1 [3] S ==> x");
  EXPECT_EQ(s.other.comm, "my task:9");
  EXPECT_EQ(s.other.tid, 10);
  EXPECT_EQ(s.state, 0x102u);
  const Line w = parse_line("x 1 [000] 5.1: sched:sched_waking: comm=a pid=8 b pid=9 prio=100 target_cpu=001");
  EXPECT_EQ(w.kind, kWaking);
  EXPECT_EQ(w.task.comm, "a pid=8 b");
  EXPECT_EQ(w.task.tid, 9);
  EXPECT_EQ(w.task.priority, 100);
}

TEST(ImportLineTest, ReadsTheHeadsOfEachTool) {
  struct Case {
    const char* text;
    i32 tid;
    i32 tgid;
    u32 cpu;
    char context;
  };
  const std::string event = " 12.000345: sched_wakeup: bash:7 [120] CPU:001";
  for (const Case& c :
       {Case{"  <idle>-0     [002] d.h3.", 0, 0, 2, 'h'}, Case{"bash-12  [003]", 12, 0, 3, '.'},
        Case{"a b-12  (   11) [003] ..s1", 12, 11, 3, 's'}, Case{"x-12 (-----) [003] ....", 12, 0, 3, '.'},
        Case{"perf  21/22 [010]", 22, 21, 10, '.'}, Case{":-1   -1 [001]", 0, 0, 1, '.'},
        Case{"  <idle>-0       5d.H2.", 0, 0, 5, 'H'}, Case{"kworker/u8:2-e-99 [000] d..2", 99, 0, 0, '.'}}) {
    const Line line = parse_line(c.text + event);
    EXPECT_EQ(line.kind, kWakeup) << c.text;
    EXPECT_EQ(line.current, c.tid) << c.text;
    EXPECT_EQ(line.current_tgid, c.tgid) << c.text;
    EXPECT_EQ(line.cpu, c.cpu) << c.text;
    EXPECT_EQ(line.context, c.context) << c.text;
    EXPECT_EQ(line.time_ns, 12'000'345'000u) << c.text;
    EXPECT_EQ(line.task.tid, 7) << c.text;
  }
}

TEST(ImportLineTest, ReadsTheOtherEvents) {
  const Line fork = parse_line("a 1 [000] 5.1: sched:sched_process_fork: comm=a b pid=1 child_comm=c d child_pid=2");
  EXPECT_EQ(fork.kind, kFork);
  EXPECT_EQ(fork.task.tid, 1);
  EXPECT_EQ(fork.other.tid, 2);
  EXPECT_EQ(fork.other.comm, "c d");
  const Line exec =
      parse_line("a 1 [000] 5.1: sched:sched_process_exec: filename=/usr/bin/a-very-long-program-name pid=1 old_pid=1");
  EXPECT_EQ(exec.kind, kExec);
  EXPECT_EQ(exec.task.comm, "a-very-long-pro");
  EXPECT_EQ(parse_line("a 1 [000] 5.1: sched:sched_process_exit: comm=a pid=1 prio=120 group_dead=true").kind, kExit);
  EXPECT_EQ(parse_line("a-1 [000] 5.1: sched_wakeup_new: a:2 [120] success=1 CPU:000").kind, kWakeupNew);
  const Line rename = parse_line("a-1 [000] 5.1: task_rename: pid=3 oldcomm=a newcomm=b c oom_score_adj=0");
  EXPECT_EQ(rename.kind, kRename);
  EXPECT_EQ(rename.task.comm, "b c");
  EXPECT_EQ(parse_line("a 1 [000] 5.1: sched:sched_stat_runtime: comm=a pid=1 runtime=5 [ns]").kind, kUnneeded);
  EXPECT_EQ(parse_line("a 1 [000] 5.1: 1 cycles:P:  ffff _raw+0x5 ([kernel])").kind, kNotUnderstood);
  for (const char* text : {"", "   ", "# comment", "cpus=4", "CPU 1 is empty", "version = 6"})
    EXPECT_EQ(parse_line(text).kind, kComment) << text;
}

TEST(ImportLineTest, CountsWhatTheToolsLost) {
  const Line trace_cmd = parse_line("CPU:3 [LOST 1234 EVENTS]");
  EXPECT_EQ(trace_cmd.kind, kLost);
  EXPECT_EQ(trace_cmd.cpu, 3u);
  EXPECT_EQ(trace_cmd.lost, 1234u);
  const Line perf = parse_line("  swapper     0 [000]  5.000000: PERF_RECORD_LOST lost 17");
  EXPECT_EQ(perf.kind, kLost);
  EXPECT_EQ(perf.lost, 17u);
}

TEST(ImportLineTest, WhatIsMalformedIsNotUnderstood) {
  for (const char* text :
       {"x", ": : :", "a 1 [000] 5.1: sched_switch: a:1 [120] S ==>",
        "a 1 [000] 5.1: sched_switch: a:1 [120] ? ==> b:2 [120]",
        "a 1 [000] 5.1: sched_switch:", "a 1 [0x0] 5.1: sched_waking: comm=a pid=1",
        "a [000] 5.1: sched_waking: comm=a pid=1", "a 1 [000] 5.1234567890: sched_waking: comm=a pid=1 prio=1",
        "a 1 [000] 99999999999999999999.1: sched_waking: comm=a pid=1",
        "a 1 [000] 5.1: sched_waking: comm=a pid=99999999999 prio=1", "[[[[]]]] 5.1: sched_waking: x"})
    EXPECT_EQ(parse_line(text).kind, kNotUnderstood) << text;
}

constexpr char kFile[] =
    "# comment\n"
    "  a 5 [001] 1.000001: sched:sched_waking: comm=b pid=6 prio=120 target_cpu=001\n"
    "  a 5 [001] 1.000002: sched:sched_switch: a:5 [120] S ==> b:6 [110]\n"
    "  b 6 [001] 1.000012: sched:sched_process_fork: comm=b pid=6 child_comm=b child_pid=7\n"
    "  b 6 [001] 1.000013: sched:sched_wakeup_new: b:7 [120] CPU:000\n"
    "  swapper 0 [000] 1.000020: sched:sched_switch: swapper/0:0 [120] R ==> b:7 [120]\n"
    "  b 6 [001] 1.000030: sched:sched_waking: comm=b pid=7 prio=120 target_cpu=000\n"
    "  b 6 [001] 1.000050: sched:sched_switch: b:6 [110] R+ ==> swapper/1:0 [120]\n"
    "nonsense\n"
    "  b 7 [000] 1.000060: sched:sched_process_exit: comm=b pid=7 prio=120\n"
    "  b 7 [000] 1.000070: sched:sched_switch: b:7 [120] X ==> swapper/0:0 [120]\n";

TEST(ImportTest, BecomesWhatAPassiveRecordingWouldHold) {
  const Imported all = import(kFile);
  ASSERT_TRUE(all.result) << all.result.error().what;
  EXPECT_EQ(all.result->events, 9u);
  EXPECT_EQ(all.result->switches, 4u);
  EXPECT_EQ(all.result->not_understood, 1u);
  EXPECT_EQ(all.result->not_understood_at, std::vector<u64>{9});
  EXPECT_EQ(all.result->comments, 1u);
  EXPECT_EQ(all.session.kind, SessionKind::kImported);
  EXPECT_EQ(all.session.cpus, 2u);
  EXPECT_EQ(all.session.start_ns, 1'000'001'000u);
  ASSERT_EQ(all.session.tasks.size(), 2u);  // 5 and 6; 7 was born
  EXPECT_EQ(comm_view(all.session.tasks[1].comm), "b");
  EXPECT_EQ(count(all, KernelEventType::kSwitch), 4u);
  EXPECT_EQ(count(all, KernelEventType::kFork), 1u);
  EXPECT_EQ(count(all, KernelEventType::kExit), 1u);
  std::vector<KernelEvent> switches, wakings;
  for (const KernelEvent& event : all.events) {
    if (event.type == KernelEventType::kSwitch) switches.push_back(event);
    if (event.type == KernelEventType::kWaking) wakings.push_back(event);
  }
  ASSERT_EQ(wakings.size(), 3u);
  EXPECT_EQ(wakings[0].a, 5u);  // by whom
  EXPECT_EQ(wakings[0].flags, kWakeTask);
  EXPECT_EQ(wakings[1].flags, kWakeTask | kWakeNew);
  EXPECT_EQ(wakings[2].flags, kWakeTask | kWakeRunnable);  // it ran
  ASSERT_EQ(switches.size(), 4u);
  EXPECT_EQ(switches[2].flags, kSwitchPreempted);
  EXPECT_EQ(switches[2].c, 48'000u);  // CPU time of 6
  EXPECT_EQ(switches[3].c, 50'000u);
  EXPECT_TRUE(leaves_dead(switches[3]));
}

TEST(ImportTest, WakeupsStandInForWakingsThatAreMissing) {
  const std::string wakeup = "  a 5 [000] 1.000003: sched:sched_wakeup: b:6 [120] CPU:000\n";
  const std::string waking = "  a 5 [000] 1.000002: sched:sched_waking: comm=b pid=6 prio=120 target_cpu=000\n";
  const std::string out = "  a 5 [000] 1.000009: sched:sched_switch: a:5 [120] S ==> b:6 [120]\n";
  EXPECT_EQ(count(import(wakeup + out), KernelEventType::kWaking), 1u);
  EXPECT_EQ(count(import(waking + wakeup + out), KernelEventType::kWaking), 1u);
}

TEST(ImportTest, LossesBecomeLosses) {
  const Imported all = import(std::string(kFile) + "CPU:1 [LOST 40 EVENTS]\nCPU:1 [LOST 2 EVENTS]\n");
  ASSERT_TRUE(all.result);
  EXPECT_EQ(all.result->lost, 42u);
  ASSERT_EQ(all.losses.size(), 1u);
  EXPECT_EQ(all.losses[0], (Loss{LossRing::kKernelEvents, 1, 42}));
}

std::string switch_at(u64 us) {
  return "  a 5 [000] 1." + std::to_string(1'000'000 + us).substr(1) +
         ": sched:sched_switch: a:5 [120] S ==> b:6 [120]\n";
}

TEST(ImportTest, LinesThatAreALittleOutOfOrderArePutInOrder) {
  const Imported all = import(switch_at(9) + switch_at(3) + switch_at(5));
  ASSERT_TRUE(all.result);
  EXPECT_TRUE(std::ranges::is_sorted(all.events, {}, &KernelEvent::time_ns));
}

TEST(ImportTest, TimesThatGoFarBackAreRefusedWithTheirLine) {
  std::string text;
  for (std::size_t i = 0; i < kImportWindow + 10; ++i) text += switch_at(100 + i);
  const Imported all = import(text + switch_at(1));
  ASSERT_FALSE(all.result);
  EXPECT_EQ(all.result.error().code, ExitCode::kBadInput);
  EXPECT_NE(all.result.error().where.find("line " + std::to_string(kImportWindow + 11)), std::string::npos);
}

TEST(ImportTest, NothingUnderstoodIsBadInputThatSaysWhatWouldBeGood) {
  for (const char* text : {"", "hello\nworld\n", "a 1 [000] 5.1: irq:irq_handler_entry: irq=1 name=x\n"}) {
    const Imported all = import(text);
    ASSERT_FALSE(all.result) << text;
    EXPECT_EQ(all.result.error().code, ExitCode::kBadInput);
    EXPECT_NE(all.result.error().hint.find("perf script"), std::string::npos);
  }
  const Imported all = import("a 1 [9999] 5.1: sched_waking: comm=a pid=1 prio=120 target_cpu=000\n");
  ASSERT_FALSE(all.result);
  EXPECT_NE(all.result.error().where.find("line 1"), std::string::npos);
}

TEST(ImportTest, LinesOfAnyLengthAndBytesOfAnyValueAreSurvived) {
  std::string noise;
  for (u32 i = 0; i < 300'000; ++i) noise += static_cast<char>(i * 2654435761u >> 24);
  const Imported all = import(noise + '\n' + std::string(1'000'000, '[') + '\n' + kFile);
  ASSERT_TRUE(all.result);
  EXPECT_EQ(all.result->switches, 4u);
}

TEST(ImportTest, PrioritiesGiveClassesAndWeights) {
  EXPECT_EQ(class_of_priority(0, 120), kClassIdle);
  EXPECT_EQ(class_of_priority(5, -1), kClassDl);
  EXPECT_EQ(class_of_priority(5, 99), kClassRt);
  EXPECT_EQ(class_of_priority(5, 100), kClassFair);
  EXPECT_EQ(weight_of_priority(120), 100u);
  EXPECT_EQ(weight_of_priority(130), 11u);
  EXPECT_EQ(weight_of_priority(0), 100u);
  EXPECT_NEAR(weight_of_priority(100), 8668, 10);
}

}  // namespace
}  // namespace reprise::trace
