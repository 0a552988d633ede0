// SPDX-License-Identifier: GPL-2.0-only
// Options of a policy: unsigned integers with a unit, a range and a default, written `key=value,key=value`.
//
// A policy declares its OptionSpecs in a constant table (PolicyInfo::options). `Options` holds one value for each and
// refers to that table, which must outlive it. Thread safety: as a plain value.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise {

struct OptionSpec {
  std::string_view name;
  std::string_view unit;  // "us", "%", "tasks"; "0|1" for a switch; empty for a plain number
  u64 min;
  u64 max;
  u64 default_value;
  std::string_view summary;
};

class Options {
 public:
  Options() = default;
  /// All defaults.
  explicit Options(std::span<const OptionSpec> specs);

  /// `text` is empty or `key=value,key=value`. Error (kUsage): not of that form, a key that is unknown (names the
  /// nearest one) or given twice, a value that is no number or out of range (names the range).
  static Expected<Options> parse(std::span<const OptionSpec> specs, std::string_view text);

  /// `name` must be one of the specs.
  [[nodiscard]] u64 get(std::string_view name) const;
  [[nodiscard]] std::span<const OptionSpec> specs() const { return specs_; }
  [[nodiscard]] std::span<const u64> values() const { return values_; }
  /// All values in the order of the specs, defaults included; `parse` reads it back.
  [[nodiscard]] std::string text() const;

 private:
  std::span<const OptionSpec> specs_;
  std::vector<u64> values_;
};

/// The candidate that is most like `name`; empty when none is near enough to be meant. For messages.
[[nodiscard]] std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace reprise
