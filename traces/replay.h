// SPDX-License-Identifier: GPL-2.0-only
// Replays a trace: the recorded inputs go through an engine again (open loop); its decisions must come out identical.
//
// What the counts mean. `decisions` are the recorded ones of the steps that were replayed; `identical` those that came
// out the same, field by field, at the same place of the same step. Up to the first divergence this is a proof. From
// there on the inputs answer to decisions that were not made: with the recorded policy the counts then say how far
// the bug reaches, with another policy how often it would have decided alike, and nothing about what the
// machine would have done (that is the simulator's business). Counting ends with the session's steps, at a gap in
// them, or when the engine reports a breach of contract; the next session starts anew.
//
// Thread safety: none; a replay shares nothing with another one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/engine.h"
#include "traces/reader.h"

namespace reprise::trace {

struct ChosenPolicy {
  const PolicyInfo* info = nullptr;
  Options options;
  std::string code = {};  // SHA-256 of the shared object that it is in; empty: it is this program's
};

/// Finds what a `--policy` names ("vruntime:slice_us=3000"). Passed in: traces does not know the table of policies.
using PolicyFinder = std::function<Expected<ChosenPolicy>(std::string_view spec)>;

struct ReplayOptions {
  std::string policy = {};  // instead of the recorded one; empty: the recorded one with its options
  u64 from_step = 0;        // > 0: start at the newest snapshot that allows to reach this step (of the first session)
  u64 to_step = ~u64{0};    // of the first session; with from_step or to_step set, later sessions are left out
  std::function<void(u64 steps, u64 decisions)> progress = {};  // about every 2^16 steps; may be empty
  std::string engine_hash = {};  // of this program's code (generated/version.h); empty: not compared
  std::string policies_hash = {};
};

/// The first place where the replay left the recording.
struct Divergence {
  u32 session = 0;
  u64 step = 0;
  u64 time_ns = 0;
  u32 position = 0;  // of the decision within its step
  /// Of a decision: "task", "generation", "cpu", "flags", "slice_ns", "vtime"; "decisions": one is missing or too
  /// many. Of the step: "preempts", "wake_at_ns", "more". After it: "state_hash". "contract": the policy broke it.
  std::string field;
  std::optional<Decision> recorded;
  std::optional<Decision> replayed;
  std::optional<Event> event;  // the enqueue that the decision answers
  u64 event_step = 0;          // the step that brought it
  i32 tid = 0;                 // 0: not known
  std::string comm;
  std::string sentence;  // for people: what differs and how
};

/// What could not be replayed of a session: steps are missing, and what follows them needs what they did.
struct Unreplayed {
  u32 session = 0;
  GapRecord gap;  // the missing steps
  u64 steps = 0;  // that are there, behind the gap
};

struct ReplayResult {
  u64 sessions = 0;
  u64 steps = 0;
  u64 events = 0;
  u64 decisions = 0;
  u64 identical = 0;
  u64 divergent = 0;       // decisions that differ, are missing or too many; also, each as one, a step's
                           // preempts, wake_at_ns and more where they differ
  u64 hashes_checked = 0;  // recorded state hashes that were compared
  u64 hashes_different = 0;
  std::string decisions_sha256;  // hex; over every replayed step's output as computed now (see replay.cc)
  std::optional<Divergence> first_divergence;
  std::vector<Unreplayed> gaps;   // at most one per session: its replay stopped there
  std::optional<Error> contract;  // the policy broke its contract; the replay of that session stopped there
  u64 started_after_step = 0;     // of the snapshot used; 0: the session's start
  bool policy_replaced = false;
  /// Code hashes in the trace that are not this program's: "engine", "policies". A reason to expect divergence.
  std::vector<std::string> different_code;
};

/// Reads `reader` to its end. It selects what it needs of the reader's items. A trace that begins in the
/// middle (flight recorder, cut) starts from its snapshot. Errors: kBadInput (no steps, begins in the middle without a
/// snapshot, snapshot or limits unusable), kUsage (another policy cannot start from a snapshot), what `find` reports. A
/// divergence is a result, not an error; so is damage to the file, in reader.problems().
Expected<ReplayResult> replay(Reader& reader, const PolicyFinder& find, const ReplayOptions& = {});

}  // namespace reprise::trace
