// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as a trace whose workload is taken out: the program keeps its own rules and is played to its end (where the
// trace contradicts itself, with relief).
#include <cstdint>
#include <span>

#include "scheduler/core/check.h"
#include "sim/workload/extract.h"
#include "sim/workload/workload.h"
#include "tests/sim/fake_kernel.h"

using namespace reprise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto reader = trace::Reader::open_memory(std::as_bytes(std::span(data, size)), "fuzz");
  if (!reader) return 0;
  sim::ExtractOptions options;
  options.max_events = 100'000;
  const auto extracted = sim::extract(*reader, options);
  if (!extracted) {
    REPRISE_CHECK(!extracted.error().what.empty());
    return 0;
  }
  REPRISE_CHECK(sim::check(extracted->program).has_value());
  REPRISE_CHECK(!extracted->report.text().empty());
  test::FakeKernel kernel(4);
  sim::Workload workload(extracted->program);
  workload.begin(kernel);
  kernel.run(workload, ~u64{0}, true);
  return 0;
}
