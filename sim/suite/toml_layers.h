// SPDX-License-Identifier: GPL-2.0-only
// TOML tables laid over each other: what the upper one leaves out, the one below says. Sub-tables are laid over each
// other as well. Messages carry file, line and the nearest known key. Only for the .cc files of sim/suite.
#pragma once

#include <toml++/toml.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::sim {

[[nodiscard]] u32 line_of(const toml::node&);
/// "tests/suite.toml:12".
[[nodiscard]] std::string place(const std::string& file, const toml::node&);
std::unexpected<Error> refuse(const std::string& file, const toml::node&, std::string what, std::string hint = {});
/// Error: a key that is not in `known`.
Expected<void> check_keys(const std::string& file, const toml::table&, std::span<const std::string_view> known,
                          std::string_view what);

class Layers {
 public:
  explicit Layers(const std::string& file) : file_(file) {}
  /// Over all others; must outlive this.
  void add(const toml::table& table) { tables_.push_back(&table); }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool empty() const { return tables_.empty(); }

  /// Null: no layer has it.
  [[nodiscard]] const toml::node* find(std::string_view key) const;
  /// The sub-tables of that name, in the same order. Error: something else than a table is called so.
  Expected<Layers> sub(std::string_view key) const;
  /// Keys of all layers, each once, sorted.
  [[nodiscard]] std::vector<std::string> keys() const;

  // Value of a key, or `otherwise`. Errors: of another type, out of range.
  Expected<std::string> text(std::string_view key, std::string otherwise = {}) const;
  Expected<double> number(std::string_view key, double otherwise, double least, double greatest) const;
  Expected<u64> whole(std::string_view key, u64 otherwise, u64 least, u64 greatest) const;
  Expected<bool> flag(std::string_view key, bool otherwise) const;
  /// A text or an array of texts; empty: not there.
  Expected<std::vector<std::string>> texts(std::string_view key) const;

 private:
  std::string file_;
  std::vector<const toml::table*> tables_;
};

}  // namespace reprise::sim
