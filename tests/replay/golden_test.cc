// SPDX-License-Identifier: GPL-2.0-only
// What is promised: traces of released versions stay readable, and docs/trace_format.md tells the truth.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/replay/trace_maker.h"

namespace reprise::trace {
namespace {

const std::string kSource = REPRISE_SOURCE_DIR;

std::string file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The golden files' text is written anew with REPRISE_UPDATE_GOLDEN=1; a diff shows what changed.
TEST(GoldenTraceTest, ATraceOfVersion1IsReadAsItEverWas) {
  const std::string folder = kSource + "/tests/replay/golden/";
  const std::string bytes = file(folder + "v1.rtrace");
  auto reader = Reader::open_memory(std::as_bytes(std::span(bytes)), "v1");
  ASSERT_TRUE(reader) << reader.error().what;
  std::string text = test::contents(*reader);
  for (const Problem& problem : reader->problems()) text += "problem: " + problem.what + "\n";
  EXPECT_TRUE(reader->totals().complete);
  if (std::getenv("REPRISE_UPDATE_GOLDEN") != nullptr) std::ofstream(folder + "v1.txt") << text;
  EXPECT_EQ(text, file(folder + "v1.txt"));
}

/// The bytes of the hex dump: lines of an offset, two blanks, and pairs of digits up to two blanks or the line's end.
Bytes dump_in(const std::string& page) {
  Bytes bytes;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    char* end = nullptr;
    if (line.size() < 8 || line.substr(4, 2) != "  " || std::strtoul(line.c_str(), &end, 16) != bytes.size() ||
        end != line.c_str() + 4) {
      continue;
    }
    for (std::size_t at = 6; at + 1 < line.size() && at < 6 + 48 && line[at] != ' '; at += 3) {
      bytes.push_back(static_cast<u8>(std::stoul(line.substr(at, 2), nullptr, 16)));
    }
  }
  return bytes;
}

TEST(TraceFormatPageTest, ItsExampleIsWhatTheWriterWrites) {
  EXPECT_EQ(dump_in(file(kSource + "/docs/trace_format.md")), test::tiny_trace());
}

TEST(TraceFormatPageTest, ItsExampleDecodesToWhatThePageSays) {
  const Bytes bytes = dump_in(file(kSource + "/docs/trace_format.md"));
  Reader reader = test::reader_of(bytes);
  std::vector<Item> items;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    items.push_back(item);
    if (item != Item::kStep) continue;
    const StepRecord& step = reader.step();
    EXPECT_EQ(step.input.now_ns, 1'000'012'000u);
    EXPECT_EQ(step.end_ns, 1'000'013'500u);
    ASSERT_EQ(step.input.events.size(), 1u);
    EXPECT_EQ(step.input.events[0].time_ns, 1'000'010'000u);
    EXPECT_EQ(step.input.events[0].tid, 77);
    ASSERT_EQ(step.decisions.size(), 1u);
    EXPECT_EQ(step.decisions[0].slice_ns, 20'000'000u);
  }
  EXPECT_EQ(reader.session().policy, "fifo");
  EXPECT_EQ(items, (std::vector<Item>{Item::kSession, Item::kEvents, Item::kStep, Item::kSessionEnd}));
  EXPECT_TRUE(reader.totals().complete);
  EXPECT_TRUE(reader.problems().empty());
}

}  // namespace
}  // namespace reprise::trace
