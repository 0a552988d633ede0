// SPDX-License-Identifier: GPL-2.0-only
#include "tests/support/allocation_counter.h"

#include <cstdlib>
#include <new>

// The thread sanitizer brings operators of its own; there nothing is counted, and tests of allocation do not run.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REPRISE_UNCOUNTED
#endif
#endif

#ifdef REPRISE_UNCOUNTED

namespace reprise::test {
u64 allocations() { return 0; }
}  // namespace reprise::test

#else

namespace reprise::test {
namespace {

thread_local u64 count = 0;

void* allocate(std::size_t size, std::size_t alignment) {
  ++count;
  if (size == 0) size = 1;
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(size)
                     : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

u64 allocations() { return count; }

}  // namespace reprise::test

// The nothrow and array forms of the library end in these.
void* operator new(std::size_t size) { return reprise::test::allocate(size, 1); }
void* operator new[](std::size_t size) { return reprise::test::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return reprise::test::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return reprise::test::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

#endif
