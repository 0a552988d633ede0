// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as records of the rings: the decoders take or refuse each, and an engine takes whatever they let through.
// Input: a byte with the size of the records' batches, then records, each after a byte with its size.
#include <algorithm>
#include <cstddef>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "scheduler/core/check.h"
#include "scheduler/core/engine.h"
#include "scheduler/policies/table.h"
#include "scheduler/wire/wire.h"

using namespace reprise;

namespace {

std::unique_ptr<Engine> make_engine() {
  auto policy = parse_policy("vruntime");
  REPRISE_CHECK(policy.has_value());
  auto engine = Engine::create({.limits = {4, 64}}, *policy->info, policy->options);
  REPRISE_CHECK(engine.has_value());
  return std::move(*engine);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto engine = make_engine();
  const std::size_t batch = 1 + data[0] % 16;
  std::size_t at = 1;
  std::vector<Event> events;
  StepOutput output;
  u64 number = 0;
  while (at < size) {
    events.clear();
    while (at < size && events.size() < batch) {
      const u32 length = data[at++];
      // A copy of exactly that length, so that a decoder that reads on is caught.
      std::vector<std::byte> exact(length);
      const std::size_t there = std::min<std::size_t>(length, size - at);
      if (there > 0) std::memcpy(exact.data(), data + at, there);
      at += there;
      Event event;
      if (wire::decode(exact.data(), length, event)) {
        REPRISE_CHECK(length == sizeof(wire_event));
        events.push_back(event);
      }
      trace::KernelEvent kernel_event;
      if (wire::decode(exact.data(), length, kernel_event)) REPRISE_CHECK(length == sizeof(wire_kernel_event));
    }
    ++number;
    const StepInput input{.number = number, .now_ns = number * 1'000'000, .events = events, .room = 8};
    REPRISE_CHECK(engine->step(input, output).has_value());
    for (const Decision& decision : output.decisions()) (void)wire::encode(decision);
  }
  return 0;
}
