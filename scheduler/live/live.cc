// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/live.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "scheduler/live/command.h"
#include "scheduler/live/host_settings.h"
#include "scheduler/live/identity.h"
#include "scheduler/live/loop.h"
#include "scheduler/live/memory.h"
#include "scheduler/live/provenance.h"
#include "scheduler/live/recording.h"
#include "scheduler/live/scheduler_thread.h"
#include "scheduler/live/signals.h"

namespace reprise::live {
namespace {

// The recorder's thread is scheduled by the policy like any other. Among the tasks that it records it would get a share
// of the CPU that is smaller the more they are, while what it has to do grows with them.
constexpr int kRecorderNice = -20;

// Everything that one run needs, over its sessions.
class Run {
 public:
  Run(const LiveOptions& options, const std::function<void(const LiveStats&)>& stats,
      const std::function<void(const std::string&)>& note)
      : options_(options), stats_(stats), note_(note) {}

  Expected<LiveResult> go();

 private:
  Expected<bool> session();  // true: the kernel asks for a restart
  Expected<std::unique_ptr<Engine>> make_engine(u32 cpus) const;
  Expected<void> start_recording(Dispatcher&, const DispatcherSettings&, Recording**);
  Expected<void> attach(Dispatcher&);
  void wait(Dispatcher&, SchedulerThread&, const Loop&);
  void update_stats(Dispatcher&, const SchedulerThread&, const Loop&);
  void finish_recording(const trace::SessionEnd&);
  void say(std::string text) {
    result_.notes.push_back(text);
    if (note_) note_(text);
  }

  const LiveOptions& options_;
  const std::function<void(const LiveStats&)>& stats_;
  const std::function<void(const std::string&)>& note_;
  BlockedSignals signals_;
  HostSettings host_;
  KernelFeatures features_;
  Command command_;
  std::unique_ptr<Recording> recording_;
  std::unique_ptr<trace::Recorder> recorder_;
  LiveResult result_;
  LiveStats before_;  // of the sessions that have ended
  u64 began_ns_ = 0;
  bool done_ = false;
};

std::string unhonoured_cgroups() {
  if (read_small_file("/sys/fs/cgroup/cgroup.subtree_control").find("cpu") == std::string::npos) return {};
  return "cpu.weight and cpu.max of cgroups are not honoured; weights of tasks (nice) are";
}

Expected<LiveResult> Run::go() {
  auto features = read_kernel_features();
  if (!features) return std::unexpected(features.error());
  features_ = *features;
  if (const std::string missing = missing_capabilities(); !missing.empty())
    return fail(ExitCode::kNotPermitted, "not permitted to load a scheduler: " + missing + " missing", {},
                "run as root, in a container with these capabilities; reprise doctor shows what else may be missing");
  if (const SchedExtState state = read_sched_ext_state(); state.available && state.state != "disabled")
    return fail(ExitCode::kNoSchedExt, "another sched_ext scheduler is attached: " + state.ops,
                "/sys/kernel/sched_ext/root/ops", "stop it first; only one runs at a time");
  for (const std::string& line : restore_leftovers()) say("put back after an earlier crash: " + line);
  for (const std::string& line : host_.apply()) say(line);
  if (const std::string text = unhonoured_cgroups(); !text.empty()) say(text);
  if (auto locked = lock_memory(); !locked) return std::unexpected(locked.error());
  for (;;) {
    auto again = session();
    if (!again) {
      finish_recording({.end_ns = monotonic_now(), .reason = again.error().what, .exit_code = 0, .totals = {}});
      return std::unexpected(again.error());
    }
    if (!*again) break;
    before_ = result_.stats;
    ++before_.restarts;
  }
  return std::move(result_);
}

Expected<std::unique_ptr<Engine>> Run::make_engine(u32 cpus) const {
  EngineConfig config;
  config.limits.cpus = cpus;
  config.limits.max_tasks = options_.max_tasks;
  config.seed = options_.seed;
  return Engine::create(config, *options_.policy.info, options_.policy.options);
}

Expected<void> Run::start_recording(Dispatcher& dispatcher, const DispatcherSettings& settings, Recording** loaded) {
  *loaded = nullptr;
  if (options_.record_path.empty()) return {};
  RecordingSettings wanted;
  wanted.recording_fd = dispatcher.recording_fd();
  wanted.sequences_fd = dispatcher.sequences_fd();
  wanted.ring_bytes = settings.recording_bytes;
  wanted.syscalls = options_.record_syscalls;
  wanted.own_tgid = settings.scheduler_tgid;
  auto recording = Recording::load(wanted);
  if (!recording) return std::unexpected(recording.error());
  if (auto attached = (*recording)->attach(); !attached) return attached;
  trace::SessionInfo info = describe_session(options_.policy, options_.seed, dispatcher.cpus(), settings, features_);
  info.start_ns = monotonic_now();
  if (auto tasks = (*recording)->tasks_present()) info.tasks = std::move(*tasks);
  if (!recorder_) {
    trace::RecorderOptions to;
    to.path = options_.record_path;
    to.nice = kRecorderNice;
    to.last_seconds = options_.record_last_s;
    to.source = recording->get();
    auto recorder = trace::Recorder::start(to, info);
    if (!recorder) return std::unexpected(recorder.error());
    recorder_ = std::move(*recorder);
  } else if (auto begun = recorder_->begin_session(info, recording->get()); !begun) {
    return begun;
  }
  recording_ = std::move(*recording);
  *loaded = recording_.get();
  return {};
}

// A CPU may come or go between load and attach; the kernel then refuses and the caller loads again.
Expected<void> Run::attach(Dispatcher& dispatcher) {
  auto attached = dispatcher.attach();
  if (!attached) return attached;
  if (began_ns_ == 0) began_ns_ = monotonic_now();
  if (note_) note_("attached: policy " + options_.policy.text());
  if (!options_.command.empty() && !command_.started())
    return command_.start(options_.command, options_.dispatcher.partial);
  return {};
}

Expected<bool> Run::session() {
  SchedulerThread thread;
  if (!thread.identity()) return std::unexpected(thread.identity().error());
  DispatcherSettings settings = options_.dispatcher;
  settings.scheduler_tid = thread.identity()->tid;
  settings.scheduler_tgid = thread.identity()->tgid;
  settings.max_tasks = options_.max_tasks;
  settings.interests = options_.policy.info->interests;
  settings.recording = !options_.record_path.empty();
  auto dispatcher = Dispatcher::load(settings, features_);
  if (!dispatcher) return std::unexpected(dispatcher.error());
  auto engine = make_engine((*dispatcher)->cpus());
  if (!engine) return std::unexpected(engine.error());
  Recording* recording = nullptr;
  if (auto started = start_recording(**dispatcher, settings, &recording); !started)
    return std::unexpected(started.error());
  Loop loop(**dispatcher, **engine, recorder_.get());
  thread.begin(loop);
  keep_pages_in_place();
  auto attached = attach(**dispatcher);
  thread.mark_attached();
  if (attached) wait(**dispatcher, thread, loop);
  const bool kernel_ended = (*dispatcher)->exited();
  (*dispatcher)->detach();
  Expected<void> outcome = thread.stop();
  update_stats(**dispatcher, thread, loop);
  result_.exit = (*dispatcher)->exit_report();
  result_.final_hash = (*engine)->state_hash();
  const u64 end_ns = monotonic_now();
  if (recording) recording->detach();
  const bool restart = kernel_ended && result_.exit.restart && outcome && attached && !done_;
  if (restart) {
    say("the kernel asks for a restart: " + result_.exit.reason + ' ' + result_.exit.message);
    return true;
  }
  if (!attached) return std::unexpected(attached.error());
  if (!outcome) return std::unexpected(outcome.error());
  if (kernel_ended && result_.ended_by.empty()) result_.ended_by = "kernel";
  std::string reason = result_.ended_by;
  if (kernel_ended) reason = result_.exit.reason + ": " + result_.exit.message;
  finish_recording(
      {.end_ns = end_ns, .reason = reason, .exit_code = static_cast<i64>(result_.exit.code), .totals = {}});
  recording_.reset();
  return false;
}

void Run::wait(Dispatcher& dispatcher, SchedulerThread& thread, const Loop& loop) {
  constexpr u64 kLongest = kNsPerSec;  // one look a second costs nothing; signals end the wait at once
  const u64 interval = options_.stats_interval_s * kNsPerSec;
  const u64 end = options_.duration_s ? began_ns_ + options_.duration_s * kNsPerSec : 0;
  u64 next_stats = interval ? monotonic_now() + interval : 0;
  while (!thread.ended()) {
    const u64 now = monotonic_now();
    if (end && now >= end) {
      result_.ended_by = "duration";
      break;
    }
    if (next_stats && now >= next_stats) {
      update_stats(dispatcher, thread, loop);
      if (stats_) stats_(result_.stats);
      next_stats += interval;
    }
    if (const auto status = command_.ended()) {
      result_.ended_by = "command";
      result_.command_status = *status;
      break;
    }
    u64 timeout = kLongest;
    if (end) timeout = std::min(timeout, end - now);
    if (next_stats > now) timeout = std::min(timeout, next_stats - now);
    const int number = signals_.wait(timeout);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP) {
      result_.ended_by = std::string("signal SIG") + sigabbrev_np(number);
      command_.signal(number);
      break;
    }
  }
  done_ = !result_.ended_by.empty();
}

void Run::update_stats(Dispatcher& dispatcher, const SchedulerThread& thread, const Loop& loop) {
  LiveStats stats = before_;
  const wire_cpu_counters now = dispatcher.counters();
  const auto* add = reinterpret_cast<const wire_u64*>(&now);
  auto* sum = reinterpret_cast<wire_u64*>(&stats.dispatcher);
  for (std::size_t i = 0; i < sizeof(now) / sizeof(wire_u64); ++i) sum[i] += add[i];
  const LoopCounters& counters = loop.counters();
  stats.time_ns = began_ns_ ? monotonic_now() - began_ns_ : 0;
  stats.steps += counters.steps;
  stats.events += counters.events;
  stats.decisions += counters.decisions;
  stats.turns += counters.turns;
  const ThreadUse use = thread.use();
  stats.scheduler_cpu_ns += use.cpu_ns;
  stats.page_faults_minor += use.faults_minor;
  stats.page_faults_major += use.faults_major;
  const volatile wire_shared& shared = dispatcher.shared();
  stats.fallbacks += shared.fallbacks;
  stats.queued = shared.unanswered;
  u32 idle = 0;
  for (u32 word = 0; word < WIRE_CPU_WORDS; ++word) idle += static_cast<u32>(std::popcount(u64{shared.idle[word]}));
  stats.running = dispatcher.cpus() - std::min(idle, dispatcher.cpus());
  result_.stats = stats;
}

void Run::finish_recording(const trace::SessionEnd& end) {
  if (!recorder_) return;
  auto stopped = recorder_->stop(end);
  if (stopped && options_.record_last_s) stopped = recorder_->dump();
  result_.recorded = true;
  if (stopped) {
    result_.recording = *stopped;
  } else {
    result_.recording = recorder_->status();
    result_.recording.failed = true;
    result_.recording.error = stopped.error();
  }
  if (recording_) result_.loss_causes = recording_->loss_causes();
  recorder_.reset();
}

}  // namespace

Expected<LiveResult> run_live(const LiveOptions& options, const std::function<void(const LiveStats&)>& stats,
                              const std::function<void(const std::string&)>& note) {
  return Run(options, stats, note).go();
}

}  // namespace reprise::live
