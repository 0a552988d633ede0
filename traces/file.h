// SPDX-License-Identifier: GPL-2.0-only
// Files behind two small interfaces, so that tests can let them fail. Internal to traces/ and its tests.
// Thread safety: none.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "scheduler/core/error.h"
#include "traces/frame.h"

namespace reprise::trace {

class WritableFile {
 public:
  virtual ~WritableFile() = default;
  /// All of it, or an Error (kIo); some of it may then be in the file.
  virtual Expected<void> append(ByteView) = 0;
  /// Cuts the file to `bytes` and goes on there.
  virtual Expected<void> truncate(u64 bytes) = 0;
};

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  [[nodiscard]] virtual u64 size() const = 0;
  /// Exactly out.size() bytes from `offset`, which lie within size(). Error: kIo.
  virtual Expected<void> read(u64 offset, std::span<u8> out) = 0;
};

/// Replaces what is there. Errors: kIo, kNotPermitted.
Expected<std::unique_ptr<WritableFile>> create_file(const std::string& path);
/// A regular file, or what can be read from its start (a pipe is refused: kUsage).
Expected<std::unique_ptr<ReadableFile>> open_file(const std::string& path);
/// `bytes` must outlive it.
std::unique_ptr<ReadableFile> memory_file(ByteView bytes);

}  // namespace reprise::trace
