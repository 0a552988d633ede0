// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/load/purity.h"

#include <algorithm>

namespace reprise::loader {
namespace {

struct Forbidden {
  std::string_view name;  // ending in '*': what begins so
  std::string_view what;
};

// The list. C++ names are mangled: _ZNSt6chrono... is std::chrono.
constexpr std::string_view kClock = "reads a clock", kRandom = "draws random numbers of its own",
                           kFile = "reads or writes files", kThread = "uses threads or locks",
                           kProcess = "asks about, or changes, its process", kWait = "waits",
                           kHash = "uses a hashed container, whose order differs between libraries",
                           kAddress = "loads other code";
constexpr Forbidden kForbidden[] = {
    {"time", kClock},
    {"times", kClock},
    {"clock", kClock},
    {"clock_*", kClock},
    {"gettimeofday", kClock},
    {"ftime", kClock},
    {"timespec_get", kClock},
    {"localtime*", kClock},
    {"gmtime*", kClock},
    {"_ZNSt6chrono*", kClock},
    {"rand", kRandom},
    {"rand_r", kRandom},
    {"srand", kRandom},
    {"random", kRandom},
    {"random_r", kRandom},
    {"srandom*", kRandom},
    {"*rand48", kRandom},
    {"arc4random*", kRandom},
    {"getrandom", kRandom},
    {"getentropy", kRandom},
    {"_ZNSt13random_device*", kRandom},
    {"open", kFile},
    {"open64", kFile},
    {"openat*", kFile},
    {"creat*", kFile},
    {"fopen*", kFile},
    {"freopen*", kFile},
    {"fdopen*", kFile},
    {"popen", kFile},
    {"opendir", kFile},
    {"read", kFile},
    {"pread*", kFile},
    {"write", kFile},
    {"pwrite*", kFile},
    {"fread*", kFile},
    {"fgets*", kFile},
    {"stat*", kFile},
    {"fstat*", kFile},
    {"mmap*", kFile},
    {"ioctl", kFile},
    {"socket*", kFile},
    {"connect", kFile},
    {"send*", kFile},
    {"recv*", kFile},
    {"_ZNSt13basic_filebuf*", kFile},
    {"_ZNSt14basic_ifstream*", kFile},
    {"_ZNSt14basic_ofstream*", kFile},
    {"_ZNSt13basic_fstream*", kFile},
    {"_ZNSt10filesystem*", kFile},
    {"_ZSt3cin", kFile},
    {"_ZSt4cout", kFile},
    {"_ZSt4cerr", kFile},
    {"_ZSt4clog", kFile},
    {"pthread_*", kThread},
    {"thrd_*", kThread},
    {"mtx_*", kThread},
    {"sem_*", kThread},
    {"_ZNSt6thread*", kThread},
    {"_ZNSt18condition_variable*", kThread},
    {"__tls_get_addr", "keeps state per thread, outside of the arena"},
    {"sleep", kWait},
    {"usleep", kWait},
    {"nanosleep", kWait},
    {"poll*", kWait},
    {"select", kWait},
    {"sched_*", kWait},
    {"getpid", kProcess},
    {"gettid", kProcess},
    {"getppid", kProcess},
    {"getenv", kProcess},
    {"secure_getenv", kProcess},
    {"environ", kProcess},
    {"getauxval", kProcess},
    {"getrusage", kProcess},
    {"sysconf", kProcess},
    {"get_nprocs*", kProcess},
    {"fork", kProcess},
    {"vfork", kProcess},
    {"exec*", kProcess},
    {"posix_spawn*", kProcess},
    {"system", kProcess},
    {"signal", kProcess},
    {"sigaction", kProcess},
    {"setlocale", kProcess},
    {"syscall", "makes system calls"},
    {"dlopen", kAddress},
    {"dlsym", kAddress},
    {"_ZSt11_Hash_bytes*", kHash},
    {"_ZNKSt8__detail20_Prime_rehash_policy*", kHash},
};

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.starts_with('*')) return name.ends_with(pattern.substr(1));
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return name == pattern;
}

}  // namespace

std::vector<Impurity> impurities(const ElfFile& file) {
  std::vector<Impurity> found;
  for (const std::string_view name : file.needed()) {
    const auto* row = std::ranges::find_if(kForbidden, [&](const Forbidden& f) { return matches(f.name, name); });
    if (row != std::end(kForbidden)) found.push_back({name, row->what});
  }
  return found;
}

}  // namespace reprise::loader
