// SPDX-License-Identifier: GPL-2.0-only
// The messages of trace.capnp as plain values, and their way to bytes and back. Internal to traces/.
//
// Only this pair of files knows Cap'n Proto. message.cc is compiled as C++17 (clang 19 takes Cap'n Proto 0.9's headers
// only below C++20), so nothing of C++20 may stand here. Cap'n Proto's exceptions end there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "traces/session.h"

namespace reprise::trace {

/// Columns of a steps frame; what each holds stands in trace.capnp, and message.cc checks that the numbers agree.
enum StepColumn : std::uint32_t {
  kColNumber,
  kColNow,
  kColEventCount,
  kColDecisionCount,
  kColPreemptCount,
  kColIdleWordCount,
  kColIdle,
  kColRoom,
  kColFlags,
  kColLostEvents,
  kColBits,
  kColWakeAt,
  kColStateHash,
  kColEnd,
  kColType,
  kColCpu,
  kColTime,
  kColSeq,
  kColTask,
  kColTid,
  kColGeneration,
  kColEventFlags,
  kColRaw,
  kColEnqueueExec,
  kColEnqueueStarted,
  kColEnqueueStopped,
  kColEnqueuePrevCpu,
  kColEnqueueWeight,
  kColEnqueueWaker,
  kColEnqueueAllowed,
  kColNewStart,
  kColNewTgid,
  kColNewParent,
  kColNewWeight,
  kColNewFlags,
  kColNewComm,
  kColStopExec,
  kColStopRunnable,
  kColAffinityFirst,
  kColAffinityAllowed,
  kColAffinityWords,
  kColWeight,
  kColDecisionTask,
  kColDecisionGeneration,
  kColDecisionCpu,
  kColDecisionFlags,
  kColDecisionSlice,
  kColDecisionVtime,
  kColPreemptCpu,
  kStepColumns,
};

/// Columns of an events frame: four for all types, then six for each type. There are places for types to come, since
/// what an old program wrote must stay where it was.
enum EventColumn : std::uint32_t {
  kColEventType,
  kColEventCpu,
  kColEventTime,
  kColEventSeq,
  kColEventFirstOfType,
  kColsPerEventType = 6,
  kEventTypePlaces = 32,
  kEventColumns = kColEventFirstOfType + kEventTypePlaces * kColsPerEventType,
};

enum IndexColumn : std::uint32_t {
  kColIndexKind,
  kColIndexNumber,
  kColIndexOffset,
  kColIndexFirstNs,
  kColIndexLastNs,
  kColIndexFirstStep,
  kColIndexItems,
  kColIndexSession,
  kColIndexBytes,
  kIndexColumns,
};

/// Bytes that belong to somebody else. Empty: an absent column, all residuals zero.
struct Column {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

struct StepsMessage {
  std::uint64_t first_number = 0;
  std::uint64_t first_ns = 0;
  std::uint32_t steps = 0;
  std::uint32_t events = 0;
  std::uint32_t decisions = 0;
  std::uint32_t preempts = 0;
  std::uint32_t idle_words = 0;
  std::array<Column, kStepColumns> columns{};
};

struct EventsMessage {
  std::uint64_t first_ns = 0;
  std::uint32_t events = 0;
  std::array<Column, kEventColumns> columns{};
};

struct IndexMessage {
  std::uint64_t previous = 0;
  std::uint32_t entries = 0;
  std::array<Column, kIndexColumns> columns{};
};

struct SnapshotMessage {
  std::uint64_t step = 0;
  std::uint64_t time_ns = 0;
  std::uint32_t part = 0;
  std::uint32_t parts = 0;
  std::uint64_t total_bytes = 0;
  Column state;
};

inline constexpr std::size_t kMaxLossesPerFrame = 8192;

struct LossesMessage {
  std::uint64_t time_ns = 0;
  std::vector<Loss> losses;
};

/// Appends nothing: `out` is replaced. Words of eight bytes, one segment, as Cap'n Proto streams it.
void encode(const SessionInfo&, std::vector<std::uint8_t>& out);
void encode(const StepsMessage&, std::vector<std::uint8_t>& out);
void encode(const EventsMessage&, std::vector<std::uint8_t>& out);
void encode(const IndexMessage&, std::vector<std::uint8_t>& out);
void encode(const SnapshotMessage&, std::vector<std::uint8_t>& out);
void encode(const LossesMessage&, std::vector<std::uint8_t>& out);
void encode(const SessionEnd&, std::vector<std::uint8_t>& out);

/// Columns of the result point into `words`. False: no such message, or a list above its limit; `why` says it. What
/// the numbers mean together is for the caller to check.
bool decode(const std::vector<std::uint64_t>& words, SessionInfo&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, StepsMessage&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, EventsMessage&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, IndexMessage&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, SnapshotMessage&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, LossesMessage&, std::string& why);
bool decode(const std::vector<std::uint64_t>& words, SessionEnd&, std::string& why);

}  // namespace reprise::trace
