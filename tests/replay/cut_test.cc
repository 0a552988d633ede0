// SPDX-License-Identifier: GPL-2.0-only
#include "traces/cut.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/replay/trace_maker.h"

namespace reprise::trace {
namespace {

using test::contents;
using test::finder;
using test::make_trace;
using test::Recording;

class CutTest : public testing::Test {
 protected:
  CutTest() : recording_({.duration_ns = 50 * kNsPerMs}) {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    const auto folder = std::filesystem::temp_directory_path();
    const std::string stem = "reprise_" + std::to_string(::getpid()) + "_" + info->name();
    in_ = (folder / (stem + "_in.rtrace")).string();
    out_ = (folder / (stem + "_out.rtrace")).string();
    write(make_trace(recording_, {.snapshot_every = 100}));
  }
  ~CutTest() override {
    std::filesystem::remove(in_);
    std::filesystem::remove(out_);
  }
  void write(const Bytes& bytes) const {
    std::ofstream(in_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  /// The piece is whole and decides as recorded; gives what it holds.
  ReplayResult sound() const {
    auto reader = Reader::open(out_);
    EXPECT_TRUE(reader);
    (void)contents(*reader);
    EXPECT_TRUE(reader->problems().empty()) << reader->problems()[0].what;
    EXPECT_TRUE(reader->totals().complete);
    auto again = Reader::open(out_);
    auto result = replay(*again, finder());
    EXPECT_TRUE(result) << result.error().what;
    EXPECT_FALSE(result->first_divergence);
    EXPECT_TRUE(result->gaps.empty());
    return *result;
  }
  [[nodiscard]] u64 time_of(u64 step) const { return recording_.steps()[step - 1].input.now_ns; }

  Recording recording_;
  std::string in_, out_;
};

TEST_F(CutTest, APieceOfStepsBeginsAtASnapshotAndReplays) {
  const auto done = cut(in_, out_, {.from_step = 250, .to_step = 320});
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(done->after_snapshot, 200u);
  EXPECT_EQ(done->first_step, 201u);
  EXPECT_EQ(done->last_step, 320u);
  EXPECT_EQ(done->steps, 120u);
  EXPECT_GT(done->kernel_events, 0u);
  EXPECT_EQ(done->bytes, std::filesystem::file_size(out_));
  const ReplayResult result = sound();
  EXPECT_EQ(result.steps, 120u);
  EXPECT_EQ(result.decisions, done->decisions);
  EXPECT_EQ(result.started_after_step, 200u);
}

TEST_F(CutTest, APieceFromTheBeginningNeedsNoSnapshot) {
  const auto done = cut(in_, out_, {.to_step = 50});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->after_snapshot, 0u);
  EXPECT_EQ(done->steps, 50u);
  EXPECT_EQ(sound().steps, 50u);
}

TEST_F(CutTest, APieceOfTimeHoldsTheEventsOfThatTime) {
  const auto done = cut(in_, out_, {.from_ns = time_of(330), .to_ns = time_of(400)});
  ASSERT_TRUE(done) << done.error().what;
  EXPECT_EQ(done->after_snapshot, 300u);
  EXPECT_GE(done->last_step, 400u);
  (void)sound();
  auto reader = Reader::open(out_);
  for (Item item = reader->next(); item != Item::kEnd; item = reader->next()) {
    if (item != Item::kEvents) continue;
    for (const KernelEvent& event : reader->events()) {
      EXPECT_LE(event.time_ns, time_of(400));
      EXPECT_GE(event.time_ns, time_of(300));
    }
  }
}

TEST_F(CutTest, APieceOfAPieceIsOne) {
  ASSERT_TRUE(cut(in_, out_, {.from_step = 150, .to_step = 450}));
  std::filesystem::rename(out_, in_);
  const auto done = cut(in_, out_, {.from_step = 350, .to_step = 420});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->after_snapshot, 300u);
  (void)sound();
}

TEST_F(CutTest, ARangeThatCannotReplayIsRefused) {
  const auto code = [&](const CutRange& range) {
    const auto done = cut(in_, out_, range);
    return done ? ExitCode::kDone : done.error().code;
  };
  EXPECT_EQ(code({.from_step = 10, .to_step = 5}), ExitCode::kUsage);
  EXPECT_EQ(code({.from_ns = 10, .to_ns = 5}), ExitCode::kUsage);
  EXPECT_EQ(code({.session = 2}), ExitCode::kBadInput);
  EXPECT_EQ(code({.from_step = 10'000'000}), ExitCode::kBadInput);
  EXPECT_EQ(code({.from_step = 0, .to_step = 0}), ExitCode::kBadInput);
  write(make_trace(recording_, {.missing_first = 10, .missing_count = 5}));
  EXPECT_EQ(cut("/nonexistent", out_, {}).error().code, ExitCode::kIo);
}

TEST_F(CutTest, AGapInsideThePieceStaysOne) {
  write(make_trace(recording_, {.missing_first = 10, .missing_count = 5}));
  ASSERT_TRUE(cut(in_, out_, {.to_step = 60}));
  auto reader = Reader::open(out_);
  const std::string text = contents(*reader);
  EXPECT_NE(text.find("gap 11..15"), std::string::npos);
}

TEST_F(CutTest, APassiveRecordingIsCutByTime) {
  Bytes bytes;
  const auto writer = test::writer_to(bytes);
  SessionInfo passive;
  passive.kind = SessionKind::kPassive;
  ASSERT_TRUE(writer->begin_session(passive));
  for (std::size_t i = 0; i < recording_.steps().size(); ++i) {
    ASSERT_TRUE(writer->add_events(recording_.events_of(i)));
  }
  ASSERT_TRUE(writer->finish());
  write(bytes);
  const auto done = cut(in_, out_, {.from_ns = time_of(100), .to_ns = time_of(200)});
  ASSERT_TRUE(done);
  EXPECT_GT(done->kernel_events, 0u);
  auto reader = Reader::open(out_);
  while (reader->next() != Item::kEnd) {
  }
  EXPECT_GE(reader->totals().first_ns, time_of(100));
  EXPECT_LE(reader->totals().last_ns, time_of(200));
}

}  // namespace
}  // namespace reprise::trace
