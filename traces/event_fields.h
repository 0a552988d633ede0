// SPDX-License-Identifier: GPL-2.0-only
// The three arguments and the flags of a kernel event by their names, for formats that have names. Units stand in them.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "traces/kernel_event.h"
#include "traces/task_names.h"

namespace reprise::trace {

/// In the order of CSV's columns.
inline constexpr std::array<std::string_view, 41> kEventFieldNames = {
    "prev_tid",   "prev_comm",   "prev_state", "prev_class", "next_class",  "preempted",   "waker_tid",
    "waker_comm", "context",     "runnable",   "new",        "parent_tid",  "tgid",        "start_time_ns",
    "weight",     "mark_kernel", "mark_own",   "old_tid",    "cpu_time_ns", "generation",  "reason",
    "answer",     "queue",       "vtime",      "which_cpu",  "online",      "kind",        "number",
    "role",       "object",      "set",        "result",     "duration_ns", "cause_tid",   "sleeper_tid",
    "armed",      "absolute",    "expiry_ns",  "slack_ns",   "mask",        "allowed_cpus"};

[[nodiscard]] consteval std::size_t field_index(std::string_view name) {
  for (std::size_t i = 0; i < kEventFieldNames.size(); ++i)
    if (kEventFieldNames[i] == name) return i;
  throw "no such field";
}

/// Calls put(index of kEventFieldNames, value) for each field that an event of its type has; values are u64, i64, bool
/// (flags) or std::string_view.
class EventFieldSink {
 public:
  virtual ~EventFieldSink() = default;
  virtual void number(std::size_t field, u64 value) = 0;
  virtual void signed_number(std::size_t field, i64 value) = 0;
  virtual void flag(std::size_t field, bool value) = 0;
  virtual void text(std::size_t field, std::string_view value) = 0;
};
void name_fields(const KernelEvent&, const TaskNames&, EventFieldSink&);

}  // namespace reprise::trace
