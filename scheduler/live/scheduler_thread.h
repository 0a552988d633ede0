// SPDX-License-Identifier: GPL-2.0-only
// The scheduler's own thread, with the engine and the loop of one session.
#pragma once

#include <pthread.h>

#include <atomic>
#include <thread>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"
#include "scheduler/live/identity.h"

namespace reprise::live {

class Loop;

struct ThreadUse {
  u64 cpu_ns = 0, faults_minor = 0, faults_major = 0;
};

class SchedulerThread {
 public:
  /// Starts the thread; it waits for begin(). When its loop ends, the creating thread gets SIGUSR1.
  SchedulerThread();
  ~SchedulerThread() { (void)stop(); }
  SchedulerThread(const SchedulerThread&) = delete;
  SchedulerThread& operator=(const SchedulerThread&) = delete;
  /// As the kernel side knows it. Error: of own_identity.
  [[nodiscard]] const Expected<Identity>& identity() const { return identity_; }
  void begin(Loop& loop) { loop_.store(&loop); }
  /// From here on `use` counts.
  void mark_attached() { at_attach_ = read_use(); }
  [[nodiscard]] bool ended() const { return ended_; }
  /// Ends the loop and the thread; what the loop said. A second time: nothing.
  Expected<void> stop();
  /// What the thread used since mark_attached, also when it has ended.
  [[nodiscard]] ThreadUse use() const;

 private:
  void main();
  [[nodiscard]] ThreadUse read_use() const;

  pthread_t caller_;
  Expected<Identity> identity_;  // written before tid_
  std::atomic<i32> tid_{0};      // in our own PID namespace, as /proc has it
  std::atomic<Loop*> loop_{nullptr};
  std::atomic<bool> stop_{false};
  std::atomic<bool> ended_{false};
  ThreadUse at_attach_;
  ThreadUse at_end_;  // written before ended_
  Expected<void> outcome_;
  std::thread thread_;
};

}  // namespace reprise::live
