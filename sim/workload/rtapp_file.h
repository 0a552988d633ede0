// SPDX-License-Identifier: GPL-2.0-only
// What an rt-app file says, checked but not yet made into operations. Internal to rtapp.
#pragma once

#include <string>
#include <vector>

#include "sim/workload/json_tree.h"
#include "sim/workload/rtapp.h"

namespace reprise::sim::rtapp {

enum class EventKind : u8 {
  kLock,
  kUnlock,
  kWait,
  kSignal,
  kBroadcast,
  kSync,
  kSleep,
  kRuntime,
  kRun,
  kTimer,
  kSuspend,
  kResume,
  kYield,
  kBarrier,
  kFork,
};

struct Event {
  EventKind kind = EventKind::kRun;
  bool absolute = false;  // kTimer
  u64 us = 0;             // time or period
  std::string name;       // of the mutex, condition, timer, barrier or task
  std::string mutex;      // kWait, kSync
  TextPlace place;
};

struct Cpus {
  bool given = false;
  CpuMask mask{};
};

struct Phase {
  std::vector<Event> events;
  u64 loop = 1;  // kForever: without end
  Cpus cpus;
  TextPlace place;
};

struct Task {
  std::string name;
  u64 instances = 1;  // 0: made by fork only
  u64 loop = kForever;
  u64 delay_us = 0;
  u32 weight = kWeightDefault;
  Cpus cpus;
  std::vector<Phase> phases;
  TextPlace place;
};

struct File {
  std::vector<Task> tasks;
  u64 duration_s = 0;   // 0: none
  u64 ns_per_loop = 0;  // 0: rt-app measures
};

Expected<File> read_file(const JsonValue& root, const std::string& name, u32 cpus);

}  // namespace reprise::sim::rtapp
