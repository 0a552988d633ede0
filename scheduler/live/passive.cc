// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/passive.h"

#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>

#include "scheduler/live/command.h"
#include "scheduler/live/identity.h"
#include "scheduler/live/loop.h"
#include "scheduler/live/provenance.h"
#include "scheduler/live/recording.h"
#include "scheduler/live/signals.h"

namespace reprise::live {
namespace {

// How it ended, and by what.
void wait(const PassiveOptions& options, const BlockedSignals& signals, Command& command, u64 began_ns,
          PassiveResult& result) {
  const u64 end_ns = options.duration_s ? began_ns + options.duration_s * kNsPerSec : 0;
  for (;;) {
    const u64 now = monotonic_now();
    if (end_ns && now >= end_ns) {
      result.ended_by = "duration";
      return;
    }
    if (const auto status = command.ended()) {
      result.ended_by = "command";
      result.command_status = *status;
      return;
    }
    const int number = signals.wait(end_ns ? std::min(end_ns - now, kNsPerSec) : kNsPerSec);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP) {
      result.ended_by = std::string("signal SIG") + sigabbrev_np(number);
      command.signal(number);
      return;
    }
  }
}

}  // namespace

Expected<PassiveResult> run_passive(const PassiveOptions& options,
                                    const std::function<void(const std::string&)>& note) {
  const BlockedSignals signals;
  if (const std::string missing = missing_capabilities(); !missing.empty())
    return fail(ExitCode::kNotPermitted, "not permitted to record: " + missing + " missing", {},
                "run as root, in a container with these capabilities");
  const auto identity = own_identity();
  if (!identity) return std::unexpected(identity.error());
  auto recording =
      Recording::load({.ring_bytes = options.ring_bytes, .syscalls = options.syscalls, .own_tgid = identity->tgid});
  if (!recording) return std::unexpected(recording.error());
  if (auto attached = (*recording)->attach(); !attached) return std::unexpected(attached.error());
  trace::SessionInfo info = describe_machine(static_cast<u32>(std::max(libbpf_num_possible_cpus(), 1)));
  info.kind = trace::SessionKind::kPassive;
  info.cpus = static_cast<u32>(info.topology.size());
  info.start_ns = monotonic_now();
  if (auto tasks = (*recording)->tasks_present()) info.tasks = std::move(*tasks);
  trace::RecorderOptions to;
  to.path = options.path;
  to.source = recording->get();
  to.nice = -20;  // it must keep up with those whom it records
  auto recorder = trace::Recorder::start(to, info);
  if (!recorder) return std::unexpected(recorder.error());
  PassiveResult result;
  result.absent = (*recording)->absent();
  Command command;
  if (!options.command.empty())
    if (auto started = command.start(options.command, false); !started) return std::unexpected(started.error());
  if (note) note("recording into " + options.path);
  wait(options, signals, command, info.start_ns, result);
  const u64 end_ns = monotonic_now();
  (*recording)->detach();
  result.time_ns = end_ns - info.start_ns;
  auto stopped = (*recorder)->stop({.end_ns = end_ns, .reason = result.ended_by, .exit_code = 0, .totals = {}});
  if (stopped) {
    result.recording = *stopped;
  } else {
    result.recording = (*recorder)->status();
    result.recording.failed = true;
    result.recording.error = stopped.error();
  }
  (*recording)->losses(result.losses);
  result.loss_causes = (*recording)->loss_causes();
  return result;
}

}  // namespace reprise::live
