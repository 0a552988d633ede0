// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/command.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace reprise::live {

Expected<void> Command::start(const std::vector<std::string>& arguments, bool own_class) {
  // The child says through this pipe why it could not be run; when it can, exec closes it.
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return fail(ExitCode::kInternal, "cannot make a pipe");
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    const int error = errno;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return fail(ExitCode::kInternal, std::string("cannot start the command: ") + std::strerror(error));
  }
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    sched_param parameter{};
    if (own_class) sched_setscheduler(0, kSchedExtPolicy, &parameter);
    execvp(argv[0], argv.data());
    const int error = errno;
    [[maybe_unused]] const auto written = write(pipe_ends[1], &error, sizeof(error));
    _exit(127);
  }
  close(pipe_ends[1]);
  int error = 0;
  ssize_t got;
  do got = read(pipe_ends[0], &error, sizeof(error));
  while (got < 0 && errno == EINTR);
  close(pipe_ends[0]);
  pid_ = child;
  if (got == sizeof(error)) {
    waitpid(child, nullptr, 0);
    pid_ = 0;
    return fail(ExitCode::kUsage, "cannot run '" + arguments[0] + "': " + std::strerror(error), {},
                "what follows -- is a command with its arguments; try it by itself first");
  }
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
