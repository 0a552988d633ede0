// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/scheduler_thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <sstream>
#include <string>
#include <utility>

#include "scheduler/live/command.h"
#include "scheduler/live/kernel_features.h"
#include "scheduler/live/loop.h"

namespace reprise::live {
namespace {

// By the thread itself, without allocating: what is counted must not be changed by counting.
ThreadUse own_use() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return {.cpu_ns = static_cast<u64>(time.tv_sec) * kNsPerSec + static_cast<u64>(time.tv_nsec),
          .faults_minor = static_cast<u64>(usage.ru_minflt),
          .faults_major = static_cast<u64>(usage.ru_majflt)};
}

}  // namespace

SchedulerThread::SchedulerThread() : caller_(pthread_self()), thread_([this] { main(); }) {
  while (tid_.load() == 0) std::this_thread::yield();
}

void SchedulerThread::main() {
  pthread_setname_np(pthread_self(), "reprise-sched");
  // Without this, in partial mode, its yielding would spin beside the fair class.
  sched_param parameter{};
  sched_setscheduler(0, kSchedExtPolicy, &parameter);
  identity_ = own_identity();
  tid_ = static_cast<i32>(syscall(SYS_gettid));
  while (!loop_.load() && !stop_) usleep(1'000);
  if (Loop* loop = loop_.load()) outcome_ = loop->run(stop_);
  at_end_ = own_use();
  ended_ = true;
  pthread_kill(caller_, SIGUSR1);
}

Expected<void> SchedulerThread::stop() {
  stop_ = true;
  if (!thread_.joinable()) return {};
  thread_.join();
  return std::move(outcome_);
}

ThreadUse SchedulerThread::use() const {
  const ThreadUse now = read_use();
  return {.cpu_ns = now.cpu_ns - at_attach_.cpu_ns,
          .faults_minor = now.faults_minor - at_attach_.faults_minor,
          .faults_major = now.faults_major - at_attach_.faults_major};
}

ThreadUse SchedulerThread::read_use() const {
  const std::string folder = "/proc/self/task/" + std::to_string(tid_.load());
  ThreadUse use;
  std::istringstream(read_small_file(folder + "/schedstat")) >> use.cpu_ns;
  // Fields 10 and 12 of stat; the name in field 2 may hold blanks, so count from its closing parenthesis.
  const std::string stat = read_small_file(folder + "/stat");
  if (const auto close = stat.rfind(')'); close != std::string::npos) {
    std::istringstream rest(stat.substr(close + 1));
    std::string skip;
    u64 children = 0;
    for (int field = 3; field < 10; ++field) rest >> skip;
    rest >> use.faults_minor >> children >> use.faults_major;
  }
  // The thread's own account once it has ended: its files are gone, or may be about to go.
  return ended_ ? at_end_ : use;
}

}  // namespace reprise::live
