// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/event_trace.h"

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <span>
#include <utility>

#include "traces/writer.h"

namespace reprise::test {

using namespace trace;

namespace {

class MemoryFile final : public WritableFile {
 public:
  explicit MemoryFile(Bytes& bytes) : bytes_(bytes) {}
  Expected<void> append(ByteView bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return {};
  }
  Expected<void> truncate(u64 size) override {
    bytes_.resize(size);
    return {};
  }

 private:
  Bytes& bytes_;
};

}  // namespace

void EventTrace::put(KernelEventType type, i32 tid, u32 a, u64 b, u64 c, u8 flags, u32 cpu) {
  KernelEvent e{};
  e.time_ns = now_;
  e.seq = static_cast<u32>(events_.size());
  e.cpu = static_cast<u16>(cpu);
  e.type = type;
  e.flags = flags;
  e.tid = tid;
  e.a = a;
  e.b = b;
  e.c = c;
  events_.push_back(e);
}

u32 EventTrace::cpu_of(i32 tid) const {
  for (u32 cpu = 0; cpu < cpus_; ++cpu)
    if (running_[cpu] == tid) return cpu;
  return 0;
}

u64 EventTrace::cpu_ns(i32 tid) const {
  const auto counted = cpu_ns_.find(tid);
  u64 ns = counted == cpu_ns_.end() ? 0 : counted->second;
  for (u32 cpu = 0; cpu < cpus_; ++cpu)
    if (tid != 0 && running_[cpu] == tid) ns += now_ - since_[cpu];
  return ns;
}

EventTrace& EventTrace::at(u64 ns) {
  EXPECT_GE(kBaseNs + ns, now_);
  now_ = kBaseNs + ns;
  return *this;
}

EventTrace& EventTrace::task(i32 tid, i32 tgid, u8 marks) {
  put(KernelEventType::kTask, tid, static_cast<u32>(tgid), 0, kWeightDefault, marks, 0);
  return *this;
}

EventTrace& EventTrace::fork(i32 parent, i32 child, i32 tgid) {
  put(KernelEventType::kFork, child, static_cast<u32>(parent), now_, static_cast<u64>(tgid ? tgid : child), 0,
      cpu_of(parent));
  return *this;
}

EventTrace& EventTrace::run(u32 cpu, i32 next, u32 state) {
  const i32 previous = running_[cpu];
  const u64 ns = cpu_ns(previous);
  const u64 classes = u64{kClassExt} << 32 | u64{kClassExt} << 40;
  put(KernelEventType::kSwitch, next, static_cast<u32>(previous), state | classes, ns, 0, cpu);
  if (previous) cpu_ns_[previous] = ns;
  running_[cpu] = next;
  since_[cpu] = now_;
  return *this;
}

EventTrace& EventTrace::wake(i32 target, i32 waker, u8 flags) {
  put(KernelEventType::kWaking, target, static_cast<u32>(waker), 0, 0, flags, cpu_of(waker));
  return *this;
}

EventTrace& EventTrace::enter(i32 tid, u32 number, u8 role, u64 object) {
  calls_[tid] = {number, role};
  put(KernelEventType::kSyscallEnter, tid, number, object, cpu_ns(tid), role, cpu_of(tid));
  return *this;
}

EventTrace& EventTrace::leave(i32 tid, i64 result) {
  const Call& call = calls_[tid];
  put(KernelEventType::kSyscallExit, tid, call.number, static_cast<u64>(result), cpu_ns(tid), call.role, cpu_of(tid));
  return *this;
}

EventTrace& EventTrace::weight(i32 tid, u32 weight) {
  put(KernelEventType::kWeight, tid, weight, 0, 0, 0, cpu_of(tid));
  return *this;
}

EventTrace& EventTrace::timer(i32 sleeper, u64 expiry_ns, u8 flags) {
  put(KernelEventType::kTimer, running_[0], static_cast<u32>(sleeper), kBaseNs + expiry_ns, 0, flags, cpu_of(sleeper));
  return *this;
}

EventTrace& EventTrace::exit(i32 tid) {
  put(KernelEventType::kExit, tid, 0, cpu_ns(tid), 0, 0, cpu_of(tid));
  return *this;
}

sim::Extracted EventTrace::extract(const sim::ExtractOptions& options) {
  Bytes bytes;
  auto sink = FileSink::create(std::make_unique<MemoryFile>(bytes));
  EXPECT_TRUE(sink);
  Writer writer(std::move(*sink), {});
  SessionInfo info;
  info.kind = SessionKind::kPassive;
  info.start_ns = kBaseNs;
  info.cpus = cpus_;
  info.machine = "x86_64";
  SessionEnd end;
  end.end_ns = now_;
  EXPECT_TRUE(writer.begin_session(info));
  EXPECT_TRUE(writer.add_events(events_));
  EXPECT_TRUE(writer.end_session(end));
  EXPECT_TRUE(writer.finish());
  auto reader = Reader::open_memory(std::as_bytes(std::span(bytes)), "hand-made");
  EXPECT_TRUE(reader);
  auto extracted = sim::extract(*reader, options);
  EXPECT_TRUE(extracted) << extracted.error().what;
  return extracted ? std::move(*extracted) : sim::Extracted{};
}

std::string ops_of(const sim::Extracted& extracted, i32 tid) {
  std::string out;
  u64 run = 0;  // before `exit_begins`, which is left out
  for (const sim::TaskProgram& task : extracted.program.tasks) {
    if (task.tid != tid) continue;
    for (u32 i = task.first_op; i < task.first_op + task.ops; ++i) {
      sim::Op op = extracted.program.ops[i];
      const bool before =
          i + 1 < task.first_op + task.ops && extracted.program.ops[i + 1].code == sim::OpCode::kExitBegins;
      if (op.code == sim::OpCode::kExitBegins || op.code == sim::OpCode::kLeaveGroup) continue;
      if (op.code == sim::OpCode::kRun && before && i + 2 < task.first_op + task.ops &&
          extracted.program.ops[i + 2].code == sim::OpCode::kRun) {
        run = op.value;
        continue;
      }
      if (op.code == sim::OpCode::kRun) op.value += std::exchange(run, 0);
      out += fmt::format("{}{}", out.empty() ? "" : "; ", name(op.code));
      if (op.code == sim::OpCode::kTake || op.code == sim::OpCode::kTakeSome || op.code == sim::OpCode::kPost)
        out += fmt::format(" {} x{}", op.target, op.value);
      else if (op.value)
        out += fmt::format(" {}", op.value);
    }
  }
  return out;
}

}  // namespace reprise::test
