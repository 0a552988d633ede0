// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/core/options.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

constexpr OptionSpec kSpecs[] = {
    {"slice_us", "us", 100, 1000, 500, "a slice"},
    {"depth", "", 0, ~u64{0}, 3, "a number"},
};

Error error_of(std::string_view text) {
  const Expected<Options> options = Options::parse(kSpecs, text);
  EXPECT_FALSE(options.has_value()) << text;
  return options ? Error{} : options.error();
}

TEST(OptionsTest, DefaultsWhenNothingIsGiven) {
  const Expected<Options> options = Options::parse(kSpecs, "");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->get("slice_us"), 500u);
  EXPECT_EQ(options->text(), "slice_us=500,depth=3");
}

TEST(OptionsTest, ReadsKeysInAnyOrder) {
  const Expected<Options> options = Options::parse(kSpecs, "depth=18446744073709551615,slice_us=100");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->get("depth"), ~u64{0});
  EXPECT_EQ(options->get("slice_us"), 100u);
}

TEST(OptionsTest, TextIsReadBack) {
  const Expected<Options> options = Options::parse(kSpecs, "depth=7");
  ASSERT_TRUE(options);
  const Expected<Options> again = Options::parse(kSpecs, options->text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->text(), "slice_us=500,depth=7");
}

TEST(OptionsTest, UnknownKeyNamesTheNearest) {
  const Error error = error_of("slice=100");
  EXPECT_EQ(error.code, ExitCode::kUsage);
  EXPECT_EQ(error.what, "unknown option 'slice'");
  EXPECT_EQ(error.hint, "did you mean 'slice_us'? known options: slice_us, depth");
  EXPECT_EQ(error_of("zzz=1").hint, "known options: slice_us, depth");
}

TEST(OptionsTest, ValueOutOfRangeNamesTheRange) {
  for (const char* text : {"slice_us=99", "slice_us=1001", "slice_us=99999999999999999999999"}) {
    const Error error = error_of(text);
    EXPECT_EQ(error.code, ExitCode::kUsage);
    EXPECT_NE(error.what.find("out of range"), std::string::npos) << error.what;
    EXPECT_EQ(error.hint, "range: 100..1000 us");
  }
}

TEST(OptionsTest, RefusesWhatIsNotANumber) {
  for (const char* text :
       {"slice_us=", "slice_us=-1", "slice_us=1.5", "slice_us=200x", "slice_us= 200", "slice_us=0x99"})
    EXPECT_NE(error_of(text).what.find("whole number"), std::string::npos) << text;
}

TEST(OptionsTest, RefusesWhatIsNotKeyValue) {
  for (const char* text : {"slice_us", "=3", ",", "slice_us=200,", ",slice_us=200", "slice_us=200,,depth=1"})
    EXPECT_EQ(error_of(text).code, ExitCode::kUsage) << text;
}

TEST(OptionsTest, RefusesAKeyGivenTwice) {
  EXPECT_EQ(error_of("depth=1,depth=1").what, "option 'depth' is given twice");
}

TEST(OptionsDeathTest, AskingForAnUndeclaredOptionAborts) {
  const Options options(kSpecs);
  EXPECT_DEATH((void)options.get("slice"), "check failed");
}

TEST(NearestNameTest, FindsTyposAndNothingFarFetched) {
  const std::string_view names[] = {"fifo", "vruntime", "newcomer"};
  EXPECT_EQ(nearest_name("vruntme", names), "vruntime");
  EXPECT_EQ(nearest_name("FIFO", names), "");
  EXPECT_EQ(nearest_name("fio", names), "fifo");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("completely_different", names), "");
}

}  // namespace
}  // namespace reprise
