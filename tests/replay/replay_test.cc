// SPDX-License-Identifier: GPL-2.0-only
#include "traces/replay.h"

#include <gtest/gtest.h>

#include <functional>

#include "scheduler/core/list.h"
#include "tests/replay/trace_maker.h"
#include "tests/support/wrong_policies.h"

namespace reprise::trace {
namespace {

using test::finder;
using test::make_trace;
using test::reader_of;
using test::Recording;
using test::Shape;
using test::Workload;
using test::writer_to;

ReplayResult replayed(const Bytes& bytes, const ReplayOptions& options = {}) {
  Reader reader = reader_of(bytes);
  auto result = replay(reader, finder(), options);
  EXPECT_TRUE(result) << result.error().what;
  return result ? *result : ReplayResult{};
}

Error replay_error(const Bytes& bytes, const ReplayOptions& options = {}) {
  Reader reader = reader_of(bytes);
  auto result = replay(reader, finder(), options);
  EXPECT_FALSE(result);
  return result ? Error{} : result.error();
}

/// A copy of the trace in which `change` has had its way with each step.
struct Editable {
  std::vector<Event> events;
  std::vector<Decision> decisions;
  std::vector<i32> preempts;
  StepRecord step;
};
Bytes edited(const Bytes& bytes, const std::function<void(Editable&)>& change) {
  Bytes out;
  const auto writer = writer_to(out);
  Reader reader = reader_of(bytes);
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    if (item == Item::kSession) {
      EXPECT_TRUE(writer->begin_session(reader.session()));
    }
    if (item != Item::kStep) continue;
    Editable e;
    e.step = reader.step();
    e.events.assign(e.step.input.events.begin(), e.step.input.events.end());
    e.decisions.assign(e.step.decisions.begin(), e.step.decisions.end());
    e.preempts.assign(e.step.preempts.begin(), e.step.preempts.end());
    change(e);
    e.step.input.events = e.events;
    e.step.decisions = e.decisions;
    e.step.preempts = e.preempts;
    EXPECT_TRUE(writer->add_step(e.step));
  }
  EXPECT_TRUE(writer->finish());
  return out;
}

class ReplayOfEveryPolicyTest : public testing::TestWithParam<std::string_view> {};

TEST_P(ReplayOfEveryPolicyTest, DecidesTheSameAgain) {
  for (const u32 faults : {0u, 200u}) {
    const Recording recording({.policy = std::string(GetParam()),
                               .machine = {.cpus = 4, .max_tasks = 64, .seed = 11, .faults_per_mille = faults},
                               .tasks = 20,
                               .duration_ns = 100 * kNsPerMs});
    const ReplayResult result = replayed(make_trace(recording));
    EXPECT_FALSE(result.first_divergence) << result.first_divergence->sentence;
    EXPECT_EQ(result.steps, recording.steps().size());
    EXPECT_GT(result.decisions, 1000u);
    EXPECT_EQ(result.identical, result.decisions);
    EXPECT_EQ(result.divergent, 0u);
    EXPECT_GT(result.hashes_checked, 50u);
    EXPECT_EQ(result.hashes_different, 0u);
    EXPECT_TRUE(result.gaps.empty());
    EXPECT_FALSE(result.contract);
    EXPECT_FALSE(result.policy_replaced);
    EXPECT_EQ(result.decisions_sha256.size(), 64u);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, ReplayOfEveryPolicyTest, testing::ValuesIn([] {
                           std::vector<std::string_view> names;
                           for (const PolicyInfo& policy : policies()) names.push_back(policy.name);
                           return names;
                         }()),
                         [](const auto& test) { return std::string(test.param); });

TEST(ReplayTest, TheSumDependsOnWhatWasDecidedAndNothingElse) {
  const Recording recording({});
  const std::string sum = replayed(make_trace(recording)).decisions_sha256;
  EXPECT_EQ(
      replayed(make_trace(recording, {.kernel_events = false, .hash_every = 0, .snapshot_every = 99})).decisions_sha256,
      sum);
  EXPECT_NE(replayed(make_trace(recording, {.count = recording.steps().size() - 1})).decisions_sha256, sum);
  EXPECT_NE(replayed(make_trace(Workload{.machine = {.cpus = 2, .max_tasks = 64, .seed = 8}})).decisions_sha256, sum);
}

TEST(ReplayTest, AnotherPolicyDivergesAndTheFirstPlaceIsExplained) {
  const Bytes bytes = make_trace(Workload{.policy = "vruntime", .tasks = 30, .duration_ns = 50 * kNsPerMs});
  const ReplayResult result = replayed(bytes, {.policy = "fifo"});
  EXPECT_TRUE(result.policy_replaced);
  ASSERT_TRUE(result.first_divergence);
  EXPECT_GT(result.divergent, 0u);
  EXPECT_EQ(result.hashes_checked, 0u);  // the states of two policies are not comparable
  const Divergence& d = *result.first_divergence;
  EXPECT_EQ(d.session, 1u);
  EXPECT_GE(d.step, 1u);
  EXPECT_GT(d.tid, 0);
  EXPECT_TRUE(d.recorded && d.replayed);
  ASSERT_TRUE(d.event);
  EXPECT_EQ(d.event->task, d.recorded->task);
  EXPECT_LE(d.event_step, d.step);
  EXPECT_FALSE(d.comm.empty());
  EXPECT_NE(d.sentence.find("Step " + std::to_string(d.step)), std::string::npos) << d.sentence;
  EXPECT_NE(d.sentence.find("task " + std::to_string(d.tid)), std::string::npos) << d.sentence;
}

TEST(ReplayTest, NamingTheRecordedPolicyIsNoReplacement) {
  const Bytes bytes = make_trace(Workload{.policy = "fifo:slice_us=5000"});
  EXPECT_FALSE(replayed(bytes, {.policy = "fifo:slice_us=5000"}).policy_replaced);
  const ReplayResult other = replayed(bytes, {.policy = "fifo:slice_us=6000"});
  EXPECT_TRUE(other.policy_replaced);
  ASSERT_TRUE(other.first_divergence);
  EXPECT_EQ(other.first_divergence->field, "slice_ns");
  EXPECT_NE(other.first_divergence->sentence.find("got a slice of 5000 us when recorded and a slice of 6000 us now"),
            std::string::npos)
      << other.first_divergence->sentence;
}

TEST(ReplayTest, OneChangedWeightInTheInputIsFound) {
  const Bytes bytes = make_trace(Workload{.policy = "vruntime", .tasks = 12});
  u64 changed_step = 0;
  const Bytes wrong = edited(bytes, [&](Editable& e) {
    if (changed_step != 0 || e.step.input.number < 100) return;
    for (Event& event : e.events) {
      if (event.type != EventType::kEnqueue || (event.flags & kEnqueueNew) != 0) continue;
      event.enqueue.weight *= 3;
      changed_step = e.step.input.number;
      return;
    }
  });
  ASSERT_GT(changed_step, 0u);
  const ReplayResult result = replayed(wrong);
  ASSERT_TRUE(result.first_divergence);
  EXPECT_GE(result.first_divergence->step, changed_step);
  EXPECT_LE(result.first_divergence->step, changed_step + 16);  // the next state hash at the latest
}

TEST(ReplayTest, EachFieldOfADecisionIsCompared) {
  const Bytes bytes = make_trace();
  const std::pair<const char*, std::function<void(Decision&)>> changes[] = {
      {"task", [](Decision& d) { d.task ^= 1; }},
      {"generation", [](Decision& d) { d.generation += 1; }},
      {"cpu", [](Decision& d) { d.cpu = d.cpu == 0 ? 1 : 0; }},
      {"flags", [](Decision& d) { d.flags ^= kDecisionIdle; }},
      {"slice_ns", [](Decision& d) { d.slice_ns += 1; }},
      {"vtime", [](Decision& d) { d.vtime -= 1; }},
  };
  for (const auto& [field, change] : changes) {
    u64 step = 0;
    const Bytes wrong = edited(bytes, [&](Editable& e) {
      if (step != 0 || e.step.input.number < 50 || e.decisions.empty()) return;
      change(e.decisions.back());
      step = e.step.input.number;
    });
    const ReplayResult result = replayed(wrong);
    ASSERT_TRUE(result.first_divergence) << field;
    EXPECT_EQ(result.first_divergence->field, field);
    EXPECT_EQ(result.first_divergence->step, step);
    EXPECT_EQ(result.divergent, 1u);
    EXPECT_EQ(result.identical + 1, result.decisions);
    EXPECT_EQ(result.hashes_different, 0u);
  }
}

TEST(ReplayTest, EachOtherOutputOfAStepIsCompared) {
  const Bytes bytes = make_trace();
  const std::pair<const char*, std::function<void(Editable&)>> changes[] = {
      {"preempts", [](Editable& e) { e.preempts.push_back(1); }},
      {"wake_at_ns", [](Editable& e) { e.step.wake_at_ns += 5; }},
      {"more", [](Editable& e) { e.step.more = !e.step.more; }},
      {"state_hash", [](Editable& e) { e.step.state_hash = 12345; }},
      {"decisions", [](Editable& e) { e.decisions.push_back({1, 1, 0, 0, 1, 1}); }},
  };
  for (const auto& [field, change] : changes) {
    const Bytes wrong = edited(bytes, [&](Editable& e) {
      if (e.step.input.number == 77) change(e);
    });
    const ReplayResult result = replayed(wrong);
    ASSERT_TRUE(result.first_divergence) << field;
    EXPECT_EQ(result.first_divergence->field, field);
    EXPECT_EQ(result.first_divergence->step, 77u);
    EXPECT_FALSE(result.first_divergence->sentence.empty());
  }
}

TEST(ReplayTest, AMissingDecisionIsADivergence) {
  u64 step = 0;
  const Bytes wrong = edited(make_trace(), [&](Editable& e) {
    if (step != 0 || e.decisions.empty() || e.step.input.number < 30) return;
    e.decisions.pop_back();
    step = e.step.input.number;
  });
  const ReplayResult result = replayed(wrong);
  ASSERT_TRUE(result.first_divergence);
  EXPECT_EQ(result.first_divergence->field, "decisions");
  EXPECT_EQ(result.first_divergence->step, step);
  EXPECT_FALSE(result.first_divergence->recorded);
  EXPECT_TRUE(result.first_divergence->replayed);
  EXPECT_NE(result.first_divergence->sentence.find("not dispatched when recorded and is now"), std::string::npos);
}

/// Heavier tasks first, ties by slot, upwards or downwards: two policies that differ in nothing but a tie break.
template <bool kUpwards>
class ByWeight final : public Policy {
 public:
  static std::size_t state_bytes(const Limits& limits) { return SlotList::bytes(limits.max_tasks); }
  static Expected<std::unique_ptr<Policy>> create(Arena& arena, const Limits&, const Options&) {
    return std::make_unique<ByWeight>(arena);
  }
  explicit ByWeight(Arena& arena) : waiting_(arena) {}
  void enqueue(Context&, TaskSlot task) override { waiting_.push_back(task); }
  void dequeue(Context&, TaskSlot task) override { waiting_.remove(task); }
  void dispatch(Context& context) override {
    std::vector<TaskSlot> all;
    while (!waiting_.empty()) all.push_back(waiting_.pop_front());
    std::ranges::sort(all, [&](TaskSlot a, TaskSlot b) {
      const u32 wa = context.task(a).weight, wb = context.task(b).weight;
      return wa != wb ? wa > wb : kUpwards ? a < b : a > b;
    });
    for (const TaskSlot task : all) context.dispatch(task, kAnyCpu, 3'000'000, task);
  }

 private:
  SlotList waiting_;
};

template <bool kUpwards>
constexpr PolicyInfo kByWeight = {.name = "by_weight",
                                  .summary = "",
                                  .options = {},
                                  .interests = 0,
                                  .state_bytes = ByWeight<kUpwards>::state_bytes,
                                  .create = ByWeight<kUpwards>::create};

TEST(ReplayTest, AChangedTieBreakIsFoundWhereItFirstMatters) {
  // Two tasks of one weight become runnable in one step, in the 4th of six.
  std::vector<std::vector<Event>> inputs(6);
  const auto made = [](EventType type, TaskSlot slot, u32 weight, u32 generation) {
    Event event{};
    event.type = type, event.task = slot, event.tid = static_cast<i32>(500 + slot), event.generation = generation;
    if (type == EventType::kTaskNew) event.task_new.weight = weight;
    if (type == EventType::kEnqueue) event.enqueue.weight = weight, event.enqueue.waker = kNoTask;
    return event;
  };
  inputs[0] = {made(EventType::kTaskNew, 0, 100, 0), made(EventType::kTaskNew, 1, 100, 0),
               made(EventType::kTaskNew, 2, 200, 0)};
  inputs[1] = {made(EventType::kEnqueue, 1, 100, 1), made(EventType::kEnqueue, 2, 200, 1)};
  inputs[3] = {made(EventType::kEnqueue, 0, 100, 1), made(EventType::kEnqueue, 1, 100, 2)};
  inputs[5] = {made(EventType::kEnqueue, 2, 200, 2)};
  auto engine = Engine::create({.limits = {2, 8}}, kByWeight<true>, Options());
  ASSERT_TRUE(engine);
  Bytes bytes;
  const auto writer = writer_to(bytes);
  SessionInfo session;
  session.policy = "by_weight", session.cpus = 2, session.max_tasks = 8;
  ASSERT_TRUE(writer->begin_session(session));
  StepOutput output;
  for (u64 i = 0; i < inputs.size(); ++i) {
    StepRecord step;
    step.input = {.number = i + 1, .now_ns = 1000 * i, .events = inputs[i], .room = 100};
    ASSERT_TRUE((*engine)->step(step.input, output));
    step.decisions = output.decisions();
    ASSERT_TRUE(writer->add_step(step));
  }
  ASSERT_TRUE(writer->finish());
  const auto find = [](const PolicyInfo& info) {
    return [&info](std::string_view) -> Expected<ChosenPolicy> { return ChosenPolicy{&info, Options()}; };
  };
  Reader same = reader_of(bytes);
  EXPECT_FALSE(replay(same, find(kByWeight<true>))->first_divergence);
  Reader other = reader_of(bytes);
  const auto result = replay(other, find(kByWeight<false>));
  ASSERT_TRUE(result && result->first_divergence);
  EXPECT_EQ(result->first_divergence->step, 4u);
  EXPECT_EQ(result->first_divergence->field, "task");
  EXPECT_EQ(result->first_divergence->recorded->task, 0u);
  EXPECT_EQ(result->first_divergence->replayed->task, 1u);
  EXPECT_EQ(result->first_divergence->tid, 500);
  EXPECT_EQ(result->divergent, 2u);
  EXPECT_EQ(result->identical, 3u);
}

TEST(ReplayTest, StopsAtAGapAndSaysSo) {
  const ReplayResult result = replayed(make_trace(Workload{}, {.missing_first = 40, .missing_count = 2}));
  EXPECT_EQ(result.steps, 40u);
  ASSERT_EQ(result.gaps.size(), 1u);
  EXPECT_EQ(result.gaps[0].gap.first_step, 41u);
  EXPECT_EQ(result.gaps[0].gap.last_step, 42u);
  EXPECT_FALSE(result.first_divergence);
}

TEST(ReplayTest, AGapEndsOneSessionAndNotTheNext) {
  const Recording first({}), second({.machine = {.cpus = 2, .max_tasks = 64, .seed = 8, .log = true}});
  Bytes bytes;
  auto writer = test::writer_to(bytes, {.frame_items = 256});
  write_session(*writer, first, {.missing_first = 40, .missing_count = 2});
  write_session(*writer, second);
  ASSERT_TRUE(writer->finish());
  const ReplayResult result = replayed(bytes);
  EXPECT_EQ(result.sessions, 2u);
  EXPECT_EQ(result.steps, 40u + second.steps().size());
  EXPECT_EQ(result.identical, result.decisions);
  EXPECT_FALSE(result.first_divergence);
  ASSERT_EQ(result.gaps.size(), 1u);
  EXPECT_EQ(result.gaps[0].session, 1u);
  EXPECT_EQ(result.gaps[0].gap.first_step, 41u);
  EXPECT_EQ(result.gaps[0].steps, first.steps().size() - 42);
}

TEST(ReplayTest, ASessionThatBeginsInTheMiddleDoesNotKeepAnotherFromBeingReplayed) {
  const Recording first({}), second({.machine = {.cpus = 2, .max_tasks = 64, .seed = 8, .log = true}});
  Bytes bytes;
  auto writer = test::writer_to(bytes, {.frame_items = 256});
  write_session(*writer, first, {.missing_first = 0, .missing_count = 5});
  write_session(*writer, second);
  ASSERT_TRUE(writer->finish());
  const ReplayResult result = replayed(bytes);
  EXPECT_EQ(result.steps, second.steps().size());
  EXPECT_EQ(result.identical, result.decisions);
  ASSERT_EQ(result.gaps.size(), 1u);
  EXPECT_EQ(result.gaps[0].session, 1u);
  EXPECT_EQ(result.gaps[0].gap.last_step, 5u);
  EXPECT_EQ(result.gaps[0].steps, first.steps().size() - 5);
}

TEST(ReplayTest, StartsAtASnapshotAndDecidesTheSameFromThereOn) {
  const Recording recording({});
  const Bytes bytes = make_trace(recording, {.snapshot_every = 50});
  const ReplayResult result = replayed(bytes, {.from_step = 120});
  EXPECT_EQ(result.started_after_step, 100u);
  EXPECT_EQ(result.steps, recording.steps().size() - 100);
  EXPECT_FALSE(result.first_divergence);
  EXPECT_EQ(result.identical, result.decisions);
  EXPECT_GT(result.hashes_checked, 10u);
  // The same decisions as a trace that begins there.
  EXPECT_EQ(result.decisions_sha256, replayed(make_trace(recording, {.first = 100})).decisions_sha256);
}

TEST(ReplayTest, GoesOnBehindAGapFromASnapshotAfterIt) {
  const Bytes bytes = make_trace(Workload{}, {.snapshot_every = 50, .missing_first = 60, .missing_count = 3});
  const ReplayResult result = replayed(bytes, {.from_step = 130});
  EXPECT_EQ(result.started_after_step, 100u);
  EXPECT_TRUE(result.gaps.empty());
  EXPECT_FALSE(result.first_divergence);
}

TEST(ReplayTest, EndsWhereItIsAskedTo) {
  const ReplayResult result = replayed(make_trace(), {.to_step = 33});
  EXPECT_EQ(result.steps, 33u);
}

TEST(ReplayTest, ASnapshotOfAnotherPolicyIsRefused) {
  const Recording recording({});
  const Bytes bytes = make_trace(recording, {.first = 100});
  EXPECT_EQ(replay_error(bytes, {.policy = "fifo"}).code, ExitCode::kUsage);
}

TEST(ReplayTest, ASnapshotThatDoesNotFitIsRefused) {
  const Recording recording({});
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session(recording.session()));
  const std::vector<std::byte> nonsense(1000, std::byte{7});
  ASSERT_TRUE(writer->add_snapshot({5, 1, nonsense}));
  ASSERT_TRUE(writer->add_step(recording.record(5)));
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(replay_error(bytes).code, ExitCode::kBadInput);
}

TEST(ReplayTest, ATraceThatBeginsInTheMiddleWithoutASnapshotIsRefused) {
  const Bytes bytes = make_trace(Workload{}, {.missing_first = 0, .missing_count = 10});
  const Error error = replay_error(bytes);
  EXPECT_EQ(error.code, ExitCode::kBadInput);
  EXPECT_NE(error.what.find("begins in the middle, at step 11"), std::string::npos);
}

TEST(ReplayTest, ATraceWithoutStepsIsRefused) {
  Bytes bytes;
  const auto writer = writer_to(bytes);
  SessionInfo passive;
  passive.kind = SessionKind::kPassive;
  ASSERT_TRUE(writer->begin_session(passive));
  ASSERT_TRUE(writer->end_session({}));
  ASSERT_TRUE(writer->finish());
  EXPECT_NE(replay_error(bytes).what.find("no steps"), std::string::npos);
}

TEST(ReplayTest, EverySessionGetsAFreshEngine) {
  Bytes bytes;
  const auto writer = writer_to(bytes);
  const Recording first({});
  const Recording second({.policy = "fifo", .machine = {.cpus = 3, .max_tasks = 20, .seed = 9}});
  write_session(*writer, first);
  write_session(*writer, second);
  ASSERT_TRUE(writer->finish());
  const ReplayResult result = replayed(bytes);
  EXPECT_EQ(result.sessions, 2u);
  EXPECT_EQ(result.steps, first.steps().size() + second.steps().size());
  EXPECT_FALSE(result.first_divergence);
}

TEST(ReplayTest, AnUnknownPolicyOrImpossibleLimitsAreErrors) {
  const Recording recording({});
  for (const auto& change : std::vector<std::function<void(SessionInfo&)>>{
           [](SessionInfo& s) { s.policy = "no_such_policy"; }, [](SessionInfo& s) { s.options = "nonsense=1"; },
           [](SessionInfo& s) { s.cpus = 0; }, [](SessionInfo& s) { s.max_tasks = 0; }}) {
    SessionInfo session = recording.session();
    change(session);
    Bytes bytes;
    const auto writer = writer_to(bytes);
    ASSERT_TRUE(writer->begin_session(session));
    ASSERT_TRUE(writer->add_step(recording.record(0)));
    ASSERT_TRUE(writer->finish());
    EXPECT_FALSE(replay_error(bytes).what.empty());
  }
}

TEST(ReplayTest, ABreachOfContractEndsTheReplayWithWhatTheEngineSays) {
  const Bytes bytes = make_trace();
  Reader reader = reader_of(bytes);
  const auto result = replay(reader, [](std::string_view) -> Expected<ChosenPolicy> {
    const PolicyInfo& wrong = test::wrong_policy("slice_zero");
    return ChosenPolicy{&wrong, Options(wrong.options)};
  });
  ASSERT_TRUE(result);
  ASSERT_TRUE(result->contract);
  ASSERT_TRUE(result->first_divergence);
}

TEST(ReplayTest, CodeOfAnotherVersionIsNamed) {
  SessionInfo session = Recording({}).session();
  session.engine_hash = "old", session.policies_hash = "same";
  const Recording recording({});
  Bytes bytes;
  const auto writer = writer_to(bytes);
  ASSERT_TRUE(writer->begin_session(session));
  ASSERT_TRUE(writer->add_step(recording.record(0)));
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(replayed(bytes, {.engine_hash = "new", .policies_hash = "same"}).different_code,
            std::vector<std::string>{"engine"});
  EXPECT_TRUE(replayed(bytes).different_code.empty());
}

}  // namespace
}  // namespace reprise::trace
