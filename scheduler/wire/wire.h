// SPDX-License-Identifier: GPL-2.0-only
// The only place where the words of the wire (bpf/wire.h) become those of the engine, and back.
#pragma once

#include "bpf/wire.h"
#include "scheduler/core/error.h"
#include "scheduler/core/step.h"
#include "traces/kernel_event.h"

namespace reprise::wire {

/// Error (kInternal): the kernel side was built from another wire.h than this program.
[[nodiscard]] Expected<void> check_version(u32 of_the_object);

/// False for a record of the wrong size or of an unknown type: it must be counted, and dropped.
[[nodiscard]] bool decode(const std::byte* record, u32 size, Event& event);
[[nodiscard]] bool decode(const std::byte* record, u32 size, trace::KernelEvent& event);

[[nodiscard]] wire_message encode(const Decision&);
[[nodiscard]] wire_message encode_preempt(i32 cpu);
[[nodiscard]] wire_message encode_wake_at(u64 time_ns);

}  // namespace reprise::wire
