// SPDX-License-Identifier: GPL-2.0-only
#include "traces/event_fields.h"

namespace reprise::trace {
namespace {

constexpr std::string_view kContexts[] = {"task", "softirq", "hardirq", "nmi"};
constexpr std::string_view kReasons[] = {"", "kernel_thread", "reclaim", "congested", "fallback", "no_slot"};
constexpr std::string_view kAnswers[] = {"", "inserted", "cancelled", "bounced", "failed"};
constexpr std::string_view kClasses[] = {"idle", "ext", "fair", "rt", "dl", "stop"};
constexpr std::string_view kIrqs[] = {"irq", "softirq", "vector"};
constexpr std::string_view kTimers[] = {"sleep", "timerfd", "itimer", "posix", "wheel"};
constexpr std::string_view kRoles[] = {"other", "take", "give", "ready", "sleep", "yield", "fork"};

template <std::size_t N>
std::string_view name_in(const std::string_view (&names)[N], u64 number) {
  return number < N ? names[number] : std::string_view("unknown");
}

void timer(const KernelEvent& e, EventFieldSink& out) {
  const u32 kind = e.flags & kTimerKindMask;
  out.text(field_index("kind"), name_in(kTimers, kind));
  out.flag(field_index("armed"), (e.flags & kTimerArmed) != 0);
  out.flag(field_index("absolute"), (e.flags & kTimerAbsolute) != 0);
  out.signed_number(field_index("sleeper_tid"), static_cast<i32>(e.a));
  out.number(field_index("expiry_ns"), e.b);
  out.number(kind == kTimerFile ? field_index("object") : field_index("slack_ns"), e.c);
}

void marks(const KernelEvent& e, EventFieldSink& out) {
  out.flag(field_index("mark_kernel"), (e.flags & kMarkKernelThread) != 0);
  out.flag(field_index("mark_own"), (e.flags & kMarkOwn) != 0);
}

void switched(const KernelEvent& e, const TaskNames& names, EventFieldSink& out) {
  out.signed_number(field_index("prev_tid"), static_cast<i32>(e.a));
  out.text(field_index("prev_comm"), names.comm(static_cast<i32>(e.a)));
  out.number(field_index("prev_state"), static_cast<u32>(e.b));
  out.text(field_index("prev_class"), name_in(kClasses, (e.b >> 32) & 0xff));
  out.text(field_index("next_class"), name_in(kClasses, (e.b >> 40) & 0xff));
  out.flag(field_index("preempted"), (e.flags & kSwitchPreempted) != 0);
  out.number(field_index("cpu_time_ns"), e.c);
}

void waking(const KernelEvent& e, const TaskNames& names, EventFieldSink& out) {
  out.signed_number(field_index("waker_tid"), static_cast<i32>(e.a));
  out.text(field_index("waker_comm"), e.a == 0 ? std::string_view() : names.comm(static_cast<i32>(e.a)));
  out.text(field_index("context"), name_in(kContexts, e.flags & kWakeContextMask));
  out.flag(field_index("runnable"), (e.flags & kWakeRunnable) != 0);
  out.flag(field_index("new"), (e.flags & kWakeNew) != 0);
}

}  // namespace

void name_fields(const KernelEvent& e, const TaskNames& names, EventFieldSink& out) {
  using enum KernelEventType;
  switch (e.type) {
    case kWaking:
      return waking(e, names, out);
    case kSwitch:
      return switched(e, names, out);
    case kBypass:
      out.number(field_index("generation"), e.a);
      return out.text(field_index("reason"), name_in(kReasons, e.flags));
    case kAnswer:
      out.number(field_index("generation"), e.a);
      out.text(field_index("answer"), name_in(kAnswers, e.flags));
      out.number(field_index("queue"), e.b);
      return out.number(field_index("vtime"), e.c);
    case kDequeue:
      out.number(field_index("generation"), e.a);
      return out.number(field_index("number"), e.b);
    case kFork:
      out.signed_number(field_index("parent_tid"), static_cast<i32>(e.a));
      out.number(field_index("tgid"), e.c);
      out.number(field_index("start_time_ns"), e.b);
      return marks(e, out);
    case kTask:
      out.number(field_index("tgid"), e.a);
      out.number(field_index("start_time_ns"), e.b);
      out.number(field_index("weight"), e.c);
      return marks(e, out);
    case kExec:
      return out.signed_number(field_index("old_tid"), static_cast<i32>(e.a));
    case kExit:
      return out.number(field_index("cpu_time_ns"), e.b);
    case kAffinity:
      out.number(field_index("number"), e.a);
      out.number(field_index("mask"), e.b);
      return out.number(field_index("allowed_cpus"), e.c);
    case kWeight:
      return out.number(field_index("weight"), e.a);
    case kCpu:
      out.number(field_index("which_cpu"), e.a);
      return out.flag(field_index("online"), (e.flags & 1) != 0);
    case kIrq:
      out.text(field_index("kind"), name_in(kIrqs, e.flags));
      out.number(field_index("number"), e.a);
      out.number(field_index("duration_ns"), e.b);
      return out.signed_number(field_index("cause_tid"), static_cast<i32>(e.c));
    case kTimer:
      return timer(e, out);
    case kSyscallEnter:
    case kSyscallExit:
      out.number(field_index("number"), e.a);
      out.text(field_index("role"), name_in(kRoles, e.flags));
      if (e.type == kSyscallEnter)
        out.number(field_index("object"), e.b);
      else
        out.signed_number(field_index("result"), static_cast<i64>(e.b));
      return out.number(field_index("cpu_time_ns"), e.c);
    case kMember:
      out.number(field_index("number"), e.a);
      out.number(field_index("object"), e.b);
      out.number(field_index("set"), e.c);
      return out.number(field_index("mask"), e.flags);
    default:
      return;
  }
}

}  // namespace reprise::trace
