// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/arena.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

struct Pair {
  u32 a;
  u32 b;
};
struct Padded {
  u64 a;
  u8 b;
};
struct Pointing {
  u64* a;
};
struct Initialised {
  u64 a = 1;
};
static_assert(ArenaElement<Pair> && ArenaElement<u64>);
static_assert(!ArenaElement<Padded> && !ArenaElement<Initialised> && !ArenaElement<u64*> && !ArenaElement<float>);

struct Block {
  alignas(Arena::kAlignment) std::array<std::byte, 4096> bytes;
  Block() { bytes.fill(std::byte{0xff}); }
};

TEST(ArenaTest, HandsOutZeroedDisjointAlignedSpans) {
  Block block;
  Arena arena(block.bytes, 10);
  const std::span<u8> bytes = arena.array<u8>(3);
  const std::span<u64> words = arena.per_task<u64>(2);
  ASSERT_EQ(bytes.size(), 3u);
  ASSERT_EQ(words.size(), 12u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(words.data()) % Arena::kAlignment, 0u);
  EXPECT_GE(reinterpret_cast<u8*>(words.data()), bytes.data() + bytes.size());
  for (u8 byte : bytes) EXPECT_EQ(byte, 0);
  for (u64 word : words) EXPECT_EQ(word, 0u);
}

TEST(ArenaTest, BytesIsWhatASpanTakes) {
  Block block;
  Arena arena(block.bytes, 10);
  (void)arena.array<Pair>(7);
  EXPECT_EQ(arena.used(), Arena::bytes<Pair>(7));
  (void)arena.per_task<u64>(3, 2);
  EXPECT_EQ(arena.used(), Arena::bytes<Pair>(7) + Arena::bytes<u64>(23));
}

TEST(ArenaTest, UsedPartOfARegionGrowsWithTheSlots) {
  Block block;
  Arena arena(block.bytes, 10);
  (void)arena.array<u64>(5);
  (void)arena.per_task<Pair>(3, 2);
  EXPECT_EQ(arena.regions()[0].used_bytes(0), 40u);
  EXPECT_EQ(arena.regions()[0].used_bytes(10), 40u);
  EXPECT_EQ(arena.regions()[1].used_bytes(0), 3 * sizeof(Pair));
  EXPECT_EQ(arena.regions()[1].used_bytes(4), (8 + 3) * sizeof(Pair));
  EXPECT_EQ(arena.regions()[1].used_bytes(10), 23 * sizeof(Pair));
  EXPECT_EQ(arena.regions()[1].used_bytes(11), 23 * sizeof(Pair));
}

TEST(ArenaDeathTest, AskingForMoreThanThereIsAborts) {
  Block block;
  Arena arena(block.bytes, 10);
  EXPECT_DEATH((void)arena.array<u64>(513), "check failed");
}

}  // namespace
}  // namespace reprise
