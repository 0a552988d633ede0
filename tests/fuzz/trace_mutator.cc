// SPDX-License-Identifier: GPL-2.0-only
// Gives libFuzzer the mutator for traces.
#include "tests/fuzz/mutate_trace.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  return reprise::test::mutate_trace(data, size, max_size, seed, LLVMFuzzerMutate);
}
