// SPDX-License-Identifier: GPL-2.0-only
// The command that a live run is about: a child process, started once the scheduler is attached.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "scheduler/core/error.h"

namespace reprise::live {

/// SCHED_EXT of include/uapi/linux/sched.h, which older headers lack.
inline constexpr int kSchedExtPolicy = 7;

class Command {
 public:
  Command() = default;
  ~Command();  // a child that is still there is ended: SIGTERM, then SIGKILL after a second
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  /// `own_class`: the child asks for SCHED_EXT (partial mode). Error (kUsage): cannot be run.
  Expected<void> start(const std::vector<std::string>& arguments, bool own_class);
  [[nodiscard]] bool started() const { return pid_ > 0 || status_.has_value(); }
  /// Its status as of a shell (128 + signal when killed) once it has ended.
  std::optional<int> ended();
  /// Passes a signal on.
  void signal(int number);

 private:
  pid_t pid_ = 0;
  std::optional<int> status_;
};

}  // namespace reprise::live
