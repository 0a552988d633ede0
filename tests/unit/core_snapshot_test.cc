// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "scheduler/core/engine.h"
#include "scheduler/policies/table.h"
#include "tests/support/events.h"
#include "tests/support/sealed_snapshot.h"

namespace reprise {
namespace {

using Bytes = std::vector<std::byte>;

std::unique_ptr<Engine> make_engine(std::string_view spec = "vruntime", Limits limits = {4, 1000}, u64 seed = 1) {
  Expected<PolicySpec> policy = parse_policy(spec);
  REPRISE_CHECK(policy.has_value());
  auto engine = Engine::create({.limits = limits, .seed = seed}, *policy->info, policy->options);
  REPRISE_CHECK(engine.has_value());
  return std::move(*engine);
}

/// One step with arbitrary events for the first `slots` slots.
void random_step(Engine& engine, Prng& random, u32 slots, StepOutput& output) {
  std::array<Event, 32> events;
  for (Event& made : events) {
    made = test::arbitrary_event(random, {engine.limits().cpus, slots});
    if (made.task >= slots) made.task = 0;
  }
  const u64 number = engine.last_step() + 1;
  const StepInput input{
      .number = number, .now_ns = number * 10'000, .events = events, .room = static_cast<u32>(random.below(16))};
  REPRISE_CHECK(engine.step(input, output).has_value());
}

Bytes snapshot_of(const Engine& engine) {
  Bytes bytes;
  engine.snapshot(bytes);
  return bytes;
}

TEST(StateHashTest, FollowsEachPartOfTheState) {
  std::vector<u64> hashes;
  const auto engine = make_engine();
  const auto note = [&] { hashes.push_back(engine->state_hash()); };
  StepOutput output;
  u64 number = 0;
  const auto step = [&](std::vector<Event> events, u64 now_ns = 0, u32 room = 0) {
    REPRISE_CHECK(engine->step({.number = ++number, .now_ns = now_ns, .events = events, .room = room}, output));
    note();
  };
  note();
  step({});
  step({}, 5);
  step({test::task_new(3)}, 5);
  step({test::enqueue(3, 1)}, 5);
  step({}, 5, 1);
  Event mask = test::event(EventType::kAffinity, 3);
  mask.affinity.words[0] = 1;
  step({mask}, 5);
  step({test::event(EventType::kTaskExit, 3)}, 5);
  std::ranges::sort(hashes);
  EXPECT_EQ(std::ranges::adjacent_find(hashes), hashes.end());
}

TEST(StateHashTest, CoversMasksAndThePolicysState) {
  const auto hash_after = [](u64 mask_word, u64 exec_ns) {
    const auto engine = make_engine();
    Event mask = test::event(EventType::kAffinity, 3);
    mask.affinity.words[0] = mask_word;
    const std::vector<Event> first = {test::task_new(3), mask, test::enqueue(3, 1)};
    // The last enqueue makes the engine's own entries equal again.
    const std::vector<Event> second = {test::enqueue(3, 2, exec_ns), test::enqueue(3, 3, 100),
                                       test::enqueue(3, 4, 100)};
    StepOutput output;
    REPRISE_CHECK(engine->step({.number = 1, .events = first}, output));
    REPRISE_CHECK(engine->step({.number = 2, .events = second}, output));
    return engine->state_hash();
  };
  EXPECT_EQ(hash_after(1, 50), hash_after(1, 50));
  EXPECT_NE(hash_after(1, 50), hash_after(2, 50)) << "masks";
  EXPECT_NE(hash_after(1, 50), hash_after(1, 100)) << "vruntime's average of bursts";
}

TEST(StateHashTest, CoversTheSeed) {
  EXPECT_NE(make_engine()->state_hash(), make_engine("vruntime", {4, 1000}, 2)->state_hash());
}

TEST(StateHashTest, EqualHistoriesHashAlike) {
  const auto a = make_engine(), b = make_engine();
  Prng random_a = Prng::seeded(2), random_b = Prng::seeded(2);
  StepOutput output;
  for (int i = 0; i < 500; ++i) {
    random_step(*a, random_a, 50, output);
    random_step(*b, random_b, 50, output);
    ASSERT_EQ(a->state_hash(), b->state_hash());
  }
}

TEST(SnapshotTest, RestoredEngineGoesOnTheSame) {
  const auto original = make_engine();
  Prng random = Prng::seeded(3);
  StepOutput output, output_copy;
  for (int i = 0; i < 300; ++i) random_step(*original, random, 80, output);

  const auto copy = make_engine("vruntime", {4, 1000}, 99);
  Prng noise = Prng::seeded(4);
  for (int i = 0; i < 300; ++i) random_step(*copy, noise, 900, output);  // restoring must wipe this out
  ASSERT_TRUE(copy->restore(snapshot_of(*original)));
  EXPECT_EQ(copy->state_hash(), original->state_hash());
  EXPECT_TRUE(std::ranges::equal(copy->memory(), original->memory()));

  Prng random_copy = random;
  for (int i = 0; i < 300; ++i) {
    random_step(*original, random, 80, output);
    random_step(*copy, random_copy, 80, output_copy);
    ASSERT_TRUE(std::ranges::equal(output.decisions(), output_copy.decisions()));
    ASSERT_EQ(original->state_hash(), copy->state_hash());
  }
}

TEST(SnapshotTest, IsAsLongAsTheSlotsInUse) {
  const auto engine = make_engine("vruntime", {4, 60'000});
  Prng random = Prng::seeded(3);
  StepOutput output;
  for (int i = 0; i < 100; ++i) random_step(*engine, random, 50, output);
  EXPECT_LT(snapshot_of(*engine).size(), 50u * 1024);
}

TEST(SnapshotTest, RestoresTheStateBeforeTheFirstStep) {
  const auto engine = make_engine();
  const Bytes start = snapshot_of(*engine);
  const u64 hash = engine->state_hash();
  Prng random = Prng::seeded(3);
  StepOutput output;
  for (int i = 0; i < 100; ++i) random_step(*engine, random, 50, output);
  ASSERT_TRUE(engine->restore(start));
  EXPECT_EQ(engine->state_hash(), hash);
  EXPECT_EQ(engine->last_step(), 0u);
}

TEST(SnapshotTest, RefusesDamageAndStaysAsItWas) {
  const auto engine = make_engine("vruntime", {4, 16});
  Prng random = Prng::seeded(3);
  StepOutput output;
  for (int i = 0; i < 100; ++i) random_step(*engine, random, 4, output);
  const Bytes good = snapshot_of(*engine);
  const u64 hash = engine->state_hash();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{0x10};
    const Expected<void> result = engine->restore(bad);
    ASSERT_FALSE(result) << "byte " << i;
    ASSERT_EQ(result.error().code, ExitCode::kBadInput);
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    ASSERT_FALSE(engine->restore(std::span(good).first(size))) << "cut to " << size;
  Bytes longer = good;
  longer.push_back({});
  EXPECT_FALSE(engine->restore(longer));
  EXPECT_EQ(engine->state_hash(), hash);
  EXPECT_TRUE(engine->restore(good));
}

TEST(SnapshotTest, StateThatContradictsItselfIsAnErrorAndNeverACrash) {
  for (const PolicyInfo& info : policies()) {
    const std::string name(info.name);
    const auto engine = make_engine(name, {4, 16});
    Prng random = Prng::seeded(3);
    StepOutput output;
    for (int i = 0; i < 100; ++i) random_step(*engine, random, 12, output);
    const Bytes good = snapshot_of(*engine);
    u64 refused = 0, found_later = 0;
    for (std::size_t i = test::kSnapshotHeaderBytes; i < good.size(); ++i) {
      for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xff}}) {
        Bytes bad = good;
        bad[i] ^= flip;
        test::seal_snapshot(bad);
        const auto victim = make_engine(name, {4, 16});
        const Expected<void> restored = victim->restore(bad);
        if (!restored) {
          ASSERT_EQ(restored.error().code, ExitCode::kBadInput);
          ++refused;
          continue;
        }
        Prng noise = Prng::seeded(i);
        std::array<Event, 32> events;
        for (int step = 0; step < 20; ++step) {
          for (Event& made : events) made = test::arbitrary_event(noise, {4, 16});
          const u64 number = victim->last_step() + 1;
          const Expected<void> stepped =
              victim->step({.number = number, .now_ns = number * 10'000, .events = events, .room = 16}, output);
          if (stepped) continue;
          ASSERT_FALSE(stepped.error().hint.empty()) << name << " byte " << i << ": " << stepped.error().what;
          ++found_later;
          break;
        }
      }
    }
    EXPECT_GT(refused, 100u) << name;
    EXPECT_GT(found_later, 10u) << name << ": queues whose links lead nowhere";
  }
}

TEST(SnapshotTest, RefusesAnotherConfiguration) {
  const Bytes bytes = snapshot_of(*make_engine());
  for (const auto& other : {make_engine("fifo"), make_engine("vruntime:slice_us=5000"),
                            make_engine("vruntime", {5, 1000}), make_engine("vruntime", {4, 1001})}) {
    const Expected<void> result = other->restore(bytes);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().what.find("another policy"), std::string::npos) << result.error().what;
  }
  EXPECT_TRUE(make_engine("vruntime", {4, 1000}, 7)->restore(bytes)) << "the seed is part of the state";
}

}  // namespace
}  // namespace reprise
