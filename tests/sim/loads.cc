// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/loads.h"

#include <algorithm>

#include "scheduler/policies/table.h"

namespace reprise::test {

using sim::Action;
using sim::Kernel;
using sim::Next;
using sim::TaskId;

namespace {
std::array<char, 16> comm_of(std::string_view text) {
  std::array<char, 16> comm{};
  std::copy_n(text.begin(), std::min<std::size_t>(text.size(), 15), comm.begin());
  return comm;
}
}  // namespace

TaskId Load::add(Kernel& kernel, const Doing& what, const sim::TaskInfo& info) {
  const TaskId id = kernel.create(info);
  if (id >= tasks_.size()) tasks_.resize(id + 1);
  tasks_[id] = what;
  kernel.start(id);
  return id;
}

TaskId Load::spinner(Kernel& kernel, u32 weight, const sim::CpuSet& affinity, u64 run_ns) {
  return add(kernel, {.kind = Doing::kSpin, .run_ns = run_ns},
             {.comm = comm_of("spin"), .weight = weight, .allowed = affinity});
}
TaskId Load::sleeper(Kernel& kernel, u64 run_ns, u64 sleep_ns, u32 weight) {
  return add(kernel, {.kind = Doing::kSleep, .run_ns = run_ns, .sleep_ns = sleep_ns},
             {.comm = comm_of("sleep"), .weight = weight});
}
TaskId Load::yielder(Kernel& kernel, u64 run_ns) {
  return add(kernel, {.kind = Doing::kYield, .run_ns = run_ns}, {.comm = comm_of("yield")});
}
TaskId Load::once(Kernel& kernel, u64 run_ns) {
  return add(kernel, {.kind = Doing::kOnce, .run_ns = run_ns}, {.comm = comm_of("once")});
}

void Load::ping_pong(Kernel& kernel, u64 run_ns) {
  const TaskId first = add(kernel, {.kind = Doing::kPing, .run_ns = run_ns, .tokens = 1}, {.comm = comm_of("ping")});
  const TaskId second = add(kernel, {.kind = Doing::kPing, .run_ns = run_ns, .peer = first}, {.comm = comm_of("pong")});
  tasks_[first].peer = second;
}

void Load::groups(sim::KernelModel& kernel, u32 groups, u32 pairs, u64 run_ns, bool even_cpus) {
  u32 cpu = 0;
  for (u32 group = 0; group < groups; ++group) {
    TaskId first = sim::kNoTaskId;
    for (u32 i = 0; i < pairs * 2; ++i) {
      const bool sends = i >= pairs;
      const i32 where = even_cpus ? static_cast<i32>(cpu++ % kernel.cpus()) : -1;
      const TaskId id = add(kernel,
                            {.kind = sends ? Doing::kSend : Doing::kReceive,
                             .run_ns = run_ns,
                             .peer = first,
                             .at = i - pairs,
                             .count = pairs},
                            {.comm = comm_of(sends ? "sender" : "receiver"), .cpu = where});
      if (i == 0) first = id;
    }
  }
}

void Load::fork_storm(Kernel& kernel, u32 children, u64 run_ns, u32 rounds) {
  add(kernel, {.kind = Doing::kForker, .run_ns = run_ns, .count = children, .rounds = rounds},
      {.comm = comm_of("forker")});
}

void Load::give(Kernel& kernel, TaskId to) {
  Doing& peer = tasks_[to];
  ++peer.tokens;
  if (!peer.waits) return;
  peer.waits = false;
  kernel.wake(to, sim::WakeContext::kTask);
}

Action Load::next(Kernel& kernel, TaskId id) {
  Doing& me = tasks_[id];
  switch (me.kind) {
    case Doing::kSpin:
      return {Next::kRun, me.run_ns};
    case Doing::kOnce:
      if (me.ran) {
        if (me.peer != sim::kNoTaskId) give(kernel, me.peer);
        return {Next::kExit};
      }
      me.ran = true;
      return {Next::kRun, me.run_ns};
    case Doing::kYield:
      me.ran = !me.ran;
      if (!me.ran) return {Next::kYield};
      return {Next::kRun, me.run_ns};
    case Doing::kSleep:
      me.ran = !me.ran;
      if (me.ran) return {Next::kRun, about(me.run_ns)};
      kernel.arm(kernel.now() + about(me.sleep_ns), id, sim::kThisCpu);
      return {Next::kBlock};
    case Doing::kPing:
      if (me.ran) {
        me.ran = false;
        give(kernel, me.peer);
      }
      if (tasks_[id].tokens == 0) {
        tasks_[id].waits = true;
        return {Next::kBlock};
      }
      --tasks_[id].tokens;
      tasks_[id].ran = true;
      ++messages;
      return {Next::kRun, me.run_ns};
    case Doing::kSend: {
      // Each message waits until its receiver has taken the last but fifteen: a pipe that is full.
      const TaskId to = me.peer + me.at;
      if (me.ran) {
        me.ran = false;
        give(kernel, to);
        ++messages;
        me.at = me.at + 1 == me.count ? 0 : me.at + 1;
      }
      Doing& receiver = tasks_[me.peer + me.at];
      if (receiver.tokens > 15) {
        if (receiver.peer == sim::kNoTaskId || !tasks_[receiver.sleep_ns].waits) {
          receiver.sleep_ns = id;
          me.waits = true;
          return {Next::kBlock};
        }
        return {Next::kYield};
      }
      me.ran = true;
      return {Next::kRun, about(me.run_ns)};
    }
    case Doing::kReceive:
      if (me.tokens == 0) {
        me.waits = true;
        return {Next::kBlock};
      }
      --me.tokens;
      if (me.tokens < 8 && me.sleep_ns != 0 && tasks_[me.sleep_ns].waits) {
        const TaskId sender = static_cast<TaskId>(me.sleep_ns);
        tasks_[sender].waits = false;
        me.sleep_ns = 0;
        kernel.wake(sender, sim::WakeContext::kTask);
      }
      return {Next::kRun, about(tasks_[id].run_ns)};
    case Doing::kForker:
      if (me.at < me.count) {
        ++me.at;
        const u64 run_ns = about(me.run_ns);
        add(kernel, {.kind = Doing::kOnce, .run_ns = run_ns, .peer = id}, {.parent = id, .comm = comm_of("child")});
        return {Next::kRun, 1000};
      }
      if (me.tokens < me.count) {
        me.waits = true;
        return {Next::kBlock};
      }
      me.tokens = me.at = 0;
      if (--me.rounds == 0) return {Next::kExit};
      return {Next::kRun, 1000};
  }
  return {Next::kExit};
}

void Load::timer(Kernel& kernel, u64 cookie) { kernel.wake(static_cast<TaskId>(cookie), sim::WakeContext::kHardirq); }

sim::SimOptions machine_of(u32 cpus, std::string_view policy) {
  sim::SimOptions options;
  options.topology = sim::Topology::flat(cpus);
  options.max_tasks = 4096;
  if (policy != "eevdf") options.policy = *find_policy(policy);
  return options;
}

std::vector<trace::KernelEvent> KeptEvents::of(trace::KernelEventType type) const {
  std::vector<trace::KernelEvent> found;
  for (const trace::KernelEvent& event : events)
    if (event.type == type) found.push_back(event);
  return found;
}

}  // namespace reprise::test
