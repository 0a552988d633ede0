// SPDX-License-Identifier: GPL-2.0-only
// The dynamic symbols of an ELF file, read from its bytes without running any of it. Every offset is checked: the file
// may be anything. Only files of this machine's own kind are understood.
//
// Thread safety: as a plain value. The bytes must outlive it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::loader {

class ElfFile {
 public:
  /// Error (kBadInput): no ELF file; of another class, byte order or machine; no shared object; no symbols; cut short.
  static Expected<ElfFile> parse(std::span<const std::byte> bytes);

  /// Names that the file needs from elsewhere, in the file's order.
  [[nodiscard]] const std::vector<std::string_view>& needed() const { return needed_; }
  [[nodiscard]] bool defines(std::string_view name) const;
  /// The first bytes of the data that a symbol of the file names; shorter than `size` when there is not so much.
  [[nodiscard]] std::span<const std::byte> data_of(std::string_view name, std::size_t size) const;
  /// Bytes of variables that can change, beyond those that every shared object has.
  [[nodiscard]] u64 variable_bytes() const { return variable_bytes_; }

 private:
  struct Defined {
    std::string_view name;
    u64 address;
    u64 size;
  };
  struct Segment {
    u64 offset, address, size;
  };

  std::span<const std::byte> bytes_;
  std::vector<std::string_view> needed_;
  std::vector<Defined> defined_;
  std::vector<Segment> segments_;
  u64 variable_bytes_ = 0;
};

}  // namespace reprise::loader
