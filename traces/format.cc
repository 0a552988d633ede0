// SPDX-License-Identifier: GPL-2.0-only
#include "traces/format.h"

#include <fmt/format.h>

#include <cstring>
#include <iterator>

namespace reprise::trace {
namespace {

using Out = std::back_insert_iterator<std::string>;

std::string seconds(u64 ns) { return fmt::format("{}.{:09}", ns / kNsPerSec, ns % kNsPerSec); }

struct FlagName {
  u32 flag;
  const char* name;
};

constexpr FlagName kEnqueueFlags[] = {
    {kEnqueueWakeup, "wakeup"}, {kEnqueuePreempted, "preempted"}, {kEnqueueSliceEnd, "slice_end"},
    {kEnqueueNew, "new"},       {kEnqueueLast, "last"},           {kEnqueueReenqueued, "reenqueued"},
    {kEnqueueSync, "sync"},
};
constexpr FlagName kTaskFlags[] = {{kTaskKernelThread, "kernel_thread"}, {kTaskAtAttach, "at_attach"}};
constexpr FlagName kDecisionFlags[] = {{kDecisionIdle, "idle"}, {kDecisionPreempt, "preempt"}};

/// "wakeup|sync", what has no name in hex, "0" for none.
std::string flags_text(u32 flags, std::span<const FlagName> names) {
  std::string text;
  for (const FlagName& name : names) {
    if ((flags & name.flag) == 0) continue;
    text += (text.empty() ? "" : "|") + std::string(name.name);
    flags &= ~name.flag;
  }
  if (flags != 0 || text.empty()) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", flags);
  return text;
}

std::string cpu_text(i32 cpu) { return cpu == kAnyCpu ? "any" : fmt::format("{}", cpu); }
std::string waker_text(TaskSlot waker) { return waker == kNoTask ? "none" : fmt::format("{}", waker); }

void payload_text(Out out, const Event& e) {
  switch (e.type) {
    case EventType::kTaskNew:
      fmt::format_to(out, " comm={} tgid={} parent={} weight={} flags={} start={}", printable_comm(e.task_new.comm),
                     e.task_new.tgid, e.task_new.parent_tid, e.task_new.weight,
                     flags_text(e.task_new.flags, kTaskFlags), seconds(e.task_new.start_time_ns));
      return;
    case EventType::kEnqueue:
      fmt::format_to(out, " flags={} prev_cpu={} weight={} waker={} allowed={} exec={} started={} stopped={}",
                     flags_text(e.flags, kEnqueueFlags), e.enqueue.prev_cpu, e.enqueue.weight,
                     waker_text(e.enqueue.waker), e.enqueue.allowed_cpus, seconds(e.enqueue.exec_total_ns),
                     seconds(e.enqueue.started_ns), seconds(e.enqueue.stopped_ns));
      return;
    case EventType::kStopping:
      fmt::format_to(out, " exec={} runnable={}", seconds(e.stopping.exec_total_ns), e.stopping.runnable);
      return;
    case EventType::kAffinity:
      fmt::format_to(out, " allowed={} word{}={:x} {:x} {:x} {:x}", e.affinity.allowed_cpus, e.affinity.first_word,
                     e.affinity.words[0], e.affinity.words[1], e.affinity.words[2], e.affinity.words[3]);
      return;
    case EventType::kWeight:
      fmt::format_to(out, " weight={}", e.weight.weight);
      return;
    case EventType::kDequeue:
      fmt::format_to(out, " flags={:#x}", e.flags);
      return;
    default:
      return;
  }
}

void payload_json(Out out, const Event& e) {
  switch (e.type) {
    case EventType::kTaskNew: {
      const std::string_view comm(e.task_new.comm, ::strnlen(e.task_new.comm, sizeof e.task_new.comm));
      fmt::format_to(out, R"(,"comm":"{}","tgid":{},"parent_tid":{},"weight":{},"task_flags":{},"start_time_ns":{})",
                     json_escape(comm), e.task_new.tgid, e.task_new.parent_tid, e.task_new.weight, e.task_new.flags,
                     e.task_new.start_time_ns);
      return;
    }
    case EventType::kEnqueue:
      fmt::format_to(out, R"(,"prev_cpu":{},"weight":{},"waker":{},"allowed_cpus":{},"exec_total_ns":{})",
                     e.enqueue.prev_cpu, e.enqueue.weight,
                     e.enqueue.waker == kNoTask ? "null" : fmt::format("{}", e.enqueue.waker), e.enqueue.allowed_cpus,
                     e.enqueue.exec_total_ns);
      fmt::format_to(out, R"(,"started_ns":{},"stopped_ns":{})", e.enqueue.started_ns, e.enqueue.stopped_ns);
      return;
    case EventType::kStopping:
      fmt::format_to(out, R"(,"exec_total_ns":{},"runnable":{})", e.stopping.exec_total_ns, e.stopping.runnable);
      return;
    case EventType::kAffinity:
      fmt::format_to(out, R"(,"allowed_cpus":{},"first_word":{},"words":[{},{},{},{}])", e.affinity.allowed_cpus,
                     e.affinity.first_word, e.affinity.words[0], e.affinity.words[1], e.affinity.words[2],
                     e.affinity.words[3]);
      return;
    case EventType::kWeight:
      fmt::format_to(out, R"(,"weight":{})", e.weight.weight);
      return;
    default:
      return;
  }
}

/// kExec and kName carry a comm in b and c.
void comm_of(const KernelEvent& e, char (&comm)[16]) {
  std::memcpy(comm, &e.b, 8);
  std::memcpy(comm + 8, &e.c, 8);
}

bool has_comm(const KernelEvent& e) { return e.type == KernelEventType::kExec || e.type == KernelEventType::kName; }

constexpr const char* kContexts[] = {"task", "softirq", "hardirq", "nmi"};
constexpr const char* kReasons[] = {"?", "kernel_thread", "reclaim", "congested", "fallback", "no_slot"};
constexpr const char* kResults[] = {"?", "inserted", "cancelled", "bounced", "failed"};
constexpr const char* kClasses[] = {"idle", "ext", "fair", "rt", "dl", "stop"};
constexpr const char* kIrqs[] = {"irq", "softirq", "vector"};
constexpr const char* kTimers[] = {"sleep", "timerfd", "itimer", "posix", "wheel"};
constexpr const char* kRoles[] = {"other", "take", "give", "ready", "sleep", "yield", "fork"};
constexpr FlagName kMarks[] = {{kMarkKernelThread, "kernel_thread"}, {kMarkOwn, "own"}};

template <std::size_t N>
const char* name_in(const char* const (&names)[N], u64 number) {
  return number < N ? names[number] : "?";
}

std::string switch_text(const KernelEvent& e) {
  return fmt::format("previous={} state={:#x} classes={}>{} exec={}{}", static_cast<i32>(e.a), static_cast<u32>(e.b),
                     name_in(kClasses, (e.b >> 32) & 0xff), name_in(kClasses, (e.b >> 40) & 0xff), seconds(e.c),
                     (e.flags & kSwitchPreempted) != 0 ? " preempted" : "");
}

std::string timer_text(const KernelEvent& e) {
  const u32 kind = e.flags & kTimerKindMask;
  const bool file = kind == kTimerFile;
  return fmt::format("{} {} sleeper={} expiry={} {}{}", name_in(kTimers, kind),
                     (e.flags & kTimerArmed) != 0 ? "armed" : "expires", static_cast<i32>(e.a), seconds(e.b),
                     file ? fmt::format("object={:#x}", e.c) : fmt::format("slack={} ns", e.c),
                     (e.flags & kTimerAbsolute) != 0 ? " absolute" : "");
}

std::string details_text(const KernelEvent& e) {
  switch (e.type) {
    case KernelEventType::kWaking:
      return fmt::format("waker={} context={}{}{}", static_cast<i32>(e.a), kContexts[e.flags & kWakeContextMask],
                         (e.flags & kWakeRunnable) != 0 ? " runnable" : "", (e.flags & kWakeNew) != 0 ? " new" : "");
    case KernelEventType::kSwitch:
      return switch_text(e);
    case KernelEventType::kBypass:
      return fmt::format("generation={} reason={}", e.a, name_in(kReasons, e.flags));
    case KernelEventType::kAnswer:
      return fmt::format("generation={} result={} queue={:#x} vtime={}", e.a, name_in(kResults, e.flags), e.b, e.c);
    case KernelEventType::kDequeue:
      return fmt::format("generation={} flags={:#x}", e.a, e.b);
    case KernelEventType::kFork:
      return fmt::format("parent={} start={} tgid={} marks={}", static_cast<i32>(e.a), seconds(e.b), e.c,
                         flags_text(e.flags, kMarks));
    case KernelEventType::kExit:
      return fmt::format("exec={}", seconds(e.b));
    case KernelEventType::kTask:
      return fmt::format("tgid={} start={} weight={} marks={}", static_cast<i32>(e.a), seconds(e.b), e.c,
                         flags_text(e.flags, kMarks));
    case KernelEventType::kAffinity:
      return fmt::format("word={} mask={:x} allowed={}", e.a, e.b, e.c);
    case KernelEventType::kWeight:
      return fmt::format("weight={}", e.a);
    case KernelEventType::kCpu:
      return fmt::format("which={} {}", e.a, (e.flags & 1) != 0 ? "online" : "offline");
    case KernelEventType::kIrq:
      return fmt::format("{}={} duration={} ns cause={}", name_in(kIrqs, e.flags), e.a, e.b, static_cast<i32>(e.c));
    case KernelEventType::kTimer:
      return timer_text(e);
    case KernelEventType::kSyscallEnter:
      return fmt::format("number={} role={} object={:#x} exec={}", e.a, name_in(kRoles, e.flags), e.b, seconds(e.c));
    case KernelEventType::kSyscallExit:
      return fmt::format("number={} role={} result={} exec={}", e.a, name_in(kRoles, e.flags), static_cast<i64>(e.b),
                         seconds(e.c));
    case KernelEventType::kMember:
      return fmt::format("op={} object={:#x} set={:#x} flags={}", e.a, e.b, e.c, e.flags);
    default:
      return fmt::format("flags={} a={} b={} c={}", e.flags, e.a, e.b, e.c);
  }
}

}  // namespace

std::string_view name_of(EventType type) {
  static constexpr std::string_view kNames[] = {"none",     "task_new",  "enqueue",  "dequeue", "running",
                                                "stopping", "task_exit", "affinity", "weight"};
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(kNames) ? kNames[number] : "unknown";
}

std::string_view name_of(KernelEventType type) {
  static constexpr std::string_view kNames[] = {
      "none", "waking",   "switch", "bypass", "answer", "dequeue", "fork",          "exec",         "exit",  "task",
      "name", "affinity", "weight", "cpu",    "irq",    "timer",   "syscall_enter", "syscall_exit", "member"};
  static_assert(std::size(kNames) == kKernelEventTypeLast + 1);
  const auto number = static_cast<std::size_t>(type);
  return number < std::size(kNames) ? kNames[number] : "unknown";
}

std::string_view name_of(LossRing ring) {
  switch (ring) {
    case LossRing::kSteps:
      return "steps";
    case LossRing::kPolicyEvents:
      return "policy_events";
    case LossRing::kKernelEvents:
      return "kernel_events";
  }
  return "unknown";
}

std::string_view name_of(SessionKind kind) {
  switch (kind) {
    case SessionKind::kLive:
      return "live";
    case SessionKind::kPassive:
      return "passive";
    case SessionKind::kSimulated:
      return "simulated";
    case SessionKind::kImported:
      return "imported";
  }
  return "unknown";
}

std::string printable_comm(const char (&comm)[16]) {
  std::string text;
  for (const char c : std::string_view(comm, ::strnlen(comm, sizeof comm))) {
    const auto byte = static_cast<u8>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  return text;
}

std::string json_escape(std::string_view raw) {
  std::string text;
  for (const char c : raw) {
    const auto byte = static_cast<u8>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\u{:04x}", byte);
    }
  }
  return text;
}

std::string format_event(const Event& e) {
  std::string text = fmt::format("{} cpu {:<3} {:<9} slot={} tid={} gen={} seq={}", seconds(e.time_ns), e.cpu,
                                 name_of(e.type), e.task, e.tid, e.generation, e.seq);
  payload_text(std::back_inserter(text), e);
  return text;
}

std::string format_decision(const Decision& d) {
  return fmt::format("slot={} gen={} cpu={} slice={} us vtime={} flags={}", d.task, d.generation, cpu_text(d.cpu),
                     static_cast<double>(d.slice_ns) / kNsPerUs, d.vtime, flags_text(d.flags, kDecisionFlags));
}

std::string format_kernel_event(const KernelEvent& e) {
  std::string text =
      fmt::format("{} cpu {:<3} {:<9} tid={} seq={} ", seconds(e.time_ns), e.cpu, name_of(e.type), e.tid, e.seq);
  if (!has_comm(e)) return text + details_text(e);
  char comm[16];
  comm_of(e, comm);
  return text + "comm=" + printable_comm(comm);
}

std::string format_step(const StepRecord& s) {
  std::string text = fmt::format("{} step {} events={} decisions={} room={}", seconds(s.input.now_ns), s.input.number,
                                 s.input.events.size(), s.decisions.size(), s.input.room);
  for (const u64 word : s.input.idle) text += fmt::format(" idle={:x}", word);
  if (!s.preempts.empty()) text += fmt::format(" preempt={}", fmt::join(s.preempts, ","));
  if (s.wake_at_ns != 0) text += " wake_at=" + seconds(s.wake_at_ns);
  if (s.more) text += " more";
  if ((s.input.flags & kStepFallback) != 0) text += " fallback";
  if (s.input.lost_events != 0) text += fmt::format(" lost={}", s.input.lost_events);
  if (s.end_ns > s.input.now_ns)
    text += fmt::format(" took={} us", static_cast<double>(s.end_ns - s.input.now_ns) / kNsPerUs);
  if (s.state_hash != 0) text += fmt::format(" state={:016x}", s.state_hash);
  return text;
}

std::string json_event(const Event& e) {
  std::string text =
      fmt::format(R"({{"type":"{}","time_ns":{},"cpu":{},"seq":{},"task":{},"tid":{},"generation":{},"flags":{})",
                  name_of(e.type), e.time_ns, e.cpu, e.seq, e.task, e.tid, e.generation, e.flags);
  payload_json(std::back_inserter(text), e);
  return text + "}";
}

std::string json_decision(const Decision& d) {
  return fmt::format(R"({{"task":{},"generation":{},"cpu":{},"flags":{},"slice_ns":{},"vtime":{}}})", d.task,
                     d.generation, d.cpu, d.flags, d.slice_ns, d.vtime);
}

std::string json_kernel_event(const KernelEvent& e) {
  std::string text =
      fmt::format(R"({{"type":"{}","time_ns":{},"cpu":{},"seq":{},"tid":{},"flags":{},"a":{},"b":{},"c":{})",
                  name_of(e.type), e.time_ns, e.cpu, e.seq, e.tid, e.flags, e.a, e.b, e.c);
  if (has_comm(e)) {
    char comm[16];
    comm_of(e, comm);
    text += fmt::format(R"(,"comm":"{}")", json_escape(std::string_view(comm, ::strnlen(comm, sizeof comm))));
  }
  return text + "}";
}

std::string json_step(const StepRecord& s) {
  std::string text = fmt::format(
      R"({{"type":"step","number":{},"now_ns":{},"room":{},"flags":{},"lost_events":{},"end_ns":{},"wake_at_ns":{})",
      s.input.number, s.input.now_ns, s.input.room, s.input.flags, s.input.lost_events, s.end_ns, s.wake_at_ns);
  text += fmt::format(R"(,"more":{},"state_hash":"{:016x}","idle":[{}],"preempts":[{}],"events":[)", s.more,
                      s.state_hash, fmt::join(s.input.idle, ","), fmt::join(s.preempts, ","));
  for (std::size_t i = 0; i < s.input.events.size(); ++i) text += (i == 0 ? "" : ",") + json_event(s.input.events[i]);
  text += R"(],"decisions":[)";
  for (std::size_t i = 0; i < s.decisions.size(); ++i) text += (i == 0 ? "" : ",") + json_decision(s.decisions[i]);
  return text + "]}";
}

}  // namespace reprise::trace
