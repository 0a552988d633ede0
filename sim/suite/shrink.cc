// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/shrink.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/faults.h"

namespace reprise::sim {
namespace {

constexpr u32 kNone = ~u32{0};
constexpr u64 kDurationStepNs = 100 * kNsPerUs;  // a run is not made shorter by less

u64 ops_left(const Program& program) {
  u64 count = 0;
  for (const TaskProgram& task : program.tasks) count += task.ops;
  return count;
}

// Copies the operations of a task that are kept, and moves what points to others.
class Rebuilder {
 public:
  Rebuilder(const Program& from, const std::vector<bool>& tasks, const std::vector<bool>& ops)
      : from_(from), ops_(ops) {
    new_task_.resize(from.tasks.size(), kNone);
    for (u32 i = 0; i < from.tasks.size(); ++i)
      if (tasks[i]) new_task_[i] = kept_++;
  }

  Program build() {
    out_ = from_;
    out_.ops.clear(), out_.tasks.clear();
    for (u32 i = 0; i < from_.tasks.size(); ++i)
      if (new_task_[i] != kNone) add(from_.tasks[i]);
    out_.max_instances = std::max(kept_, from_.max_instances);
    return seal(std::move(out_));
  }

 private:
  [[nodiscard]] bool names_task(const Op& op) const {
    return op.code == OpCode::kAffinity || op.code == OpCode::kWeight;
  }
  [[nodiscard]] bool stays(u32 index) const {
    const Op& op = from_.ops[index];
    if (!ops_[index]) return false;
    if (op.code == OpCode::kFork) return new_task_[op.target] != kNone;
    if (names_task(op) && op.value != kSelf) return new_task_[op.value] != kNone;
    if (op.code == OpCode::kLoop || op.code == OpCode::kLoopEnd) return ops_[op.target];
    return true;
  }

  void add(TaskProgram task) {
    const u32 begin = task.first_op, end = begin + task.ops;
    std::vector<u32> moved(task.ops + 1, 0);  // new index of each old one, or of the next that is kept
    u32 next = static_cast<u32>(out_.ops.size());
    task.first_op = next;
    for (u32 i = begin; i < end; ++i) {
      moved[i - begin] = next;
      if (stays(i)) ++next;
    }
    moved[task.ops] = next;
    for (u32 i = begin; i < end; ++i) {
      if (!stays(i)) continue;
      Op op = from_.ops[i];
      if (jumps(op)) set_jump(op, moved[std::clamp(jump_of(op), begin, end) - begin]);
      if (op.code == OpCode::kFork) op.target = new_task_[op.target];
      if (names_task(op) && op.value != kSelf) op.value = new_task_[op.value];
      out_.ops.push_back(op);
    }
    task.ops = next - task.first_op;
    if (task.parent >= 0) task.parent = new_task_[task.parent] == kNone ? -1 : static_cast<i32>(new_task_[task.parent]);
    out_.tasks.push_back(task);
  }

  const Program& from_;
  const std::vector<bool>& ops_;
  std::vector<u32> new_task_;
  u32 kept_ = 0;
  Program out_;
};

class Shrinker {
 public:
  Shrinker(Program program, RunOptions options, const std::function<bool(const Program&, const RunOptions&)>& fails,
           const ShrinkOptions& how)
      : fails_(fails), how_(how) {
    best_.program = std::move(program);
    best_.options = std::move(options);
  }

  Shrunk run() {
    for (bool again = true; again && best_.whole;) {
      const u64 ops = ops_left(best_.program), tasks = best_.program.tasks.size(), ns = best_.options.duration_ns;
      shorten();
      tasks_pass();
      faults_pass();
      shorten();
      loops_pass();
      ops_pass();
      outside_pass();
      again = ops_left(best_.program) < ops || best_.program.tasks.size() < tasks ||
              best_.options.duration_ns + kDurationStepNs < ns;
    }
    return std::move(best_);
  }

 private:
  bool try_it(Program program, const RunOptions& options) {
    if (best_.runs >= how_.max_runs) return best_.whole = false;
    if (!check(program)) return false;
    ++best_.runs;
    if (!fails_(program, options)) return false;
    best_.program = std::move(program);
    best_.options = options;
    if (how_.progress) how_.progress(best_.runs, best_.program, best_.options);
    return true;
  }

  // The shortest time after which it still fails, first by halves, then more finely.
  void shorten() {
    u64 low = 0;  // does not fail
    while (best_.whole && best_.options.duration_ns > low + kDurationStepNs &&
           best_.options.duration_ns - low > best_.options.duration_ns / 16) {
      RunOptions options = best_.options;
      options.duration_ns = low + (best_.options.duration_ns - low) / 2;
      if (!try_it(best_.program, options)) low = options.duration_ns;
    }
  }

  // ddmin over `count` parts: `make` builds the program from those that are kept.
  void reduce(std::size_t count, const std::function<Program(const std::vector<bool>&)>& make) {
    std::vector<bool> keep(count, true);
    for (std::size_t chunk = (count + 1) / 2; chunk >= 1 && best_.whole; chunk = chunk == 1 ? 0 : (chunk + 1) / 2) {
      for (std::size_t begin = 0; begin < count && best_.whole; begin += chunk) {
        std::vector<bool> fewer = keep;
        bool any = false;
        for (std::size_t i = begin; i < std::min(begin + chunk, count); ++i) any = any || fewer[i], fewer[i] = false;
        if (any && std::ranges::find(fewer, true) != fewer.end() && try_it(make(fewer), best_.options))
          keep = std::move(fewer);
      }
    }
  }

  void tasks_pass() {
    const Program whole = best_.program;
    reduce(whole.tasks.size(), [&](const std::vector<bool>& keep) { return without_tasks(whole, keep); });
  }

  void ops_pass() {
    const Program whole = best_.program;
    reduce(whole.ops.size(), [&](const std::vector<bool>& keep) { return without_ops(whole, keep); });
  }

  void loops_pass() {
    for (u32 i = 0; i < best_.program.ops.size() && best_.whole; ++i) {
      while (best_.program.ops[i].code == OpCode::kLoop && best_.program.ops[i].value > 1 &&
             best_.program.ops[i].value != kForever) {
        Program fewer = best_.program;
        fewer.ops[i].value /= 2;
        if (!try_it(std::move(fewer), best_.options)) break;
      }
    }
  }

  void faults_pass() {
    for (const FaultField& field : fault_fields()) {
      RunOptions options = best_.options;
      field.set(options.machine.faults, 0);
      if (options.machine.faults != best_.options.machine.faults) try_it(best_.program, options);
    }
  }

  // What comes from outside, and interrupts: all or nothing first, then by halves.
  void outside_pass() {
    const Program whole = best_.program;
    reduce(whole.outside.size() + whole.thefts.size(), [&](const std::vector<bool>& keep) {
      Program fewer = whole;
      fewer.outside.clear(), fewer.thefts.clear();
      for (std::size_t i = 0; i < whole.outside.size(); ++i)
        if (keep[i]) fewer.outside.push_back(whole.outside[i]);
      for (std::size_t i = 0; i < whole.thefts.size(); ++i)
        if (keep[whole.outside.size() + i]) fewer.thefts.push_back(whole.thefts[i]);
      return fewer;
    });
  }

  const std::function<bool(const Program&, const RunOptions&)>& fails_;
  const ShrinkOptions& how_;
  Shrunk best_;
};

}  // namespace

Program without_tasks(const Program& program, const std::vector<bool>& keep) {
  return Rebuilder(program, keep, std::vector<bool>(program.ops.size(), true)).build();
}

Program without_ops(const Program& program, const std::vector<bool>& keep) {
  return Rebuilder(program, std::vector<bool>(program.tasks.size(), true), keep).build();
}

Shrunk shrink(Program program, RunOptions options, const std::function<bool(const Program&, const RunOptions&)>& fails,
              const ShrinkOptions& how) {
  return Shrinker(std::move(program), std::move(options), fails, how).run();
}

}  // namespace reprise::sim
