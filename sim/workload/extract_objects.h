// SPDX-License-Identifier: GPL-2.0-only
// The objects of a recording: which there are, how many tokens each held at each moment, and what a system call did to
// it. Internal to extract.
#pragma once

#include <map>
#include <vector>

#include "sim/workload/program.h"
#include "traces/kernel_event.h"

namespace reprise::sim {

/// What a call moved.
struct Amount {
  u64 tokens = 0;      // 0: nothing that can be counted
  bool some = false;   // goes on with less (a read)
  bool all = false;    // takes all that is there (an eventfd)
  bool mixed = false;  // counts in another unit than other calls on such objects
};

/// Of a call with that role on that object and result. Numbers are x86-64's.
[[nodiscard]] Amount amount_of(u32 number, u8 role, u64 object, i64 result);

class ObjectTable {
 public:
  /// Index of the object with that identity.
  u32 find(u64 identity);
  /// A token that passes from one task to another, or from outside (`from` kNoObject) to a task.
  u32 pair(u32 to, u32 from);
  u32 child(u64 key);
  /// Of one task, whose first period begins so long after the start.
  u32 timer(u64 first_ns, u64 when_late);
  /// What is told by one task to all who look (OpCode::kStopped).
  u32 flag();

  // poll and epoll
  void add_member(u64 set, u64 member);
  /// The set of a poll over these objects.
  u32 poll_set(const std::vector<u32>& members);
  /// Whether `object`, or a member of it if it is a set, has tokens, or will have from a call that has begun.
  [[nodiscard]] bool is_ready(u32 object) const;

  /// Whoever polls a set may find any of its members.
  void mark_members(u32 set);

  struct State {
    i64 balance = 0;          // tokens in the recording, at this moment
    i64 in_flight = 0;        // of gives that have begun
    i64 high = 0;             // most that was in it at once
    i64 taken = 0;            // of `balance`, but not back from the call yet
    std::map<i64, u64> full;  // what writers found when they had to wait, and how often
    u64 given = 0;
    u64 gives = 0;
    bool touched = false;
    bool taken_from = false;  // by a take or a poll
    bool saw_empty = false;   // a task that wanted to take slept
  };
  State& state(u32 index) { return states_[index]; }
  [[nodiscard]] const State& state(u32 index) const { return states_[index]; }
  Object& object(u32 index) { return objects_[index]; }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }

  /// Capacities, from what was seen and what the kernel's defaults are; then the objects and their sets.
  void finish(Program&);

 private:
  u32 make(ObjectType, u64 identity);
  void limit(u32 index);
  void limit_pipe(u32 index);

  std::vector<Object> objects_;
  std::vector<State> states_;
  std::vector<std::vector<u32>> members_;  // of sets
  std::map<u64, u32> by_identity_;
  std::map<std::vector<u32>, u32> by_members_;
  std::map<u64, u32> pairs_;
  std::map<u64, u32> children_;
};

}  // namespace reprise::sim
