// SPDX-License-Identifier: GPL-2.0-only
#include "traces/columns.h"

#include <gtest/gtest.h>

#include <cstring>

#include "scheduler/core/prng.h"
#include "tests/replay/trace_maker.h"
#include "tests/support/events.h"
#include "traces/columns_events.h"
#include "traces/columns_steps.h"

namespace reprise::trace {
namespace {

TEST(TraceColumnTest, ZigzagKeepsEveryValueAndMakesSmallOnesSmall) {
  for (const u64 v : {u64{0}, u64{1}, ~u64{0}, u64{1} << 63, (u64{1} << 63) - 1}) EXPECT_EQ(unzigzag(zigzag(v)), v);
  EXPECT_EQ(zigzag(0), 0u);
  EXPECT_EQ(zigzag(~u64{0}), 1u);  // -1
  EXPECT_EQ(zigzag(1), 2u);
}

TEST(TraceColumnTest, NumbersOfEveryLengthComeBack) {
  ColumnWriter writer;
  for (int bits = 0; bits < 64; ++bits) {
    writer.put(u64{1} << bits);
    writer.put((u64{1} << bits) - 1);
  }
  writer.put(~u64{0});
  ColumnReader reader(writer.column());
  bool good = true;
  for (int bits = 0; bits < 64; ++bits) {
    EXPECT_EQ(reader.get(good), u64{1} << bits);
    EXPECT_EQ(reader.get(good), (u64{1} << bits) - 1);
  }
  EXPECT_EQ(reader.get(good), ~u64{0});
  EXPECT_TRUE(good);
  EXPECT_TRUE(reader.used_up());
}

TEST(TraceColumnTest, AColumnOfZerosIsEmptyAndEndless) {
  ColumnWriter writer;
  for (int i = 0; i < 100; ++i) writer.put(0);
  EXPECT_EQ(writer.column().size, 0u);
  ColumnReader reader(writer.column());
  bool good = true;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(reader.get(good), 0u);
  EXPECT_EQ(reader.get_fixed(good), 0u);
  EXPECT_TRUE(good);
}

TEST(TraceColumnTest, AColumnThatEndsEarlyIsRefused) {
  const u8 one[] = {5};
  ColumnReader reader(Column{one, 1});
  bool good = true;
  EXPECT_EQ(reader.get(good), 5u);
  EXPECT_TRUE(good);
  EXPECT_EQ(reader.get(good), 0u);
  EXPECT_FALSE(good);

  const u8 unfinished[] = {0x80, 0x80};
  good = true;
  ColumnReader second(Column{unfinished, 2});
  (void)second.get(good);
  EXPECT_FALSE(good);
}

TEST(TraceColumnTest, ANumberOfMoreThan64BitsIsRefused) {
  const u8 good_max[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
  const u8 too_much[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
  bool good = true;
  ColumnReader max(Column{good_max, sizeof good_max});
  EXPECT_EQ(max.get(good), ~u64{0});
  EXPECT_TRUE(good);
  ColumnReader over(Column{too_much, sizeof too_much});
  (void)over.get(good);
  EXPECT_FALSE(good);
}

TEST(TraceColumnTest, AValueOutsideItsTypeIsRefused) {
  ColumnsEncoder<1> encoder;
  encoder.plain(0, u32{70'000});
  std::array<Column, 1> columns;
  encoder.columns(columns);
  ColumnsDecoder<1> decoder;
  decoder.open(columns);
  u16 narrow = 0;
  decoder.plain(0, narrow);
  EXPECT_FALSE(decoder.good());
}

struct Step {
  StepInput input;
  std::vector<Event> events;
  std::vector<u64> idle;
  std::vector<Decision> decisions;
  std::vector<i32> preempts;
  u64 end_ns, state_hash, wake_at_ns;
  bool more;

  StepRecord record() const {
    StepRecord r;
    r.input = input;
    r.input.events = events;
    r.input.idle = idle;
    r.decisions = decisions;
    r.preempts = preempts;
    r.end_ns = end_ns, r.state_hash = state_hash, r.wake_at_ns = wake_at_ns, r.more = more;
    return r;
  }
};

/// Anything at all: what the engine would drop must come back, too.
Step arbitrary_step(Prng& random, u64 number) {
  Step s;
  s.input.number = number;
  s.input.now_ns = random.next() >> random.below(64);
  s.input.room = static_cast<u32>(random.next());
  s.input.flags = static_cast<u32>(random.next());
  s.input.lost_events = random.next() >> random.below(64);
  for (u64 n = random.below(5); n > 0; --n)
    s.events.push_back(test::arbitrary_event(random, {.cpus = 4, .max_tasks = 8}));
  if (random.chance(1, 4) && !s.events.empty()) s.events[0].reserved = static_cast<u8>(random.next());
  for (u64 n = random.below(kCpuWords + 1); n > 0; --n) s.idle.push_back(random.next() >> random.below(64));
  for (u64 n = random.below(5); n > 0; --n) {
    s.decisions.push_back({static_cast<TaskSlot>(random.next()), static_cast<u32>(random.next()),
                           static_cast<i32>(random.next()), static_cast<u32>(random.next()), random.next(),
                           random.next() >> random.below(64)});
  }
  for (u64 n = random.below(3); n > 0; --n) s.preempts.push_back(static_cast<i32>(random.next()));
  s.end_ns = random.chance(1, 2) ? random.next() : 0;
  s.state_hash = random.chance(1, 2) ? random.next() : 0;
  s.wake_at_ns = random.chance(1, 2) ? random.next() : 0;
  s.more = random.chance(1, 2);
  return s;
}

void expect_same(const StepRecord& a, const StepRecord& b) {
  EXPECT_EQ(a.input.number, b.input.number);
  EXPECT_EQ(a.input.now_ns, b.input.now_ns);
  EXPECT_EQ(a.input.room, b.input.room);
  EXPECT_EQ(a.input.flags, b.input.flags);
  EXPECT_EQ(a.input.lost_events, b.input.lost_events);
  EXPECT_EQ(a.end_ns, b.end_ns);
  EXPECT_EQ(a.state_hash, b.state_hash);
  EXPECT_EQ(a.wake_at_ns, b.wake_at_ns);
  EXPECT_EQ(a.more, b.more);
  EXPECT_TRUE(std::ranges::equal(a.input.idle, b.input.idle));
  EXPECT_TRUE(std::ranges::equal(a.decisions, b.decisions));
  EXPECT_TRUE(std::ranges::equal(a.preempts, b.preempts));
  EXPECT_TRUE(test::same_bytes(a.input.events, b.input.events));
}

TEST(TraceStepColumnsTest, ArbitraryStepsComeBackBitForBit) {
  Prng random = Prng::seeded(1);
  StepsEncoder encoder;
  StepsDecoder decoder;
  for (int frame = 0; frame < 20; ++frame) {
    std::vector<Step> steps;
    u64 number = random.next() >> 1;
    for (u64 n = 1 + random.below(50); n > 0; --n) {
      steps.push_back(arbitrary_step(random, number += 1 + random.below(2)));
      encoder.add(steps.back().record());
    }
    const StepsMessage message = encoder.message();
    ASSERT_TRUE(decoder.open(message));
    for (const Step& step : steps) {
      StepRecord back;
      ASSERT_TRUE(decoder.next(back));
      expect_same(step.record(), back);
    }
    EXPECT_EQ(decoder.left(), 0u);
    encoder.clear();
  }
}

TEST(TraceStepColumnsTest, CountsThatDisagreeWithTheColumnsAreRefused) {
  Prng random = Prng::seeded(2);
  StepsEncoder encoder;
  for (u64 number = 1; number <= 8; ++number) encoder.add(arbitrary_step(random, number).record());
  const StepsMessage whole = encoder.message();
  const auto refused = [&](const StepsMessage& message) {
    StepsDecoder decoder;
    if (!decoder.open(message)) return true;
    StepRecord step;
    while (decoder.left() > 0) {
      if (!decoder.next(step)) return true;
    }
    return false;
  };
  EXPECT_FALSE(refused(whole));
  for (u32 StepsMessage::* count : {&StepsMessage::steps, &StepsMessage::events, &StepsMessage::decisions,
                                    &StepsMessage::preempts, &StepsMessage::idle_words}) {
    for (const u32 wrong : {whole.*count + 1, whole.*count - 1, u32{0}, ~u32{0}}) {
      StepsMessage message = whole;
      message.*count = wrong;
      EXPECT_TRUE(refused(message)) << wrong << " instead of " << whole.*count;
    }
  }
  for (std::size_t i = 0; i < whole.columns.size(); ++i) {
    if (whole.columns[i].size == 0) continue;
    StepsMessage message = whole;
    message.columns[i].size -= 1;  // an empty column would be one of zeros
    if (message.columns[i].size == 0) continue;
    EXPECT_TRUE(refused(message)) << "column " << i;
  }
}

TEST(TraceStepColumnsTest, AFrameWithinTheLimitsHasAnEnd) {
  StepsEncoder encoder;
  const std::vector<Event> events(kMaxEventsPerStep, test::enqueue(1, 1));
  StepRecord step;
  step.input.events = events;
  u64 added = 0;
  for (;;) {
    step.input.number = added + 1;
    if (!encoder.fits(step)) break;
    encoder.add(step);
    ++added;
  }
  EXPECT_EQ(added * kMaxEventsPerStep, kMaxEventsPerFrame);
}

TEST(TraceEventColumnsTest, ArbitraryKernelEventsComeBackBitForBit) {
  Prng random = Prng::seeded(3);
  EventsEncoder encoder;
  EventsDecoder decoder;
  for (int frame = 0; frame < 50; ++frame) {
    std::vector<KernelEvent> events(1 + random.below(300));
    for (KernelEvent& e : events) {
      e.time_ns = random.next() >> random.below(64);
      e.seq = static_cast<u32>(random.next());
      e.cpu = static_cast<u16>(random.chance(1, 8) ? random.next() : random.below(4));
      e.type = static_cast<KernelEventType>(random.chance(1, 8) ? random.below(256)
                                                                : random.below(kKernelEventTypeLast + 1));
      e.flags = static_cast<u8>(random.next());
      e.tid = static_cast<i32>(random.chance(1, 4) ? random.next() : random.below(20));
      e.a = static_cast<u32>(random.next() >> random.below(64));
      e.b = random.next() >> random.below(64);
      e.c = random.next() >> random.below(64);
    }
    std::vector<KernelEvent> back;
    ASSERT_TRUE(decoder.decode(encoder.encode(events), back));
    ASSERT_EQ(back.size(), events.size());
    EXPECT_EQ(std::memcmp(back.data(), events.data(), events.size() * sizeof(KernelEvent)), 0);
  }
}

TEST(TraceEventColumnsTest, CountsThatDisagreeWithTheColumnsAreRefused) {
  std::vector<KernelEvent> events(10);
  for (u32 i = 0; i < events.size(); ++i) {
    events[i] = {i * i, 3 * i, static_cast<u16>(i), KernelEventType::kSwitch, 1, static_cast<i32>(7 * i), i, i, i};
  }
  EventsEncoder encoder;
  EventsDecoder decoder;
  std::vector<KernelEvent> back;
  const EventsMessage whole = encoder.encode(events);
  for (const u32 wrong : {0u, 9u, 11u, kMaxEventsPerFrame + 1, ~0u}) {
    EventsMessage message = whole;
    message.events = wrong;
    EXPECT_FALSE(decoder.decode(message, back)) << wrong;
    EXPECT_TRUE(back.empty());
  }
}

}  // namespace
}  // namespace reprise::trace
