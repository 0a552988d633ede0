// SPDX-License-Identifier: GPL-2.0-only
// Who a tid is at a moment of a trace: its comm and thread group, as the session's list and the kernel's events told
// so far. Entries go when their task has left its CPU for the last time, so there are as many as tasks live.
// Thread safety: none.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "traces/kernel_event.h"
#include "traces/session.h"

namespace reprise::trace {

/// A comm, of at most 16 bytes, to where it ends.
[[nodiscard]] inline std::string_view comm_view(const char (&comm)[16]) { return {comm, ::strnlen(comm, sizeof comm)}; }
/// The comm that kName and kExec carry.
[[nodiscard]] std::string comm_of(const KernelEvent&);
/// Puts a comm (cut to 15 bytes) into b and c of a kName or kExec.
void set_comm(KernelEvent&, std::string_view comm);

/// The task that leaves in this kSwitch is dead: TASK_DEAD, EXIT_DEAD or EXIT_ZOMBIE (include/linux/sched.h).
[[nodiscard]] constexpr bool leaves_dead(const KernelEvent& event) {
  return event.type == KernelEventType::kSwitch && (event.b & 0xb0) != 0;
}

struct KnownTask {
  std::string comm;
  i32 tgid = 0;  // 0: not known
  bool kernel_thread = false;
};

class TaskNames {
 public:
  void begin(const SessionInfo&);
  /// Before the event is used. A task that leaves dead is forgotten by `after`.
  void before(const KernelEvent&);
  void after(const KernelEvent&);

  /// "" where it is not known; "swapper" for the idle task.
  [[nodiscard]] std::string_view comm(i32 tid) const;
  [[nodiscard]] i32 tgid(i32 tid) const;
  [[nodiscard]] bool kernel_thread(i32 tid) const;

 private:
  std::unordered_map<i32, KnownTask> tasks_;  // looked up, never walked over
};

}  // namespace reprise::trace
