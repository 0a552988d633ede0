// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace reprise::live {

Expected<void> lock_memory() {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return {};
  return fail(ExitCode::kNotPermitted, std::string("cannot lock memory: ") + std::strerror(errno), {},
              "run as root, or raise the limit on locked memory (ulimit -l unlimited)");
}

void keep_pages_in_place() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    unsigned long begin = 0, end = 0;
    char dash = 0;
    if (!(fields >> std::hex >> begin >> dash >> end)) continue;
    // Some mappings (the vdso, the rings) cannot be advised, and are not collapsed either.
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_NOHUGEPAGE);
  }
}

}  // namespace reprise::live
