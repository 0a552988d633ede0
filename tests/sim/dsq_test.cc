// SPDX-License-Identifier: GPL-2.0-only
// Dispatch queues and idle masks alone; each test names the function of kernel/sched/ext that it mirrors.
#include "sim/kernel/dsq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "scheduler/core/prng.h"
#include "sim/kernel/idle_mask.h"

namespace reprise::sim {
namespace {

struct Queue {
  Queue() { dsq.init(7); }
  TaskId add() {
    const TaskId id = tasks.add();
    tasks[id] = Task{};
    tasks[id].id = id;
    tasks[id].dsq = kNoDsq;
    return id;
  }
  TaskId take() {
    return dsq.take_first(tasks, [](const Task&) { return true; });
  }
  TaskTable tasks;
  Dsq dsq;
};

TEST(DsqTest, ScxDispatchEnqueue_FirstInFirstOutAndTheHeadBeforeAll) {
  Queue q;
  const TaskId a = q.add(), b = q.add(), c = q.add();
  q.dsq.push_back(q.tasks, a);
  q.dsq.push_back(q.tasks, b);
  q.dsq.push_front(q.tasks, c);
  EXPECT_EQ(q.take(), c);
  EXPECT_EQ(q.take(), a);
  EXPECT_EQ(q.take(), b);
  EXPECT_EQ(q.take(), kNoTaskId);
}

TEST(DsqTest, ScxDsqPriqLess_ByVtimeThatMayWrapAndThenByInsertion) {
  Queue q;
  const u64 vtimes[] = {10, ~u64{0} - 5, 10, 3};
  for (const u64 vtime : vtimes) q.dsq.insert(q.tasks, q.add(), vtime);
  EXPECT_EQ(q.take(), 1u);  // lies before 0 on a clock that wraps
  EXPECT_EQ(q.take(), 3u);
  EXPECT_EQ(q.take(), 0u);
  EXPECT_EQ(q.take(), 2u);
}

TEST(DsqTest, ScxTaskUnlinkFromDsq_AnyOrderOfInsertionsAndRemovalsKeepsTheOrder) {
  Queue q;
  Prng random = Prng::seeded(5);
  struct Entry {
    u64 vtime;
    u64 order;
    TaskId id;
    bool operator<(const Entry& o) const { return vtime != o.vtime ? vtime < o.vtime : order < o.order; }
  };
  std::vector<Entry> model;
  std::vector<TaskId> out;
  for (int i = 0; i < 200; ++i) out.push_back(q.add());
  for (u64 turn = 0; turn < 20'000; ++turn) {
    const u64 what = random.below(3);
    if (what == 0 && !out.empty()) {
      const TaskId id = out.back();
      out.pop_back();
      const u64 vtime = random.below(50);
      q.dsq.insert(q.tasks, id, vtime);
      model.push_back({vtime, turn, id});
    } else if (what == 1 && !model.empty()) {
      const std::size_t at = random.below(model.size());
      q.dsq.remove(q.tasks, model[at].id);
      out.push_back(model[at].id);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (!model.empty()) {
      // As for a CPU that may only run every third task.
      const bool picky = random.chance(1, 2);
      const auto fits = [picky](TaskId id) { return !picky || id % 3 == 0; };
      std::sort(model.begin(), model.end());
      const auto expected = std::ranges::find_if(model, [&](const Entry& e) { return fits(e.id); });
      const TaskId got = q.dsq.take_first(q.tasks, [&](const Task& task) { return fits(task.id); });
      ASSERT_EQ(got, expected == model.end() ? kNoTaskId : expected->id) << turn;
      if (expected == model.end()) continue;
      out.push_back(got);
      model.erase(expected);
    }
    ASSERT_EQ(q.dsq.count(), model.size());
  }
}

TEST(IdleMaskTest, PickIdleCpuInNode_ThreadsOfIdleCoresFirst) {
  IdleMask mask(*Topology::parse("4c2t"));  // siblings: n and n + 4
  const u64 all[16] = {0xff};
  for (u32 cpu = 0; cpu < 8; ++cpu) mask.set(cpu, cpu != 4 && cpu != 5);
  EXPECT_EQ(mask.pick(all, 0) % 4, 2);  // cores 2 and 3 are whole
  EXPECT_EQ(mask.pick(all, 0) % 4, 3);
  std::vector<i32> rest;
  for (int i = 0; i < 4; ++i) rest.push_back(mask.pick(all, 0));
  std::ranges::sort(rest);
  EXPECT_EQ(rest, (std::vector<i32>{0, 1, 6, 7}));
  EXPECT_EQ(mask.pick(all, 0), -1);
}

TEST(IdleMaskTest, ScxIdleTestAndClearCpu_TakesTheCoreOutOfTheIdleCores) {
  IdleMask mask(*Topology::parse("2c2t"));  // siblings: n and n + 2
  const u64 all[16] = {0xf};
  for (u32 cpu = 0; cpu < 4; ++cpu) mask.set(cpu, true);
  EXPECT_TRUE(mask.take(0));
  EXPECT_FALSE(mask.take(0));
  EXPECT_EQ(mask.pick(all, 0) % 2, 1);
  EXPECT_TRUE(mask.test(2));  // idle still, though its core is not
}

TEST(IdleMaskTest, PickIdleCpu_HeedsTheAllowedCpus) {
  IdleMask mask(Topology::flat(200));
  for (u32 cpu = 0; cpu < 200; ++cpu) mask.set(cpu, true);
  u64 allowed[16] = {};
  allowed[2] = u64{1} << 9;  // CPU 137
  EXPECT_EQ(mask.pick(allowed, 3), 137);
  EXPECT_EQ(mask.pick(allowed, 3), -1);
}

}  // namespace
}  // namespace reprise::sim
