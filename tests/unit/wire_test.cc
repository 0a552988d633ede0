// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/wire/wire.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

TEST(WireTest, AKernelSideOfAnotherVersionIsRefusedWithBothNumbers) {
  EXPECT_TRUE(wire::check_version(WIRE_VERSION));
  for (const u32 other : {0u, WIRE_VERSION - 1, WIRE_VERSION + 1}) {
    const Expected<void> checked = wire::check_version(other);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ExitCode::kInternal);
    EXPECT_NE(checked.error().what.find("version " + std::to_string(other)), std::string::npos);
    EXPECT_NE(checked.error().what.find("version " + std::to_string(WIRE_VERSION)), std::string::npos);
    EXPECT_FALSE(checked.error().hint.empty());
  }
}

TEST(WireTest, TheCpuTimeOfAnExitComesThrough) {
  wire_event sent{};
  sent.type = WIRE_TASK_EXIT;
  sent.task_exit.exec_total_ns = 12'345;
  Event event;
  ASSERT_TRUE(wire::decode(reinterpret_cast<const std::byte*>(&sent), sizeof sent, event));
  EXPECT_EQ(event.task_exit.exec_total_ns, 12'345u);
}

}  // namespace
}  // namespace reprise
