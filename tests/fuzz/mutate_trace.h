// SPDX-License-Identifier: GPL-2.0-only
// Changes a trace in a way that gets past its checksums: most of the time the message inside a frame, or what a frame's
// header says, with all checksums made good again; sometimes any byte. A fuzzer that only flips bytes would
// never see more than "fails its checksum".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace reprise::test {

/// Changes `size` bytes at `data` in place, to at most `max_size`; the new size. As LLVMFuzzerMutate.
using MutateBytes = std::function<std::size_t(std::uint8_t* data, std::size_t size, std::size_t max_size)>;

std::size_t mutate_trace(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed,
                         const MutateBytes& mutate);

}  // namespace reprise::test
