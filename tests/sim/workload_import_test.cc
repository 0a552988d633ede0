// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "sim/workload/extract.h"
#include "sim/workload/workload.h"
#include "tests/sim/fake_kernel.h"
#include "tests/support/temporary.h"
#include "traces/import.h"

namespace reprise::sim {
namespace {

// What perf recorded is as good a source as a recording of our own, but for the objects that tasks wait for.
TEST(ExtractTest, AnImportedRecordingIsPlayedToItsEnd) {
  const std::string path = test::temporary("imported.rtrace");
  const auto imported = trace::import_text(REPRISE_SOURCE_DIR "/tests/interchange/perf/script.txt", path, {});
  ASSERT_TRUE(imported) << imported.error().what;
  auto reader = trace::Reader::open(path);
  ASSERT_TRUE(reader);
  const auto extracted = extract(*reader);
  ASSERT_TRUE(extracted) << extracted.error().what;
  EXPECT_GE(extracted->report.tasks, 9u);  // hackbench and its children
  EXPECT_FALSE(extracted->report.has_calls);
  EXPECT_GT(extracted->report.sleeps, 0u);
  test::FakeKernel kernel(2, 3 * kNsPerMs);
  Workload workload(extracted->program);
  workload.begin(kernel);
  kernel.run(workload);
  EXPECT_TRUE(workload.finished()) << workload.waiting();
}

}  // namespace
}  // namespace reprise::sim
