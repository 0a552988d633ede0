// SPDX-License-Identifier: GPL-2.0-only
// Writes traces that lack something, for the tests of the command line. Usage: PROGRAM FOLDER
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/replay/trace_maker.h"
#include "traces/frame.h"

using namespace reprise;
using test::Recording;
using trace::KernelEvent;
using trace::KernelEventType;

namespace {

void save(const std::filesystem::path& file, const trace::Bytes& bytes) {
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

KernelEvent event(u64 time_ns, u32 seq, KernelEventType type, i32 tid, u32 a = 0, u64 b = 0) {
  KernelEvent made{};
  made.time_ns = kNsPerSec + time_ns, made.seq = seq, made.type = type, made.tid = tid, made.a = a, made.b = b;
  return made;
}

// A task that reads twice and is woken in between; of the events `skip` are missing.
trace::Bytes reader_on(const char* machine, u32 skip = 0, bool contradictory = false) {
  trace::Bytes bytes;
  const auto writer = test::writer_to(bytes);
  trace::SessionInfo info;
  info.kind = trace::SessionKind::kPassive;
  info.machine = machine;
  info.cpus = 2, info.hz = 1000, info.start_ns = kNsPerSec;
  if (contradictory) info.topology = {{0, 0, 0, 0}, {1, 0, 1, 0}};  // a core with two caches
  (void)writer->begin_session(info);
  const KernelEvent events[] = {
      event(1'000, 1, KernelEventType::kSwitch, 50),
      event(2'000, 2, KernelEventType::kSyscallEnter, 50),
      event(3'000, 3, KernelEventType::kSwitch, 0, 50, 1),
      event(900'000, 4 + skip, KernelEventType::kWaking, 50),
      event(905'000, 5 + skip, KernelEventType::kSwitch, 50),
      event(990'000, 6 + skip, KernelEventType::kSwitch, 0, 50, 0x80),
  };
  (void)writer->add_events(events);
  const trace::Loss lost{trace::LossRing::kKernelEvents, 0, skip};
  if (skip != 0) (void)writer->add_loss({kNsPerSec + 990'000, {&lost, 1}});
  trace::SessionEnd end;
  end.end_ns = kNsPerSec + 1'000'000;
  (void)writer->end_session(end);
  (void)writer->finish();
  return bytes;
}

trace::Bytes gap_then_whole(const Recording& recording) {
  trace::Bytes bytes;
  const auto writer = test::writer_to(bytes, {.frame_items = 64});
  write_session(*writer, recording, {.missing_first = 20, .missing_count = 3});
  write_session(*writer, recording);
  (void)writer->finish();
  return bytes;
}

// Sessions that were opened and ended, and nothing between.
trace::Bytes no_events() {
  trace::Bytes bytes;
  const auto writer = test::writer_to(bytes);
  trace::SessionInfo info = Recording({}).session();
  (void)writer->begin_session(info);
  (void)writer->end_session({});
  (void)writer->finish();
  return bytes;
}

trace::Bytes of_a_newer_schema(trace::Bytes bytes) {
  const auto header = trace::encode(trace::FileHeader{.schema = trace::kSchemaVersion + 1});
  std::ranges::copy(header, bytes.begin());
  return bytes;
}

// Ends in the middle of a frame, once without its steps and once with some.
trace::Bytes cut_to(const trace::Bytes& bytes, std::size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const Recording recording({.duration_ns = 5 * kNsPerMs});
  save(folder / "steps_only.rtrace", make_trace(recording, {.kernel_events = false}));
  save(folder / "gap.rtrace", gap_then_whole(recording));
  save(folder / "arm.rtrace", reader_on("aarch64"));
  save(folder / "whole.rtrace", reader_on("x86_64"));
  save(folder / "lost.rtrace", reader_on("x86_64", 7));
  save(folder / "topology.rtrace", reader_on("x86_64", 0, true));
  save(folder / "no_events.rtrace", no_events());
  const trace::Bytes whole = make_trace(recording, {.writer = {.frame_items = 64}});
  save(folder / "schema.rtrace", of_a_newer_schema(whole));
  save(folder / "cut.rtrace", cut_to(whole, whole.size() / 2));
  save(folder / "cut_early.rtrace", cut_to(whole, 1000));
  save(folder / "cut_header.rtrace", cut_to(whole, trace::kFileHeaderBytes + 9));
  return 0;
}
