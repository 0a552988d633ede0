// SPDX-License-Identifier: GPL-2.0-only
// Writes small traces of all shapes into a folder: the corpus of the fuzzers (tests/fuzz/corpus/trace). With --golden,
// the golden trace of a format version (tests/replay/golden), which stays as it is once that version is released.
// Usage: PROGRAM FOLDER [--golden]
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/replay/trace_maker.h"

using namespace reprise;
using test::Recording;
using test::Shape;
using trace::Bytes;

namespace {

void save(const std::filesystem::path& folder, const char* name, const Bytes& bytes) {
  const auto path = folder / (std::string(name) + ".rtrace");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::printf("%s %zu\n", path.c_str(), bytes.size());
}

/// A session without steps: kernel events of each type, and one that is yet to be invented.
void write_all_types(trace::Writer& writer) {
  std::vector<trace::KernelEvent> events;
  for (u8 type = 1; type <= trace::kKernelEventTypeLast + 1; ++type) {
    for (u32 i = 0; i < 3; ++i) {
      events.push_back({kNsPerSec + 1000 * type + i, i, static_cast<u16>(i % 2),
                        static_cast<trace::KernelEventType>(type), static_cast<u8>(i), static_cast<i32>(100 + i), 7 * i,
                        1000 * i, ~u64{i}});
    }
  }
  const std::vector<trace::Loss> losses = {{trace::LossRing::kKernelEvents, 1, 5}};
  trace::SessionInfo passive;
  passive.kind = trace::SessionKind::kPassive;
  (void)writer.begin_session(passive);
  (void)writer.add_events(events);
  (void)writer.add_loss({kNsPerSec, losses});
  (void)writer.end_session({});
}

Bytes all_types() {
  Bytes bytes;
  const auto writer = test::writer_to(bytes);
  write_all_types(*writer);
  (void)writer->finish();
  return bytes;
}

/// Everything that the format has, in little space.
Bytes golden(const Recording& recording) {
  Bytes bytes;
  const auto writer = test::writer_to(bytes, {.frame_items = 16});
  write_session(*writer, recording,
                {.count = 24, .hash_every = 8, .snapshot_every = 12, .missing_first = 20, .missing_count = 2});
  write_all_types(*writer);
  (void)writer->finish();
  return bytes;
}

Bytes two_sessions(const Recording& recording) {
  Bytes bytes;
  const auto writer = test::writer_to(bytes, {.frame_items = 32});
  write_session(*writer, recording, {.count = 20});
  write_session(*writer, recording, {.count = 30});
  (void)writer->finish();
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::filesystem::path folder = argv[1];
  const auto small = [](const char* policy, u32 faults) {
    return Recording({.policy = policy,
                      .machine = {.cpus = 2, .max_tasks = 8, .seed = 5, .room = 3, .faults_per_mille = faults},
                      .tasks = 5,
                      .duration_ns = 2 * kNsPerMs});
  };
  const Recording vruntime = small("vruntime", 0);
  if (argc > 2) {
    save(folder, "v1", golden(vruntime));
    return 0;
  }
  const trace::WriterOptions frames{.frame_items = 64};
  save(folder, "vruntime", make_trace(vruntime, {.hash_every = 8, .snapshot_every = 40, .writer = frames}));
  save(folder, "fifo_faults", make_trace(small("fifo", 300), {.hash_every = 8, .writer = frames}));
  save(folder, "middle", make_trace(vruntime, {.first = 40, .count = 40, .writer = frames}));
  save(folder, "gap", make_trace(vruntime, {.count = 40, .missing_first = 20, .missing_count = 3, .writer = frames}));
  save(folder, "no_end", make_trace(vruntime, {.count = 10, .end = false, .writer = frames}));
  save(folder, "two_sessions", two_sessions(vruntime));
  save(folder, "all_types", all_types());
  return 0;
}
