// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/policies/table.h"

#include <gtest/gtest.h>

#include <set>

namespace reprise {
namespace {

TEST(PolicyTableTest, NamesAreUniqueAndRowsComplete) {
  std::set<std::string_view> names;
  for (const PolicyInfo& info : policies()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.summary.empty());
    EXPECT_EQ(info.name.find_first_of(":,= /"), info.name.npos);
    std::set<std::string_view> keys;
    for (const OptionSpec& spec : info.options) {
      EXPECT_TRUE(keys.insert(spec.name).second) << spec.name;
      EXPECT_FALSE(spec.summary.empty()) << spec.name;
      EXPECT_LE(spec.min, spec.default_value) << spec.name;
      EXPECT_LE(spec.default_value, spec.max) << spec.name;
    }
  }
  EXPECT_GE(names.size(), 3u);
}

TEST(PolicyTableTest, FindsByName) {
  for (const PolicyInfo& info : policies()) {
    const Expected<const PolicyInfo*> found = find_policy(info.name);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, &info);
  }
}

TEST(PolicyTableTest, UnknownNameListsTheKnownAndTheNearest) {
  const Expected<const PolicyInfo*> found = find_policy("vruntme");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ExitCode::kUsage);
  EXPECT_EQ(found.error().what, "unknown policy 'vruntme'");
  EXPECT_TRUE(found.error().hint.starts_with("did you mean 'vruntime'? known policies: fifo, vruntime, newcomer, "))
      << found.error().hint;
}

TEST(PolicyTableTest, TheKernelsOwnSchedulerIsNoPolicyAndItsNeighbourIsNamed) {
  const Expected<const PolicyInfo*> found = find_policy("eevdf");
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().hint.find("'eevdf_user'"), std::string::npos);
}

TEST(PolicyTableTest, ParsesNameAndOptions) {
  const Expected<PolicySpec> spec = parse_policy("fifo:slice_us=3000");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->info->name, "fifo");
  EXPECT_EQ(spec->options.get("slice_us"), 3000u);
  EXPECT_EQ(spec->text(), "fifo:slice_us=3000");
  EXPECT_EQ(parse_policy("fifo")->text(), "fifo:slice_us=20000");
  EXPECT_TRUE(parse_policy("fifo:"));
}

TEST(PolicyTableTest, TextIsReadBack) {
  for (const PolicyInfo& info : policies()) {
    const PolicySpec spec{&info, Options(info.options)};
    const Expected<PolicySpec> again = parse_policy(spec.text());
    ASSERT_TRUE(again) << spec.text();
    EXPECT_EQ(again->text(), spec.text());
  }
}

TEST(PolicyTableTest, ErrorsInOptionsNameThePolicy) {
  const Expected<PolicySpec> spec = parse_policy("fifo:slice=1");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().where, "policy 'fifo'");
  EXPECT_FALSE(parse_policy(":slice_us=1"));
  EXPECT_FALSE(parse_policy(""));
}

TEST(PolicyTableTest, StateBytesIsWhatThePolicyTakes) {
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{Arena::kAlignment}); }
  };
  for (const PolicyInfo& info : policies()) {
    for (const Limits limits : {Limits{1, 1}, Limits{4, 1000}, Limits{kMaxCpus, 4097}}) {
      const std::size_t size = info.state_bytes(limits);
      std::unique_ptr<std::byte, Free> block(
          static_cast<std::byte*>(::operator new(size, std::align_val_t{Arena::kAlignment})));
      Arena arena({block.get(), size}, limits.max_tasks);
      ASSERT_TRUE(info.create(arena, limits, Options(info.options)));
      EXPECT_EQ(arena.used(), size) << info.name;
    }
  }
}

}  // namespace
}  // namespace reprise
