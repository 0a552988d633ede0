// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/prng.h"

#include <gtest/gtest.h>

#include <set>

namespace reprise {
namespace {

TEST(PrngTest, SplitmixGivesThePublishedSequence) {
  u64 state = 1234567;  // from https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
  EXPECT_EQ(splitmix64(state), 6457827717110365317u);
  EXPECT_EQ(splitmix64(state), 3203168211198807973u);
  EXPECT_EQ(splitmix64(state), 9817491932198370423u);
}

TEST(PrngTest, XoshiroGivesThePublishedSequence) {
  Prng prng{{1, 2, 3, 4}};  // as in the Rust crate rand_xoshiro's reference test
  EXPECT_EQ(prng.next(), 11520u);
  EXPECT_EQ(prng.next(), 0u);
  EXPECT_EQ(prng.next(), 1509978240u);
  EXPECT_EQ(prng.next(), 1215971899390074240u);
}

TEST(PrngTest, SameSeedSameNumbersOtherSeedOthers) {
  Prng a = Prng::seeded(7), b = Prng::seeded(7), c = Prng::seeded(8);
  for (int i = 0; i < 100; ++i) {
    const u64 value = a.next();
    EXPECT_EQ(value, b.next());
    EXPECT_NE(value, c.next());
  }
}

TEST(PrngTest, BelowCoversItsRangeEvenly) {
  Prng prng = Prng::seeded(1);
  std::array<u32, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(prng.below(7));
  for (u32 count : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(PrngTest, BetweenIncludesBothEnds) {
  Prng prng = Prng::seeded(1);
  std::set<u64> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(prng.between(5, 8));
  EXPECT_EQ(seen, (std::set<u64>{5, 6, 7, 8}));
  EXPECT_EQ(prng.between(9, 9), 9u);
  (void)prng.between(0, ~u64{0});  // no overflow
}

TEST(PrngTest, ChanceIsAsLikelyAsItSays) {
  Prng prng = Prng::seeded(1);
  u32 count = 0;
  for (int i = 0; i < 100'000; ++i) count += prng.chance(3, 10);
  EXPECT_NEAR(count, 30'000, 600);
  EXPECT_FALSE(prng.chance(0, 10));
  EXPECT_TRUE(prng.chance(10, 10));
}

TEST(PrngTest, SplitGivesIndependentGeneratorsAndDrawsNothing) {
  Prng parent = Prng::seeded(1);
  Prng twin = Prng::seeded(1);
  Prng workload = parent.split("workload"), faults = parent.split("faults");
  EXPECT_NE(workload.next(), faults.next());
  EXPECT_EQ(parent.next(), twin.next());
  EXPECT_EQ(Prng::seeded(1).split("faults").s, Prng::seeded(1).split("faults").s);
}

}  // namespace
}  // namespace reprise
