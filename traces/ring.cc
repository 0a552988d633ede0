// SPDX-License-Identifier: GPL-2.0-only
#include "traces/ring.h"

#include <sys/mman.h>

#include <bit>

#include "scheduler/core/check.h"

namespace reprise::trace {
namespace {

std::byte* map(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REPRISE_CHECK(memory != MAP_FAILED);
  return static_cast<std::byte*>(memory);
}

}  // namespace

ByteRing::ByteRing(std::size_t bytes) : size_(bytes), memory_(map(bytes)) {
  REPRISE_CHECK(std::has_single_bit(bytes) && bytes >= 4096);
}

ByteRing::~ByteRing() { ::munmap(memory_, size_); }

ByteRing::Record ByteRing::front() {
  u64 head = head_.load(std::memory_order_relaxed);
  const u64 tail = tail_.load(std::memory_order_acquire);
  while (head != tail) {
    const u32* header = reinterpret_cast<const u32*>(memory_ + (head & (size_ - 1)));
    const u64 next = head + kHeader + ((u64{header[1]} + 7) & ~u64{7});
    if (header[0] != 0) {
      next_head_ = next;
      return {header[0], {memory_ + (head & (size_ - 1)) + kHeader, header[1]}};
    }
    head = next;  // padding up to the end
  }
  return {};
}

}  // namespace reprise::trace
