// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/elsewhere.h"

#include <fcntl.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace reprise::cli {
namespace {

// Never returns. What can be prepared before the fork is.
[[noreturn]] void become(char* const* arguments, int output) {
  dup2(output, STDOUT_FILENO);
  const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nothing >= 0) dup2(nothing, STDERR_FILENO);
  setenv("MALLOC_PERTURB_", "165", 1);
  setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=4096", 1);
  personality(ADDR_NO_RANDOMIZE);
  execv("/proc/self/exe", arguments);
  _exit(127);
}

std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) != 0;) {
    if (n > 0) text.append(buffer, static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  return text;
}

}  // namespace

Expected<Json> run_elsewhere(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"reprise"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words.emplace_back("--json");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(ExitCode::kIo, std::string("no pipe: ") + std::strerror(errno));
  const pid_t child = fork();
  if (child == 0) become(argv.data(), ends[1]);
  close(ends[1]);
  const std::string text = child < 0 ? std::string() : read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded())
    return fail(ExitCode::kInternal, "the second run of this program left no document",
                child < 0 ? "fork" : fmt::format("status {}", status), "run the same command without --twice");
  return document;
}

}  // namespace reprise::cli
