// SPDX-License-Identifier: GPL-2.0-only
// A folder for the files of this process's tests: ctest runs many at once, and they must not read each other's.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace reprise::test {

/// Path of the file `name` in the folder, which is removed when the process ends.
[[nodiscard]] inline std::string temporary(const std::string& name) {
  struct Folder {
    Folder() : path((std::filesystem::temp_directory_path() / "reprise-test-XXXXXX").string()) {
      if (::mkdtemp(path.data()) == nullptr) path = ".";
    }
    ~Folder() {
      std::error_code ignored;
      if (path != ".") std::filesystem::remove_all(path, ignored);
    }
    std::string path;
  };
  static const Folder folder;
  return folder.path + "/" + name;
}

}  // namespace reprise::test
