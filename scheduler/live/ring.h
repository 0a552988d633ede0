// SPDX-License-Identifier: GPL-2.0-only
// Both ring buffers, read and written in place in mapped memory: no system call, no copy beyond the message itself,
// one update of the position per batch. Layouts: kernel/bpf/ringbuf.c (struct bpf_ringbuf, bpf_ringbuf_hdr).
//
// Thread safety: one reader per RingReader, one writer per RingWriter; the kernel is the other end.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <utility>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"

namespace reprise::live {

/// A mapping, unmapped at the end of its life.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Mapping();
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(address_); }

 private:
  void swap(Mapping& other) {
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
  }
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

inline constexpr u32 kRingBusy = 1u << 31;
inline constexpr u32 kRingDiscard = 1u << 30;
inline constexpr u64 kRingHeader = 8;

/// The reading end of a BPF_MAP_TYPE_RINGBUF.
class RingReader {
 public:
  static Expected<RingReader> open(int map_fd, std::size_t bytes);

  /// Calls take(const std::byte*, u32 size) for each record until it returns false (that record is then not
  /// consumed) or none is ready; gives the room back once. Returns how many were consumed.
  template <typename Take>
  std::size_t drain(Take&& take) {
    u64 position = consumed_;
    const u64 produced = producer().load(std::memory_order_acquire);
    std::size_t count = 0;
    // Records are mostly of one size. Assuming so until it proves wrong lets the processor go on to the next record
    // before this one's length has been loaded.
    u32 usual = 0;
    u64 step = 0;
    while (position < produced) {
      const std::byte* header = data_ + (position & mask_);
      const u32 length =
          std::atomic_ref<u32>(*reinterpret_cast<u32*>(const_cast<std::byte*>(header))).load(std::memory_order_acquire);
      if (length & kRingBusy) break;  // reserved, not yet submitted: all later ones wait, order is kept
      const u32 size = length & ~kRingDiscard;
      if (!(length & kRingDiscard)) {
        if (!take(header + kRingHeader, size)) break;
        ++count;
      }
      if (size != usual) [[unlikely]] {
        usual = size;
        step = (size + kRingHeader + 7) / 8 * 8;
      }
      position += step;
    }
    if (position != consumed_) {
      consumed_ = position;
      consumer().store(position, std::memory_order_release);
    }
    return count;
  }

  [[nodiscard]] bool empty() const { return consumed_ == producer().load(std::memory_order_acquire); }

 private:
  [[nodiscard]] std::atomic_ref<u64> producer() const {
    return std::atomic_ref<u64>(*reinterpret_cast<u64*>(producer_map_.data()));
  }
  [[nodiscard]] std::atomic_ref<u64> consumer() const {
    return std::atomic_ref<u64>(*reinterpret_cast<u64*>(consumer_map_.data()));
  }
  Mapping consumer_map_;
  Mapping producer_map_;  // position, then the data twice in a row, so that no record is split
  const std::byte* data_ = nullptr;
  u64 mask_ = 0;
  u64 consumed_ = 0;
};

/// The writing end of a BPF_MAP_TYPE_USER_RINGBUF, for messages of one size.
class RingWriter {
 public:
  static Expected<RingWriter> open(int map_fd, std::size_t bytes, u32 message_size);

  /// Messages that fit now.
  [[nodiscard]] u32 room() const {
    const u64 used = written_ - consumer().load(std::memory_order_acquire);
    return static_cast<u32>((mask_ + 1 - used) / stride_);
  }

  /// Messages that become visible together. A local variable, so that its position stays in a register.
  class Batch {
   public:
    explicit Batch(RingWriter& ring)
        : ring_(ring),
          data_(ring.data_),
          mask_(ring.mask_),
          at_(ring.written_),
          stride_(ring.stride_),
          left_(ring.room()),
          header_(ring.message_size_) {}
    /// Messages for which there is still room.
    [[nodiscard]] u32 room() const { return left_; }
    /// Where the next message goes; room() must not be 0. Nobody sees it before publish().
    [[nodiscard]] std::byte* next() {
      std::byte* header = data_ + (at_ & mask_);
      std::memcpy(header, &header_, sizeof(header_));
      at_ += stride_;
      --left_;
      return header + kRingHeader;
    }
    void publish() {
      ring_.written_ = at_;
      ring_.producer().store(at_, std::memory_order_release);
    }

   private:
    RingWriter& ring_;
    std::byte* const data_;
    const u64 mask_;
    u64 at_;
    const u64 stride_;
    u32 left_;
    const u64 header_;  // struct bpf_ringbuf_hdr: length, page offset
  };

 private:
  [[nodiscard]] std::atomic_ref<u64> producer() const {
    return std::atomic_ref<u64>(*reinterpret_cast<u64*>(producer_map_.data()));
  }
  [[nodiscard]] std::atomic_ref<u64> consumer() const {
    return std::atomic_ref<u64>(*reinterpret_cast<u64*>(consumer_map_.data()));
  }
  Mapping consumer_map_;
  Mapping producer_map_;
  std::byte* data_ = nullptr;
  u64 mask_ = 0;
  u64 written_ = 0;
  u32 message_size_ = 0;
  u64 stride_ = 0;
};

}  // namespace reprise::live
