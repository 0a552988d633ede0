// SPDX-License-Identifier: GPL-2.0-only
// JSON as a tree that keeps what rt-app's dialect needs and other readers drop: the order of keys, keys that repeat,
// and where each stands in the file.
//
// The dialect is that of json-c, which rt-app reads with, and of workgen, which prepares files for it: comments
// (/* */ and //), a comma before a closing bracket, strings in single quotes, true, false and null in any case, and in
// an object a key without a value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::sim {

struct TextPlace {
  u32 line = 1;    // from 1
  u32 column = 1;  // from 1, in bytes
};

struct JsonMember;

struct JsonValue {
  enum class Type : u8 { kAbsent, kNull, kBool, kInteger, kReal, kString, kArray, kObject };
  Type type = Type::kNull;  // kAbsent: a key without a value
  bool flag = false;
  i64 integer = 0;
  std::string text;  // of a string; of a number as it was written
  std::vector<JsonValue> items;
  std::vector<JsonMember> members;  // in their order
  TextPlace place;                  // where it begins
};

struct JsonMember {
  std::string key;
  TextPlace place;
  JsonValue value;
};

inline constexpr std::size_t kMaxJsonBytes = 16 << 20;
inline constexpr u32 kMaxJsonDepth = 32;

/// `name` stands in messages. Error (kBadInput): no JSON, with line and column; larger than kMaxJsonBytes, nested
/// deeper than kMaxJsonDepth, a whole number that no i64 holds.
Expected<JsonValue> parse_json(std::string_view text, const std::string& name);

/// "FILE:LINE:COLUMN"
[[nodiscard]] std::string where(const std::string& name, TextPlace);

}  // namespace reprise::sim
