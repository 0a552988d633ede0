// SPDX-License-Identifier: GPL-2.0-only
#include "sim/workload/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace reprise::sim {
namespace {

TaskProgram named(std::string_view text, u32 number) {
  TaskProgram task;
  const std::string name = fmt::format("{}/{}", text, number);
  std::memcpy(task.comm, name.data(), std::min(name.size(), sizeof task.comm - 1));
  return task;
}

u64 around(Prng& prng, u64 ns, u32 percent) {
  const u64 part = ns * percent / 100;
  return std::max<u64>(1, prng.between(ns - part, ns + part));
}

}  // namespace

Program generate(const PingPong& g, Prng) {
  ProgramBuilder b;
  for (u32 pair = 0; pair < g.pairs; ++pair) {
    const u32 there = b.object(ObjectType::kTokens, 0, 65'536);
    const u32 back = b.object(ObjectType::kTokens, 0, 65'536);
    b.begin(b.declare(named("ping", pair)));
    b.loop(g.rounds);
    b.run(g.run_ns);
    b.op(OpCode::kPost, there, 1);
    b.op(OpCode::kTake, back, 1);
    b.end_loop();
    b.end();
    b.begin(b.declare(named("pong", pair)));
    b.loop(g.rounds);
    b.op(OpCode::kTake, there, 1);
    b.run(g.run_ns);
    b.op(OpCode::kPost, back, 1);
    b.end_loop();
    b.end();
  }
  return b.finish();
}

Program generate(const Hackbench& g, Prng prng) {
  ProgramBuilder b;
  for (u32 group = 0; group < g.groups; ++group) {
    std::vector<u32> sockets;
    const u64 capacity = g.bytes * std::max<u64>(1, g.capacity_messages);
    for (u32 i = 0; i < g.pairs; ++i) sockets.push_back(b.object(ObjectType::kTokens, 0, capacity, capacity / 4));
    for (u32 i = 0; i < g.pairs; ++i) {
      b.begin(b.declare(named("receiver", group * g.pairs + i)));
      const u64 ns = around(prng, g.receive_ns, g.jitter_percent);
      b.loop(g.loops * g.pairs);
      b.op(OpCode::kTake, sockets[i], g.bytes);
      b.run(ns);
      b.end_loop();
      b.end();
    }
    for (u32 i = 0; i < g.pairs; ++i) {
      b.begin(b.declare(named("sender", group * g.pairs + i)));
      const u64 ns = around(prng, g.send_ns, g.jitter_percent);
      b.loop(g.loops);
      for (const u32 socket : sockets) {
        b.run(ns);
        b.op(OpCode::kPost, socket, g.bytes);
      }
      b.end_loop();
      b.end();
    }
  }
  return b.finish();
}

Program generate(const Spinners& g, Prng) {
  ProgramBuilder b;
  for (u32 i = 0; i < g.tasks; ++i) {
    TaskProgram task = named("spinner", i);
    if (!g.weights.empty()) task.weight = g.weights[i % g.weights.size()];
    b.begin(b.declare(task));
    const u64 burst = std::max<u64>(1, std::min(g.burst_ns, g.run_ns));
    b.loop(g.run_ns / burst);
    b.run(burst);
    b.end_loop();
    b.run(g.run_ns % burst);
    b.end();
  }
  return b.finish();
}

Program generate(const Sleepers& g, Prng prng) {
  ProgramBuilder b;
  for (u32 i = 0; i < g.tasks; ++i) {
    b.begin(b.declare(named("sleeper", i)));
    // A few rounds of its own, over and over: what a task draws must not make the program long.
    const u64 drawn = std::min<u64>(g.rounds, 8);
    const auto round = [&] {
      b.op(OpCode::kSleep, 0, prng.between(g.sleep_ns_min, g.sleep_ns_max));
      b.run(prng.between(g.run_ns_min, g.run_ns_max));
    };
    if (drawn) {
      b.loop(g.rounds / drawn);
      for (u64 k = 0; k < drawn; ++k) round();
      b.end_loop();
      for (u64 k = 0; k < g.rounds % drawn; ++k) round();
    }
    b.end();
  }
  return b.finish();
}

Program generate(const ForkStorm& g, Prng prng) {
  ProgramBuilder b;
  for (u32 p = 0; p < g.parents; ++p) {
    const u32 ended = b.object(ObjectType::kTokens);
    const u32 parent = b.declare(named("parent", p));
    std::vector<u32> children;
    for (u32 c = 0; c < g.children; ++c) {
      TaskProgram child = named("child", p * g.children + c);
      child.start = TaskStart::kByFork;
      child.parent = static_cast<i32>(parent);
      child.ended = ended;
      children.push_back(b.declare(child));
    }
    b.begin(parent);
    for (u32 c = 0; c < g.children; ++c) {
      b.run(prng.between(20 * kNsPerUs, 60 * kNsPerUs));
      if (c >= g.at_once) b.op(OpCode::kTake, ended, 1);
      b.op(OpCode::kFork, children[c]);
    }
    b.op(OpCode::kTake, ended, std::min(g.children, g.at_once));
    b.end();
    for (const u32 child : children) {
      b.begin(child);
      b.run(prng.between(g.run_ns_min, g.run_ns_max));
      b.end();
    }
  }
  return b.finish();
}

Program generate(const Periodic& g, Prng prng) {
  ProgramBuilder b;
  for (u32 i = 0; i < g.tasks; ++i) {
    const u64 period = prng.between(g.period_ns_min, g.period_ns_max);
    const u32 timer = b.object(ObjectType::kTimer, kWhenUsed);
    b.begin(b.declare(named("periodic", i)));
    b.op(OpCode::kSleep, 0, prng.below(period));
    b.loop(g.periods);
    b.run(std::max<u64>(1, period * g.load_percent / 100));
    b.op(OpCode::kTimer, timer, period);
    b.end_loop();
    b.end();
  }
  return b.finish();
}

Program generate(const LockChains& g, Prng prng) {
  ProgramBuilder b;
  std::vector<u32> locks;
  for (u32 i = 0; i < g.locks; ++i) locks.push_back(b.object(ObjectType::kTokens, 1));
  for (u32 i = 0; i < g.tasks; ++i) {
    b.begin(b.declare(named("locker", i)));
    b.loop(g.rounds);
    b.run(around(prng, g.outside_ns, 20));
    for (const u32 lock : locks) {
      b.op(OpCode::kTake, lock, 1);
      b.run(g.inside_ns);
    }
    for (u32 k = g.locks; k-- > 0;) b.op(OpCode::kPost, locks[k], 1);
    b.end_loop();
    b.end();
  }
  return b.finish();
}

Program generate(const RequestResponse& g, Prng prng) {
  ProgramBuilder b;
  const u32 queue = b.object(ObjectType::kTokens);
  const u32 answers = b.object(ObjectType::kTokens);
  const u64 all = g.clients * g.requests;
  for (u32 i = 0; i < g.clients; ++i) {
    b.begin(b.declare(named("client", i)));
    const u64 think = prng.between(0, g.think_ns_max);
    b.loop(g.requests);
    b.run(g.client_ns);
    b.op(OpCode::kPost, queue, 1);
    b.op(OpCode::kTake, answers, 1);
    b.op(OpCode::kSleep, 0, think);
    b.end_loop();
    b.end();
  }
  for (u32 i = 0; i < g.workers; ++i) {
    b.begin(b.declare(named("worker", i)));
    b.loop(all / g.workers + (i < all % g.workers ? 1 : 0));
    b.op(OpCode::kTake, queue, 1);
    b.run(around(prng, g.worker_ns, 50));
    b.op(OpCode::kPost, answers, 1);
    b.end_loop();
    b.end();
  }
  return b.finish();
}

const std::vector<std::string_view>& generators() {
  static const std::vector<std::string_view> names = {"ping_pong",  "hackbench", "spinners",    "sleepers",
                                                      "fork_storm", "periodic",  "lock_chains", "request_response"};
  return names;
}

Expected<Program> generate(std::string_view name, u32 tasks, u64 seed) {
  const Prng prng = Prng::seeded(seed).split(name);
  tasks = std::max(tasks, 2u);
  if (name == "ping_pong") return generate(PingPong{.pairs = tasks / 2}, prng);
  if (name == "hackbench") {
    const u32 pairs = std::min(20u, tasks / 2);
    return generate(Hackbench{.groups = std::max(1u, tasks / (2 * pairs)), .pairs = pairs}, prng);
  }
  if (name == "spinners") return generate(Spinners{.tasks = tasks, .weights = {100, 50, 200}}, prng);
  if (name == "sleepers") return generate(Sleepers{.tasks = tasks}, prng);
  if (name == "fork_storm") return generate(ForkStorm{.parents = 1, .children = tasks - 1}, prng);
  if (name == "periodic") return generate(Periodic{.tasks = tasks}, prng);
  if (name == "lock_chains") return generate(LockChains{.tasks = tasks}, prng);
  if (name == "request_response") {
    const u32 workers = std::max(1u, tasks / 5);
    return generate(RequestResponse{.clients = tasks - workers, .workers = workers}, prng);
  }
  std::string known;
  for (const std::string_view n : generators()) known += fmt::format("{}{}", known.empty() ? "" : ", ", n);
  return fail(ExitCode::kUsage, fmt::format("no generator '{}'", name), {}, "one of " + known);
}

}  // namespace reprise::sim
