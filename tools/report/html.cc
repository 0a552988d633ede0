// SPDX-License-Identifier: GPL-2.0-only
#include "tools/report/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace reprise::report {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// U+202A..U+202E and U+2066..U+2069, in UTF-8: E2 80 AA..AE, E2 81 A6..A9.
bool turns_direction(std::string_view rest) {
  if (!rest.starts_with("\xe2") || rest.size() < 3) return false;
  const auto second = static_cast<unsigned char>(rest[1]), third = static_cast<unsigned char>(rest[2]);
  return (second == 0x80 && third >= 0xaa && third <= 0xae) || (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

}  // namespace

std::string text(std::string_view plain) {
  std::string out;
  out.reserve(plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    if (turns_direction(plain.substr(i))) {
      out += kReplacement;
      i += 2;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

std::string duration(double ns) {
  struct Unit {
    double ns;
    std::string_view name;
  };
  const double size = std::abs(ns);
  for (const Unit& unit : {Unit{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}}) {
    if (size < unit.ns * 0.9995) continue;
    const double whole = ns / unit.ns;
    const int digits = std::abs(whole) >= 99.95 ? 0 : std::abs(whole) >= 9.995 ? 1 : 2;
    return fmt::format("{:.{}f} {}", whole, digits, unit.name);
  }
  return fmt::format("{:.0f} ns", ns);
}

std::string brief(std::string duration) {
  const std::size_t space = duration.find(' '), dot = duration.find('.');
  if (dot == std::string::npos || space == std::string::npos) return duration;
  std::size_t end = space;
  while (duration[end - 1] == '0') --end;
  if (duration[end - 1] == '.') --end;
  return duration.erase(end, space - end);
}

std::string offset(double ns) { return ns == 0 ? "0" : (ns > 0 ? "+" : "") + duration(ns); }

std::string grouped(u64 number) {
  const std::string digits = std::to_string(number);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string value(double number, std::string_view unit) {
  if (unit == "ns") return duration(number);
  if (unit == "percent") return fmt::format("{:.2f} %", number);
  if (unit == "count" && number >= 0 && number < 1e18 && number == std::floor(number))
    return grouped(static_cast<u64>(number));
  return fmt::format("{:.4g}", number);
}

std::string change(double base, double now) {
  if (base == now) return "0 %";
  if (base == 0) return "new";
  const double percent = (now - base) / std::abs(base) * 100;
  return std::abs(percent) >= 1000 ? fmt::format("×{:.1f}", now / base) : fmt::format("{:+.1f} %", percent);
}

std::string Table::html() const {
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n<table{1}>\n<caption>{0}</caption>\n"
      "<thead><tr>",
      text(caption), sortable ? " class=\"sortable\"" : "");
  for (const Column& column : columns)
    out += fmt::format("<th scope=\"col\"{}{}>{}</th>", column.number ? " class=\"n\"" : "",
                       column.explanation.empty() ? "" : fmt::format(" title=\"{}\"", text(column.explanation)),
                       text(column.title));
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<Cell>& row : rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      std::string classes = cell.classes;
      if (i < columns.size() && columns[i].number) classes = classes.empty() ? "n" : "n " + classes;
      std::string attributes;
      if (!classes.empty()) attributes += fmt::format(" class=\"{}\"", classes);
      if (cell.sort) attributes += fmt::format(" data-v=\"{:.12g}\"", *cell.sort);
      if (!cell.title.empty()) attributes += fmt::format(" title=\"{}\"", text(cell.title));
      out += i == 0 ? fmt::format("<th scope=\"row\"{}>{}</th>", attributes, cell.html)
                    : fmt::format("<td{}>{}</td>", attributes, cell.html);
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
}

std::string code_block(std::string_view plain) {
  return fmt::format("<pre class=\"code\" tabindex=\"0\"><code>{}</code></pre>\n", text(plain));
}

std::string definitions(std::span<const std::pair<std::string, std::string>> rows) {
  std::string out = "<dl>\n";
  for (const auto& [name, html] : rows)
    if (!html.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", text(name), html);
  return out + "</dl>\n";
}

std::string verdict(std::string_view plain) {
  const bool good = plain == "pass" || plain == "agree" || plain == "identical" || plain == "better";
  const bool bad = plain == "fail" || plain == "error" || plain == "disagree" || plain == "diverged" ||
                   plain == "worse" || plain == "void";
  return fmt::format("<span class=\"verdict {}\">{}</span>", good ? "good" : bad ? "bad" : "open", text(plain));
}

}  // namespace reprise::report
