// SPDX-License-Identifier: GPL-2.0-only
// The state of a simulated machine and the functions of the kernel that change it, by the kernel's own names where it
// has them. Internal: KernelModel (kernel_model.h) is what others see.
//
//   machine.cc   creation, the loop over events, what is emitted
//   tasks.cc     creating, waking, changing and ending tasks (core.c)
//   rq.cc        a CPU: the accounting of its time, schedule(), interrupts
//   ext.cc       the class sched_ext (ext/ext.c)
//   host.cc      what the dispatcher calls, natively
//   session.cc   attaching the dispatcher, its rings, the scheduler's thread, restart
//   fair.h       the class fair (fair.c)
//   hotplug.cc, faults.cc, checks.cc
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/core/hash.h"
#include "scheduler/core/prng.h"
#include "sim/kernel/cpu_clock.h"
#include "sim/kernel/dsq.h"
#include "sim/kernel/event_queue.h"
#include "sim/kernel/idle_mask.h"
#include "sim/kernel/kernel_model.h"
#include "sim/kernel/rings.h"
#include "sim/kernel/task.h"

namespace reprise::sim {

inline constexpr u64 kNever = CpuClock::kNever;
inline constexpr u32 kGlobalDsq = kNoDsq - 1 - kMaxCpus;  // index; below it the local queues, kNoDsq - 1 - CPU

/// Where the kernel's code runs at present: decides what a wakeup is put down to.
enum class Where : u8 { kOutside, kTask, kHardirq };

/// Of the workload (struct hrtimer): comes at `at`, or with another one from `soft` on.
struct WorkloadTimer {
  u64 at, soft;
  u64 order;
  u64 cookie;
  TaskId sleeper;
  [[nodiscard]] bool after(const WorkloadTimer& o) const { return at != o.at ? at > o.at : order > o.order; }
};

struct alignas(256) Cpu {   // its address is asked for all the time
  TaskId curr = kNoTaskId;  // kNoTaskId: idle, or a higher class (foreign)
  bool online = true;
  bool active = true;  // the dispatcher may be asked for it (scx_rq_online)
  bool need_resched = false;
  bool need_resched_lazy = false;  // acted on when curr next returns to user space, or at a tick
  bool in_dispatch = false;        // SCX_RQ_IN_DISPATCH
  bool in_timers = false;          // in hrtimer_interrupt: nothing else happens here
  bool running_timers = false;     // those of `timers` that are due run at present, here or elsewhere
  bool foreign = false;            // a task of a higher class has the CPU
  bool kick_idle = false, kick_preempt = false, kick_queued = false;
  u64 busy_until = 0;     // the kernel's own work and interrupts: the task does not get on before
  u64 resched_at = 0;     // when need_resched is acted on
  u64 exec_start = 0;     // up to where curr has been charged
  u64 work_at_start = 0;  // work(exec_start)
  u64 foreign_until = 0;
  i32 foreign_tid = 0;
  u8 foreign_class = 0;
  u64 exec_sum = 0;  // all that tasks ran here
  u64 idle_since = 0;
  std::vector<WorkloadTimer> timers;                 // a heap, the next one first
  EventQueue::Slot timer_slot = ~0u;                 // of that one
  u32 runnable = 0;                                  // rq->nr_running: curr and those waiting on this run queue
  u32 wake_list = kNoTaskId, wake_tail = kNoTaskId;  // rq->wake_list, through Task::next
  u32 record_seq = 0;
  u32 event_seq = 0;
  Dsq local;
};

struct Pending {  // scx_dsp_buf_ent
  Task* task;
  u32 qseq;
  u64 dsq, slice, vtime, flags;
};

/// A queued event that is not a CPU's own.
enum class EventKind : u8 {
  kFree,
  kWorkloadTimer,
  kRunTimer,   // ... and what it does, after the interrupt's entry
  kWakeList,   // the interrupt by which a CPU takes over its wake_list
  kHeartbeat,  // the dispatcher's timers
  kWish,
  kKick,
  kSchedulerSleep,
  kWatchdog,
  kSteal,
  kIrqEnd,
  kPreempt,
  kOnline,
  kRestart,
  kStorm,
  kHotplug,
  kBalance,
};

struct EventData {
  EventKind kind = EventKind::kFree;
  u8 what = 0;  // IrqKind, TaskClass
  u32 cpu = 0;
  u64 a = 0;
  u64 b = 0;
};

class Fair;

class Machine {
 public:
  Machine(const SimOptions&, Behaviour&, EventSink*, StepSink*);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // ---- machine.cc ----
  Expected<void> begin();
  Expected<void> run_until(u64 until);
  void handle(EventQueue::Slot slot);
  void arm(u32 cpu, WorkloadTimer timer);
  void timer_interrupt(u32 cpu);
  void run_timer(u32 cpu, u64 entered, u32 on);
  EventQueue::Slot event_at(u64 time, EventData data);
  void release(EventQueue::Slot slot);
  void emit(trace::KernelEventType type, u32 cpu, i32 tid, u8 flags, u32 a, u64 b, u64 c);
  void emit_name(const Task&);
  void fold(u64 value) { hash_ = (std::rotl(hash_ ^ (value * hash_detail::kPrime2), 27)) * hash_detail::kPrime1; }
  void fail_with(std::string what, std::string where = {}, std::string hint = {});
  [[nodiscard]] u32 cpu_count() const { return count_of_cpus; }
  [[nodiscard]] bool ext() const { return options.policy != nullptr; }

  // ---- tasks.cc ----
  TaskId create(const TaskInfo&);
  void start(TaskId);
  void wake(TaskId, trace::WakeContext, bool sync);
  void set_affinity(TaskId, const CpuSet&);
  void set_weight(TaskId, u32 weight);
  void exit_begins(TaskId);
  void dead(Task&);
  u32 select_task_rq(Task&, u64 wake_flags);
  void activate(Task&, u64 enq_flags);
  void take_wake_list(u32 cpu);
  const cpumask* shared_mask(const CpuSet&);
  [[nodiscard]] u32 any_allowed(const Task&, u32 preferred) const;
  [[nodiscard]] Task* task_by_tid(i32 tid) const;
  void set_tid(i32 tid, TaskId);

  // ---- rq.cc ----
  [[nodiscard]] u64 work(u64 time) const;         // CPU time in [0, time) that ticks leave
  [[nodiscard]] u64 work_since(u64 time) const {  // work(time), of a time in the present period
    return time > period_begin ? period_work + (time - period_begin) : period_work;
  }
  [[nodiscard]] u64 work_now() const { return work_since(now); }
  void set_now(u64 time) {
    now = time;
    if (now >= period_end) next_period();
  }
  void next_period();
  /// The inverse: the earliest time at which who gets on from `start` has had so much CPU time.
  [[nodiscard]] u64 when_done(u64 start, u64 wanted) const {
    const u64 from = start > period_begin ? start : period_begin;
    return from < period_end && wanted <= period_end - from ? from + wanted : when_done_later(start, wanted);
  }
  [[nodiscard]] u64 when_done_later(u64 start, u64 wanted) const;
  void charge(u32 cpu, u64 ns) {
    Cpu& c = cpus[cpu];
    c.busy_until = (c.busy_until > now ? c.busy_until : now) + ns;
  }
  void update_curr(u32 cpu) {
    const Cpu& c = cpus[cpu];
    if (c.curr != kNoTaskId && c.exec_start != now) has_run(cpu);
  }
  void has_run(u32 cpu);
  void charge_curr(u32 cpu, Task& curr, u64 done);
  void program(u32 cpu);
  [[nodiscard]] u64 tick_after(u64 time) const;
  [[nodiscard]] u64 slice_ends(u32 cpu, const Task& curr, u64 at) const;
  [[nodiscard]] u64 gets_on(const Cpu& c) const {  // from where on its curr does, in the present period
    const u64 from = now > period_begin ? now : period_begin;
    return c.busy_until > from ? c.busy_until : from;
  }
  [[nodiscard]] u64 quiet_until(const Cpu&, const Task& curr) const;
  [[nodiscard]] u64 undisturbed();  // Kernel::undisturbed
  bool run_through(u32 cpu);
  void cpu_event(u32 cpu);
  enum class Due : u8 { kNothing, kAction, kSchedule };
  Due what_is_due(u32 cpu);
  void resched(u32 cpu);  // resched_curr
  void schedule(u32 cpu, Next why);
  void take_action(u32 cpu);
  void switch_to(u32 cpu, TaskId prev, TaskId next, u64 prev_state);
  void interrupt(u32 cpu, u64 duration);
  void foreign_begins(u32 cpu, u64 duration, u8 task_class, i32 tid);
  TaskId scheduled_away(u32 cpu);

  // ---- ext.cc ----
  void enqueue_task_ext(Task&, u64 enq_flags, bool sticky = false);
  void do_enqueue_task(Task&, u64 enq_flags, bool sticky);
  void dequeue_task_ext(Task&, u64 deq_flags);
  void ops_dequeue(Task&, u64 deq_flags);
  void put_prev_task_ext(u32 cpu, Task&, bool next_is_idle);
  void set_next_task_ext(u32 cpu, Task&);
  enum class Verdict : u8 { kNone, kLocal, kPrev };
  Verdict dispatch_one(u32 cpu, Task* prev);
  TaskId pick_task_ext(u32 cpu, Task* prev);
  void dispatch_enqueue(u32 cpu, u64 dsq_id, Task&, u64 slice, u64 vtime, u64 enq_flags);
  void local_enqueue(u32 cpu, Task&, u64 enq_flags);
  void dispatch_to_local(u32 cpu, u32 target, Task&, u64 slice, u64 vtime, u64 enq_flags);
  void flush_dispatch_buffer();
  void finish_dispatch(const Pending&);
  bool consume(u32 cpu, u32 dsq_index);
  void move_to_cpu(Task&, u32 cpu);  // between run queues, while queued
  void leave_custody(Task&, u64 flags);
  [[nodiscard]] bool can_run_on(const Task&, u32 cpu) const;
  [[nodiscard]] u32 dsq_index(u64 id) const;  // kNoDsq: there is none
  void update_idle(u32 cpu, bool idle, bool notify);
  void kick(u32 cpu, u64 flags);
  void run_kicks();  // kick_cpus_irq_workfn
  void check_stalls();
  [[nodiscard]] std::string whereabouts(const Task&) const;
  void ext_error(std::string what, std::string hint = {});

  // ---- session.cc ----
  Expected<void> attach();
  void detach(const std::string& why);
  void begin_restart(const std::string& why);
  Action scheduler_next();
  Action scheduler_turn();
  void submit();
  [[nodiscard]] u64 lost_events();
  long drain();
  void prefetch_decided() const;

  // ---- hotplug.cc, faults.cc, checks.cc ----
  void set_online(u32 cpu, bool online);
  void migrate_waiting(Task&, u32 cpu);  // move_queued_task
  void renice_one();
  void random_hotplug();
  void storm();
  bool fault(u32 per_mille);
  void touch(const Task& task) {
    if (options.check_every != 0) touched.push_back(task.id);
  }
  void check_touched();
  void check_all();
  void check_task(const Task&);
  void check_cpu(u32 cpu);
  void check_idle(u32 cpu);
  [[nodiscard]] bool is_fetched(const Task&) const;
  void violated(const std::string& what, const Task*);

  const SimOptions options;
  Behaviour& behaviour;
  const bool goes_through = options.look_ahead && options.check_every == 0;  // see run_through
  EventSink* const events_to;
  StepSink* const steps_to;
  KernelModel* kernel = nullptr;

  u64 now = 0;
  u64 end_ns = 0;  // of run_until
  u64 hash_ = 0;
  u64 tick_ns;
  u64 tick_cost;
  u64 period_start = 0;  // of the tick's period that `now` is in
  u64 period_begin = 0;  // its tick is over
  u64 period_end = 0;
  u64 period_work = 0;  // work(period_start)
  u64 quiet = 0;        // quiet_until() of the present action, if it was asked for
  const u32 count_of_cpus;
  CpuClock clock;
  EventQueue queue;
  std::vector<EventData> data;  // by slot of the queue
  std::vector<Cpu> cpus;
  std::vector<CpuPlace> places;
  IdleMask idle;
  cpumask online_mask{};
  cpumask all_mask{};
  TaskTable tasks;
  std::vector<TaskId> free_ids;
  std::vector<std::unique_ptr<std::vector<TaskId>>> tid_pages;  // by tid / 4096
  i32 tid_cursor = 3;
  u64 alive = 0;         // tasks of the workload that have not exited
  u64 timers_armed = 0;  // of the workload
  u64 timer_order = 0;   // armed so far
  std::map<std::array<u64, kCpuWords>, std::unique_ptr<cpumask>> masks;
  task_struct idle_task{};
  task_struct init_task{};  // takes over the children of the dead

  u32 here = 0;  // smp_processor_id()
  Where where = Where::kOutside;
  bool stopped = false;
  std::optional<Error> error;
  SimCounters counters{};

  // sched_ext
  std::unique_ptr<dispatcher_state> state;
  std::vector<Dsq> dsqs;  // by index: one per CPU, then the dispatcher's others, then the global one
  std::vector<u64> other_dsqs;
  Dsq global;
  std::vector<Pending> buffer;
  u32 dispatched = 0;  // dsp_ctx.nr_tasks
  bool direct_set = false;
  Task* enqueueing = nullptr;  // direct_dispatch_task
  u64 direct_dsq = 0, direct_slice = 0, direct_vtime = 0, direct_flags = 0;
  std::vector<u32> kicked;  // CPUs with a kick pending
  bool attached = false;
  bool bypassing = false;  // between two sessions
  std::unique_ptr<slot[]> slots;
  std::vector<u32> free_slots;
  std::size_t free_slots_first = 0;
  wire_kernel_event record{};
  EventRing up;
  MessageRing down;
  EventQueue::Slot timer_slots[TIMERS] = {~0u, ~0u, ~0u};  // by enum timer_name
  EventQueue::Slot watchdog_slot = ~0u;

  // the scheduler's thread
  TaskId scheduler = kNoTaskId;
  std::unique_ptr<Engine> engine;
  enum class Phase : u8 { kEnter, kTurn, kSubmit, kLeave } phase = Phase::kEnter;
  std::vector<Event> step_events;
  std::vector<u64> step_idle;
  StepInput step_input;
  StepOutput output;
  u64 engine_steps = 0;
  u64 submitted = 0;
  u64 wish_sent = 0;
  u64 refused = 0, refused_seen = 0, lost_known = 0, lost_before = 0;
  wire_cpu_counters before{};  // counters of sessions that ended

  std::unique_ptr<Fair> fair;
  Prng fault_random{};
  std::vector<u32> queue_counts, cpu_counts;  // of a check
  std::vector<TaskId> touched;                // by the present event
  u32 offline = 0;
};

/// Makes the machine the one that the dispatcher's calls mean, as long as it lives.
class Here {
 public:
  explicit Here(Machine& machine) : before_(dispatcher_here) { dispatcher_here = machine.state.get(); }
  ~Here() { dispatcher_here = before_; }
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;

 private:
  dispatcher_state* before_;
};

}  // namespace reprise::sim
