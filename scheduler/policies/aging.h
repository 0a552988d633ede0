// SPDX-License-Identifier: GPL-2.0-only
// Aging: what a policy hands down with a vtime waits in the kernel's queue for as long as smaller ones keep coming, and
// the kernel throws a scheduler out that lets a task wait for 30 s. So what is handed down now goes behind all that
// was handed down one to two ages (8.6 to 17 s) ago: where a key lies before that, it and all later ones are shifted,
// which keeps the order among them. VirtualTime has the same rule built in.
//
// Thread safety: none. State: in the arena.
#pragma once

#include <utility>

#include "scheduler/core/arena.h"
#include "scheduler/core/types.h"

namespace reprise {

class Aging {
 public:
  static constexpr std::size_t bytes() { return Arena::bytes<State>(1); }

  /// No key lies before `lowest` at the start.
  Aging(Arena& arena, u64 lowest) : state_(arena.array<State>(1).data()) {
    state_->tail = state_->tail_before = state_->floor = lowest;
  }

  /// A task with that key is handed down now: the vtime to send along.
  [[nodiscard]] u64 vtime(u64 now_ns, u64 key) {
    if (const u64 age = now_ns >> kAgeBits; age != state_->age) {
      state_->floor = std::exchange(state_->tail_before, state_->tail);
      state_->age = age;
    }
    if (before(key + state_->shift, state_->floor)) state_->shift = state_->floor - key;
    const u64 vtime = key + state_->shift;
    if (before(state_->tail, vtime)) state_->tail = vtime;
    return vtime;
  }

 private:
  static constexpr u32 kAgeBits = 33;
  struct State {
    u64 shift;        // from keys to vtimes
    u64 tail;         // largest vtime handed down so far
    u64 tail_before;  // when this age began
    u64 floor;        // when the age before began: vtimes are not smaller
    u64 age;
  };
  State* state_;
};

}  // namespace reprise
