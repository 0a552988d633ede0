// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <tuple>
#include <vector>

#include "scheduler/core/heap.h"
#include "scheduler/core/list.h"
#include "scheduler/core/prng.h"

namespace reprise {
namespace {

/// A queue of type T in a block of its own.
template <typename T>
struct Held {
  explicit Held(u32 max_tasks)
      : size(T::bytes(max_tasks)),
        block(static_cast<std::byte*>(::operator new(size, std::align_val_t{Arena::kAlignment}))),
        arena((std::memset(block.get(), 0, size), std::span(block.get(), size)), max_tasks),
        queue(arena) {}
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{Arena::kAlignment}); }
  };
  std::size_t size;
  std::unique_ptr<std::byte, Free> block;
  Arena arena;
  T queue;
};

std::vector<TaskSlot> drain(SlotHeap& heap) {
  std::vector<TaskSlot> slots;
  while (!heap.empty()) slots.push_back(heap.pop().slot);
  return slots;
}

TEST(SlotHeapTest, TakesExactlyTheBytesItSays) {
  for (u32 max_tasks : {1u, 2u, 63u, 1000u}) {
    Held<SlotHeap> held(max_tasks);
    EXPECT_EQ(held.arena.used(), held.size);
  }
}

TEST(SlotHeapTest, PopsSmallestKeyFirst) {
  Held<SlotHeap> held(8);
  held.queue.push(0, 30);
  held.queue.push(1, 10);
  held.queue.push(2, 20);
  EXPECT_EQ(held.queue.min().slot, 1u);
  EXPECT_EQ(drain(held.queue), (std::vector<TaskSlot>{1, 2, 0}));
}

TEST(SlotHeapTest, BreaksTiesByTieThenSlot) {
  Held<SlotHeap> held(8);
  held.queue.push(5, 10, 1);
  held.queue.push(3, 10, 1);
  held.queue.push(7, 10, 0);
  held.queue.push(1, 10, ~u32{0});  // before 0, as a counter that has wrapped
  EXPECT_EQ(drain(held.queue), (std::vector<TaskSlot>{1, 7, 3, 5}));
}

TEST(SlotHeapTest, OrdersKeysAcrossTheWrap) {
  Held<SlotHeap> held(8);
  held.queue.push(0, 5);
  held.queue.push(1, ~u64{0} - 5);
  held.queue.push(2, 0);
  EXPECT_EQ(drain(held.queue), (std::vector<TaskSlot>{1, 2, 0}));
}

TEST(SlotHeapTest, AgreesWithASortedListUnderRandomUse) {
  constexpr u32 kTasks = 300;
  Held<SlotHeap> held(kTasks);
  using Row = std::tuple<u64, u32, TaskSlot>;
  std::vector<Row> model;
  Prng random = Prng::seeded(3);
  for (int round = 0; round < 50'000; ++round) {
    const TaskSlot slot = static_cast<TaskSlot>(random.below(kTasks));
    const auto there = std::ranges::find_if(model, [&](const Row& row) { return std::get<2>(row) == slot; });
    ASSERT_EQ(held.queue.contains(slot), there != model.end());
    if (there == model.end()) {
      const Row row{random.below(50), static_cast<u32>(random.below(4)), slot};
      held.queue.push(slot, std::get<0>(row), std::get<1>(row));
      model.push_back(row);
    } else if (random.chance(1, 2)) {
      held.queue.remove(slot);
      model.erase(there);
    } else {
      const auto least = std::ranges::min_element(model);
      const SlotHeap::Entry entry = held.queue.pop();
      ASSERT_EQ(Row(entry.key, entry.tie, entry.slot), *least);
      model.erase(least);
    }
    ASSERT_EQ(held.queue.size(), model.size());
  }
}

TEST(SlotHeapTest, LeavesNothingBehindWhenEmpty) {
  Held<SlotHeap> held(100);
  for (TaskSlot slot = 0; slot < 100; ++slot) held.queue.push(slot, slot * 7919 % 100);
  for (TaskSlot slot = 0; slot < 50; ++slot) held.queue.remove(slot);
  drain(held.queue);
  EXPECT_TRUE(
      std::all_of(held.block.get(), held.block.get() + held.size, [](std::byte b) { return b == std::byte{}; }));
}

TEST(SlotHeapDeathTest, ContractViolationsAbort) {
  Held<SlotHeap> held(4);
  EXPECT_DEATH(held.queue.pop(), "check failed");
  EXPECT_DEATH(held.queue.remove(0), "check failed");
  EXPECT_DEATH(held.queue.push(4, 1), "check failed");
  held.queue.push(0, 1);
  EXPECT_DEATH(held.queue.push(0, 2), "check failed");
}

TEST(SlotListTest, TakesExactlyTheBytesItSays) {
  for (u32 max_tasks : {1u, 2u, 63u, 1000u}) {
    Held<SlotList> held(max_tasks);
    EXPECT_EQ(held.arena.used(), held.size);
  }
}

TEST(SlotListTest, PopsInOrderOfArrival) {
  Held<SlotList> held(4);
  for (TaskSlot slot : {2u, 0u, 3u}) held.queue.push_back(slot);
  EXPECT_EQ(held.queue.pop_front(), 2u);
  held.queue.push_back(2);
  EXPECT_EQ(held.queue.pop_front(), 0u);
  EXPECT_EQ(held.queue.pop_front(), 3u);
  EXPECT_EQ(held.queue.pop_front(), 2u);
  EXPECT_TRUE(held.queue.empty());
}

TEST(SlotListTest, AgreesWithADequeUnderRandomUse) {
  constexpr u32 kTasks = 40;
  Held<SlotList> held(kTasks);
  std::deque<TaskSlot> model;
  Prng random = Prng::seeded(4);
  for (int round = 0; round < 50'000; ++round) {
    const TaskSlot slot = static_cast<TaskSlot>(random.below(kTasks));
    const auto there = std::ranges::find(model, slot);
    ASSERT_EQ(held.queue.contains(slot), there != model.end());
    if (there == model.end()) {
      held.queue.push_back(slot);
      model.push_back(slot);
    } else if (random.chance(1, 2)) {
      held.queue.remove(slot);
      model.erase(there);
    } else {
      ASSERT_EQ(held.queue.pop_front(), model.front());
      model.pop_front();
    }
    ASSERT_EQ(held.queue.size(), model.size());
  }
  while (!held.queue.empty()) held.queue.pop_front();
  EXPECT_TRUE(
      std::all_of(held.block.get(), held.block.get() + held.size, [](std::byte b) { return b == std::byte{}; }));
}

TEST(SlotListDeathTest, ContractViolationsAbort) {
  Held<SlotList> held(4);
  EXPECT_DEATH(held.queue.pop_front(), "check failed");
  EXPECT_DEATH(held.queue.remove(0), "check failed");
  EXPECT_DEATH(held.queue.push_back(4), "check failed");
  held.queue.push_back(0);
  EXPECT_DEATH(held.queue.push_back(0), "check failed");
}

}  // namespace
}  // namespace reprise
