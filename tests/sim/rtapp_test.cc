// SPDX-License-Identifier: GPL-2.0-only
// Files of rt-app: what each key does when it is played, and what is refused.
#include "sim/workload/rtapp.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "sim/workload/workload.h"
#include "tests/sim/fake_kernel.h"

namespace reprise::sim {
namespace {

using test::FakeKernel;

constexpr u64 kMs = kNsPerMs;

struct Played {
  Program program;
  FakeKernel kernel;
  Workload workload;
  explicit Played(Program p, u32 cpus = 4, u64 slice_ns = 0, u64 until_ns = 60 * kNsPerSec)
      : program(std::move(p)), kernel(cpus, slice_ns), workload(program) {
    workload.begin(kernel);
    kernel.run(workload, until_ns);
  }
  [[nodiscard]] const FakeKernel::Task& task(u32 index) const { return kernel.tasks()[index]; }
};

Program read(const std::string& text) {
  auto program = read_rtapp(text, "test.json");
  EXPECT_TRUE(program) << program.error().where << ": " << program.error().what;
  return program ? std::move(*program) : ProgramBuilder().finish();
}
/// One task, "t", with one turn of these events.
Program once(const std::string& events) {
  return read(R"({"tasks": {"t": {"loop": 1, "phases": {"p": {)" + events + "}}}}}");
}
Error refusal(const std::string& text, const RtappOptions& options = {}) {
  const auto program = read_rtapp(text, "test.json", options);
  EXPECT_FALSE(program);
  return program ? Error{} : program.error();
}
Error refusal_once(const std::string& events) {
  return refusal(R"({"tasks": {"t": {"loop": 1, "phases": {"p": {)" + events + "}}}}}");
}
bool says(const Error& error, std::string_view what) {
  return (error.what + " / " + error.hint).find(what) != std::string::npos;
}

TEST(RtappTest, RunIsCpuTime) {
  Played run(once(R"("run": 300, "run": 200)"));
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.task(0).ran_ns, 500'000u);
}

TEST(RtappTest, CalibrationMakesRunAWholeNumberOfLoops) {
  const std::string tasks = R"("tasks": {"t": {"loop": 1, "phases": {"p": {"run": 1}}}})";
  EXPECT_EQ(Played(read("{" + tasks + R"(, "global": {"calibration": 300}})")).task(0).ran_ns, 900u);
  EXPECT_EQ(Played(read("{" + tasks + R"(, "global": {"calibration": "CPU0"}})")).task(0).ran_ns, 1000u);
  EXPECT_EQ(Played(read("{" + tasks + R"(, "global": {"calibration": 0}})")).task(0).ran_ns, 1000u);
}

TEST(RtappTest, RuntimePassesWithoutACpu) {
  // Two tasks on one CPU: each asks for 10 ms of time, and gets about half of it.
  Played run(read(R"({"tasks": {"t": {"instance": 2, "loop": 1, "phases": {"p": {"runtime": 10000}}}}})"), 1,
             10 * kNsPerUs);
  EXPECT_TRUE(run.workload.finished());
  EXPECT_GE(run.kernel.now(), 10 * kMs);
  EXPECT_LT(run.kernel.now(), 12 * kMs);
  EXPECT_LT(run.task(0).ran_ns, 7 * kMs);
  // Alone, it looks at the clock every 32 us.
  Played alone(once(R"("runtime": 100)"));
  EXPECT_EQ(alone.task(0).ran_ns, 128'000u);
}

TEST(RtappTest, SleepBeginsWhereItStands) {
  Played run(once(R"("run": 1000, "sleep": 2000, "run": 1000)"));
  EXPECT_EQ(run.kernel.now(), 4 * kMs);
  EXPECT_EQ(run.task(0).slept, 1u);
}

TEST(RtappTest, TimersFirstPeriodBeginsWithTheWorkload) {
  Played run(once(R"("run": 3000, "timer": {"ref": "tick", "period": 10000}, "run": 3000,
                     "timer": {"ref": "tick", "period": 10000})"));
  EXPECT_EQ(run.kernel.now(), 20 * kMs);
  EXPECT_EQ(run.workload.stats().sleeps_late, 0u);
}

TEST(RtappTest, LateRelativeTimerStartsAnewAndAnAbsoluteOneCatchesUp) {
  const auto end = [](const std::string& mode) {
    return Played(once(R"("run": 25000, "timer": {"ref": "tick", "period": 10000, "mode": ")" + mode +
                       R"("}, "run": 1000, "timer": {"ref": "tick", "period": 10000})"))
        .kernel.now();
  };
  EXPECT_EQ(end("relative"), 35 * kMs);
  EXPECT_EQ(end("absolute"), 26 * kMs);
}

TEST(RtappTest, UniqueTimersAreEachTasksOwn) {
  const auto end = [](const std::string& ref) {
    return Played(read(R"({"tasks": {"t": {"instance": 2, "loop": 1, "phases": {"p": {"run": 1000,
                           "timer": {"ref": ")" +
                       ref + R"(", "period": 10000}}}}}})"))
        .kernel.now();
  };
  EXPECT_EQ(end("unique"), 10 * kMs);
  EXPECT_EQ(end("shared"), 20 * kMs);  // each use is a period further
}

TEST(RtappTest, TimerOfADelayedTaskBeginsAfterItsDelay) {
  Played run(read(R"({"tasks": {"t": {"delay": 5000, "loop": 1, "phases": {"p": {"run": 1000,
                      "timer": {"ref": "unique", "period": 10000}}}}}})"));
  EXPECT_EQ(run.kernel.now(), 15 * kMs);
}

TEST(RtappTest, LockKeepsOthersOut) {
  Played run(read(R"({"tasks": {"t": {"instance": 3, "loop": 1,
                      "phases": {"p": {"lock": "m", "run": 1000, "sleep": 1000, "unlock": "m"}}}}})"));
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.kernel.now(), 6 * kMs);
}

TEST(RtappTest, SignalWakesOneAndBroadcastAll) {
  const auto woken = [](const std::string& event) {
    Played run(read(R"({"tasks": {
      "w": {"instance": 3, "loop": 1, "phases": {"p": {"lock": "m", "wait": {"ref": "c", "mutex": "m"},
                                                       "unlock": "m", "run": 1000}}},
      "s": {"loop": 1, "phases": {"p": {"sleep": 1000, "lock": "m", ")" +
                    event + R"(": "c", "unlock": "m"}}}}})"));
    u32 ended = 0;
    for (u32 i = 0; i < 3; ++i) ended += run.task(i).ran_ns == kMs ? 1 : 0;
    return ended;
  };
  EXPECT_EQ(woken("signal"), 1u);
  EXPECT_EQ(woken("broad"), 3u);
}

TEST(RtappTest, SignalThatNobodyWaitsForIsLost) {
  Played run(read(R"({"tasks": {
      "s": {"loop": 1, "phases": {"p": {"signal": "c"}}},
      "w": {"loop": 1, "phases": {"p": {"sleep": 1, "lock": "m", "wait": {"ref": "c", "mutex": "m"},
                                        "unlock": "m"}}}}})"));
  EXPECT_EQ(run.workload.alive(), 1u);
}

TEST(RtappTest, WaitGivesTheMutexBackMeanwhile) {
  Played run(read(R"({"tasks": {
      "w": {"loop": 1, "phases": {"p": {"lock": "m", "wait": {"ref": "c", "mutex": "m"}, "run": 100, "unlock": "m"}}},
      "s": {"loop": 1, "phases": {"p": {"sleep": 10, "lock": "m", "signal": "c", "run": 1000, "unlock": "m"}}}}})"));
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 1'110'000u);  // the woken one needs the mutex back
}

TEST(RtappTest, SyncWakesTheOtherAndWaits) {
  Played run(read(R"({"tasks": {
      "a": {"loop": 1, "phases": {"p": {"loop": 5, "run": 10, "sync": {"ref": "c", "mutex": "m"}}}},
      "b": {"loop": 1, "phases": {"p": {"loop": 5, "sleep": 100, "sync": {"ref": "c", "mutex": "m"}, "run": 10}}}}})"));
  EXPECT_EQ(run.workload.alive(), 1u);  // who waits last is woken by nobody
  EXPECT_EQ(run.task(0).ran_ns, 50'000u);
  EXPECT_GE(run.task(1).ran_ns, 40'000u);
}

TEST(RtappTest, BarrierWaitsForAsManyAsUseIt) {
  Played run(read(R"({"tasks": {
      "a": {"instance": 2, "loop": 1, "phases": {"p": {"loop": 10, "run": 100, "barrier": "B"}}},
      "b": {"loop": 1, "phases": {"p": {"loop": 10, "run": 300, "barrier": "B"}}}}})"));
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 3 * kMs);
}

TEST(RtappTest, SuspendedTaskGoesOnWhenResumed) {
  Played run(read(R"({"tasks": {
      "a": {"loop": 1, "phases": {"p": {"suspend", "run": 100}}},
      "b": {"loop": 1, "phases": {"p": {"sleep": 1000, "resume": "a"}}}}})"));
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.kernel.now(), 1'100'000u);
}

TEST(RtappTest, YieldStaysRunnable) {
  Played run(once(R"("run": 10, "yield": "", "yield", "run": 10)"));
  EXPECT_EQ(run.task(0).switches, 3u);
  EXPECT_EQ(run.task(0).slept, 0u);
}

TEST(RtappTest, ForkMakesAnotherTaskOfThatName) {
  Played run(read(R"({"tasks": {
      "a": {"loop": 1, "phases": {"p": {"loop": 3, "run": 100, "fork": "b"}}},
      "b": {"instance": 0, "loop": 1, "delay": 50, "phases": {"p": {"run": 200}}}}})"));
  EXPECT_TRUE(run.workload.finished());
  EXPECT_EQ(run.workload.stats().forks, 3u);
  EXPECT_EQ(run.kernel.tasks().size(), 4u);
  EXPECT_EQ(run.kernel.now(), 550'000u);
}

TEST(RtappTest, LoopsMultiply) {
  Played run(read(R"({"tasks": {"t": {"loop": 3, "phases": {"a": {"loop": 2, "run": 100}, "b": {"run": 10}}}}})"));
  EXPECT_EQ(run.task(0).ran_ns, 3 * 210'000u);
}

TEST(RtappTest, TaskWithoutPhasesRepeatsForEver) {
  const Program program = read(R"({"tasks": {"t": {"loop": 2, "run": 1000}}})");
  EXPECT_TRUE(program.endless);
  EXPECT_EQ(Played(program, 1, 0, 50 * kMs).workload.alive(), 1u);
  EXPECT_TRUE(read(R"({"tasks": {"t": {"phases": {"p": {"run": 1000}}}}})").endless);
  EXPECT_FALSE(once(R"("run": 1000)").endless);
}

TEST(RtappTest, DurationEndsWhatDoesNotEndItself) {
  Played run(read(R"({"tasks": {
      "run": {"run": 1500, "sleep": 500},
      "lock": {"lock": "m", "run": 600000, "sleep": 600000, "run": 600000, "unlock": "m"},
      "wait": {"suspend", "run": 10},
      "meet": {"barrier": "B", "run": 10},
      "other": {"loop": 1, "phases": {"p": {"sleep": 1, "run": 1, "lock": "x", "unlock": "x"}, "q": {"barrier": "B"}}}},
      "global": {"duration": 1}})"));
  EXPECT_FALSE(run.program.endless);
  EXPECT_TRUE(run.workload.finished()) << run.workload.waiting();
  EXPECT_EQ(run.task(0).ran_ns, 750 * kMs);
  EXPECT_EQ(run.task(1).ran_ns, 600 * kMs);  // wakes at 1.2 s, leaves the second run out and unlocks
  EXPECT_EQ(run.kernel.now(), 1'200 * kMs);
}

TEST(RtappTest, InstancesDelayAndNames) {
  Played run(read(R"({"tasks": {"worker": {"instance": 3, "delay": 500, "loop": 1, "phases": {"p": {"run": 100}}},
                                "sixteen_letters_": {"loop": 1, "phases": {"p": {"run": 1}}}}})"));
  ASSERT_EQ(run.kernel.tasks().size(), 4u);
  EXPECT_STREQ(run.task(2).info.comm.data(), "worker");
  EXPECT_STREQ(run.task(3).info.comm.data(), "rt-app");  // as the thread is called whose name is too long
  EXPECT_EQ(run.kernel.now(), 600'000u);
}

TEST(RtappTest, PriorityIsANiceLevelAndIdleTheLeastWeight) {
  const auto weight = [](const std::string& keys) {
    return read(R"({"tasks": {"t": {)" + keys + R"("run": 1}}})").tasks[0].weight;
  };
  EXPECT_EQ(weight(""), 100u);
  EXPECT_EQ(weight(R"("priority": -20, )"), 8668u);
  EXPECT_EQ(weight(R"("priority": 10, "policy": "SCHED_BATCH", )"), 11u);
  EXPECT_EQ(weight(R"("priority": 19, )"), 1u);
  EXPECT_EQ(weight(R"("policy": "SCHED_IDLE", )"), 1u);
  EXPECT_EQ(read(R"({"tasks": {"t": {"run": 1}}, "global": {"default_policy": "SCHED_IDLE"}})").tasks[0].weight, 1u);
}

TEST(RtappTest, CpusOfThePhaseGoBeforeThoseOfTheTask) {
  Played run(read(R"({"tasks": {"t": {"cpus": [1, 2], "loop": 2, "phases": {
      "a": {"cpus": [0], "run": 1}, "b": {"run": 1}}}}})"));
  EXPECT_TRUE(run.program.cpu_sets[run.program.tasks[0].cpu_set].test(0));
  EXPECT_FALSE(run.program.cpu_sets[run.program.tasks[0].cpu_set].test(1));
  EXPECT_TRUE(run.task(0).info.allowed.test(2));
  EXPECT_FALSE(run.task(0).info.allowed.test(0));
  EXPECT_EQ(run.task(0).sets, 4u);
}

TEST(RtappTest, DialectHasCommentsRepeatedKeysAndSpareCommas) {
  Played run(
      read("// a file\n{/* with\n comments */ 'tasks': {\"t\": {\"loop\": 1, \"phases\": {\"p\": {\"run\": 1, "
           "\"run\": 2, \"run_more\": 3,}},},}, \"global\": {\"ftrace\": False, \"log_size\": \"file\",},}"));
  EXPECT_EQ(run.task(0).ran_ns, 6000u);
}

TEST(RtappTest, WhatIsNotSimulatedIsRefusedByName) {
  for (const char* policy : {"SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE"}) {
    const Error error = refusal(fmt::format(R"({{"tasks": {{"t": {{"policy": "{}", "run": 1}}}}}})", policy));
    EXPECT_EQ(error.code, ExitCode::kBadInput);
    EXPECT_TRUE(says(error, policy)) << error.what;
    EXPECT_TRUE(says(error, "not under the policy")) << error.what;
    EXPECT_EQ(error.where, "test.json:1:28");
  }
  EXPECT_TRUE(says(refusal_once(R"("mem": 100)"), "'mem' is not simulated"));
  EXPECT_TRUE(says(refusal_once(R"("iorun1": 100)"), "'iorun1' is not simulated"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"run": 1}}, "global": {"pi_enabled": true}})"), "priority inheritance"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"policy": "SCHED_EXT", "run": 1}}})"), "unknown policy 'SCHED_EXT'"));
}

TEST(RtappTest, UnknownKeysNameTheNearest) {
  const Error error = refusal("{\"tasks\": {\"t\": {\n  \"slep\": 100}}}");
  EXPECT_EQ(error.where, "test.json:2:3");
  EXPECT_TRUE(says(error, "unknown key 'slep'")) << error.what;
  EXPECT_TRUE(says(error, "did you mean 'sleep'?")) << error.hint;
  EXPECT_TRUE(says(refusal(R"({"task": {}})"), "did you mean 'tasks'?"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {}, "global": {"durations": 1}})"), "did you mean 'duration'?"));
  EXPECT_TRUE(says(refusal_once(R"("timer": {"ref": "x", "periode": 1})"), "did you mean 'period'?"));
  EXPECT_TRUE(says(refusal_once(R"("sem_wait": "s")"), "unknown key 'sem_wait'"));
}

TEST(RtappTest, WrongValuesAreRefusedWhereTheyStand) {
  EXPECT_TRUE(says(refusal_once(R"("run": "long")"), "'run' must be a whole number, found a string"));
  EXPECT_TRUE(says(refusal_once(R"("run": 1.5)"), "'run' must be a whole number, found a number"));
  EXPECT_TRUE(says(refusal_once(R"("sleep": -1)"), "'sleep' is -1, and must be 0 to 2147483647"));
  EXPECT_TRUE(says(refusal_once(R"("lock")"), "'lock' must be a string, found nothing"));
  EXPECT_TRUE(says(refusal_once(R"("timer": {"ref": "x"})"), "no 'period'"));
  EXPECT_TRUE(says(refusal_once(R"("timer": {"ref": "x", "period": 1, "mode": "late"})"), "unknown mode 'late'"));
  EXPECT_TRUE(says(refusal_once(""), "no events"));
  EXPECT_TRUE(says(refusal_once(R"("loop": 0, "run": 1)"), "'loop' is 0"));
  EXPECT_TRUE(says(refusal_once(R"("loop": 2, "loop": 3, "run": 1)"), "second time"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"priority": 20, "run": 1}}})"), "-20 to 19"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"cpus": [4], "run": 1}}})", {.cpus = 4}), "no CPU 4"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"cpus": [], "run": 1}}})"), "names no CPU"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"run": 1, "phases": {}}}})"), "beside 'phases'"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"run": 1}}, "global": {"calibration": "fast"}})"), "'calibration'"));
  EXPECT_TRUE(says(refusal(R"({"tasks": {"t": {"instance": 1000000, "run": 1, "sleep": 1}}})"), "too many"));
  EXPECT_TRUE(says(refusal(R"({"global": {}})"), "no tasks"));
  EXPECT_TRUE(says(refusal_once(R"("fork": "nobody")"), "forks 'nobody', which is no task"));
}

TEST(RtappTest, LocksThatCannotWorkAreRefused) {
  EXPECT_TRUE(says(refusal_once(R"("unlock": "m")"), "unlocks 'm', which it has not locked"));
  EXPECT_TRUE(says(refusal_once(R"("lock": "m", "lock": "m")"), "wait for itself"));
  EXPECT_TRUE(says(refusal_once(R"("wait": {"ref": "c", "mutex": "m"})"), "without having locked the mutex 'm'"));
  EXPECT_TRUE(says(refusal_once(R"("loop": 2, "lock": "m")"), "does not unlock"));
}

TEST(RtappTest, WrongJsonIsRefusedWithLineAndColumn) {
  const auto at = [](const std::string& text) { return refusal(text).where; };
  EXPECT_EQ(at("{\n  \"tasks\": {,}\n}"), "test.json:2:13");
  EXPECT_EQ(at("{\"tasks\" {}}"), "test.json:1:10");
  EXPECT_EQ(at("{\"tasks\": {} \"global\": {}}"), "test.json:1:14");
  EXPECT_EQ(at("{\"tasks\": {\"t"), "test.json:1:12");
  EXPECT_EQ(at("/* no end"), "test.json:1:1");
  EXPECT_EQ(at("{} x"), "test.json:1:4");
  EXPECT_EQ(at(""), "test.json:1:1");
  EXPECT_EQ(at("{\"tasks\": tru}"), "test.json:1:11");
  EXPECT_EQ(at("{\"a\\x\": 1}"), "test.json:1:4");
  EXPECT_EQ(at(std::string(100, '[')), "test.json:1:33");
  EXPECT_TRUE(says(refusal("{\"tasks\": 99999999999999999999}"), "too large"));
  EXPECT_TRUE(says(refusal("{\"a\": 1 \"b\": 2}"), "is a comma missing"));
}

}  // namespace
}  // namespace reprise::sim
