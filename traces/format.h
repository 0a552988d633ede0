// SPDX-License-Identifier: GPL-2.0-only
// Events, decisions and steps as text: one line for people, or one JSON object (without a newline) for tools.
// Times are integers in ns in JSON, seconds with nine digits for people. Bytes of a comm that are not printable ASCII
// are escaped, so that the output is valid UTF-8. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "scheduler/core/step.h"
#include "traces/kernel_event.h"
#include "traces/reader.h"

namespace reprise::trace {

[[nodiscard]] std::string_view name_of(EventType);
[[nodiscard]] std::string_view name_of(KernelEventType);
[[nodiscard]] std::string_view name_of(LossRing);
[[nodiscard]] std::string_view name_of(SessionKind);

[[nodiscard]] std::string format_event(const Event&);
[[nodiscard]] std::string format_decision(const Decision&);
[[nodiscard]] std::string format_kernel_event(const KernelEvent&);
/// The step itself, without its events and decisions.
[[nodiscard]] std::string format_step(const StepRecord&);

[[nodiscard]] std::string json_event(const Event&);
[[nodiscard]] std::string json_decision(const Decision&);
[[nodiscard]] std::string json_kernel_event(const KernelEvent&);
/// With its events, decisions and preempts.
[[nodiscard]] std::string json_step(const StepRecord&);

/// A comm of up to 16 bytes, escaped for text (\xNN) or for JSON (\u00NN, without the quotes).
[[nodiscard]] std::string printable_comm(const char (&comm)[16]);
[[nodiscard]] std::string json_escape(std::string_view);

}  // namespace reprise::trace
