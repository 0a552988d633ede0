// SPDX-License-Identifier: GPL-2.0-only
// The signals that end a run, waited for instead of handled.
#pragma once

#include <signal.h>

#include <ctime>

#include "scheduler/core/types.h"

namespace reprise::live {

// Signals that the caller's thread waits for; blocked in all threads. SIGUSR1: the scheduler's loop has ended.
inline constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1};

class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&set_);
    for (int number : kSignals) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~BlockedSignals() {
    while (wait(0) != 0) {  // what still waits was meant for us
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  /// The signal that came, or 0 after `timeout_ns`.
  int wait(u64 timeout_ns) const {
    const timespec time{static_cast<time_t>(timeout_ns / kNsPerSec), static_cast<long>(timeout_ns % kNsPerSec)};
    const int number = sigtimedwait(&set_, nullptr, &time);
    return number > 0 ? number : 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

}  // namespace reprise::live
