// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/provenance.h"

#include <sys/utsname.h>

#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "version.h"

namespace reprise::live {
namespace {

i64 offset_from_monotonic(clockid_t clock) {
  timespec there{}, here{};
  clock_gettime(CLOCK_MONOTONIC, &here);
  clock_gettime(clock, &there);
  return (there.tv_sec - here.tv_sec) * static_cast<i64>(kNsPerSec) + (there.tv_nsec - here.tv_nsec);
}

// "preempt" of debugfs reads like "none voluntary (full) lazy".
std::string preemption_model() {
  const std::string text = read_small_file("/sys/kernel/debug/sched/preempt");
  const auto open = text.find('('), close = text.find(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return text.substr(open + 1, close - open - 1);
}

// The coarse clock moves once per tick; Debian's kernels do not show their configuration.
u32 ticks_per_second() {
  timespec resolution{};
  if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec <= 0) return 0;
  return static_cast<u32>((static_cast<i64>(kNsPerSec) + resolution.tv_nsec / 2) / resolution.tv_nsec);
}

std::string cpu_model() {
  std::ifstream lines("/proc/cpuinfo");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return {};
}

// Lowest CPU of a list as sysfs prints it ("2-3,8"); `otherwise` where there is none.
u32 lowest(const std::string& path, u32 otherwise) {
  const std::string text = read_small_file(path);
  u32 value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

u32 node_of(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.size() > 4 && name.starts_with("node")) {
      u32 node = 0;
      if (std::from_chars(name.data() + 4, name.data() + name.size(), node).ec == std::errc()) return node;
    }
  }
  return 0;
}

// The unified cache of the highest level is the last one.
u32 llc_of(const std::string& folder, u32 cpu) {
  u32 best_level = 0, group = cpu;
  for (int index = 0; index < 8; ++index) {
    const std::string cache = folder + "/cache/index" + std::to_string(index) + '/';
    const u32 level = lowest(cache + "level", 0);
    if (level > best_level && read_small_file(cache + "type") == "Unified") {
      best_level = level;
      group = lowest(cache + "shared_cpu_list", cpu);
    }
  }
  return group;
}

}  // namespace

trace::SessionInfo describe_machine(u32 cpus) {
  trace::SessionInfo info;
  utsname name{};
  uname(&name);
  info.kernel_release = name.release;
  info.kernel_version = name.version;
  info.machine = name.machine;
  info.preemption = preemption_model();
  info.hz = ticks_per_second();
  info.cpu_model = cpu_model();
  for (u32 cpu = 0; cpu < cpus; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu);
    info.topology.push_back({.cpu = cpu,
                             .core = lowest(folder + "/topology/core_cpus_list", cpu),
                             .llc = llc_of(folder, cpu),
                             .node = node_of(folder)});
  }
  info.version = kVersion;
  info.compiler = kCompiler;
  info.build_type = kBuildType;
  info.engine_hash = kEngineHash;
  info.policies_hash = kPoliciesHash;
  info.dispatcher_hash = kDispatcherHash;
  info.realtime_offset_ns = offset_from_monotonic(CLOCK_REALTIME);
  info.boottime_offset_ns = offset_from_monotonic(CLOCK_BOOTTIME);
  return info;
}

trace::SessionInfo describe_session(const PolicySpec& policy, u64 seed, u32 cpus, const DispatcherSettings& settings,
                                    const KernelFeatures& features) {
  trace::SessionInfo info = describe_machine(cpus);
  info.kind = trace::SessionKind::kLive;
  info.policy = policy.info->name;
  info.options = policy.options.text();
  if (!policy.code.empty()) info.policies_hash = policy.code;
  info.seed = seed;
  info.cpus = cpus;
  info.max_tasks = settings.max_tasks;
  info.interests = settings.interests;
  info.sched_ext_features = features.present;
  info.dispatcher = {{"slice_default_ns", settings.slice_default_ns},
                     {"slice_scheduler_ns", settings.slice_scheduler_ns},
                     {"heartbeat_ns", settings.heartbeat_ns},
                     {"fallback_ns", settings.fallback_ns},
                     {"timeout_ms", settings.timeout_ms},
                     {"kick_preempt", settings.kick_preempt},
                     {"kick_interval_us", settings.kick_interval_us},
                     {"partial", settings.partial},
                     {"events_bytes", settings.events_bytes},
                     {"decisions_bytes", settings.decisions_bytes},
                     {"recording_bytes", settings.recording_bytes}};
  return info;
}

}  // namespace reprise::live
