// SPDX-License-Identifier: GPL-2.0-only
// Arena: hands out zeroed spans from one block of memory, in the order in which they are asked for.
//
// Everything that an engine or a policy remembers lies in one such block: plain structs without pointers and without
// padding (both are checked at compile time), so that equal states are equal bytes. Two kinds of span:
//   array<T>(n)      n elements, hashed and stored whole;
//   per_task<T>(x)   one element for each slot of the task table, and x more. Only the first `used slots + x` are
//                    hashed and stored, so an owner must leave the others zero. What is indexed by slot does so by
//                    itself; so does a dense container of tasks, which never holds more than the used slots. Rows of
//                    several elements per slot go by per_task<T>(0, elements).
//
// Ownership: the caller owns the block, which must outlive the spans. Thread safety: none. To ask for more than the
// block holds is a programmer's error: PolicyInfo::state_bytes and the constructor must agree.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "scheduler/core/check.h"
#include "scheduler/core/types.h"

namespace reprise {

/// What may lie in the block.
template <typename T>
concept ArenaElement = std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T> &&
                       std::has_unique_object_representations_v<T> && !std::is_pointer_v<T>;

class Arena {
 public:
  static constexpr std::size_t kAlignment = 64;  // a cache line
  static constexpr std::size_t kMaxRegions = 32;

  struct Region {
    std::size_t offset;          // in the block
    std::size_t bytes;           // in all
    std::size_t per_task_bytes;  // 0: not per task
    std::size_t extra_bytes;     // per task: in addition to the slots'

    /// How many bytes can be other than zero while only the slots 0..used_slots-1 have been in use.
    [[nodiscard]] std::size_t used_bytes(std::size_t used_slots) const {
      return per_task_bytes == 0 ? bytes : std::min(bytes, used_slots * per_task_bytes + extra_bytes);
    }
  };

  /// `block` must be aligned to kAlignment.
  Arena(std::span<std::byte> block, std::size_t max_tasks) : block_(block), max_tasks_(max_tasks) {
    REPRISE_CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % kAlignment == 0);
  }

  /// Bytes that a span of n elements takes.
  template <ArenaElement T>
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t n) {
    return (n * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

  template <ArenaElement T>
  [[nodiscard]] std::span<T> array(std::size_t n) {
    return take<T>(n, 0, 0);
  }

  template <ArenaElement T>
  [[nodiscard]] std::span<T> per_task(std::size_t extra = 0, std::size_t each = 1) {
    return take<T>(max_tasks_ * each + extra, sizeof(T) * each, extra * sizeof(T));
  }

  [[nodiscard]] std::size_t max_tasks() const { return max_tasks_; }
  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::span<const Region> regions() const { return {regions_.data(), region_count_}; }

 private:
  template <typename T>
  std::span<T> take(std::size_t n, std::size_t per_task_bytes, std::size_t extra_bytes) {
    static_assert(alignof(T) <= kAlignment);
    const std::size_t size = bytes<T>(n);
    REPRISE_CHECK(region_count_ < kMaxRegions);
    REPRISE_CHECK(size <= block_.size() - used_);
    T* first = reinterpret_cast<T*>(block_.data() + used_);
    std::uninitialized_value_construct_n(first, n);
    regions_[region_count_++] = {used_, n * sizeof(T), per_task_bytes, extra_bytes};
    used_ += size;
    return {first, n};
  }

  std::span<std::byte> block_;
  std::size_t max_tasks_;
  std::size_t used_ = 0;
  std::size_t region_count_ = 0;
  std::array<Region, kMaxRegions> regions_{};
};

}  // namespace reprise
