// SPDX-License-Identifier: GPL-2.0-only
// Any bytes as a file of rt-app: a program that keeps its own rules, or an error that says where.
#include <cstdint>
#include <string_view>

#include "scheduler/core/check.h"
#include "sim/workload/rtapp.h"

using namespace reprise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto program = sim::read_rtapp({reinterpret_cast<const char*>(data), size}, "fuzz", {.cpus = 4});
  if (!program) {
    REPRISE_CHECK(program.error().code == ExitCode::kBadInput);
    REPRISE_CHECK(!program.error().what.empty() && program.error().where.starts_with("fuzz"));
    return 0;
  }
  REPRISE_CHECK(sim::check(*program).has_value());
  REPRISE_CHECK(!sim::describe(*program).empty());
  return 0;
}
