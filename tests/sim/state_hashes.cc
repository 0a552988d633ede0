// SPDX-License-Identifier: GPL-2.0-only
// The state hashes of a fixed set of simulations: every sample of traces/samples under every policy, some of them on
// several machines, and generated workloads under faults. The same on every machine and from every build.
//
//   reprise_state_hashes SAMPLES_FOLDER            prints a line per simulation
//   reprise_state_hashes SAMPLES_FOLDER --update   writes them to SAMPLES_FOLDER/state_hashes
//   reprise_state_hashes SAMPLES_FOLDER --check    compares them with that file; each simulation runs a second time
//                                                  without looking ahead, which must make no difference
//   reprise_state_hashes SAMPLES_FOLDER --runs N   runs one case so often; all must end the same
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "scheduler/policies/table.h"
#include "sim/run/from_trace.h"
#include "sim/run/sweep.h"
#include "sim/workload/generate.h"
#include "tests/sim/every_fault.h"

namespace reprise {
namespace {

constexpr std::string_view kElsewhere[] = {"compile", "hackbench", "hackbench-2cpu", "periodic"};
constexpr const char* kTopologies[] = {"1n1l1c1t", "1n2l2c1t", "2n2l2c2t"};
constexpr std::string_view kOften[] = {"fifo", "vruntime", "newcomer", "eevdf"};

struct Case {
  std::string name;  // what to give to `reprise sim`
  sim::Job job;
};

template <typename T>
T need(Expected<T> value) {
  if (value) return std::move(*value);
  fmt::print(stderr, "{} ({})\n", value.error().what, value.error().where);
  std::exit(static_cast<int>(value.error().code));
}

class Cases {
 public:
  explicit Cases(const std::string& folder) {
    std::vector<std::string_view> every{"eevdf"};
    for (const PolicyInfo& policy : policies()) every.push_back(policy.name);
    std::vector<std::filesystem::path> samples;
    for (const auto& file : std::filesystem::directory_iterator(folder))
      if (file.path().extension() == ".rtrace") samples.push_back(file.path());
    std::ranges::sort(samples);
    for (const std::filesystem::path& path : samples) {
      recorded_.push_back(need(sim::from_trace(path.string())));
      const sim::Recorded& recorded = recorded_.back();
      add(path.filename().string(), recorded.program, recorded.machine, every);
      if (std::ranges::find(kElsewhere, path.stem().string()) == std::end(kElsewhere)) continue;
      for (const char* topology : kTopologies)
        add(path.filename().string(), recorded.program, recorded.machine, kOften, topology);
    }
    for (const std::string_view generator : sim::generators()) {
      programs_.push_back(need(sim::generate(generator, 40, 1)));
      sim::SimOptions machine;
      machine.faults = test::kEveryFault;
      add(fmt::format("--load {}:40", generator), programs_.back(), machine, kOften, "1n2l2c1t");
    }
  }
  [[nodiscard]] const std::vector<Case>& all() const { return cases_; }

 private:
  void add(const std::string& what, const sim::Program& program, const sim::SimOptions& machine,
           std::span<const std::string_view> policies, const char* topology = "") {
    for (const std::string_view policy : policies) {
      Case made{.name = fmt::format("{} --policy {}", what, policy), .job = {}};
      made.job.program = &program;
      made.job.options.machine = machine;
      if (policy != "eevdf") made.job.options.machine.policy = need(find_policy(policy));
      if (*topology != 0) {
        made.job.options.machine.topology = need(sim::Topology::parse(topology));
        made.name += fmt::format(" --topology {}", topology);
      }
      if (machine.faults != sim::FaultOptions{}) made.name += " --fault (all)";
      if (program.endless) made.job.options.duration_ns = kNsPerSec / 2;
      cases_.push_back(std::move(made));
    }
  }

  std::deque<sim::Recorded> recorded_;
  std::deque<sim::Program> programs_;
  std::vector<Case> cases_;
};

std::string line(const Case& which, const sim::JobResult& done) {
  if (!done.result) return fmt::format("failed: {}  {}\n", done.result.error().what, which.name);
  return fmt::format("{:016x} {:9} {}\n", done.result->state_hash, done.result->events, which.name);
}

std::string lines(const std::vector<Case>& cases, bool look_ahead) {
  std::vector<sim::Job> jobs;
  for (const Case& each : cases) {
    jobs.push_back(each.job);
    jobs.back().options.machine.look_ahead = look_ahead;
  }
  const std::vector<sim::JobResult> results = sim::sweep(jobs);
  std::string text;
  for (std::size_t i = 0; i < cases.size(); ++i) text += line(cases[i], results[i]);
  return text;
}

// 0, or 1 after having shown where they differ.
int compare(const std::string& expected, const std::string& seen, const char* than) {
  if (expected == seen) return 0;
  std::istringstream a(expected), b(seen);
  std::string wanted, got;
  while (std::getline(b, got)) {
    if (!std::getline(a, wanted)) wanted.clear();
    if (wanted != got) fmt::print(stderr, "{}\n  differs from {}\n{}\n", got, than, wanted);
  }
  return 1;
}

int repeat(const Case& which, u64 runs) {
  const std::vector<sim::JobResult> results = sim::sweep(std::vector<sim::Job>(runs, which.job));
  for (const sim::JobResult& each : results)
    if (compare(line(which, results[0]), line(which, each), "the first run") != 0) return 1;
  fmt::print("{} runs, all {}", runs, line(which, results[0]));
  return 0;
}

int run(const std::string& folder, std::string_view mode, u64 runs) {
  const Cases cases(folder);
  if (mode == "--runs") {
    const auto hackbench = [](const Case& c) { return c.name == "hackbench.rtrace --policy vruntime"; };
    return repeat(*std::ranges::find_if(cases.all(), hackbench), runs);
  }
  const std::string text = lines(cases.all(), true), path = folder + "/state_hashes";
  if (mode == "--update") return (std::ofstream(path) << text).flush() ? 0 : 1;
  if (mode != "--check") return fmt::print("{}", text), 0;
  std::ostringstream expected;
  expected << std::ifstream(path).rdbuf();
  if (compare(expected.str(), text, "traces/samples/state_hashes") != 0) {
    fmt::print(stderr, "if that was meant: reprise_state_hashes traces/samples --update\n");
    return 1;
  }
  return compare(lines(cases.all(), false), text, "the same without looking ahead");
}

}  // namespace
}  // namespace reprise

int main(int count, char** arguments) {
  const std::string_view mode = count > 2 ? arguments[2] : "";
  const bool runs = mode == "--runs" && count == 4;
  if (count < 2 || (count == 3 && mode != "--update" && mode != "--check") || (count > 3 && !runs)) {
    fmt::print(stderr, "usage: reprise_state_hashes SAMPLES_FOLDER [--update|--check|--runs N]\n");
    return 2;
  }
  return reprise::run(arguments[1], mode, runs ? std::strtoull(arguments[3], nullptr, 10) : 0);
}
