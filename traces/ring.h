// SPDX-License-Identifier: GPL-2.0-only
// A ring of bytes between one producer and one consumer: records of any size, each in one piece. Neither side ever
// waits, locks or calls the system; a record that finds no room is refused. Internal to traces/.
//
// Memory: one mapping, made at construction. Thread safety: reserve and commit belong to the producer, front and pop
// to the consumer. tail_ and head_ only grow; a record becomes visible with the store of tail_ (release) and its room
// free with the store of head_ (release).
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "scheduler/core/types.h"

namespace reprise::trace {

class ByteRing {
 public:
  /// A power of two, at least 4 KiB. Aborts when there is no memory: this is at start.
  explicit ByteRing(std::size_t bytes);
  ~ByteRing();
  ByteRing(const ByteRing&) = delete;
  ByteRing& operator=(const ByteRing&) = delete;

  /// Room for a record, aligned to 8 bytes; nullptr: none now. What was reserved before and not committed is dropped.
  [[nodiscard]] std::byte* reserve(std::size_t bytes, u32 kind) {
    const u64 tail = tail_.load(std::memory_order_relaxed);
    const u64 need = kHeader + ((bytes + 7) & ~u64{7});
    const u64 to_end = size_ - (tail & (size_ - 1));
    const u64 pad = need > to_end ? to_end : 0;
    if (need > size_ || !has_room(tail, pad + need)) return nullptr;
    if (pad != 0) put_header(tail, 0, static_cast<u32>(pad - kHeader));
    put_header(tail + pad, kind, static_cast<u32>(bytes));
    reserved_ = tail + pad + need;
    return memory_ + ((tail + pad) & (size_ - 1)) + kHeader;
  }
  void commit() { tail_.store(reserved_, std::memory_order_release); }

  struct Record {
    u32 kind = 0;  // 0: there is none
    std::span<const std::byte> bytes;
  };
  [[nodiscard]] Record front();
  void pop() { head_.store(next_head_, std::memory_order_release); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> memory() const { return {memory_, size_}; }
  /// Bytes that wait. From the consumer.
  [[nodiscard]] u64 waiting() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr u64 kHeader = 8;
  void put_header(u64 at, u32 kind, u32 bytes) {
    u32* header = reinterpret_cast<u32*>(memory_ + (at & (size_ - 1)));
    header[0] = kind, header[1] = bytes;
  }
  bool has_room(u64 tail, u64 need) {
    if (size_ - (tail - seen_head_) >= need) return true;
    seen_head_ = head_.load(std::memory_order_acquire);
    return size_ - (tail - seen_head_) >= need;
  }

  const u64 size_;
  std::byte* const memory_;
  // Producer's and consumer's words on lines of their own.
  alignas(64) std::atomic<u64> tail_{0};
  u64 seen_head_ = 0;
  u64 reserved_ = 0;
  alignas(64) std::atomic<u64> head_{0};
  u64 next_head_ = 0;
};

}  // namespace reprise::trace
