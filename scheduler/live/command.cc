// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/command.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace reprise::live {

// posix_spawn and not fork: a fork makes all our pages copy-on-write, and the scheduler's thread would fault on each of
// them that it touches, although they are locked.
Expected<void> Command::start(const std::vector<std::string>& arguments, bool own_class) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  // The C library refuses a policy that it does not know, so the child inherits ours.
  sched_param parameter{};
  if (own_class) sched_setscheduler(0, kSchedExtPolicy, &parameter);
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (own_class) sched_setscheduler(0, SCHED_OTHER, &parameter);
  if (error != 0)
    return fail(ExitCode::kUsage, "cannot run '" + arguments[0] + "': " + std::strerror(error), {},
                "what follows -- is a command with its arguments; try it by itself first");
  pid_ = child;
  return {};
}

std::optional<int> Command::ended() {
  if (status_ || pid_ <= 0) return status_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = 0;
  }
  return status_;
}

void Command::signal(int number) {
  if (pid_ > 0) kill(pid_, number);
}

Command::~Command() {
  signal(SIGTERM);
  for (int tries = 0; pid_ > 0 && tries < 100 && !ended(); ++tries) usleep(10'000);
  if (pid_ > 0) {
    signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

}  // namespace reprise::live
