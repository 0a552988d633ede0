// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/rtapp_file.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <span>

#include "scheduler/core/options.h"

namespace reprise::sim::rtapp {
namespace {

using Type = JsonValue::Type;

constexpr i64 kIntMax = 2'147'483'647;  // rt-app reads into an int

struct KnownEvent {
  std::string_view key;
  std::optional<EventKind> kind;  // none: refused
};
// In the order in which rt-app tries them: "runtime" begins with "run".
constexpr KnownEvent kEvents[] = {
    {"lock", EventKind::kLock},
    {"unlock", EventKind::kUnlock},
    {"wait", EventKind::kWait},
    {"signal", EventKind::kSignal},
    {"broad", EventKind::kBroadcast},
    {"sync", EventKind::kSync},
    {"sleep", EventKind::kSleep},
    {"runtime", EventKind::kRuntime},
    {"run", EventKind::kRun},
    {"timer", EventKind::kTimer},
    {"suspend", EventKind::kSuspend},
    {"resume", EventKind::kResume},
    {"mem", std::nullopt},
    {"iorun", std::nullopt},
    {"yield", EventKind::kYield},
    {"barrier", EventKind::kBarrier},
    {"fork", EventKind::kFork},
};

// Those of deadline tasks mean nothing to others, which rt-app accepts.
constexpr std::string_view kTaskKeys[] = {"instance", "loop",       "phases",    "cpus",        "delay",  "priority",
                                          "policy",   "dl-runtime", "dl-period", "dl-deadline", "period", "deadline"};
constexpr std::string_view kPhaseKeys[] = {"loop", "cpus"};
constexpr std::string_view kTimerKeys[] = {"ref", "period", "mode"};
constexpr std::string_view kWaitKeys[] = {"ref", "mutex"};
constexpr std::string_view kRootKeys[] = {"tasks", "global", "resources"};
constexpr std::string_view kGlobalKeys[] = {
    "duration", "default_policy", "calibration", "pi_enabled", "lock_pages",      "logdir",           "log_basename",
    "log_size", "ftrace",         "gnuplot",     "io_device",  "mem_buffer_size", "cumulative_slack", "frag"};

/// What sched_ext tells of a nice level: sched_prio_to_weight (kernel/sched/core.c) in hundredths of nice 0, rounded,
/// at least 1.
constexpr u32 weight_of_nice(i64 nice) {
  constexpr u32 kLoads[40] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
                              9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
                              1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
                              110,   87,    70,    56,    45,    36,    29,    23,    18,    15};
  const u32 weight = (kLoads[nice + 20] * 100 + 512) / 1024;
  return weight < kWeightMin ? kWeightMin : weight;
}
static_assert(weight_of_nice(0) == kWeightDefault && weight_of_nice(-20) <= kWeightMax);
constexpr u32 kWeightIdle = 1;  // WEIGHT_IDLEPRIO, 3 of 1024

std::string_view type_name(Type type) {
  constexpr std::string_view kNames[] = {"nothing",  "null",     "true or false", "a whole number",
                                         "a number", "a string", "an array",      "an object"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string list(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view n : names) out += fmt::format("{}{}", out.empty() ? "" : ", ", n);
  return out;
}

class FileReader {
 public:
  FileReader(const std::string& name, u32 cpus) : name_(name), cpus_(cpus ? cpus : kMaxCpus) {}

  Expected<File> run(const JsonValue& root) {
    if (!is(root, Type::kObject, "the document") || !known(root, kRootKeys, false)) return std::unexpected(error_);
    if (const JsonMember* global = find(root, "global"); global && !read_global(global->value))
      return std::unexpected(error_);
    if (const JsonMember* resources = find(root, "resources");  // an older rt-app's; the events make what they name
        resources && !is(resources->value, Type::kObject, "resources"))
      return std::unexpected(error_);
    const JsonMember* tasks = find(root, "tasks");
    if (!tasks) {
      wrong(root.place, "no tasks", R"(write "tasks": {"name": {...}})");
      return std::unexpected(error_);
    }
    if (!is(tasks->value, Type::kObject, "tasks")) return std::unexpected(error_);
    for (const JsonMember& m : tasks->value.members)
      if (!read_task(m)) return std::unexpected(error_);
    return std::move(file_);
  }

 private:
  bool wrong(TextPlace place, std::string what, std::string hint = {}) {
    error_ = fail(ExitCode::kBadInput, std::move(what), where(name_, place), std::move(hint)).error();
    return false;
  }
  bool is(const JsonValue& value, Type type, std::string_view what) {
    if (value.type == type) return true;
    return wrong(value.place, fmt::format("{} must be {}, found {}", what, type_name(type), type_name(value.type)));
  }
  static const JsonMember* find(const JsonValue& object, std::string_view key) {
    for (const JsonMember& m : object.members)
      if (m.key == key) return &m;
    return nullptr;
  }
  static const KnownEvent* event_of(std::string_view key) {
    for (const KnownEvent& e : kEvents)
      if (key.starts_with(e.key)) return &e;
    return nullptr;
  }

  /// Every key is one of `keys`, once, or (where they may be) an event's.
  bool known(const JsonValue& object, std::span<const std::string_view> keys, bool events) {
    for (const JsonMember& m : object.members) {
      bool is_key = false;
      for (const std::string_view key : keys) is_key |= m.key == key;
      if (is_key) {
        if (find(object, m.key) != &m)
          return wrong(m.place, fmt::format("'{}' stands here for the second time", m.key), "keep one of them");
        continue;
      }
      if (events && event_of(m.key)) continue;
      std::vector<std::string_view> candidates(keys.begin(), keys.end());
      if (events)
        for (const KnownEvent& e : kEvents)
          if (e.kind) candidates.push_back(e.key);
      const std::string_view nearest = nearest_name(m.key, candidates);
      return wrong(m.place, fmt::format("unknown key '{}'", m.key),
                   nearest.empty() ? "known here: " + list(candidates) : fmt::format("did you mean '{}'?", nearest));
    }
    return true;
  }

  bool number(const JsonMember& m, i64 low, i64 high, i64& out) {
    if (!is(m.value, Type::kInteger, fmt::format("'{}'", m.key))) return false;
    out = m.value.integer;
    if (out >= low && out <= high) return true;
    return wrong(m.value.place, fmt::format("'{}' is {}, and must be {} to {}", m.key, out, low, high));
  }
  bool number_in(const JsonValue& object, std::string_view key, i64 low, i64 high, i64& out) {
    const JsonMember* m = find(object, key);
    return !m || number(*m, low, high, out);
  }
  bool string_in(const JsonValue& object, std::string_view key, std::string& out) {
    const JsonMember* m = find(object, key);
    if (!m) return true;
    if (!is(m->value, Type::kString, fmt::format("'{}'", key))) return false;
    out = m->value.text;
    return true;
  }

  bool read_global(const JsonValue& global) {
    if (!is(global, Type::kObject, "global") || !known(global, kGlobalKeys, false)) return false;
    i64 duration = -1;
    if (!number_in(global, "duration", -1, kIntMax, duration)) return false;
    file_.duration_s = duration > 0 ? static_cast<u64>(duration) : 0;
    if (const JsonMember* m = find(global, "default_policy")) {
      default_policy_ = *m;
      u32 weight = 0;
      if (!read_policy(*m, 0, weight)) return false;
    }
    if (const JsonMember* m = find(global, "pi_enabled")) {
      if (!is(m->value, Type::kBool, "'pi_enabled'")) return false;
      if (m->value.flag)
        return wrong(m->place, "'pi_enabled': mutexes with priority inheritance are not simulated",
                     "set it to false; mutexes are then ordinary ones");
    }
    const JsonMember* m = find(global, "calibration");
    if (!m) return true;
    if (m->value.type == Type::kInteger) {
      i64 ns = 0;
      if (!number(*m, 0, kIntMax, ns)) return false;
      file_.ns_per_loop = static_cast<u64>(ns);
      return true;
    }
    const std::string& text = m->value.text;
    const bool cpu = m->value.type == Type::kString && text.size() > 3 && text.starts_with("CPU") &&
                     text.find_first_not_of("0123456789", 3) == std::string::npos;
    return cpu || wrong(m->value.place, "'calibration' must be ns per loop or the name of a CPU",
                        R"(write "calibration": "CPU0", so that "run" is taken as time)");
  }

  /// The weight of a task with that policy and `priority`.
  bool read_policy(const JsonMember& m, i64 nice, u32& weight) {
    if (!is(m.value, Type::kString, fmt::format("'{}'", m.key))) return false;
    const std::string& policy = m.value.text;
    weight = policy == "SCHED_IDLE" ? kWeightIdle : weight_of_nice(nice);
    if (policy == "SCHED_OTHER" || policy == "SCHED_BATCH" || policy == "SCHED_IDLE") return true;
    constexpr std::string_view kAbove[] = {"SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE"};
    for (const std::string_view above : kAbove)
      if (policy == above)
        return wrong(m.value.place, fmt::format("'{}' is not simulated: such tasks are not under the policy", policy),
                     "make it SCHED_OTHER with a 'priority' (nice level), or leave the task out");
    constexpr std::string_view kKnown[] = {"SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE"};
    return wrong(m.value.place, fmt::format("unknown policy '{}'", policy), "known: " + list(kKnown));
  }

  bool read_cpus(const JsonValue& object, Cpus& out) {
    const JsonMember* m = find(object, "cpus");
    if (!m) return true;
    if (!is(m->value, Type::kArray, "'cpus'")) return false;
    if (m->value.items.empty()) return wrong(m->value.place, "'cpus' names no CPU", "leave it out to allow all");
    out.given = true;
    for (const JsonValue& v : m->value.items) {
      if (!is(v, Type::kInteger, "a CPU")) return false;
      if (v.integer < 0 || v.integer >= cpus_)
        return wrong(v.place, fmt::format("no CPU {}: the machine has 0 to {}", v.integer, cpus_ - 1));
      const auto cpu = static_cast<u32>(v.integer);
      out.mask.words[cpu / 64] |= u64{1} << (cpu % 64);
    }
    return true;
  }

  bool read_task(const JsonMember& member) {
    Task task;
    task.name = member.key;
    task.place = member.place;
    const JsonValue& object = member.value;
    if (!is(object, Type::kObject, fmt::format("task '{}'", task.name))) return false;
    const JsonMember* phases = find(object, "phases");
    if (!known(object, kTaskKeys, true)) return false;
    if (phases)
      for (const JsonMember& m : object.members)
        if (event_of(m.key))
          return wrong(m.place, fmt::format("'{}' stands beside 'phases', where rt-app does not see it", m.key),
                       "move it into a phase");
    i64 instances = 1, delay = 0, nice = 0, loop = -1;
    if (!number_in(object, "instance", 0, kMaxTasks, instances) || !number_in(object, "delay", -1, kIntMax, delay) ||
        !number_in(object, "priority", -20, 19, nice) || !read_cpus(object, task.cpus))
      return false;
    task.instances = static_cast<u64>(instances);
    task.delay_us = delay > 0 ? static_cast<u64>(delay) : 0;
    task.weight = weight_of_nice(nice);
    const JsonMember* policy = find(object, "policy");
    if (!policy && default_policy_.value.type == Type::kString) policy = &default_policy_;
    if (policy && !read_policy(*policy, nice, task.weight)) return false;
    if (!phases) {
      if (!read_phase(object, task.place, task)) return false;
      task.phases.back().cpus = {};
    } else {
      if (!number_in(object, "loop", -1, kIntMax, loop)) return false;
      if (loop >= 0) task.loop = static_cast<u64>(loop);
      if (!is(phases->value, Type::kObject, "'phases'")) return false;
      for (const JsonMember& m : phases->value.members) {
        if (!is(m.value, Type::kObject, fmt::format("phase '{}'", m.key)) || !known(m.value, kPhaseKeys, true) ||
            !read_phase(m.value, m.place, task))
          return false;
      }
      if (task.phases.empty()) return wrong(phases->place, fmt::format("task '{}' has no phases", task.name));
    }
    file_.tasks.push_back(std::move(task));
    return true;
  }

  bool read_phase(const JsonValue& object, TextPlace place, Task& task) {
    Phase& phase = task.phases.emplace_back();
    phase.place = place;
    i64 loop = 1;
    if (!number_in(object, "loop", -1, kIntMax, loop)) return false;
    if (loop == 0)
      return wrong(find(object, "loop")->place, "'loop' is 0, with which rt-app repeats a phase for ever",
                   "write -1 if that is meant, or remove the phase");
    phase.loop = loop < 0 ? kForever : static_cast<u64>(loop);
    if (!read_cpus(object, phase.cpus)) return false;
    for (const JsonMember& m : object.members)
      if (const KnownEvent* known_event = event_of(m.key); known_event && !read_event(m, *known_event, task, phase))
        return false;
    return !phase.events.empty() || wrong(place, "no events", R"(add at least one, as "run": 1000)");
  }

  bool read_event(const JsonMember& m, const KnownEvent& what, const Task& task, Phase& phase) {
    if (!what.kind)
      return wrong(m.place, fmt::format("'{}' is not simulated: how long it takes depends on the machine", m.key),
                   "measure it, and write the time as 'run'");
    Event& event = phase.events.emplace_back();
    event.kind = *what.kind;
    event.place = m.place;
    i64 us = 0;
    switch (event.kind) {
      case EventKind::kRun:
      case EventKind::kRuntime:
      case EventKind::kSleep:
        if (!number(m, 0, kIntMax, us)) return false;
        break;
      case EventKind::kTimer: {
        if (!is(m.value, Type::kObject, fmt::format("'{}'", m.key)) || !known(m.value, kTimerKeys, false)) return false;
        std::string mode = "relative";
        event.name = "unknown";
        if (!string_in(m.value, "ref", event.name) || !string_in(m.value, "mode", mode) ||
            !number_in(m.value, "period", 1, kIntMax, us))
          return false;
        if (us == 0) return wrong(m.place, fmt::format("'{}' has no 'period'", m.key), "in microseconds");
        if (mode != "relative" && mode != "absolute")
          return wrong(find(m.value, "mode")->value.place, fmt::format("unknown mode '{}'", mode),
                       "known: relative, absolute");
        event.absolute = mode == "absolute";
        break;
      }
      case EventKind::kWait:
      case EventKind::kSync:
        if (!is(m.value, Type::kObject, fmt::format("'{}'", m.key)) || !known(m.value, kWaitKeys, false)) return false;
        event.name = event.mutex = "unknown";
        if (!string_in(m.value, "ref", event.name) || !string_in(m.value, "mutex", event.mutex)) return false;
        break;
      case EventKind::kYield:
        break;
      case EventKind::kSuspend:
        event.name = task.name;
        if (m.value.type == Type::kAbsent) break;
        [[fallthrough]];
      default:
        if (!is(m.value, Type::kString, fmt::format("'{}'", m.key))) return false;
        event.name = m.value.text;
        break;
    }
    event.us = static_cast<u64>(us);
    return true;
  }

  const std::string& name_;
  u32 cpus_;
  File file_;
  JsonMember default_policy_;
  Error error_;
};

}  // namespace

Expected<File> read_file(const JsonValue& root, const std::string& name, u32 cpus) {
  return FileReader(name, cpus).run(root);
}

}  // namespace reprise::sim::rtapp
