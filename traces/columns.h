// SPDX-License-Identifier: GPL-2.0-only
// Columns: a field of many records as one string of bytes. What is stored is a residual, the difference between a
// value and what its context lets one expect; most residuals are zero or small, and zstd then finds little left.
//
// ColumnsEncoder and ColumnsDecoder have the same members, so that one description of a record, a template over
// either, serves both directions and cannot disagree with itself (columns_steps.h, columns_events.h).
// Thread safety: none.
#pragma once

#include <array>
#include <concepts>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "scheduler/core/check.h"
#include "scheduler/core/types.h"
#include "traces/message.h"

namespace reprise::trace {

[[nodiscard]] constexpr u64 zigzag(u64 v) { return (v << 1) ^ (u64{0} - (v >> 63)); }
[[nodiscard]] constexpr u64 unzigzag(u64 v) { return (v >> 1) ^ (u64{0} - (v & 1)); }

/// A value of any integer type in 64 bits, sign kept.
template <std::integral T>
[[nodiscard]] constexpr u64 widen(T value) {
  if constexpr (std::is_signed_v<T>) return static_cast<u64>(static_cast<i64>(value));
  return static_cast<u64>(value);
}

class ColumnWriter {
 public:
  void clear() { size_ = 0, any_ = 0; }

  /// LEB128: seven bits a byte, the lowest first.
  void put(u64 value) {
    reserve(10);
    any_ |= value;
    while (value >= 0x80) {
      bytes_[size_++] = static_cast<u8>(value | 0x80);
      value >>= 7;
    }
    bytes_[size_++] = static_cast<u8>(value);
  }

  void put_fixed(u64 value) {
    reserve(8);
    any_ |= value;
    for (int i = 0; i < 8; ++i) bytes_[size_++] = static_cast<u8>(value >> (8 * i));
  }

  /// Empty when all residuals were zero.
  [[nodiscard]] Column column() const { return any_ == 0 ? Column{} : Column{bytes_.data(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void reserve(std::size_t more) {
    if (bytes_.size() - size_ < more) bytes_.resize(bytes_.size() * 2 + 256);
  }

  std::vector<u8> bytes_;
  std::size_t size_ = 0;
  u64 any_ = 0;
};

class ColumnReader {
 public:
  explicit ColumnReader(Column column = {})
      : at_(column.data), end_(column.size == 0 ? column.data : column.data + column.size), zero_(column.size == 0) {}

  /// False in `good` when the column ends early or holds a number of more than 64 bits.
  [[nodiscard]] u64 get(bool& good) {
    if (at_ == end_) {
      good &= zero_;
      return 0;
    }
    const u8 first = *at_++;
    if (first < 0x80) return first;
    return get_long(first, good);
  }

  [[nodiscard]] u64 get_fixed(bool& good) {
    if (zero_) return 0;
    if (end_ - at_ < 8) {
      good = false;
      return 0;
    }
    u64 value = 0;
    for (int i = 0; i < 8; ++i) value |= u64{*at_++} << (8 * i);
    return value;
  }

  [[nodiscard]] bool used_up() const { return at_ == end_; }

 private:
  u64 get_long(u8 first, bool& good) {
    u64 value = first & 0x7f;
    for (u32 shift = 7; at_ != end_ && shift < 64; shift += 7) {
      const u8 byte = *at_++;
      if (shift == 63 && byte > 1) break;
      value |= u64{byte & u64{0x7f}} << shift;
      if (byte < 0x80) return value;
    }
    good = false;
    return 0;
  }

  const u8* at_;
  const u8* end_;
  bool zero_;
};

/// A table of contexts that is empty again at the start of each frame, at no cost. Indices are taken modulo N: two
/// tasks that share an entry make worse guesses, not errors. Pages are touched when they are used.
template <typename Entry, u32 N>
class FrameTable {
 public:
  static_assert(std::is_trivially_copyable_v<Entry>);
  FrameTable() : slots_(static_cast<Slot*>(std::calloc(N, sizeof(Slot)))) { REPRISE_CHECK(slots_ != nullptr); }

  Entry& operator[](u32 index) {
    Slot& slot = slots_.get()[index % N];
    if (slot.frame != frame_) slot = Slot{{}, frame_};
    return slot.entry;
  }
  void next_frame() { ++frame_; }

 private:
  struct Slot {
    Entry entry;
    u32 frame;  // the last one that used it
  };
  struct Free {
    void operator()(Slot* slots) const { std::free(slots); }
  };
  std::unique_ptr<Slot, Free> slots_;
  u32 frame_ = 1;
};

template <std::size_t N>
class ColumnsEncoder {
 public:
  static constexpr bool kEncodes = true;

  /// Value minus expected, for what moves in small steps.
  template <std::integral T>
  void delta(u32 column, const T& value, u64 expected) {
    writers_[column].put(zigzag(widen(value) - expected));
  }
  /// Value xor expected, for sets of bits.
  template <std::unsigned_integral T>
  void changed(u32 column, const T& value, u64 expected) {
    writers_[column].put(widen(value) ^ expected);
  }
  template <std::unsigned_integral T>
  void plain(u32 column, const T& value) {
    writers_[column].put(widen(value));
  }
  /// Eight bytes as they are, for what has no pattern.
  void fixed(u32 column, const u64& value) { writers_[column].put_fixed(value); }

  void clear() {
    for (ColumnWriter& writer : writers_) writer.clear();
  }
  void columns(std::array<Column, N>& out) const {
    for (std::size_t i = 0; i < N; ++i) out[i] = writers_[i].column();
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t total = 0;
    for (const ColumnWriter& writer : writers_) total += writer.size();
    return total;
  }

 private:
  std::array<ColumnWriter, N> writers_;
};

template <std::size_t N>
class ColumnsDecoder {
 public:
  static constexpr bool kEncodes = false;

  void open(const std::array<Column, N>& columns) {
    for (std::size_t i = 0; i < N; ++i) readers_[i] = ColumnReader(columns[i]);
    good_ = true;
  }

  template <std::integral T>
  void delta(u32 column, T& value, u64 expected) {
    set(value, expected + unzigzag(readers_[column].get(good_)));
  }
  template <std::unsigned_integral T>
  void changed(u32 column, T& value, u64 expected) {
    set(value, expected ^ readers_[column].get(good_));
  }
  template <std::unsigned_integral T>
  void plain(u32 column, T& value) {
    set(value, readers_[column].get(good_));
  }
  void fixed(u32 column, u64& value) { value = readers_[column].get_fixed(good_); }

  void reject() { good_ = false; }
  /// No column ended early, no value was out of its type's range.
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool used_up() const {
    for (const ColumnReader& reader : readers_) {
      if (!reader.used_up()) return false;
    }
    return true;
  }

 private:
  template <typename T>
  void set(T& value, u64 wide) {
    value = static_cast<T>(wide);
    good_ &= widen(value) == wide;
  }

  std::array<ColumnReader, N> readers_;
  bool good_ = true;
};

}  // namespace reprise::trace
