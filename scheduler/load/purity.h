// SPDX-License-Identifier: GPL-2.0-only
// Does a policy ask for what it must not know? A scan of the names that its shared object needs from elsewhere.
//
// It sees calls of functions by name: clocks, random numbers, files, threads, other processes, hashed containers. It
// does not see what needs no function: instructions such as rdtsc and rdrand, system calls made by hand, reads through
// stray pointers, floating point, the value of an address. Those come to light when a replay diverges (reprise replay
// --twice).
#pragma once

#include <string_view>
#include <vector>

#include "scheduler/load/elf_file.h"

namespace reprise::loader {

struct Impurity {
  std::string_view symbol;  // as it stands in the file
  std::string_view what;    // "reads a clock"
};

/// In the file's order. `file` must outlive it.
[[nodiscard]] std::vector<Impurity> impurities(const ElfFile& file);

}  // namespace reprise::loader
