// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/live_report.h"

namespace reprise::cli {
namespace {

struct Counter {
  const char* name;
  wire_u64 wire_cpu_counters::* field;
};
constexpr Counter kCounters[] = {
    {"handed_up", &wire_cpu_counters::handed_up},
    {"inserted", &wire_cpu_counters::inserted},
    {"cancelled", &wire_cpu_counters::cancelled},
    {"bounced", &wire_cpu_counters::bounced},
    {"failed", &wire_cpu_counters::failed},
    {"congested", &wire_cpu_counters::congested},
    {"fallback", &wire_cpu_counters::fallback},
    {"kernel_threads", &wire_cpu_counters::kernel_threads},
    {"reclaim", &wire_cpu_counters::reclaim},
    {"no_slot", &wire_cpu_counters::no_slot},
    {"kept", &wire_cpu_counters::kept},
    {"dequeued", &wire_cpu_counters::dequeued},
    {"recovered", &wire_cpu_counters::recovered},
    {"reinserted", &wire_cpu_counters::reinserted},
    {"drain_busy", &wire_cpu_counters::drain_busy},
    {"kicks", &wire_cpu_counters::kicks},
    {"rescued", &wire_cpu_counters::rescued},
    {"events_lost", &wire_cpu_counters::events_lost},
    {"records_lost", &wire_cpu_counters::records_lost},
    {"switches", &wire_cpu_counters::switches},
    {"scheduler_runs", &wire_cpu_counters::scheduler_runs},
};

u64 decided_by_dispatcher(const wire_cpu_counters& c) {
  return c.congested + c.fallback + c.kernel_threads + c.reclaim + c.no_slot;
}

u64 tasks_run(const wire_cpu_counters& c) { return c.switches - c.scheduler_runs; }

constexpr char kStatsColumns[] = "{:>8} {:>7} {:>6} {:>9} {:>9} {:>8} {:>9} {:>7} {:>6} {:>9} {:>6}";

Json stats_json(const live::LiveStats& stats) {
  Json counters = Json::object();
  for (const Counter& counter : kCounters) counters[counter.name] = stats.dispatcher.*counter.field;
  return {{"time_ns", stats.time_ns},
          {"running", stats.running},
          {"queued", stats.queued},
          {"steps", stats.steps},
          {"events", stats.events},
          {"decisions", stats.decisions},
          {"turns", stats.turns},
          {"scheduler_cpu_ns", stats.scheduler_cpu_ns},
          {"page_faults_minor", stats.page_faults_minor},
          {"page_faults_major", stats.page_faults_major},
          {"fallbacks", stats.fallbacks},
          {"restarts", stats.restarts},
          {"dispatcher", counters}};
}

Json recording_json(const live::LiveOptions& options, const live::LiveResult& result) {
  if (!result.recorded) return nullptr;
  const trace::RecorderStatus& status = result.recording;
  Json error = nullptr;
  if (status.error) error = error_json(*status.error);
  return {{"file", options.record_path},
          {"bytes", status.bytes},
          {"frames", status.frames},
          {"steps", status.totals.steps},
          {"events", status.totals.events},
          {"decisions", status.totals.decisions},
          {"kernel_events", status.totals.kernel_events},
          {"snapshots", status.totals.snapshots},
          {"steps_lost", status.totals.steps_lost},
          {"snapshots_lost", status.totals.snapshots_lost},
          {"records_lost", status.kernel_events_lost},
          {"loss_causes", loss_causes_json(result.loss_causes)},
          {"ring_high_water_bytes", status.ring_high_water},
          {"failed", status.failed},
          {"error", error}};
}

std::string ended_text(const live::LiveResult& result) {
  const std::string after = duration_text(result.stats.time_ns);
  if (result.ended_by == "command")
    return fmt::format("the command ended with status {} after {}", result.command_status, after);
  if (result.ended_by == "duration") return fmt::format("the time was up after {}", after);
  if (result.ended_by == "kernel")
    return fmt::format("the kernel ended it after {}: {}", after, exit_kind_text(result.exit.kind));
  return fmt::format("{} after {}", result.ended_by, after);
}

std::string recording_text(const live::LiveOptions& options, const live::LiveResult& result) {
  const trace::RecorderStatus& status = result.recording;
  const u64 records_lost = status.kernel_events_lost;
  std::string lost = "nothing lost";
  if (status.totals.steps_lost + status.totals.snapshots_lost + records_lost != 0)
    lost = fmt::format("LOST: {}, {}, {}", counted(status.totals.steps_lost, "step"),
                       counted(status.totals.snapshots_lost, "snapshot"), counted(records_lost, "kernel event")) +
           loss_causes_text(result.loss_causes);
  return fmt::format("{}: {}, {}, {}; {}", options.record_path, bytes_text(status.bytes),
                     counted(status.totals.steps, "step"), counted(status.totals.kernel_events, "kernel event"), lost);
}

}  // namespace

Json loss_causes_json(const live::LossCauses& causes) {
  return {{"no_room", causes.no_room},           {"refused", causes.refused}, {"recursion", causes.recursion},
          {"recursion_at", causes.recursion_at}, {"unseen", causes.unseen},   {"malformed", causes.malformed}};
}

std::string loss_causes_text(const live::LossCauses& causes) {
  std::string text;
  if (causes.no_room != 0) text += fmt::format("; {} found the ring full (--recording-kib)", grouped(causes.no_room));
  if (causes.refused != 0) text += fmt::format("; {} did not get the ring's lock", grouped(causes.refused));
  if (causes.recursion != 0)
    text += fmt::format("; {} came while another was recorded ({})", grouped(causes.recursion),
                        fmt::join(causes.recursion_at, ", "));
  if (causes.unseen != 0) text += fmt::format("; {} switches the kernel told nobody of", grouped(causes.unseen));
  return text;
}

std::string stats_legend() {
  return "columns of --stats: running: CPUs that are not idle; queued: tasks that wait for the policy's decision "
         "(both\n"
         "at that moment); per interval: scheduled: tasks that began to run; user: decisions of the policy carried "
         "out;\n"
         "kernel: decided by the dispatcher itself; cancelled: decisions that came too late; bounced: to an allowed "
         "CPU\n"
         "instead; failed: the task was gone; congested: no room on the way up; faults: page faults of the scheduler";
}

std::string StatsTable::line(const live::LiveStats& now) {
  std::string text;
  if (lines_++ % kHeaderEvery == 0)
    text = fmt::format(kStatsColumns, "time s", "running", "queued", "scheduled", "user", "kernel", "cancelled",
                       "bounced", "failed", "congested", "faults") +
           '\n';
  const wire_cpu_counters& a = last_.dispatcher;
  const wire_cpu_counters& b = now.dispatcher;
  const u64 faults = now.page_faults_minor + now.page_faults_major;
  const u64 faults_before = last_.page_faults_minor + last_.page_faults_major;
  text += fmt::format(kStatsColumns, fmt::format("{:.1f}", static_cast<double>(now.time_ns) / 1e9), now.running,
                      now.queued, tasks_run(b) - tasks_run(a), b.inserted - a.inserted,
                      decided_by_dispatcher(b) - decided_by_dispatcher(a), b.cancelled - a.cancelled,
                      b.bounced - a.bounced, b.failed - a.failed, b.congested - a.congested, faults - faults_before);
  last_ = now;
  return text;
}

PolicyShare policy_share(const wire_cpu_counters& c) {
  return {c.handed_up, c.handed_up + c.congested + c.fallback + c.no_slot};
}

void show_summary(Console& console, const live::LiveOptions& options, const live::LiveResult& result) {
  const live::LiveStats& stats = result.stats;
  const wire_cpu_counters& c = stats.dispatcher;
  const PolicyShare share = policy_share(c);
  console.message("{}", ended_text(result));
  console.message("  policy      decided {} of {} enqueues ({})", grouped(share.decided), grouped(share.of),
                  percent_text(share.decided, share.of));
  console.message("  decisions   {}: carried out {}, too late {}, bounced {}, failed {}", grouped(stats.decisions),
                  grouped(c.inserted), grouped(c.cancelled), grouped(c.bounced), grouped(c.failed));
  console.message(
      "  dispatcher  decided itself: congested {}, fallback {} ({}), no slot {}; bypass: kernel threads {}, "
      "reclaim {}",
      grouped(c.congested), grouped(c.fallback), counted(stats.fallbacks, "takeover"), grouped(c.no_slot),
      grouped(c.kernel_threads), grouped(c.reclaim));
  console.message("  scheduler   {} in {}, CPU time {} ({} of a CPU), page faults {}", counted(stats.events, "event"),
                  counted(stats.steps, "step"), duration_text(stats.scheduler_cpu_ns),
                  percent_text(stats.scheduler_cpu_ns, stats.time_ns),
                  grouped(stats.page_faults_minor + stats.page_faults_major));
  if (stats.restarts != 0) console.message("  restarts    {}", stats.restarts);
  if (share.of == 0)
    console.warning(options.dispatcher.partial ? "no task of class SCHED_EXT was there for the policy to decide on"
                                               : "no task was there for the policy to decide on");
  if (c.events_lost != 0) console.warning(fmt::format("{} lost on the way up", counted(c.events_lost, "event")));
  if (result.recorded) {
    console.message("  trace       {}", recording_text(options, result));
    if (result.recording.totals.steps != 0) console.message("  next        reprise replay {}", options.record_path);
  }
  console.message("state hash {:016x}", result.final_hash);
}

Json live_json(const live::LiveOptions& options, const live::LiveResult& result) {
  const PolicyShare share = policy_share(result.stats.dispatcher);
  Json status = nullptr;
  if (result.ended_by == "command") status = result.command_status;
  Json percent = nullptr;
  if (share.of != 0) percent = 100.0 * static_cast<double>(share.decided) / static_cast<double>(share.of);
  return {{"schema", "reprise.live/1"},
          {"policy", options.policy.text()},
          {"seed", options.seed},
          {"ended_by", result.ended_by},
          {"command", options.command},
          {"command_status", status},
          {"exit",
           {{"kind", result.exit.kind},
            {"kind_text", exit_kind_text(result.exit.kind)},
            {"code", result.exit.code},
            {"reason", result.exit.reason},
            {"message", result.exit.message},
            {"restart", result.exit.restart},
            {"error", result.exit.error}}},
          {"decided_by_policy", {{"enqueues", share.decided}, {"of", share.of}, {"percent", percent}}},
          {"stats", stats_json(result.stats)},
          {"recording", recording_json(options, result)},
          {"notes", result.notes},
          {"state_hash", fmt::format("{:016x}", result.final_hash)}};
}

std::string exit_kind_text(i32 kind) {
  switch (kind) {
    case 0:
      return "it has not exited";
    case 1:
      return "done";
    case 64:
      return "unregistered from user space";
    case 65:
      return "unregistered by the BPF program";
    case 66:
      return "unregistered by the kernel";
    case 67:
      return "ended by SysRq-S";
    case 1024:
      return "a runtime error";
    case 1025:
      return "the BPF program reported an error";
    case 1026:
      return "the watchdog found a runnable task that did not run in time";
    default:
      return fmt::format("exit kind {}", kind);
  }
}

}  // namespace reprise::cli
