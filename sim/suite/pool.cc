// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/pool.h"

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string_view>
#include <utility>

namespace reprise::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPollMs = 200;
constexpr int kKeptBlock = 32 << 20, kKept = 1 << 30;  // bytes of freed memory that a worker keeps: of a block, in all
constexpr u32 kPatience = 10;  // of time on the clock, to a second of CPU time: others may be at work here, too

struct Child {
  std::size_t job = 0;
  pid_t pid = -1;
  int out = -1;
  std::string rest;       // of a line that is not whole yet
  std::string complaint;  // its last words
  Clock::time_point deadline;
  bool late = false;
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

[[noreturn]] void be_child(const PoolJob& job, int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const rlimit cpu{job.cpu_limit_s, job.cpu_limit_s + 5};
  setrlimit(RLIMIT_CPU, &cpu);
  // What one simulation frees the next one takes: it does not go back to the system, which would have to clear it.
  mallopt(M_MMAP_THRESHOLD, kKeptBlock);
  mallopt(M_TRIM_THRESHOLD, kKept);
  int status = 0;
  try {
    job.work([out](const std::string& line) { return write_all(out, line + "\n"); });
  } catch (const std::exception& error) {
    write_all(out, fmt::format("!threw an exception: {}\n", error.what()));
    status = 1;
  } catch (...) {
    write_all(out, "!threw an exception\n");
    status = 1;
  }
  _exit(status);
}

std::string how_it_ended(int status, const Child& child, u32 limit_s) {
  if (child.late) return fmt::format("did not return within {} s", u64{limit_s} * kPatience);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
    return fmt::format("did not return within {} s of CPU time", limit_s);
  if (WIFSIGNALED(status)) return fmt::format("crashed: {}", strsignal(WTERMSIG(status)));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) return fmt::format("ended with status {}", WEXITSTATUS(status));
  return {};
}

class Pool {
 public:
  Pool(const std::vector<PoolJob>& jobs, u32 processes, const PoolEvents& events)
      : jobs_(jobs), events_(events), order_(jobs.size()), processes_(std::max(1u, processes)) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::ranges::sort(order_, {}, [&](std::size_t job) { return std::pair(~jobs_[job].cost, job); });
  }

  void run() {
    while (next_ < order_.size() || !children_.empty()) {
      while (next_ < order_.size() && children_.size() < processes_) start(order_[next_++]);
      wait();
    }
  }

 private:
  void start(std::size_t job) {
    int ends[2];
    if (pipe(ends) != 0) return events_.ended(job, fmt::format("could not be started: {}", strerror(errno)));
    const pid_t pid = fork();
    if (pid < 0) {
      const int error = errno;
      close(ends[0]), close(ends[1]);
      return events_.ended(job, fmt::format("could not be started: {}", strerror(error)));
    }
    if (pid == 0) {
      close(ends[0]);
      for (const Child& other : children_) close(other.out);
      be_child(jobs_[job], ends[1]);
    }
    close(ends[1]);
    Child child;
    child.job = job, child.pid = pid, child.out = ends[0];
    child.deadline = Clock::now() + std::chrono::seconds(u64{jobs_[job].cpu_limit_s} * kPatience);
    children_.push_back(std::move(child));
  }

  void wait() {
    std::vector<pollfd> fds;
    for (const Child& child : children_) fds.push_back({child.out, POLLIN, 0});
    if (poll(fds.data(), fds.size(), kPollMs) < 0 && errno != EINTR) return;
    for (std::size_t i = children_.size(); i-- > 0;) {
      Child& child = children_[i];
      bool open = true;
      if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) open = read_from(child);
      if (open && !child.late && Clock::now() > child.deadline) {
        child.late = true;
        kill(child.pid, SIGKILL);
      }
      if (open) continue;
      Child gone = std::move(child);
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
      end(gone);
    }
  }

  // False: it has closed its end.
  bool read_from(Child& child) {
    char buffer[65536];
    const ssize_t got = read(child.out, buffer, sizeof buffer);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    child.rest.append(buffer, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end = child.rest.find('\n'); end != std::string::npos; end = child.rest.find('\n', begin)) {
      const std::string line = child.rest.substr(begin, end - begin);
      begin = end + 1;
      if (line.starts_with('!'))
        child.complaint = line.substr(1);
      else
        events_.line(child.job, line);
    }
    child.rest.erase(0, begin);
    return true;
  }

  void end(const Child& child) {
    close(child.out);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    std::string failure = how_it_ended(status, child, jobs_[child.job].cpu_limit_s);
    if (!failure.empty() && !child.complaint.empty()) failure = child.complaint;
    events_.ended(child.job, failure);
  }

  const std::vector<PoolJob>& jobs_;
  const PoolEvents& events_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
  u32 processes_;
  std::vector<Child> children_;
};

}  // namespace

void run_pool(const std::vector<PoolJob>& jobs, u32 processes, const PoolEvents& events) {
  Pool(jobs, processes, events).run();
}

}  // namespace reprise::sim
