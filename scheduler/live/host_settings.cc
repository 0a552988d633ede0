// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/host_settings.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "scheduler/live/kernel_features.h"

namespace reprise::live {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "/run/reprise";
struct Wanted {
  const char* path;
  const char* value;
};
constexpr Wanted kWanted[] = {{"/proc/sys/vm/compact_unevictable_allowed", "0"},
                              {"/proc/sys/kernel/numa_balancing", "0"}};

bool write_small_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << '\n';
  file.flush();
  return file.good();
}

// Each line is "path value". Only paths that we change ourselves are written back.
std::vector<std::string> put_back(const fs::path& file, bool really) {
  std::vector<std::string> done;
  std::ifstream lines(file);
  std::string path, value;
  while (lines >> path >> value)
    for (const Wanted& wanted : kWanted)
      if (path == wanted.path && (!really || write_small_file(path, value))) done.push_back(path + " = " + value);
  lines.close();
  std::error_code ignored;
  if (really) fs::remove(file, ignored);
  return done;
}

std::vector<std::string> leftovers(bool really) {
  std::vector<std::string> done;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kFolder, error)) {
    const long pid = std::strtol(entry.path().stem().c_str(), nullptr, 10);
    if (entry.path().extension() != ".settings" || pid <= 0) continue;
    if (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM) continue;
    for (std::string& line : put_back(entry.path(), really)) done.push_back(std::move(line));
  }
  return done;
}

}  // namespace

std::vector<std::string> HostSettings::apply() {
  std::vector<std::string> changed;
  std::string before;
  for (const Wanted& wanted : kWanted) {
    const std::string value = read_small_file(wanted.path);
    if (!value.empty() && value != wanted.value) before += std::string(wanted.path) + ' ' + value + '\n';
  }
  if (before.empty()) return changed;
  std::error_code ignored;
  fs::create_directories(kFolder, ignored);
  file_ = std::string(kFolder) + '/' + std::to_string(getpid()) + ".settings";
  // First the note, then the change: a crash in between leaves a note that does no harm.
  if (!write_small_file(file_, before)) {
    file_.clear();
    return changed;
  }
  for (const Wanted& wanted : kWanted)
    if (before.find(wanted.path) != std::string::npos && write_small_file(wanted.path, wanted.value))
      changed.push_back(std::string(wanted.path) + " = " + wanted.value + " while the scheduler runs");
  return changed;
}

HostSettings::~HostSettings() {
  if (!file_.empty()) put_back(file_, true);
}

std::vector<std::string> restore_leftovers() { return leftovers(true); }
std::vector<std::string> find_leftovers() { return leftovers(false); }

}  // namespace reprise::live
