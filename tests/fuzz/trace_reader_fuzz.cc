// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as a trace: no crash, bounded memory and time, and what is read does not depend on what else is asked for.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "scheduler/core/check.h"
#include "tests/fuzz/mutate_trace.h"
#include "traces/format.h"
#include "traces/reader.h"

using namespace reprise;

namespace {

struct Seen {
  u64 steps = 0, events = 0, kernel_events = 0, snapshots = 0, sessions = 0, characters = 0;
};

Seen read(std::span<const std::byte> bytes, u32 kinds) {
  using trace::Item;
  Seen seen;
  auto reader = trace::Reader::open_memory(bytes, "fuzz", {.kinds = kinds});
  if (!reader) {
    REPRISE_CHECK(!reader.error().what.empty());
    return seen;
  }
  u64 last_step = 0;
  for (Item item = reader->next(); item != Item::kEnd; item = reader->next()) {
    if (item == Item::kSession) ++seen.sessions, last_step = 0;
    if (item == Item::kSnapshot) ++seen.snapshots;
    if (item == Item::kEvents) {
      seen.kernel_events += reader->events().size();
      seen.characters += trace::format_kernel_event(reader->events().front()).size();
    }
    if (item == Item::kGap) REPRISE_CHECK(reader->gap().first_step <= reader->gap().last_step);
    if (item != Item::kStep) continue;
    const trace::StepRecord& step = reader->step();
    REPRISE_CHECK(step.input.number > last_step && step.input.events.size() <= kMaxEventsPerStep);
    last_step = step.input.number;
    ++seen.steps;
    seen.events += step.input.events.size();
    if (seen.steps % 64 == 1) seen.characters += trace::json_step(step).size() + trace::format_step(step).size();
  }
  REPRISE_CHECK(reader->problems().size() <= trace::kMaxProblems + 1);
  REPRISE_CHECK(reader->totals().complete || !reader->problems().empty());
  if (const auto entry = reader->find_snapshot(1, ~u64{0})) {
    if (reader->seek(*entry)) (void)reader->next(), (void)reader->next();
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const Seen all = read(bytes, trace::kReadAll);
  const Seen steps = read(bytes, trace::kReadSteps);
  const Seen events = read(bytes, trace::kReadEvents);
  REPRISE_CHECK(steps.kernel_events == 0 && events.steps == 0);
  REPRISE_CHECK(all.sessions == steps.sessions && all.sessions == events.sessions);
  REPRISE_CHECK(all.steps == steps.steps && all.events == steps.events && all.kernel_events == events.kernel_events);
  return 0;
}
