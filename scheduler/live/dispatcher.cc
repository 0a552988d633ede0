// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/dispatcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "dispatcher_bpf.skel.h"
#include "scheduler/wire/wire.h"

namespace reprise::live {
namespace {

// libbpf talks through a callback without context: the last lines that it said on this thread.
thread_local std::string libbpf_said;
constexpr std::size_t kLogKept = 4096;

int hear(libbpf_print_level level, const char* format, va_list arguments) {
  if (level > LIBBPF_INFO) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  std::string text(static_cast<std::size_t>(std::max(length, 0)) + 1, '\0');
  std::vsnprintf(text.data(), text.size(), format, again);
  va_end(again);
  text.pop_back();
  libbpf_said += text;
  // A verifier's log says what is wrong in its last lines.
  if (libbpf_said.size() > kLogKept) libbpf_said.erase(0, libbpf_said.size() - kLogKept);
  return length;
}

std::unexpected<Error> refused(const char* what, int error) {
  if (error == -EPERM || error == -EACCES)
    if (geteuid() != 0)
      return fail(ExitCode::kNotPermitted, std::string(what) + ": not permitted", {},
                  "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_NICE");
  if (error == -EBUSY)
    return fail(ExitCode::kInternal, std::string(what) + ": another sched_ext scheduler is attached",
                "/sys/kernel/sched_ext/root/ops: " + read_sched_ext_state().ops, "stop that scheduler first");
  return fail(ExitCode::kInternal, std::string(what) + ": " + std::strerror(-error) + "\n" + libbpf_said, {},
              "run reprise doctor; if it finds nothing, this kernel is not known to the dispatcher yet");
}

}  // namespace

struct Dispatcher::State {
  dispatcher_bpf* skeleton = nullptr;
  bpf_link* link = nullptr;
  RingReader events;
  RingReader recording;
  RingWriter decisions;
  u32 cpus = 0;
  u64 restart_bit = 0;
  ~State() {
    bpf_link__destroy(link);
    dispatcher_bpf__destroy(skeleton);
  }
};

Dispatcher::Dispatcher() : state_(std::make_unique<State>()) {}
Dispatcher::~Dispatcher() = default;

namespace {

void configure(dispatcher_bpf& skeleton, const DispatcherSettings& settings, const KernelFeatures& features, u32 cpus) {
  auto& config = *const_cast<wire_config*>(reinterpret_cast<const volatile wire_config*>(&skeleton.rodata->config));
  config.scheduler_tid = settings.scheduler_tid;
  config.scheduler_tgid = settings.scheduler_tgid;
  config.cpus = cpus;
  config.max_tasks = settings.max_tasks;
  config.slice_default_ns = settings.slice_default_ns;
  config.slice_scheduler_ns = settings.slice_scheduler_ns;
  config.heartbeat_ns = settings.heartbeat_ns;
  config.fallback_ns = settings.fallback_ns;
  config.kick_interval_us = settings.kick_interval_us;
  config.kick = settings.kick_preempt ? WIRE_KICK_PREEMPT : WIRE_KICK_NONE;
  config.recording = settings.recording;
  config.interests = settings.interests;
  config.kernel = features.values;
  auto* ops = skeleton.struct_ops.reprise_ops;
  ops->flags = features.ops_keep_builtin_idle | features.ops_enq_last | features.ops_allow_queued_wakeup |
               (settings.partial ? features.ops_switch_partial : 0);
  ops->timeout_ms = settings.timeout_ms;
  // The kernel refuses to attach when a CPU has come or gone since this was read.
  ops->hotplug_seq = read_sched_ext_state().hotplug_seq;
  bpf_map__set_max_entries(skeleton.maps.slots, settings.max_tasks);
  bpf_map__set_max_entries(skeleton.maps.free_slots, settings.max_tasks);
  bpf_map__set_max_entries(skeleton.maps.events, static_cast<u32>(settings.events_bytes));
  bpf_map__set_max_entries(skeleton.maps.decisions, static_cast<u32>(settings.decisions_bytes));
  bpf_map__set_max_entries(skeleton.maps.recording,
                           static_cast<u32>(settings.recording ? settings.recording_bytes : 4096));
}

}  // namespace

Expected<std::unique_ptr<Dispatcher>> Dispatcher::load(const DispatcherSettings& settings,
                                                       const KernelFeatures& features) {
  libbpf_set_print(hear);
  libbpf_said.clear();
  const int possible = libbpf_num_possible_cpus();
  if (possible <= 0 || static_cast<u32>(possible) > kMaxCpus)
    return fail(ExitCode::kUsage, "this machine has " + std::to_string(possible) + " CPUs", {},
                "the dispatcher is built for at most " + std::to_string(kMaxCpus));
  std::unique_ptr<Dispatcher> result(new Dispatcher);
  State& state = *result->state_;
  state.cpus = static_cast<u32>(possible);
  state.restart_bit = features.exit_code_restart;
  state.skeleton = dispatcher_bpf__open();
  if (!state.skeleton) return refused("cannot open the dispatcher", -errno);
  configure(*state.skeleton, settings, features, state.cpus);
  if (const int error = dispatcher_bpf__load(state.skeleton)) return refused("cannot load the dispatcher", error);
  const auto& shared = reinterpret_cast<const wire_shared&>(state.skeleton->data->shared);
  if (auto same = wire::check_version(shared.version); !same) return std::unexpected(same.error());
  auto events = RingReader::open(bpf_map__fd(state.skeleton->maps.events), settings.events_bytes);
  if (!events) return std::unexpected(events.error());
  auto recording = RingReader::open(bpf_map__fd(state.skeleton->maps.recording),
                                    settings.recording ? settings.recording_bytes : 4096);
  if (!recording) return std::unexpected(recording.error());
  auto decisions =
      RingWriter::open(bpf_map__fd(state.skeleton->maps.decisions), settings.decisions_bytes, sizeof(wire_message));
  if (!decisions) return std::unexpected(decisions.error());
  state.events = std::move(*events);
  state.recording = std::move(*recording);
  state.decisions = std::move(*decisions);
  return result;
}

Expected<void> Dispatcher::attach() {
  libbpf_said.clear();
  state_->link = bpf_map__attach_struct_ops(state_->skeleton->maps.reprise_ops);
  if (!state_->link) return refused("cannot attach the dispatcher", -errno);
  return {};
}

void Dispatcher::detach() {
  bpf_link__destroy(state_->link);
  state_->link = nullptr;
}

RingReader& Dispatcher::events() { return state_->events; }
RingReader& Dispatcher::recording() { return state_->recording; }
RingWriter& Dispatcher::decisions() { return state_->decisions; }
volatile wire_shared& Dispatcher::shared() {
  return reinterpret_cast<volatile wire_shared&>(state_->skeleton->data->shared);
}
u32 Dispatcher::cpus() const { return state_->cpus; }
int Dispatcher::recording_fd() const { return bpf_map__fd(state_->skeleton->maps.recording); }
int Dispatcher::sequences_fd() const { return bpf_map__fd(state_->skeleton->maps.sequences); }

bool Dispatcher::exited() const {
  return reinterpret_cast<const volatile wire_exit&>(state_->skeleton->bss->exit_info).kind != 0;
}

ExitReport Dispatcher::exit_report() const {
  const auto& info = reinterpret_cast<const wire_exit&>(state_->skeleton->bss->exit_info);
  ExitReport report;
  report.kind = info.kind;
  report.code = info.code;
  report.reason = info.reason;
  report.message = info.message;
  report.dump = info.dump;
  report.restart = state_->restart_bit && (info.code & state_->restart_bit) == state_->restart_bit;
  report.error = info.kind >= 1024;  // SCX_EXIT_ERROR and above
  return report;
}

u64 Dispatcher::lost_events() const {
  const auto* each = reinterpret_cast<const volatile wire_cpu_counters*>(&state_->skeleton->bss->counters);
  u64 lost = 0;
  for (u32 cpu = 0; cpu < state_->cpus; ++cpu) lost += each[cpu].events_lost + each[cpu].congested;
  return lost;
}

wire_cpu_counters Dispatcher::counters() const {
  const auto* each = reinterpret_cast<const volatile wire_cpu_counters*>(&state_->skeleton->bss->counters);
  wire_cpu_counters sum{};
  auto* total = reinterpret_cast<wire_u64*>(&sum);
  for (u32 cpu = 0; cpu < state_->cpus; ++cpu) {
    const auto* from = reinterpret_cast<const volatile wire_u64*>(&each[cpu]);
    for (std::size_t i = 0; i < sizeof(sum) / sizeof(wire_u64); ++i) total[i] += from[i];
  }
  return sum;
}

}  // namespace reprise::live
