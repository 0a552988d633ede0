// SPDX-License-Identifier: GPL-2.0-only
// Settings of the host that would make the scheduler's memory fault although it is locked: compaction of unevictable
// pages and NUMA hinting. They are changed while a scheduler runs and put back afterwards. What they were stands in
// /run/reprise/PID.settings, so that `reprise doctor --fix` can put them back after a crash.
#pragma once

#include <string>
#include <vector>

namespace reprise::live {

class HostSettings {
 public:
  HostSettings() = default;
  ~HostSettings();  // puts back
  HostSettings(const HostSettings&) = delete;
  HostSettings& operator=(const HostSettings&) = delete;
  /// Changes what is there to be changed; says a line per change. A setting that cannot be written is left alone.
  std::vector<std::string> apply();

 private:
  std::string file_;
};

/// Puts back what schedulers that are gone have left changed; a line per setting.
std::vector<std::string> restore_leftovers();
/// The same, without doing it.
std::vector<std::string> find_leftovers();

}  // namespace reprise::live
