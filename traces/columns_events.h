// SPDX-License-Identifier: GPL-2.0-only
// Kernel events to columns and back. Internal to traces/. As columns_steps.h.
#pragma once

#include <span>
#include <vector>

#include "traces/columns.h"
#include "traces/frame.h"
#include "traces/kernel_event.h"

namespace reprise::trace {

struct EventContext {
  struct OfTask {
    u64 exec_total_ns;  // CPU time at exec_at_ns, from where on it is expected to run on
    u64 exec_at_ns;
    u64 vtime;
    u64 object;
    u32 generation;
    u32 syscall;
  };
  struct OfCpu {
    i32 running;
    u32 seq;
    u32 classes;
    u32 waker;
    u32 irq;
  };

  u64 time_ns = 0;
  u32 cpu = 0;
  i32 task = 0;
  FrameTable<OfTask, 4096> tasks;
  FrameTable<OfCpu, 2048> cpus;

  OfTask& of_task(i32 tid) { return tasks[static_cast<u32>(tid)]; }
  OfCpu& of_cpu(u32 number) { return cpus[number]; }
  void next_frame(u64 first_ns) {
    time_ns = first_ns, cpu = 0, task = 0;
    tasks.next_frame();
    cpus.next_frame();
  }
};

class EventsEncoder {
 public:
  /// The frame is replaced by these, 1..kMaxEventsPerFrame. Valid until the next call.
  const EventsMessage& encode(std::span<const KernelEvent>);

 private:
  EventsMessage message_;
  EventContext context_;
  ColumnsEncoder<kEventColumns> columns_;
};

class EventsDecoder {
 public:
  /// False: the message breaks a limit or its columns contradict each other; `out` is then empty.
  bool decode(const EventsMessage&, std::vector<KernelEvent>& out);

 private:
  EventContext context_;
  ColumnsDecoder<kEventColumns> columns_;
};

}  // namespace reprise::trace
