// SPDX-License-Identifier: GPL-2.0-only
// Makes traces for tests: a small closed loop (tests/support/machine.h) drives a real engine, and what it saw and
// decided is written down, with kernel events as a kernel would have told them. Everything follows from the seed.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "scheduler/policies/table.h"
#include "tests/support/machine.h"
#include "traces/reader.h"
#include "traces/replay.h"
#include "traces/writer.h"

namespace reprise::test {

/// A file that is a vector.
class VectorFile : public trace::WritableFile {
 public:
  explicit VectorFile(trace::Bytes& bytes) : bytes_(bytes) {}
  Expected<void> append(trace::ByteView more) override {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return {};
  }
  Expected<void> truncate(u64 bytes) override {
    bytes_.resize(bytes);
    return {};
  }

 private:
  trace::Bytes& bytes_;
};

/// A writer into `bytes`.
[[nodiscard]] std::unique_ptr<trace::Writer> writer_to(trace::Bytes& bytes, const trace::WriterOptions& = {});
/// `bytes` must outlive it.
[[nodiscard]] trace::Reader reader_of(const trace::Bytes& bytes, u32 kinds = trace::kReadAll);
trace::Reader reader_of(trace::Bytes&& bytes, u32 kinds = trace::kReadAll) = delete;

struct Workload {
  std::string policy = "vruntime";  // as --policy takes it
  MachineConfig machine = {.cpus = 2, .max_tasks = 64, .seed = 7, .log = true};
  u32 tasks = 12;
  u64 run_ns = 20 * kNsPerUs;  // of a burst, on average
  u64 duration_ns = 20 * kNsPerMs;
};

/// A run, kept in memory.
class Recording {
 public:
  explicit Recording(const Workload&);

  [[nodiscard]] trace::SessionInfo session() const;
  [[nodiscard]] const std::vector<LoggedStep>& steps() const { return machine_->log(); }
  [[nodiscard]] trace::StepRecord record(std::size_t i) const;
  /// What the kernel would have told of step i: wakings, answers, switches.
  [[nodiscard]] std::vector<trace::KernelEvent> events_of(std::size_t i) const;
  /// The engine's state after step i (0: after the first), made again.
  [[nodiscard]] std::vector<std::byte> snapshot_after(std::size_t i) const;

 private:
  Workload workload_;
  std::unique_ptr<Machine> machine_;
};

struct Shape {
  std::size_t first = 0, count = ~std::size_t{0};  // of the steps
  bool kernel_events = true;
  u64 hash_every = 16;                               // steps
  std::size_t snapshot_every = 0;                    // steps; 0: none
  std::size_t missing_first = 0, missing_count = 0;  // steps left out: a gap
  bool end = true;
  trace::WriterOptions writer = {.frame_items = 256};
};

/// Adds a session.
void write_session(trace::Writer&, const Recording&, const Shape& = {});
/// A whole trace of one session.
[[nodiscard]] trace::Bytes make_trace(const Recording&, const Shape& = {});
[[nodiscard]] trace::Bytes make_trace(const Workload& = {}, const Shape& = {});

/// The smallest trace that says something: a session, a step with one event and one decision, a kernel event, an end.
/// Not compressed. docs/trace_format.md explains it byte by byte.
[[nodiscard]] trace::Bytes tiny_trace();

[[nodiscard]] trace::PolicyFinder finder();

[[nodiscard]] inline bool same_bytes(std::span<const Event> a, std::span<const Event> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// All of a reader's items as text, a line each, and its problems: two traces are equal if these are.
[[nodiscard]] std::string contents(trace::Reader&);

}  // namespace reprise::test
