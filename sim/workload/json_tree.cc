// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/json_tree.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace reprise::sim {
namespace {

using Type = JsonValue::Type;

// nlohmann-json drops repeated keys and tells neither columns nor places of values, so that half of a reader would have
// to stand in front of it.
class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Expected<JsonValue> run() {
    JsonValue root;
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // byte order mark
    if (!skip() || !value(root, 0) || !skip()) return std::unexpected(error_);
    if (at_ < text_.size()) {
      wrong("text behind the end of the document", "remove it, or a bracket that closes too early");
      return std::unexpected(error_);
    }
    return root;
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }

  void step() {
    if (text_[at_] == '\n') {
      place_.line += 1;
      place_.column = 0;
    }
    place_.column += 1;
    at_ += 1;
  }
  void step(std::size_t count) {
    while (count-- > 0) step();
  }

  bool wrong_at(TextPlace place, std::string what, std::string hint) {
    error_ = fail(ExitCode::kBadInput, "no JSON: " + std::move(what), where(name_, place), std::move(hint)).error();
    return false;
  }
  bool wrong(std::string what, std::string hint = {}) { return wrong_at(place_, std::move(what), std::move(hint)); }
  [[nodiscard]] std::string found() const {
    if (done()) return "the end of the file";
    const auto c = static_cast<unsigned char>(peek());
    return c >= 0x20 && c < 0x7f ? fmt::format("'{}'", peek()) : fmt::format("the byte 0x{:02x}", c);
  }

  /// Over white space and comments.
  bool skip() {
    for (;;) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        step();
      } else if (c == '/' && peek(1) == '/') {
        while (!done() && peek() != '\n') step();
      } else if (c == '/' && peek(1) == '*') {
        const TextPlace begin = place_;
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return wrong_at(begin, "a comment that does not end", "close it with */");
        step(end + 2 - at_);
      } else {
        return true;
      }
    }
  }

  bool value(JsonValue& out, u32 depth) {
    out.place = place_;
    const char c = peek();
    if (c == '{' || c == '[') {
      if (depth >= kMaxJsonDepth) return wrong(fmt::format("nested deeper than {}", kMaxJsonDepth));
      return c == '{' ? object(out, depth) : array(out, depth);
    }
    if (c == '"' || c == '\'') {
      out.type = Type::kString;
      return string(out.text);
    }
    if (c == '-' || (c >= '0' && c <= '9')) return number(out);
    if (word("true") || word("false")) {
      out.type = Type::kBool;
      out.flag = c == 't' || c == 'T';
      return true;
    }
    if (word("null")) return true;
    return wrong("expected a value, found " + found());
  }

  /// In any case of letters, and nothing behind it that belongs to a word.
  bool word(std::string_view name) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < name.size(); ++i)
      if (lower(peek(i)) != name[i]) return false;
    const char next = lower(peek(name.size()));
    if ((next >= 'a' && next <= 'z') || (next >= '0' && next <= '9') || next == '_') return false;
    step(name.size());
    return true;
  }

  bool number(JsonValue& out) {
    const TextPlace begin = place_;
    const std::size_t first = at_;
    const auto digits = [&] {
      const std::size_t before = at_;
      while (peek() >= '0' && peek() <= '9') step();
      return at_ > before;
    };
    bool whole = true;
    if (peek() == '-') step();
    if (!digits()) return wrong("expected a digit, found " + found());
    if (peek() == '.') {
      whole = false;
      step();
      if (!digits()) return wrong("expected a digit, found " + found());
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      step();
      if (peek() == '+' || peek() == '-') step();
      if (!digits()) return wrong("expected a digit, found " + found());
    }
    out.text = text_.substr(first, at_ - first);
    out.type = whole ? Type::kInteger : Type::kReal;
    if (!whole) return true;
    const auto result = std::from_chars(out.text.data(), out.text.data() + out.text.size(), out.integer);
    return result.ec == std::errc{} || wrong_at(begin, "a number that is too large");
  }
  bool wrong_at(TextPlace place, std::string what) { return wrong_at(place, std::move(what), {}); }

  bool string(std::string& out) {
    const char quote = peek();
    const TextPlace begin = place_;
    step();
    for (;;) {
      if (done() || peek() == '\n')
        return wrong_at(begin, "a string that does not end on its line", "close its quotes");
      const char c = peek();
      if (c == quote) break;
      if (c == '\\') {
        if (!escape(out)) return false;
        continue;
      }
      out.push_back(c);
      step();
    }
    step();
    return true;
  }

  bool escape(std::string& out) {
    constexpr std::string_view kNames = "\"'\\/bfnrt", kValues = "\"'\\/\b\f\n\r\t";
    const TextPlace begin = place_;
    step();
    if (const std::size_t at = kNames.find(peek()); peek() != '\0' && at != std::string_view::npos) {
      out.push_back(kValues[at]);
      step();
      return true;
    }
    u32 code = 0;
    if (peek() != 'u') return wrong_at(begin, "an unknown escape in a string", "write \\\\ for a backslash");
    step();
    for (int i = 0; i < 4; ++i, step()) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return wrong("expected four hexadecimal digits, found " + found());
      code = code * 16 + static_cast<u32>(digit);
    }
    // Names are only compared; halves of a pair of surrogates stay what they are.
    if (code < 0x80) {
      out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out.push_back(static_cast<char>(0xc0 | code >> 6));
      out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
    } else {
      out.push_back(static_cast<char>(0xe0 | code >> 12));
      out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
      out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
    }
    return true;
  }

  /// What stands behind an element: true to go on, false at the end; nullopt: neither.
  std::optional<bool> separator(char close) {
    if (!skip()) return std::nullopt;
    if (peek() == ',') {
      step();
      if (!skip()) return std::nullopt;
      if (peek() != close) return true;
    }
    if (peek() == close) {
      step();
      return false;
    }
    wrong(fmt::format("expected ',' or '{}', found {}", close, found()),
          peek() == '"' ? "is a comma missing before it?" : "");
    return std::nullopt;
  }

  bool object(JsonValue& out, u32 depth) {
    out.type = Type::kObject;
    step();
    if (!skip()) return false;
    if (peek() == '}') {
      step();
      return true;
    }
    for (;;) {
      if (peek() != '"' && peek() != '\'') return wrong("expected a key in quotes, found " + found());
      JsonMember& member = out.members.emplace_back();
      member.place = place_;
      if (!string(member.key) || !skip()) return false;
      if (peek() == ':') {
        step();
        if (!skip() || !value(member.value, depth + 1)) return false;
      } else if (peek() == ',' || peek() == '}') {
        member.value.type = Type::kAbsent;
        member.value.place = member.place;
      } else {
        return wrong("expected ':', found " + found());
      }
      const auto more = separator('}');
      if (!more) return false;
      if (!*more) return true;
    }
  }

  bool array(JsonValue& out, u32 depth) {
    out.type = Type::kArray;
    step();
    if (!skip()) return false;
    if (peek() == ']') {
      step();
      return true;
    }
    for (;;) {
      if (!value(out.items.emplace_back(), depth + 1)) return false;
      const auto more = separator(']');
      if (!more) return false;
      if (!*more) return true;
    }
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  TextPlace place_;
  Error error_;
};

}  // namespace

std::string where(const std::string& name, TextPlace place) {
  return fmt::format("{}:{}:{}", name, place.line, place.column);
}

Expected<JsonValue> parse_json(std::string_view text, const std::string& name) {
  if (text.size() > kMaxJsonBytes)
    return fail(ExitCode::kBadInput, fmt::format("larger than {} MiB", kMaxJsonBytes >> 20), name,
                "a workload is described in far less");
  return Parser(text, name).run();
}

}  // namespace reprise::sim
