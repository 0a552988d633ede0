// SPDX-License-Identifier: GPL-2.0-only
// Goes through the events of a recording in order and writes down what each task did. Internal to extract.
//
// Positions are CPU times of the task: exact at switches and at the borders of calls; in between (a wakeup in the
// middle of a call) from the clock, less interrupts.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "sim/workload/extract.h"
#include "sim/workload/extract_objects.h"

namespace reprise::sim {

class Walk {
 public:
  static constexpr u32 kNone = ~u32{0};

  /// `partner[i]`: the exit of the call that event i enters; kNone: not seen. `any_child`: tgids whose waits all name
  /// any child.
  Walk(std::span<const trace::KernelEvent> events, std::span<const u32> partner, u64 base_ns, u64 end_ns, u32 cpus,
       const ExtractOptions&, ExtractReport&);

  void set_any_child(std::vector<i32> tgids) { any_child_ = std::move(tgids); }
  void set_locks(std::vector<u64> identities) { locks_ = std::move(identities); }
  void run();
  Program finish();

 private:
  struct Call {
    u64 object = 0;
    u64 enter_exec = 0;
    u64 enter_ns = 0;
    i64 result = 0;
    u32 number = 0;
    u32 index = kNone;  // of the object
    u32 op = kNone;     // its operation
    Amount amount;
    u8 role = 0;
    bool open = false;
    bool known = false;  // its end was recorded
    bool done = false;   // its operation is written
    bool exits = false;  // no call: the task's end, which gives a token to its parent
    bool lock = false;   // on a futex that is a lock
  };

  struct Moment {  // of a switch
    u64 ns = 0;
    u64 exec = 0;
    u32 ops = 0;  // written so far
    bool running = false;
  };

  struct TimerSleep {
    u64 slept_ns = 0;
    u64 ran_ns = 0;     // had a CPU again; 0: not yet
    u32 tells = kNone;  // object: others stop when it is over
  };

  struct Task {
    std::vector<Op> ops;
    std::vector<u32> poll_members;
    std::vector<Moment> moments;  // where there are locks
    std::vector<u32> holds;       // locks that it had to wait for
    std::vector<TimerSleep> timer_sleeps;
    Call call;
    u64 exec_start = 0;  // exact or estimated CPU time at which the program begins
    u64 anchor_exec = 0;
    u64 anchor_ns = 0;
    u64 anchor_foreign = 0;
    u64 done = 0;      // CPU time up to which operations are written
    u64 overhead = 0;  // of the time from `done` on; not the program's
    u64 slept_ns = 0;
    u64 block_ns = 0;  // taken out of its CPU time for this sleep
    u64 armed_expiry = 0;
    u64 armed_slack = 0;
    u64 fired_ns = 0;
    u64 start_ns = 0;
    u64 birth_ns = 0;
    u64 end_exec = 0;
    u64 end_ns = 0;         // of ended ones: do_exit
    u64 stop_rest_ns = 0;   // CPU time that it needed after it was told, if it only computes
    u64 stop_after_ns = 0;  // how long who tells it to stop sleeps
    u64 blocks = 0;
    u64 switches = 0;
    char comm[16] = {};
    i32 tid = 0;
    i32 tgid = 0;
    u32 parent = kNone;
    u32 entry = kNone;  // in the program
    u32 cpu = kNone;    // where it runs
    u32 stop = kNone;   // object: runs and sleeps until it holds a token
    u32 told = kNone;   // what its next wait for a child takes from: it has been taken already
    u32 weight = kWeightDefault;
    u32 gathered = 0;  // CPUs of the mask that is being told
    CpuMask mask{}, gathering{};
    bool masked = false;
    u32 first_weight = kWeightDefault;  // when its program begins
    CpuMask first_mask{};
    bool first_masked = false;
    TaskStart start = TaskStart::kAtStart;
    u8 sched_class = trace::kClassExt;
    bool exact = false;  // its CPU time is known, not estimated from the start
    bool asleep = false;
    bool own = false;     // left out
    bool marked = false;  // own, and in the program
    bool kernel_thread = false;
    bool in_group = false;  // exits, and has not left its group yet
    bool ended = false;
    bool armed_absolute = false;
    bool existed = false;
    bool listed = false;  // among the tasks that were there when the recording began
  };
  struct Computing {  // when `teller` had a CPU again after that sleep
    u32 teller;
    u32 sleep;
    u32 task;
    u64 exec;
  };
  struct Cpu {
    u32 running = kNone;  // in tasks_
    i32 tid = -1;         // of what runs there; -1: not known
    u64 foreign = 0;      // time of interrupts so far that the running task did not cause
  };

  void mark(Task&, i32 tid, bool own);
  u32 find(i32 tid);  // kNone: not known
  u32 add(i32 tid);
  Task& known(i32 tid);
  void activate(u32 task);
  [[nodiscard]] u64 exec_at(const Task&, u64 ns) const;
  void exact(Task&, u64 exec_ns, u64 ns);
  void advance(Task&, u64 exec_ns);
  void write(Task&, OpCode, u32 target = 0, u64 value = 0);

  void find_tasks();
  void begin_at(u64 ns);
  static void begin(Task&);
  void on_switch(const trace::KernelEvent&);
  void leave_cpu(const trace::KernelEvent&, u32 task);
  void enter_cpu(const trace::KernelEvent&, u32 task);
  void on_waking(const trace::KernelEvent&);
  void on_irq(const trace::KernelEvent&);
  void on_timer(const trace::KernelEvent&);
  void on_enter(const trace::KernelEvent&, u32 event);
  void on_exit_call(const trace::KernelEvent&);
  void on_member(const trace::KernelEvent&);
  void on_task(const trace::KernelEvent&);
  void on_fork(const trace::KernelEvent&);
  void on_end(const trace::KernelEvent&);
  void on_affinity(const trace::KernelEvent&);
  void on_weight(const trace::KernelEvent&);

  void enter_lock(Task&, Call&, const trace::KernelEvent&);
  void write_take_before(Task&, u32 lock, u64 ns);
  void note_moment(Task&, u64 ns, bool running);

  void resolve(u32 task, u32 waker, const trace::KernelEvent&, bool outside_task);
  void write_take(Task&);
  void write_post(Task&);
  void write_pair(u32 task, u32 waker, const trace::KernelEvent&);
  void give_back_block(Task&);
  void leave_group(Task&);
  struct LastRun {  // operations [begin, end)
    std::size_t begin = 0, end = 0;
    u64 ns = 0, rest_ns = 0;  // CPU time; that much of it was left
  };
  [[nodiscard]] LastRun last_run(const Task&, u64 rest_ns);
  void note_running(u32 task);
  static TimerSleep* telling_sleep(Task& teller, const Task& told);
  void find_stops();
  static void write_tells(Task&);
  static void write_stop(Task&);
  void write_spin(Task&);
  void write_sleep(Task&);
  void write_softirq_sleep(Task&, u64 ns);
  void give(u32 waker, u32 object, u64 tokens, const trace::KernelEvent&);
  void outside(u32 object, u64 tokens, u64 ns, u32 cpu, bool softirq);
  [[nodiscard]] u32 child_object(const Task& child);
  [[nodiscard]] bool tells_of_child(const Task& task, const Task& waker) const;
  u32 cpu_set(const CpuMask&);

  std::span<const trace::KernelEvent> events_;
  std::span<const u32> partner_;
  u64 base_ns_;
  u64 end_ns_;
  u32 cpu_count_;
  const ExtractOptions& options_;
  ExtractReport& report_;
  std::vector<Task> tasks_;
  std::vector<u32> by_tid_;
  std::vector<Cpu> cpus_;
  std::vector<u32> entries_;  // tasks in the order of the program
  std::vector<i32> any_child_;
  std::vector<u64> locks_;  // identities, sorted
  std::vector<Computing> computing_;
  std::map<u32, u64> contended_;      // since when a lock's waiters wait, if nobody gave it back since
  std::map<i32, u32> weight_before_;  // told before the task was
  ObjectTable objects_;
  Program program_;
};

}  // namespace reprise::sim
