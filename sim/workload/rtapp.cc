// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/rtapp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "sim/workload/rtapp_file.h"

namespace reprise::sim {
namespace {

using namespace rtapp;

constexpr u64 kRuntimeStepNs = 32 * kNsPerUs;  // between two looks at the clock (rt-app.c, rtapp_runtime)
constexpr u64 kMaxRtappOps = u64{1} << 24;
constexpr u64 kOpsPerEvent = 8;  // at most
constexpr u32 kForksUnbounded = 65'536;

class Maker {
 public:
  Maker(const File& file, const std::string& name) : file_(file), name_(name) {}

  Expected<Program> run() {
    if (auto ok = limits(); !ok) return std::unexpected(ok.error());
    for (u32 t = 0; t < file_.tasks.size(); ++t) find_delay(file_.tasks[t]);
    declare();
    for (u32 t = 0; t < file_.tasks.size(); ++t)
      for (const u32 entry : entries_[t])
        if (auto ok = make(file_.tasks[t], entry); !ok) return std::unexpected(ok.error());
    release_at_end();
    builder_.program().max_instances = max_instances_;
    Program program = builder_.finish();
    if (end_ns_) program.endless = false;
    if (auto ok = check(program); !ok) return std::unexpected(ok.error());
    return program;
  }

 private:
  Expected<void> wrong(TextPlace place, std::string what, std::string hint = {}) const {
    return fail(ExitCode::kBadInput, std::move(what), where(name_, place), std::move(hint));
  }

  /// Before anything is made: that it is not too much, and how many tasks forks may make.
  Expected<void> limits() {
    u64 tasks = 0, ops = 0;
    std::map<std::string, std::pair<u64, bool>> forks;  // of a name: how often, and whether it forks itself
    for (const Task& task : file_.tasks) {
      u64 events = 4;
      for (const Phase& phase : task.phases) events += phase.events.size() + 1;
      const u64 entries = std::max<u64>(task.instances, 1);
      tasks += entries;
      ops += entries * events * kOpsPerEvent;
      if (tasks > kMaxTasks || ops > kMaxRtappOps)
        return wrong(task.place, fmt::format("too many tasks or operations ({} and {} up to here)", tasks, ops),
                     fmt::format("at most {} and {}", kMaxTasks, kMaxRtappOps));
    }
    u64 made = 0;
    for (const Task& task : file_.tasks)
      for (const Phase& phase : task.phases)
        for (const Event& event : phase.events) {
          if (event.kind != EventKind::kFork) continue;
          const Task* child = find(event.name);
          if (!child)
            return wrong(event.place, fmt::format("forks '{}', which is no task", event.name),
                         "name a task of this file; one with \"instance\": 0 is made by forks only");
          if (uses_unique_timer(*child))
            return wrong(event.place, fmt::format("forks '{}', which has a unique timer", event.name),
                         "the simulator keeps one timer for all forks: use sleep there");
          const bool again = task.instances == 0;  // a task that is forked forks in turn
          u64 count = again ? kForksUnbounded : task.instances;
          for (const u64 loop : {task.loop, phase.loop})
            count = loop == kForever ? kForksUnbounded : std::min<u64>(kForksUnbounded, count * std::max<u64>(loop, 1));
          made = std::min<u64>(kForksUnbounded, made + count);
        }
    max_instances_ = static_cast<u32>(std::min<u64>(kMaxTasks, tasks + made));
    return {};
  }
  [[nodiscard]] const Task* find(const std::string& name) const {
    for (const Task& task : file_.tasks)
      if (task.name == name) return &task;
    return nullptr;
  }
  static bool is_unique(const std::string& name) { return name.starts_with("unique"); }
  static bool uses_unique_timer(const Task& task) {
    for (const Phase& phase : task.phases)
      for (const Event& event : phase.events)
        if (event.kind == EventKind::kTimer && is_unique(event.name)) return true;
    return false;
  }

  /// A timer starts with the first task that uses it. Which one that is depends on the run; by their delays it is this.
  void find_delay(const Task& task) {
    if (task.instances == 0) return;
    for (const Phase& phase : task.phases)
      for (const Event& event : phase.events) {
        if (event.kind != EventKind::kTimer) continue;
        const auto [at, fresh] = timer_start_.try_emplace(event.name, task.delay_us * kNsPerUs);
        if (!fresh) at->second = std::min(at->second, task.delay_us * kNsPerUs);
        if (event.absolute) absolute_.insert(event.name);
      }
  }

  void declare() {
    for (const Task& task : file_.tasks) {
      TaskProgram made;
      // pthread_setname_np takes no longer name; the thread keeps its program's.
      const std::string comm = task.name.size() < sizeof made.comm ? task.name : "rt-app";
      std::memcpy(made.comm, comm.data(), comm.size());
      made.weight = task.weight;
      made.cpu_set = cpus_of(task, task.phases.front());
      made.start = task.instances ? TaskStart::kAtStart : TaskStart::kByFork;
      std::vector<u32>& list = entries_.emplace_back();
      for (u64 i = 0; i < std::max<u64>(task.instances, 1); ++i) list.push_back(builder_.declare(made));
    }
    end_ns_ = file_.duration_s * kNsPerSec;
  }
  u32 cpus_of(const Task& task, const Phase& phase) {
    const Cpus& cpus = phase.cpus.given ? phase.cpus : task.cpus;
    return cpus.given ? builder_.cpu_set(cpus.mask) : 0;
  }

  Expected<void> make(const Task& task, u32 entry) {
    builder_.begin(entry);
    ends_.clear();
    held_.clear();
    entry_ = entry;
    if (task.delay_us) builder_.op(task.instances ? OpCode::kSleepUntil : OpCode::kSleep, 0, task.delay_us * kNsPerUs);
    u32 cpus = cpus_of(task, task.phases.back());
    const u32 first = cpus_of(task, task.phases.front());
    if (task.loop == 1 || task.phases.size() == 1) cpus = first;  // never comes back to the first phase from another
    if (task.loop != 1) builder_.loop(task.loop);
    for (const Phase& phase : task.phases) {
      if (const u32 now = cpus_of(task, phase); now != cpus) {
        builder_.op(OpCode::kAffinity, now, kSelf);
        cpus = now;
      }
      const std::set<std::string> before = held_;
      if (phase.loop != 1) builder_.loop(phase.loop);
      i64 locks = 0;  // rt-app counts them for each turn of a phase
      for (const Event& event : phase.events)
        if (auto ok = put(event, locks); !ok) return ok;
      if (phase.loop != 1) {
        builder_.end_loop();
        if (held_ != before) return wrong(phase.place, "repeats, and locks what it does not unlock", "unlock it");
      }
    }
    if (task.loop != 1) {
      builder_.end_loop();
      if (!held_.empty())
        return wrong(task.place, fmt::format("repeats, and does not unlock '{}'", *held_.begin()), "unlock it");
    }
    builder_.end();
    Program& program = builder_.program();
    for (const u64 i : ends_) program.ops[i].target = static_cast<u32>(program.ops.size() - 1);
    return {};
  }

  /// Ends the task here once the duration is over.
  void stop_here() {
    if (!end_ns_) return;
    ends_.push_back(builder_.program().ops.size());
    builder_.op(OpCode::kUntil, 0, end_ns_);
  }

  Expected<void> put(const Event& event, i64& locks) {
    const bool lock = event.kind == EventKind::kLock, unlock = event.kind == EventKind::kUnlock;
    if (locks <= 0) {
      stop_here();
      if (auto ok = put(event); !ok) return ok;
    } else if (lock || unlock || !end_ns_) {
      if (auto ok = put(event); !ok) return ok;
    } else {  // what comes after the end is left out, up to the unlock
      const u64 skip = builder_.program().ops.size();
      builder_.op(OpCode::kUntil, 0, end_ns_);
      if (auto ok = put(event); !ok) return ok;
      builder_.program().ops[skip].target = static_cast<u32>(builder_.program().ops.size());
    }
    locks += lock ? 1 : unlock ? -1 : 0;
    return {};
  }

  Expected<void> put(const Event& event) {
    switch (event.kind) {
      case EventKind::kRun: {
        const u64 ns = event.us * kNsPerUs;
        builder_.run(file_.ns_per_loop ? ns / file_.ns_per_loop * file_.ns_per_loop : ns);
        break;
      }
      case EventKind::kRuntime:
        builder_.op(OpCode::kRunFor, static_cast<u32>(kRuntimeStepNs), event.us * kNsPerUs);
        break;
      case EventKind::kSleep:
        builder_.op(OpCode::kSleep, 0, event.us * kNsPerUs);
        break;
      case EventKind::kTimer:
        builder_.op(OpCode::kTimer, timer(event.name), event.us * kNsPerUs);
        break;
      case EventKind::kLock:
        if (!held_.insert(event.name).second)
          return wrong(event.place,
                       fmt::format("locks '{}', which it has locked: it would wait for itself", event.name),
                       "unlock it first");
        builder_.op(OpCode::kTake, mutex(event.name), 1);
        break;
      case EventKind::kUnlock:
        if (held_.erase(event.name) == 0)
          return wrong(event.place, fmt::format("unlocks '{}', which it has not locked", event.name), "lock it first");
        builder_.op(OpCode::kPost, mutex(event.name), 1);
        break;
      case EventKind::kWait:
        if (!held_.contains(event.mutex))
          return wrong(event.place, fmt::format("waits without having locked the mutex '{}'", event.mutex),
                       fmt::format(R"(write "lock": "{0}" before and "unlock": "{0}" behind it)", event.mutex));
        await(event.name, event.mutex);
        break;
      case EventKind::kSync:
        sync(event);
        break;
      case EventKind::kSignal:
        builder_.op(OpCode::kSignal, condition(event.name), 1);
        break;
      case EventKind::kBroadcast:
        builder_.op(OpCode::kSignal, condition(event.name), kEverybody);
        break;
      case EventKind::kBarrier: {
        const u32 object = named(barriers_, event.name, ObjectType::kBarrier, 0);
        builder_.at(object).capacity += 1;
        builder_.op(OpCode::kBarrier, object);
        break;
      }
      case EventKind::kSuspend:
      case EventKind::kResume: {
        // Both hold the mutex of that name, which others may hold, too.
        builder_.op(OpCode::kTake, mutex(event.name), 1);
        if (event.kind == EventKind::kSuspend)
          await(event.name, event.name);
        else
          builder_.op(OpCode::kSignal, condition(event.name), kEverybody);
        builder_.op(OpCode::kPost, mutex(event.name), 1);
        break;
      }
      case EventKind::kYield:
        builder_.op(OpCode::kYield);
        break;
      case EventKind::kFork:
        builder_.op(OpCode::kFork, forked(event.name));
        break;
    }
    return {};
  }

  /// pthread_cond_wait: nothing comes between the unlock and the wait.
  void await(const std::string& name, const std::string& lock) {
    builder_.op(OpCode::kPost, mutex(lock), 1);
    builder_.op(OpCode::kAwait, condition(name));
    builder_.op(OpCode::kTake, mutex(lock), 1);
  }
  /// Signal and wait. A mutex that is not held is locked around it, as the tutorial has it.
  void sync(const Event& event) {
    const bool held = held_.contains(event.mutex);
    if (!held) builder_.op(OpCode::kTake, mutex(event.mutex), 1);
    builder_.op(OpCode::kSignal, condition(event.name), 1);
    await(event.name, event.mutex);
    if (!held) builder_.op(OpCode::kPost, mutex(event.mutex), 1);
  }

  using Names = std::map<std::string, u32>;
  u32 named(Names& names, const std::string& name, ObjectType type, u64 tokens) {
    const auto [at, fresh] = names.try_emplace(name, 0);
    if (fresh) at->second = builder_.object(type, tokens);
    return at->second;
  }
  u32 mutex(const std::string& name) { return named(mutexes_, name, ObjectType::kTokens, 1); }
  u32 condition(const std::string& name) { return named(conditions_, name, ObjectType::kCondition, 0); }
  u32 timer(const std::string& name) {
    const bool own = is_unique(name);
    const auto start = timer_start_.find(name);
    const u64 start_ns = own ? delay_of_entry() : start != timer_start_.end() ? start->second : kWhenUsed;
    const u32 object = named(timers_, own ? fmt::format("{}\n{}", name, entry_) : name, ObjectType::kTimer, start_ns);
    builder_.at(object).capacity = absolute_.contains(name) ? kTimerCatchesUp : kTimerBeginsAnew;
    return object;
  }
  [[nodiscard]] u64 delay_of_entry() const {
    for (u32 t = 0; t < entries_.size(); ++t)
      if (!entries_[t].empty() && entry_ >= entries_[t].front() && entry_ <= entries_[t].back())
        return file_.tasks[t].delay_us * kNsPerUs;
    return 0;
  }
  [[nodiscard]] u32 forked(const std::string& name) const {
    for (u32 t = 0; t < file_.tasks.size(); ++t)
      if (file_.tasks[t].name == name) return entries_[t].front();
    return 0;
  }

  /// rt-app's shutdown lets all go that wait for conditions and barriers.
  void release_at_end() {
    if (!end_ns_) return;
    for (const Names* names : {&conditions_, &barriers_})
      for (const auto& [name, object] : *names)
        builder_.program().outside.push_back({.at_ns = end_ns_, .value = kEverybody, .target = object});
  }

  const File& file_;
  const std::string& name_;
  ProgramBuilder builder_;
  std::vector<std::vector<u32>> entries_;  // of each task, its instances in the program
  Names mutexes_, conditions_, barriers_, timers_;
  std::map<std::string, u64> timer_start_;
  std::set<std::string> absolute_;  // one absolute use makes the timer so
  u32 max_instances_ = 0;
  u64 end_ns_ = 0;
  // Of the task that is being made.
  u32 entry_ = 0;
  std::vector<u64> ends_;  // kUntil operations that lead to its end
  std::set<std::string> held_;
};

}  // namespace

Expected<Program> read_rtapp(std::string_view text, const std::string& file_name, const RtappOptions& options) {
  const auto tree = parse_json(text, file_name);
  if (!tree) return std::unexpected(tree.error());
  const auto file = read_file(*tree, file_name, options.cpus);
  if (!file) return std::unexpected(file.error());
  return Maker(*file, file_name).run();
}

}  // namespace reprise::sim
