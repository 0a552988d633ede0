// SPDX-License-Identifier: GPL-2.0-only
// Damaged, cut and failing files: never a crash, never a silent wrong answer, and as much as possible is read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/replay/trace_maker.h"

namespace reprise::trace {
namespace {

using test::contents;
using test::make_trace;
using test::reader_of;
using test::Recording;
using test::writer_to;

struct Outcome {
  bool opened = false;
  bool told = false;  // an error, or a problem that is called damage
  std::string contents;
};

Outcome read(const Bytes& bytes) {
  Outcome outcome;
  auto reader = Reader::open_memory(std::as_bytes(std::span(bytes)), "memory");
  outcome.opened = reader.has_value();
  if (!reader) return Outcome{false, true, {}};
  outcome.contents = contents(*reader);
  outcome.told = reader->damaged();
  EXPECT_EQ(reader->totals().complete, !outcome.told);
  return outcome;
}

/// A frame of each kind and some more of those that matter most, in about 2 KiB.
Bytes small_trace() {
  const Recording recording(
      {.machine = {.cpus = 2, .max_tasks = 4, .seed = 5}, .tasks = 2, .duration_ns = kNsPerMs / 4});
  return make_trace(recording, {.hash_every = 4, .snapshot_every = 4, .writer = {.frame_items = 6}});
}

struct Frame {
  std::size_t begin, end;
  FrameHeader header;
};

std::vector<Frame> frames_of(const Bytes& bytes) {
  std::vector<Frame> frames;
  std::size_t at = kFileHeaderBytes;
  while (const auto header =
             decode_frame_header(std::span<const u8, kFrameHeaderBytes>(&bytes[at], kFrameHeaderBytes))) {
    frames.push_back({at, at + kFrameHeaderBytes + header->payload_bytes, *header});
    at = frames.back().end;
  }
  return frames;
}

std::size_t first_of(const std::vector<Frame>& frames, FrameKind kind, std::size_t nth = 0) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].header.kind == kind && nth-- == 0) return i;
  }
  ADD_FAILURE() << "no such frame";
  return 0;
}

TEST(TraceDamageTest, EveryFlippedBitIsNoticedOrWithoutConsequence) {
  const Bytes good = small_trace();
  const std::string expected = read(good).contents;
  ASSERT_FALSE(read(good).told);
  Bytes bytes = good;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    bytes[bit / 8] = static_cast<u8>(good[bit / 8] ^ (1u << (bit % 8)));
    const Outcome outcome = read(bytes);
    ASSERT_TRUE(outcome.told || outcome.contents == expected) << "bit " << bit % 8 << " of byte " << bit / 8;
    bytes[bit / 8] = good[bit / 8];
  }
}

TEST(TraceDamageTest, EveryCutIsNoticedAndWhatComesBeforeItIsRead) {
  const Bytes good = small_trace();
  const std::string expected = read(good).contents;
  const std::vector<Frame> frames = frames_of(good);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Outcome outcome = read(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    ASSERT_TRUE(outcome.told) << "cut to " << size;
    ASSERT_TRUE(expected.starts_with(outcome.contents)) << "cut to " << size;
    // A whole frame before the cut is never lost.
    const auto whole = std::ranges::count_if(
        frames, [&](const Frame& f) { return f.end <= size && f.header.kind == FrameKind::kSteps; });
    ASSERT_EQ(outcome.contents.find("\"type\":\"step\"") != std::string::npos, whole > 0);
  }
}

TEST(TraceDamageTest, ACutSaysWhereAndAfterWhat) {
  const Bytes good = small_trace();
  const std::vector<Frame> frames = frames_of(good);
  Bytes bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(frames[5].end + 10));
  Reader reader = reader_of(bytes);
  (void)contents(reader);
  ASSERT_EQ(reader.problems().size(), 1u);
  EXPECT_EQ(reader.problems()[0].byte, frames[5].end);
  const std::string& what = reader.problems()[0].what;
  EXPECT_NE(what.find("cut after frame 5 at byte " + std::to_string(frames[5].end)), std::string::npos) << what;
  EXPECT_NE(what.find("last time 1."), std::string::npos) << what;
}

TEST(TraceDamageTest, ABadPayloadCostsItsFrameOnlyAndIsAGap) {
  Bytes bytes = small_trace();
  const std::vector<Frame> frames = frames_of(bytes);
  const std::size_t bad = first_of(frames, FrameKind::kSteps, 1);
  bytes[frames[bad].begin + kFrameHeaderBytes + 7] ^= 0x10;
  Reader reader = reader_of(bytes);
  u64 lost = 0;
  u64 steps = 0;
  for (Item item = reader.next(); item != Item::kEnd; item = reader.next()) {
    steps += item == Item::kStep ? 1 : 0;
    if (item != Item::kGap) continue;
    lost += reader.gap().last_step - reader.gap().first_step + 1;
    EXPECT_EQ(reader.gap().first_step, frames[bad].header.first_step);
    EXPECT_TRUE(reader.gap().damage);
  }
  EXPECT_EQ(lost, frames[bad].header.items);
  const Bytes good = small_trace();
  Reader whole = reader_of(good);
  (void)contents(whole);
  EXPECT_EQ(steps + lost, whole.totals().items.steps);
  ASSERT_EQ(reader.problems().size(), 1u);
  EXPECT_NE(reader.problems()[0].what.find("fails its checksum"), std::string::npos);
  EXPECT_NE(reader.problems()[0].what.find("frame " + std::to_string(bad)), std::string::npos);
}

TEST(TraceDamageTest, AfterABadHeaderTheNextFrameIsFound) {
  const Bytes good = small_trace();
  const std::vector<Frame> frames = frames_of(good);
  const std::size_t bad = first_of(frames, FrameKind::kSteps, 1);
  Bytes bytes = good;
  bytes[frames[bad].begin + 9] ^= 0xff;  // its size
  Reader reader = reader_of(bytes);
  const std::string text = contents(reader);
  EXPECT_NE(text.find("gap "), std::string::npos);
  EXPECT_NE(text.find("end test ended"), std::string::npos);
  EXPECT_NE(reader.problems()[0].what.find("bytes " + std::to_string(frames[bad].begin) + ".." +
                                           std::to_string(frames[bad].end - 1)),
            std::string::npos);
}

TEST(TraceDamageTest, FramesThatAreMissingRepeatedOrSwappedAreNoticed) {
  const Bytes good = small_trace();
  const std::vector<Frame> frames = frames_of(good);
  const auto piece = [&](std::size_t a, std::size_t b) {
    return Bytes(good.begin() + static_cast<std::ptrdiff_t>(a), good.begin() + static_cast<std::ptrdiff_t>(b));
  };
  const auto join = [](std::vector<Bytes> pieces) {
    Bytes all;
    for (const Bytes& p : pieces) all.insert(all.end(), p.begin(), p.end());
    return all;
  };
  for (std::size_t i = 0; i + 1 < frames.size(); ++i) {
    const Frame& a = frames[i];
    const Frame& b = frames[i + 1];
    EXPECT_TRUE(read(join({piece(0, a.begin), piece(a.end, good.size())})).told) << "without frame " << i;
    EXPECT_TRUE(read(join({piece(0, a.end), piece(a.begin, good.size())})).told) << "frame " << i << " twice";
    EXPECT_TRUE(
        read(join({piece(0, a.begin), piece(b.begin, b.end), piece(a.begin, a.end), piece(b.end, good.size())})).told)
        << "frame " << i << " after " << i + 1;
  }
  EXPECT_TRUE(read(join({good, good})).told);
  EXPECT_TRUE(read(join({good, Bytes{0}})).told);
}

TEST(TraceDamageTest, FramesOfASessionWithoutABeginningAreLeftOut) {
  const Bytes good = small_trace();
  const std::vector<Frame> frames = frames_of(good);
  Bytes bytes = good;
  bytes[frames[0].begin + kFrameHeaderBytes] ^= 1;
  Reader reader = reader_of(bytes);
  EXPECT_EQ(reader.next(), Item::kEnd);
  EXPECT_TRUE(std::ranges::any_of(reader.problems(), [](const Problem& p) {
    return p.what.find("the beginning of session 1 is missing") != std::string::npos;
  }));
}

TEST(TraceDamageTest, AFileThatIsAllFrameBeginningsTakesTimeInProportion) {
  Bytes bytes = small_trace();
  bytes.resize(kFileHeaderBytes);
  for (int i = 0; i < 100'000; ++i) bytes.insert(bytes.end(), kFrameMagic.begin(), kFrameMagic.end());
  // Good headers that claim payloads of 16 MiB, which are not there.
  FrameHeader header;
  header.kind = FrameKind::kSteps;
  header.payload_bytes = header.raw_bytes = kMaxRawBytes;
  const auto head = encode(header);
  for (int i = 0; i < 10'000; ++i) bytes.insert(bytes.end(), head.begin(), head.end());
  const Outcome outcome = read(bytes);
  EXPECT_TRUE(outcome.told);
  EXPECT_TRUE(outcome.contents.empty());
}

TEST(TraceDamageTest, ProblemsAreBounded) {
  Bytes bytes = small_trace();
  const std::vector<Frame> frames = frames_of(bytes);
  Bytes all(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(frames[0].end));
  for (int i = 0; i < 1000; ++i)
    all.insert(all.end(), bytes.begin() + static_cast<std::ptrdiff_t>(frames[0].begin),
               bytes.begin() + static_cast<std::ptrdiff_t>(frames[0].end));
  Reader reader = reader_of(all);
  (void)contents(reader);
  EXPECT_EQ(reader.problems().size(), kMaxProblems + 1);
  EXPECT_NE(reader.problems().back().what.find("more"), std::string::npos);
}

/// Takes so many bytes and then fails, as a full disk does: what is left still fits, and cutting makes room again.
class FullDisk : public WritableFile {
 public:
  FullDisk(Bytes& bytes, std::size_t room) : bytes_(bytes), room_(room) {}
  Expected<void> append(ByteView more) override {
    const std::size_t fits = std::min(more.size(), room_ - bytes_.size());
    bytes_.insert(bytes_.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(fits));
    if (fits < more.size()) return fail(ExitCode::kIo, "cannot write: No space left on device", "full");
    return {};
  }
  Expected<void> truncate(u64 size) override {
    bytes_.resize(size);
    return {};
  }

 private:
  Bytes& bytes_;
  std::size_t room_;
};

TEST(TraceDamageTest, AFullDiskLeavesAReadableTraceWhereverItHits) {
  const Recording recording({.machine = {.cpus = 2, .max_tasks = 4, .seed = 5}, .tasks = 2, .duration_ns = kNsPerMs});
  const std::size_t whole =
      make_trace(recording, {.hash_every = 0, .end = false, .writer = {.frame_items = 12}}).size();
  int ended = 0;
  for (std::size_t room = kFileHeaderBytes; room < whole; room += 7) {
    Bytes bytes;
    auto sink = FileSink::create(std::make_unique<FullDisk>(bytes, room));
    ASSERT_TRUE(sink);
    Writer writer(std::move(*sink), {.frame_items = 12});
    (void)writer.begin_session(recording.session());
    for (std::size_t i = 0; i < recording.steps().size() && !writer.error(); ++i) {
      (void)writer.add_step(recording.record(i));
      (void)writer.add_events(recording.events_of(i));
    }
    (void)writer.finish();
    ASSERT_TRUE(writer.error()) << room;
    writer.give_up();
    Reader reader = reader_of(bytes);
    const std::string text = contents(reader);
    EXPECT_EQ(reader.totals().items.steps, writer.saved().steps);
    EXPECT_EQ(reader.totals().items.kernel_events, writer.saved().kernel_events);
    if (text.find("end recording stopped: cannot write") != std::string::npos) {
      ++ended;
      EXPECT_EQ(reader.totals().complete, !reader.damaged());
    } else {
      EXPECT_EQ(std::ranges::count(reader.problems(), Severity::kDamage, &Problem::severity), 1);
      EXPECT_NE(reader.problems()[0].what.find("cut after"), std::string::npos) << reader.problems()[0].what;
    }
  }
  EXPECT_GT(ended, 0);
}

}  // namespace
}  // namespace reprise::trace
