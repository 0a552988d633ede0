// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/load/load.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

#include "scheduler/core/module.h"
#include "scheduler/load/elf_file.h"
#include "scheduler/load/purity.h"
#include "traces/digest.h"

namespace reprise::loader {
namespace {

constexpr std::size_t kMaxBytes = 256u << 20;
constexpr std::size_t kImpuritiesShown = 5;

std::unexpected<Error> bad(std::string what, const std::string& path, std::string hint) {
  return fail(ExitCode::kBadInput, std::move(what), path, std::move(hint));
}

Expected<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes;
  if (file) bytes.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || file.bad())
    return fail(ExitCode::kIo, std::string("cannot read the policy: ") + std::strerror(errno), path,
                "a path to a shared object, or a name that reprise policies lists");
  if (bytes.size() > kMaxBytes) return bad("is too large for a policy", path, "at most 256 MiB");
  return bytes;
}

/// The numbers that say whether it fits, from the file.
Expected<void> check_interface(const ElfFile& file, const std::string& path) {
  constexpr std::size_t kNumbers = offsetof(PolicyModule, info);
  const std::span<const std::byte> data = file.data_of(kPolicyModuleSymbol, kNumbers);
  if (data.size() < kNumbers || std::memcmp(data.data(), kPolicyModuleMagic, sizeof kPolicyModuleMagic) != 0)
    return bad("has no policy in it", path,
               "end the policy's file with REPRISE_POLICY(...), of scheduler/core/module.h");
  u32 interface = 0, layout = 0;
  std::memcpy(&interface, data.data() + offsetof(PolicyModule, interface), sizeof interface);
  std::memcpy(&layout, data.data() + offsetof(PolicyModule, layout), sizeof layout);
  const std::string again = "build it again with the headers of this version (find_package(reprise))";
  if (interface != kPolicyInterface)
    return bad("is made for version " + std::to_string(interface) + " of the policy interface, and this program has " +
                   std::to_string(kPolicyInterface),
               path, again);
  if (layout != kPolicyLayout)
    return bad("was compiled with other headers, or another kind of compiler, than this program", path, again);
  return {};
}

Expected<void> check_purity(const ElfFile& file, const std::string& path) {
  std::string what;
  std::size_t shown = 0;
  const std::vector<Impurity> found = impurities(file);
  for (const Impurity& impurity : found) {
    if (shown++ == kImpuritiesShown) break;
    what += (what.empty() ? "" : "; ") + std::string(impurity.what) + " (" + std::string(impurity.symbol) + ")";
  }
  if (found.size() > kImpuritiesShown) what += "; and " + std::to_string(found.size() - kImpuritiesShown) + " more";
  if (file.variable_bytes() != 0)
    what += (what.empty() ? "" : "; ") + std::string("has ") + std::to_string(file.variable_bytes()) +
            " bytes of global variables";
  if (what.empty()) return {};
  return bad("cannot be replayed: it " + what, path,
             "a policy knows what Context and its events tell, and keeps its state in the arena "
             "(scheduler/core/policy.h)");
}

Expected<void> check_info(const PolicyInfo& info, const std::string& path) {
  const auto wrong = [&](std::string what) {
    return bad(std::move(what), path, "see PolicyInfo in scheduler/core/policy.h");
  };
  if (info.name.empty() || info.name.find_first_of(":,= /\n\t") != info.name.npos)
    return wrong("its policy has no usable name");
  if (info.state_bytes == nullptr || info.create == nullptr)
    return wrong("its policy '" + std::string(info.name) + "' has no state_bytes or no create");
  if ((info.interests & ~u32{kInterestRunning}) != 0)
    return wrong("its policy '" + std::string(info.name) + "' asks for events that there are not");
  for (const OptionSpec& spec : info.options)
    if (spec.name.empty() || spec.min > spec.default_value || spec.default_value > spec.max)
      return wrong("option '" + std::string(spec.name) + "' has a default outside of its range");
  return {};
}

/// A file in memory that holds the bytes and that the dynamic linker can open by name.
Expected<int> in_memory(const std::string& bytes, const std::string& path) {
#ifndef MFD_EXEC
  constexpr unsigned MFD_EXEC = 0x10;
#endif
  const std::string name = path.substr(path.rfind('/') + 1).substr(0, 200);
  int fd = memfd_create(name.c_str(), MFD_CLOEXEC | MFD_EXEC);
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name.c_str(), MFD_CLOEXEC);  // before Linux 6.3
  for (std::size_t done = 0; fd >= 0 && done < bytes.size();) {
    const ssize_t wrote = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
    if (wrote <= 0 && errno != EINTR) {
      ::close(fd);
      fd = -1;
    }
  }
  if (fd < 0)
    return fail(ExitCode::kIo, std::string("cannot take the policy into memory: ") + std::strerror(errno), path,
                "see whether memory is short, and whether vm.memfd_noexec allows programs in memory");
  return fd;
}

Expected<const PolicyInfo*> open(const std::string& bytes, const std::string& path) {
  auto fd = in_memory(bytes, path);
  if (!fd) return std::unexpected(fd.error());
  const std::string name = "/proc/self/fd/" + std::to_string(*fd);
  void* object = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const std::string said = object == nullptr ? ::dlerror() : "";
  ::close(*fd);
  if (object == nullptr)
    return bad("cannot be loaded: " + (said.starts_with(name + ": ") ? said.substr(name.size() + 2) : said), path,
               "a policy may use the engine's interface and the C++ library, and nothing else that is shared");
  const auto* module = static_cast<const PolicyModule*>(::dlsym(object, kPolicyModuleSymbol));
  if (module == nullptr || module->info == nullptr)
    return bad("has no policy in it", path, "see scheduler/core/module.h");
  if (auto checked = check_info(*module->info, path); !checked) return std::unexpected(checked.error());
  return module->info;
}

struct Loaded {
  const PolicyInfo* info;
  std::string code;
};

Expected<Loaded> load_file(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, const PolicyInfo*> loaded;  // by the hash of the bytes: once each
  auto bytes = read_file(path);
  if (!bytes) return std::unexpected(bytes.error());
  auto file = ElfFile::parse(std::as_bytes(std::span(*bytes)));
  if (!file) return bad(file.error().what, path, file.error().hint);
  if (auto fits = check_interface(*file, path); !fits) return std::unexpected(fits.error());
  if (auto pure = check_purity(*file, path); !pure) return std::unexpected(pure.error());
  std::string code = trace::sha256_hex(*bytes);
  const std::lock_guard lock(mutex);
  if (const auto found = loaded.find(code); found != loaded.end()) return Loaded{found->second, std::move(code)};
  auto info = open(*bytes, path);
  if (!info) return std::unexpected(info.error());
  loaded[code] = *info;
  return Loaded{*info, std::move(code)};
}

/// Where the options begin: the first ':' after the last '/'.
std::size_t colon_in(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  return text.find(':', slash == text.npos ? 0 : slash);
}

}  // namespace

bool names_file(std::string_view text) {
  const std::string_view name = text.substr(0, colon_in(text));
  return name.find('/') != name.npos || name.ends_with(".so");
}

Expected<PolicySpec> load_policy(std::string_view text) {
  if (!names_file(text)) return parse_policy(text);
  const std::size_t colon = colon_in(text);
  auto loaded = load_file(std::string(text.substr(0, colon)));
  if (!loaded) return std::unexpected(loaded.error());
  auto options =
      Options::parse(loaded->info->options, colon == text.npos ? std::string_view{} : text.substr(colon + 1));
  if (!options) {
    Error error = options.error();
    error.where = "policy '" + std::string(loaded->info->name) + "' in " + std::string(text.substr(0, colon));
    return std::unexpected(std::move(error));
  }
  return PolicySpec{loaded->info, std::move(*options), std::move(loaded->code)};
}

}  // namespace reprise::loader
