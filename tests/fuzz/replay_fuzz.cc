// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as a trace to replay: the engine takes whatever the reader lets through, and counts add up.
#include <cstdint>
#include <cstdio>
#include <span>

#include "scheduler/core/check.h"
#include "scheduler/policies/table.h"
#include "tests/fuzz/mutate_trace.h"
#include "traces/replay.h"

using namespace reprise;

namespace {

/// A table of a million tasks is legal and slow.
bool affordable(std::span<const std::byte> bytes) {
  auto reader = trace::Reader::open_memory(bytes, "fuzz", {.kinds = 0});
  if (!reader) return false;
  for (auto item = reader->next(); item != trace::Item::kEnd; item = reader->next()) {
    if (item == trace::Item::kSession && reader->session().max_tasks > 1024) return false;
  }
  return true;
}

Expected<trace::ChosenPolicy> find(std::string_view spec) {
  auto found = parse_policy(spec);
  if (!found) return std::unexpected(found.error());
  return trace::ChosenPolicy{found->info, found->options};
}

void replay_once(std::span<const std::byte> bytes, const trace::ReplayOptions& options) {
  auto reader = trace::Reader::open_memory(bytes, "fuzz");
  if (!reader) return;
  const auto result = trace::replay(*reader, find, options);
  if (!result) {
    REPRISE_CHECK(!result.error().what.empty());
    return;
  }
  REPRISE_CHECK(result->identical <= result->decisions);
  REPRISE_CHECK((result->divergent > 0 || result->hashes_different > 0 || result->contract) ==
                result->first_divergence.has_value());
  // The policies of the table keep to their contract whatever comes in.
  if (result->contract) std::fprintf(stderr, "%s\n", result->contract->what.c_str());
  REPRISE_CHECK(!result->contract);
  REPRISE_CHECK(!result->first_divergence || !result->first_divergence->sentence.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (!affordable(bytes)) return 0;
  replay_once(bytes, {});
  replay_once(bytes, {.policy = "fifo"});
  replay_once(bytes, {.from_step = 20});
  return 0;
}
