// SPDX-License-Identifier: GPL-2.0-only
// Workloads made from a seed, for tests and for scale. The same arguments give the same program everywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/prng.h"
#include "sim/workload/program.h"

namespace reprise::sim {

/// Two tasks that pass a byte back and forth over two pipes. Ends after `rounds`.
struct PingPong {
  u32 pairs = 1;
  u64 rounds = 1000;
  u64 run_ns = 5 * kNsPerUs;  // of each, per round
};
Program generate(const PingPong&, Prng);

/// As hackbench does it: in each group every sender writes `loops` messages to every receiver's socket.
struct Hackbench {
  u32 groups = 1;
  u32 pairs = 20;  // senders, and receivers, per group
  u64 loops = 100;
  u64 bytes = 100;
  u64 send_ns = 2 * kNsPerUs;
  u64 receive_ns = 2 * kNsPerUs;
  u64 capacity_messages = 278;  // that fit into a socket
  u32 jitter_percent = 20;      // of the times above, per task
};
Program generate(const Hackbench&, Prng);

/// Tasks that only run. Nice levels cycle through `weights`.
struct Spinners {
  u32 tasks = 4;
  u64 run_ns = 100 * kNsPerMs;   // each, in all
  u64 burst_ns = 10 * kNsPerMs;  // between two points where it would notice something; no effect on scheduling
  std::vector<u32> weights = {kWeightDefault};
};
Program generate(const Spinners&, Prng);

/// Tasks that sleep and then run for a burst, both drawn between the limits.
struct Sleepers {
  u32 tasks = 10;
  u64 rounds = 100;
  u64 sleep_ns_min = kNsPerMs;
  u64 sleep_ns_max = 20 * kNsPerMs;
  u64 run_ns_min = 100 * kNsPerUs;
  u64 run_ns_max = 2 * kNsPerMs;
};
Program generate(const Sleepers&, Prng);

/// Parents that fork `children` one after the other, each of which runs and ends, `at_once` of them at a time.
struct ForkStorm {
  u32 parents = 2;
  u32 children = 100;
  u32 at_once = 4;
  u64 run_ns_min = 50 * kNsPerUs;
  u64 run_ns_max = kNsPerMs;
};
Program generate(const ForkStorm&, Prng);

/// Tasks with a period and a run time, periods drawn between the limits.
struct Periodic {
  u32 tasks = 8;
  u64 periods = 100;
  u64 period_ns_min = 4 * kNsPerMs;
  u64 period_ns_max = 32 * kNsPerMs;
  u32 load_percent = 10;  // of a CPU, each
};
Program generate(const Periodic&, Prng);

/// Tasks that take `locks` one inside the other, in one order, and work in between.
struct LockChains {
  u32 tasks = 8;
  u32 locks = 3;
  u64 rounds = 100;
  u64 inside_ns = 20 * kNsPerUs;
  u64 outside_ns = 100 * kNsPerUs;
};
Program generate(const LockChains&, Prng);

/// Clients that send a request and wait for the answer; workers that take requests from one queue.
struct RequestResponse {
  u32 clients = 16;
  u32 workers = 4;
  u64 requests = 100;  // per client
  u64 client_ns = 20 * kNsPerUs;
  u64 worker_ns = 100 * kNsPerUs;
  u64 think_ns_max = 2 * kNsPerMs;  // between answer and next request
};
Program generate(const RequestResponse&, Prng);

/// By name: "ping_pong", "hackbench", "spinners", "sleepers", "fork_storm", "periodic", "lock_chains",
/// "request_response", each with `tasks` tasks or about so many. Error (kUsage): no such generator.
Expected<Program> generate(std::string_view name, u32 tasks, u64 seed);
[[nodiscard]] const std::vector<std::string_view>& generators();

}  // namespace reprise::sim
