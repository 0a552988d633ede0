// SPDX-License-Identifier: GPL-2.0-only
// Pieces of the page: text, numbers, tables.
//
// Names of tasks come from traces that anybody may have made, so whatever is text goes through `text`; what these
// functions return is HTML and goes in as it is. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/types.h"

namespace reprise::report {

/// Safe between tags and in quoted attributes. Control characters, and those that turn the direction of writing, are
/// replaced by U+FFFD; bytes that are no UTF-8 must not come in.
[[nodiscard]] std::string text(std::string_view);

// For people, plain text.

/// 1.53 ms, 12.3 µs, 640 ns: three digits that matter.
[[nodiscard]] std::string duration(double ns);
/// The same without zeros that say nothing, for the ticks of an axis.
[[nodiscard]] std::string brief(std::string duration);
/// A duration with its sign.
[[nodiscard]] std::string offset(double ns);
/// 1234567 as 1,234,567.
[[nodiscard]] std::string grouped(u64);
/// As its unit asks for: "ns", "count", "ratio", "percent".
[[nodiscard]] std::string value(double, std::string_view unit);
/// +12.5 %, x3.2, "new", "0 %".
[[nodiscard]] std::string change(double base, double now);

struct Cell {
  std::string html;            // what is shown
  std::optional<double> sort;  // of a number; else it is sorted by its text
  std::string classes = {};
  std::string title = {};  // plain text, shown on demand

  static Cell of(std::string_view plain) { return {text(plain), {}}; }
  static Cell number(double sort, std::string_view plain) { return {text(plain), sort}; }
};

struct Column {
  std::string title;
  bool number = true;
  std::string explanation = {};  // plain text
};

struct Table {
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows = {};  // the first cell is the row's header
  bool sortable = true;

  /// In a box of its own that scrolls sideways.
  [[nodiscard]] std::string html() const;
};

/// A command or an excerpt that is copied as it stands.
[[nodiscard]] std::string code_block(std::string_view plain);
/// {name, HTML} as a list of definitions; rows whose HTML is empty are left out.
[[nodiscard]] std::string definitions(std::span<const std::pair<std::string, std::string>>);
/// "pass", "fail", "agree", ... with a colour of its own.
[[nodiscard]] std::string verdict(std::string_view plain);

}  // namespace reprise::report
