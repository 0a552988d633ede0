// SPDX-License-Identifier: GPL-2.0-only
// Perfetto's trace format: what the kernel did as ftrace events, a bundle per CPU, so that CPU and thread tracks
// appear; the queue and the scheduler's steps as counter tracks.
//
// All times are CLOCK_BOOTTIME, which is what Perfetto takes times for that say nothing else.
#include <protozero/pbf_writer.hpp>
#include <vector>

#include "traces/export_form.h"
#include "traces/perfetto.h"
#include "traces/runnable.h"

namespace reprise::trace {
namespace {

namespace pf = perfetto;
using protozero::pbf_writer;

// A bundle is closed at so many bytes; the trace's packets stay small, and so does what we hold per CPU.
constexpr std::size_t kBundleBytes = 32u << 10;
constexpr u32 kKernelSequence = 1, kCounterSequence = 2;
enum Track : u64 { kWaiting = 1, kEvents = 2, kDecisions = 3, kStepTime = 4 };

// As the kernel's own sched_switch reports it (__trace_sched_switch_state, from 4.14 on): one bit of TASK_REPORT, 0x80
// for an idle kernel thread, 0x100 for preempted.
u64 reported_state(const KernelEvent& event) {
  constexpr u64 kReport = 0x7f, kDead = 0x80, kIdle = 0x402, kUninterruptible = 0x2;
  const u64 state = event.b & 0xffffffff;
  if ((event.flags & kSwitchPreempted) != 0) return 0x100;
  if (state == 0) return 0;
  if ((state & kIdle) == kIdle) return 0x80;
  if ((state & kReport) != 0) return u64{1} << (63 - __builtin_clzll(state & kReport));
  return (state & kDead) != 0 ? 0x10 : kUninterruptible;  // waits for a lock, or is frozen
}

// A trace has classes, not priorities: the middle one of the class.
i32 nominal_priority(u64 task_class) {
  switch (task_class) {
    case kClassDl:
      return -1;
    case kClassStop:
      return 0;
    case kClassRt:
      return 50;
    default:
      return 120;
  }
}

class PerfettoForm final : public Form {
 public:
  explicit PerfettoForm(TextOut& out) : out_(out) {}

  void session(const SessionInfo&, u32 number) override;
  void event(const KernelEvent&, const TaskNames&) override;
  void step(const StepRecord&) override;
  void session_over() override;

 private:
  struct CpuBundle {
    std::string events;  // encoded, each with its tag
  };
  [[nodiscard]] u64 boot_time(u64 monotonic_ns) const { return monotonic_ns + static_cast<u64>(boot_offset_ns_); }
  template <typename Fill>
  void packet(u32 sequence, Fill&& fill);
  void flush(u32 cpu);
  void add(const KernelEvent&, i32 current, pf::Event type, const std::string& message);
  void counter(u64 time_ns, Track, u64 value);
  void track(Track, const char* name, pf::Unit);
  void clocks(const SessionInfo&);
  void system(const SessionInfo&);
  void processes(const SessionInfo&);
  void switched(const KernelEvent&, const TaskNames&);
  void waking(const KernelEvent&, const TaskNames&);
  void forked(const KernelEvent&, const TaskNames&);
  void named(const KernelEvent&, const TaskNames&);
  [[nodiscard]] i32 running(u32 cpu) const { return cpu < running_.size() ? running_[cpu] : 0; }

  TextOut& out_;
  std::string packet_;
  i64 boot_offset_ns_ = 0;
  bool began_ = false;
  std::vector<CpuBundle> bundles_;
  std::vector<i32> running_;  // per CPU
  RunnableCount runnable_;
  u64 waiting_shown_ = ~u64{0};
};

template <typename Fill>
void PerfettoForm::packet(u32 sequence, Fill&& fill) {
  packet_.clear();
  pbf_writer writer(packet_);
  fill(writer);
  writer.add_uint32(pf::kPacketSequenceId, sequence);
  std::string framed;
  pbf_writer(framed).add_message(pf::kTracePacket, packet_);
  out_.write(framed);
}

void PerfettoForm::session(const SessionInfo& info, u32) {
  boot_offset_ns_ = info.boottime_offset_ns;
  runnable_.clear();
  running_.assign(info.cpus, 0);
  bundles_.resize(std::max<std::size_t>(bundles_.size(), info.cpus));
  waiting_shown_ = ~u64{0};
  clocks(info);
  if (!began_) {
    began_ = true;
    system(info);
    track(kWaiting, "runnable tasks that wait for a CPU", pf::kUnitCount);
    if (!info.policy.empty()) {
      track(kEvents, "events per scheduler step", pf::kUnitCount);
      track(kDecisions, "decisions per scheduler step", pf::kUnitCount);
      track(kStepTime, "duration of a scheduler step", pf::kUnitTimeNs);
    }
  }
  processes(info);
}

void PerfettoForm::clocks(const SessionInfo& info) {
  packet(kKernelSequence, [&](pbf_writer& p) {
    pbf_writer snapshot(p, pf::kPacketClockSnapshot);
    const auto clock = [&](pf::BuiltinClock id, u64 time_ns) {
      pbf_writer entry(snapshot, pf::kSnapshotClocks);
      entry.add_uint32(pf::kClockId, id);
      entry.add_uint64(pf::kClockTimestamp, time_ns);
    };
    clock(pf::kClockBoottime, boot_time(info.start_ns));
    clock(pf::kClockMonotonic, info.start_ns);
    if (info.realtime_offset_ns != 0)
      clock(pf::kClockRealtime, info.start_ns + static_cast<u64>(info.realtime_offset_ns));
  });
}

// Without the kernel's version prev_state would be read as that of old kernels.
void PerfettoForm::system(const SessionInfo& info) {
  packet(kKernelSequence, [&](pbf_writer& p) {
    pbf_writer system(p, pf::kPacketSystemInfo);
    {
      pbf_writer name(system, pf::kSystemUtsname);
      name.add_string(pf::kUtsSysname, "Linux");
      name.add_string(pf::kUtsVersion, info.kernel_version);
      name.add_string(pf::kUtsRelease, info.kernel_release.empty() ? "6.0" : info.kernel_release);
      name.add_string(pf::kUtsMachine, info.machine);
    }
    system.add_uint32(pf::kSystemCpus, info.cpus);
  });
}

void PerfettoForm::track(Track uuid, const char* name, pf::Unit unit) {
  packet(kCounterSequence, [&](pbf_writer& p) {
    if (uuid == kWaiting) p.add_uint32(pf::kPacketSequenceFlags, pf::kIncrementalStateCleared);
    pbf_writer descriptor(p, pf::kPacketTrackDescriptor);
    descriptor.add_uint64(pf::kDescriptorUuid, uuid);
    descriptor.add_string(pf::kDescriptorName, name);
    pbf_writer(descriptor, pf::kDescriptorCounter).add_enum(pf::kCounterUnit, unit);
  });
}

void PerfettoForm::processes(const SessionInfo& info) {
  if (info.tasks.empty()) return;
  packet(kKernelSequence, [&](pbf_writer& p) {
    p.add_uint64(pf::kPacketTimestamp, boot_time(info.start_ns));
    pbf_writer tree(p, pf::kPacketProcessTree);
    for (const SessionTask& task : info.tasks) {
      const std::string comm(comm_view(task.comm));
      if (task.tid == task.tgid) {
        pbf_writer process(tree, pf::kTreeProcesses);
        process.add_int32(pf::kProcessPid, task.tid);
        process.add_int32(pf::kProcessPpid, task.parent_tid);
        process.add_string(pf::kProcessCmdline, comm);
      }
      pbf_writer thread(tree, pf::kTreeThreads);
      thread.add_int32(pf::kThreadTid, task.tid);
      thread.add_string(pf::kThreadName, comm);
      thread.add_int32(pf::kThreadTgid, task.tgid);
    }
  });
}

void PerfettoForm::counter(u64 time_ns, Track uuid, u64 value) {
  packet(kCounterSequence, [&](pbf_writer& p) {
    p.add_uint64(pf::kPacketTimestamp, boot_time(time_ns));
    pbf_writer event(p, pf::kPacketTrackEvent);
    event.add_enum(pf::kTrackType, pf::kTrackTypeCounter);
    event.add_uint64(pf::kTrackUuid, uuid);
    event.add_int64(pf::kTrackCounterValue, static_cast<i64>(value));
  });
}

// `current`: the task that ran, as ftrace puts it beside every event.
void PerfettoForm::add(const KernelEvent& e, i32 current, pf::Event type, const std::string& message) {
  std::string event;
  pbf_writer writer(event);
  writer.add_uint64(pf::kEventTimestamp, boot_time(e.time_ns));
  writer.add_uint32(pf::kEventPid, static_cast<u32>(current));
  writer.add_message(type, message);
  if (e.cpu >= bundles_.size()) bundles_.resize(e.cpu + 1u);
  std::string& bundle = bundles_[e.cpu].events;
  pbf_writer(bundle).add_message(pf::kBundleEvent, event);
  if (bundle.size() >= kBundleBytes) flush(e.cpu);
}

void PerfettoForm::flush(u32 cpu) {
  std::string& events = bundles_[cpu].events;
  if (events.empty()) return;
  std::string bundle;
  pbf_writer(bundle).add_uint32(pf::kBundleCpu, cpu);
  bundle += events;
  packet(kKernelSequence, [&](pbf_writer& p) { p.add_message(pf::kPacketFtraceEvents, bundle); });
  events.clear();
}

void PerfettoForm::event(const KernelEvent& e, const TaskNames& names) {
  switch (e.type) {
    case KernelEventType::kSwitch:
      switched(e, names);
      break;
    case KernelEventType::kWaking:
      waking(e, names);
      break;
    case KernelEventType::kFork:
      forked(e, names);
      break;
    case KernelEventType::kName:
    case KernelEventType::kExec:
    case KernelEventType::kTask:
      named(e, names);
      break;
    case KernelEventType::kExit: {
      std::string message;
      pbf_writer exit(message);
      exit.add_string(pf::kExitComm, std::string(names.comm(e.tid)));
      exit.add_int32(pf::kExitPid, e.tid);
      if (const i32 tgid = names.tgid(e.tid)) exit.add_int32(pf::kExitTgid, tgid);
      add(e, e.tid, pf::kEventExit, message);
      break;
    }
    default:
      return;
  }
  runnable_.event(e);
  if (runnable_.waiting() == waiting_shown_) return;
  waiting_shown_ = runnable_.waiting();
  counter(e.time_ns, kWaiting, waiting_shown_);
}

void PerfettoForm::switched(const KernelEvent& e, const TaskNames& names) {
  const auto previous = static_cast<i32>(e.a);
  std::string message;
  pbf_writer out(message);
  out.add_string(pf::kPrevComm, std::string(names.comm(previous)));
  out.add_int32(pf::kPrevPid, previous);
  out.add_int32(pf::kPrevPrio, nominal_priority((e.b >> 32) & 0xff));
  out.add_int64(pf::kPrevState, static_cast<i64>(reported_state(e)));
  out.add_string(pf::kNextComm, std::string(names.comm(e.tid)));
  out.add_int32(pf::kNextPid, e.tid);
  out.add_int32(pf::kNextPrio, nominal_priority((e.b >> 40) & 0xff));
  add(e, previous, pf::kEventSwitch, message);
  if (e.cpu >= running_.size()) running_.resize(e.cpu + 1u);
  running_[e.cpu] = e.tid;
}

// The CPU that the task will go to is not recorded, so target_cpu is left out.
void PerfettoForm::waking(const KernelEvent& e, const TaskNames& names) {
  std::string message;
  pbf_writer out(message);
  out.add_string(pf::kWakeComm, std::string(names.comm(e.tid)));
  out.add_int32(pf::kWakePid, e.tid);
  out.add_int32(pf::kWakePrio, 120);
  out.add_int32(pf::kWakeSuccess, 1);
  add(e, running(e.cpu), (e.flags & kWakeNew) != 0 ? pf::kEventWakeupNew : pf::kEventWaking, message);
}

void PerfettoForm::forked(const KernelEvent& e, const TaskNames& names) {
  std::string message;
  pbf_writer out(message);
  out.add_int32(pf::kNewPid, e.tid);
  out.add_string(pf::kNewComm, std::string(names.comm(e.tid)));
  out.add_uint64(pf::kNewCloneFlags, static_cast<i32>(e.c) == e.tid ? 0 : pf::kCloneThread);
  add(e, static_cast<i32>(e.a), pf::kEventNewTask, message);
}

// A task that appears with kTask is in the process tree already; its kName comes here and says the same again.
void PerfettoForm::named(const KernelEvent& e, const TaskNames& names) {
  if (e.type == KernelEventType::kTask) return;
  std::string message;
  pbf_writer out(message);
  out.add_int32(pf::kRenamePid, e.tid);
  out.add_string(pf::kRenameNew, std::string(names.comm(e.tid)));
  add(e, running(e.cpu), pf::kEventRename, message);
}

void PerfettoForm::step(const StepRecord& step) {
  counter(step.input.now_ns, kEvents, step.input.events.size());
  counter(step.input.now_ns, kDecisions, step.decisions.size());
  if (step.end_ns > step.input.now_ns) counter(step.input.now_ns, kStepTime, step.end_ns - step.input.now_ns);
}

void PerfettoForm::session_over() {
  for (u32 cpu = 0; cpu < bundles_.size(); ++cpu) flush(cpu);
}

}  // namespace

std::unique_ptr<Form> make_perfetto_form(TextOut& out) { return std::make_unique<PerfettoForm>(out); }

}  // namespace reprise::trace
