// SPDX-License-Identifier: GPL-2.0-only
#include "traces/replay.h"

#include <algorithm>
#include <cstring>

#include "scheduler/core/check.h"
#include "traces/digest.h"
#include "traces/divergence.h"
#include "traces/format.h"

namespace reprise::trace {
namespace {

constexpr u64 kStepsPerProgress = 1 << 16;

/// The recorded policy as `--policy` would name it.
std::string spec_of(const SessionInfo& session) {
  return session.options.empty() ? session.policy : session.policy + ":" + session.options;
}

/// The enqueues that tasks wait for an answer to: what to show beside a decision that came out differently.
class LastEnqueues {
 public:
  void reset(u32 max_tasks) { entries_.assign(max_tasks, Entry{}); }

  void note(const StepInput& input) {
    for (const Event& event : input.events) {
      if (event.type == EventType::kEnqueue && event.task < entries_.size())
        entries_[event.task] = {event, input.number};
    }
  }

  void explain(TaskSlot slot, Divergence& d) const {
    if (slot >= entries_.size() || entries_[slot].step == 0) return;
    d.event = entries_[slot].event;
    d.event_step = entries_[slot].step;
    d.tid = d.event->tid;
  }

 private:
  struct Entry {
    Event event;
    u64 step;
  };
  std::vector<Entry> entries_;
};

class Replay {
 public:
  Replay(Reader& reader, const PolicyFinder& find, const ReplayOptions& options)
      : reader_(reader), find_(find), options_(options) {}

  Expected<ReplayResult> run();

 private:
  enum class Then : u8 { kGoOn, kStop };
  Expected<void> enter();
  Expected<Then> take(Item);
  Expected<Then> begin_session();
  Expected<Then> restore(const SnapshotRecord&);
  Expected<Then> replay_step(const StepRecord&);
  Expected<Then> leave_at(const GapRecord&);
  Expected<Then> begins_in_the_middle(u64 step);
  void compare(const StepRecord&);
  void check_hash(const StepRecord&);
  void diverge(Divergence, const StepRecord&);
  void note_code(const char* what, const std::string& recorded, const std::string& here);
  [[nodiscard]] bool only_one_session() const { return options_.from_step > 0 || options_.to_step != ~u64{0}; }

  Reader& reader_;
  const PolicyFinder& find_;
  const ReplayOptions& options_;
  ReplayResult result_;
  DecisionDigest digest_;
  LastEnqueues enqueues_;
  std::unique_ptr<Engine> engine_;  // null while a session without steps, after a gap or a breach is passed over
  std::optional<Error> in_the_middle_;
  StepOutput output_;
};

Expected<ReplayResult> Replay::run() {
  if (auto entered = enter(); !entered) return std::unexpected(entered.error());
  for (Item item = reader_.next(); item != Item::kEnd; item = reader_.next()) {
    Expected<Then> then = take(item);
    if (!then) return std::unexpected(then.error());
    if (*then == Then::kStop) break;
  }
  if (result_.steps == 0 && in_the_middle_) return std::unexpected(*in_the_middle_);
  if (result_.steps == 0 && result_.gaps.empty() && !result_.contract) {
    if (reader_.damaged())
      return fail(ExitCode::kBadInput, "is damaged, and no step of an engine is left to replay", reader_.name(),
                  "copy the trace again if it was copied, or record a new one");
    return fail(ExitCode::kBadInput, "holds no steps of an engine, so there is nothing to replay", reader_.name(),
                "record it with `reprise live --record`");
  }
  result_.decisions_sha256 = digest_.finish();
  return std::move(result_);
}

Expected<Replay::Then> Replay::take(Item item) {
  switch (item) {
    case Item::kSession:
      return begin_session();
    case Item::kSnapshot:
      return restore(reader_.snapshot());
    case Item::kStep:
      return replay_step(reader_.step());
    case Item::kGap:
      return leave_at(reader_.gap());
    default:
      return Then::kGoOn;
  }
}

/// The heart of it: what was given goes in again, and what comes out is compared.
Expected<Replay::Then> Replay::replay_step(const StepRecord& recorded) {
  if (engine_ == nullptr) {
    const bool behind_a_gap = !result_.gaps.empty() && result_.gaps.back().session == reader_.session_number();
    if (behind_a_gap) result_.gaps.back().steps += 1;
    return Then::kGoOn;
  }
  if (recorded.input.number > options_.to_step) return Then::kStop;
  if (recorded.input.number != engine_->last_step() + 1) {
    auto then = begins_in_the_middle(recorded.input.number);
    if (then) result_.gaps.back().steps += 1;
    return then;
  }
  if (!result_.first_divergence) enqueues_.note(recorded.input);
  if (result_.steps % kStepsPerProgress == 0 && options_.progress) options_.progress(result_.steps, result_.decisions);

  const Expected<void> stepped = engine_->step(recorded.input, output_);
  if (!stepped && stepped.error().code == ExitCode::kBadInput) {
    return fail(ExitCode::kBadInput, stepped.error().what, reader_.name() + ", " + stepped.error().where,
                stepped.error().hint);
  }
  result_.steps += 1;
  result_.events += recorded.input.events.size();
  result_.decisions += recorded.decisions.size();
  if (!stepped) {
    result_.divergent += recorded.decisions.size();
    result_.contract = stepped.error();
    Divergence d;
    d.field = "contract";
    d.sentence = stepped.error().what;
    diverge(std::move(d), recorded);
    engine_.reset();
    return Then::kGoOn;
  }
  digest_.add(recorded.input.number, output_);
  compare(recorded);
  check_hash(recorded);
  return Then::kGoOn;
}

void Replay::compare(const StepRecord& recorded) {
  StepDifference d = difference(recorded, output_);
  result_.identical += d.identical;
  result_.divergent += d.divergent;
  if (d.divergent > 0 && !result_.first_divergence) diverge(std::move(d.first), recorded);
}

void Replay::check_hash(const StepRecord& recorded) {
  if (recorded.state_hash == 0 || result_.policy_replaced) return;
  result_.hashes_checked += 1;
  if (engine_->state_hash() == recorded.state_hash) return;
  result_.hashes_different += 1;
  Divergence d;
  d.field = "state_hash";
  if (!result_.first_divergence) diverge(std::move(d), recorded);
}

void Replay::diverge(Divergence d, const StepRecord& recorded) {
  if (result_.first_divergence) return;
  d.session = reader_.session_number();
  d.step = recorded.input.number;
  d.time_ns = recorded.input.now_ns;
  const std::optional<Decision>& concerned = d.recorded ? d.recorded : d.replayed;
  if (concerned) {
    enqueues_.explain(concerned->task, d);
    if (concerned->task < engine_->limits().max_tasks) {
      const Task& task = engine_->task(concerned->task);
      if (task.known() && (d.tid == 0 || d.tid == task.tid)) {
        d.tid = task.tid;
        d.comm = printable_comm(task.comm);
      }
    }
  }
  if (d.sentence.empty()) d.sentence = sentence_for(d, recorded, output_);
  result_.first_divergence = std::move(d);
}

/// Where to begin: at the first step, or at the snapshot that lets us reach `from_step`.
Expected<void> Replay::enter() {
  reader_.select(kReadSteps | kReadSnapshots);
  if (options_.from_step <= 1) return {};
  const std::optional<FrameEntry> entry = reader_.find_snapshot(1, options_.from_step - 1);
  return entry ? reader_.seek(*entry) : Expected<void>{};
}

Expected<Replay::Then> Replay::begin_session() {
  if (only_one_session() && result_.sessions > 0) return Then::kStop;
  engine_.reset();
  const SessionInfo& session = reader_.session();
  if (session.policy.empty()) return Then::kGoOn;  // passive: no engine, no steps
  const bool asked = !options_.policy.empty();
  Expected<ChosenPolicy> chosen = find_(asked ? options_.policy : spec_of(session));
  if (!chosen) {
    Error error = chosen.error();
    if (!asked)
      error.hint =
          "the trace was made by this policy: if it is in a shared object, name that with --policy. " + error.hint;
    return std::unexpected(std::move(error));
  }
  result_.policy_replaced =
      chosen->info->name != session.policy || (asked && chosen->options.text() != session.options);
  const EngineConfig config{.limits = {.cpus = session.cpus, .max_tasks = session.max_tasks}, .seed = session.seed};
  auto engine = Engine::create(config, *chosen->info, chosen->options);
  if (!engine) return fail(ExitCode::kBadInput, engine.error().what, reader_.name(), engine.error().hint);
  engine_ = std::move(*engine);
  enqueues_.reset(session.max_tasks);
  result_.sessions += 1;
  note_code("engine", session.engine_hash, options_.engine_hash);
  note_code("policies", session.policies_hash, chosen->code.empty() ? options_.policies_hash : chosen->code);
  reader_.select(kReadSteps | kReadSnapshots);
  return Then::kGoOn;
}

void Replay::note_code(const char* what, const std::string& recorded, const std::string& here) {
  const bool noted = std::ranges::find(result_.different_code, what) != result_.different_code.end();
  if (!recorded.empty() && !here.empty() && recorded != here && !noted) result_.different_code.emplace_back(what);
}

/// A snapshot before the first step is where the engine begins; later ones are of no use to us.
Expected<Replay::Then> Replay::restore(const SnapshotRecord& snapshot) {
  if (engine_ == nullptr) return Then::kGoOn;
  if (engine_->last_step() == 0 && snapshot.step > 0) {
    if (result_.policy_replaced) {
      return fail(ExitCode::kUsage, "another policy cannot start from a snapshot of the recorded one's state",
                  reader_.name(), "replay from the first step, on a trace that has it");
    }
    if (auto restored = engine_->restore(snapshot.state); !restored) {
      return fail(ExitCode::kBadInput, "its snapshot does not fit: " + restored.error().what, reader_.name(),
                  restored.error().hint);
    }
    if (engine_->last_step() != snapshot.step) {
      return fail(ExitCode::kBadInput, "its snapshot is of another step than it says", reader_.name());
    }
    result_.started_after_step = snapshot.step;
  }
  reader_.select(kReadSteps);
  return Then::kGoOn;
}

/// The engine that was there before the missing steps knows too little for those behind them.
Expected<Replay::Then> Replay::leave_at(const GapRecord& gap) {
  if (engine_ == nullptr) return Then::kGoOn;
  if (engine_->last_step() == 0 && gap.before_ns != 0) return begins_in_the_middle(gap.last_step + 1);
  result_.gaps.push_back({reader_.session_number(), gap, 0});
  engine_.reset();
  return only_one_session() ? Then::kStop : Then::kGoOn;
}

/// Fatal only where no other session has anything to replay.
Expected<Replay::Then> Replay::begins_in_the_middle(u64 step) {
  auto error =
      fail(ExitCode::kBadInput,
           "begins in the middle, at step " + std::to_string(step) + ", and holds no usable snapshot before it",
           reader_.name(), "a later snapshot may serve: --from-step");
  if (only_one_session()) return error;
  if (!in_the_middle_) in_the_middle_ = error.error();
  result_.gaps.push_back({reader_.session_number(), {.first_step = 1, .last_step = step - 1}, 0});
  engine_.reset();
  return Then::kGoOn;
}

}  // namespace

Expected<ReplayResult> replay(Reader& reader, const PolicyFinder& find, const ReplayOptions& options) {
  return Replay(reader, find, options).run();
}

}  // namespace reprise::trace
