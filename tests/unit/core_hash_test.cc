// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/hash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace reprise {
namespace {

TEST(HashTest, EqualsXxh64) {
  // From the xxhash library, `xxhsum -H1`.
  EXPECT_EQ(hash_text(""), 0xef46db3751d8e999u);
  EXPECT_EQ(hash_text("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(hash_text("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(hash_text("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1u);
}

TEST(HashTest, DependsOnEachByteTheLengthAndTheSeed) {
  for (std::size_t size = 0; size < 80; ++size) {
    std::vector<std::byte> bytes(size);
    std::set<u64> seen{hash_bytes(bytes), hash_bytes(bytes, 1)};
    for (std::byte& byte : bytes) {
      byte ^= std::byte{1};
      seen.insert(hash_bytes(bytes));
      byte ^= std::byte{1};
    }
    bytes.push_back({});
    seen.insert(hash_bytes(bytes));
    EXPECT_EQ(seen.size(), size + 3) << size;
  }
}

}  // namespace
}  // namespace reprise
