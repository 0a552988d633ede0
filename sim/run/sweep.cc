// SPDX-License-Identifier: GPL-2.0-only
#include "sim/run/sweep.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace reprise::sim {

u32 usable_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return static_cast<u32>(std::max(1, CPU_COUNT(&set)));
}

std::vector<JobResult> sweep(const std::vector<Job>& jobs, u32 threads, const std::function<void(std::size_t)>& done) {
  std::vector<JobResult> results(jobs.size());
  std::atomic<std::size_t> next = 0;
  std::size_t ended = 0;
  std::mutex lock;
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      const auto began = std::chrono::steady_clock::now();
      results[i].result = run(*jobs[i].program, jobs[i].options);
      results[i].wall_ns = static_cast<u64>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began).count());
      const std::lock_guard guard(lock);
      ++ended;
      if (done) done(ended);
    }
  };
  const std::size_t count = std::min<std::size_t>(jobs.size(), threads == 0 ? usable_cpus() : threads);
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 1; i < count; ++i) workers.emplace_back(work);
    work();
  }
  return results;
}

}  // namespace reprise::sim
