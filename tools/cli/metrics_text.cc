// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/metrics_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace reprise::cli {
namespace {

constexpr std::pair<const char*, u32> kPercentiles[] = {
    {"p50", 500}, {"p90", 900}, {"p95", 950}, {"p99", 990}, {"p999", 999}};

Json distribution_json(const sim::Histogram& histogram) {
  Json json = {{"count", histogram.count()}, {"min", histogram.min()}, {"mean", histogram.mean()}};
  for (const auto& [name, per_mille] : kPercentiles) json[name] = histogram.percentile(per_mille);
  json["max"] = histogram.max();
  return json;
}

std::string distribution_text(const char* name, const sim::Histogram& histogram) {
  std::string text = fmt::format("  {:<16}", name);
  for (const auto& [unused, per_mille] : kPercentiles)
    text += fmt::format("{:>11}", duration_text(histogram.percentile(per_mille)));
  return text + fmt::format("{:>11}{:>12}\n", duration_text(histogram.max()), grouped(histogram.count()));
}

// What one session has told so far.
struct Session {
  trace::SessionInfo info;
  std::vector<trace::KernelEvent> events;
  u64 end_ns = 0;

  sim::Metrics metrics(bool details) {
    // Interrupts that are recorded while another event is may come before it in the file.
    std::ranges::sort(events, [](const trace::KernelEvent& a, const trace::KernelEvent& b) {
      return std::tie(a.time_ns, a.cpu, a.seq) < std::tie(b.time_ns, b.cpu, b.seq);
    });
    sim::MetricsBuilder builder(info.cpus);
    if (details) builder.keep_details();
    for (const trace::KernelEvent& event : events) builder.event(event);
    return builder.finish(end_ns);
  }
};

}  // namespace

std::vector<SessionMetrics> read_metrics(trace::Reader& reader, bool details) {
  using enum trace::Item;
  std::vector<SessionMetrics> all;
  std::optional<Session> session;
  const auto finish = [&] {
    if (session) {
      sim::Metrics metrics = session->metrics(details);
      all.push_back({std::move(session->info), std::move(metrics)});
    }
    session.reset();
  };
  for (trace::Item item = reader.next(); item != kEnd; item = reader.next()) {
    if (item == kSession) {
      finish();
      session = Session{reader.session(), {}};
    }
    if (item == kEvents && session)
      session->events.insert(session->events.end(), reader.events().begin(), reader.events().end());
    if (item == kSessionEnd && session) session->end_ns = reader.session_end().end_ns;
  }
  finish();
  return all;
}

Json metrics_json(const sim::Metrics& metrics) {
  return {{"context_switches", metrics.context_switches},
          {"voluntary_switches", metrics.voluntary_switches},
          {"involuntary_switches", metrics.involuntary_switches},
          {"migrations", metrics.migrations},
          {"cpu_utilisation", metrics.cpu_utilisation()},
          {"makespan_ns", metrics.makespan_ns},
          {"fairness_jain", metrics.fairness_jain()},
          {"max_wait_ns", metrics.max_wait_ns},
          {"wakeup_latency_ns", distribution_json(metrics.wakeup_latency_ns)},
          {"run_delay_ns", distribution_json(metrics.run_delay_ns)},
          {"slice_ns", distribution_json(metrics.slice_ns)}};
}

std::string metrics_text(const sim::Metrics& metrics) {
  std::string text = fmt::format(
      "  switches    {} ({} voluntary, {} involuntary), {} migrations\n"
      "  CPUs        {:.1f} % of {} busy for {}\n"
      "  fairness    {:.3f} (Jain, of what each task got of the time it asked for); longest wait {}\n",
      grouped(metrics.context_switches), grouped(metrics.voluntary_switches), grouped(metrics.involuntary_switches),
      grouped(metrics.migrations), 100 * metrics.cpu_utilisation(), metrics.cpus, duration_text(metrics.makespan_ns),
      metrics.fairness_jain(), duration_text(metrics.max_wait_ns));
  text += fmt::format("  {:<16}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}{:>12}\n", "", "p50", "p90", "p95", "p99", "p99.9",
                      "max", "count");
  text += distribution_text("wakeup latency", metrics.wakeup_latency_ns);
  text += distribution_text("run delay", metrics.run_delay_ns);
  return text + distribution_text("slice", metrics.slice_ns);
}

std::string latency_table(const sim::Metrics& metrics) {
  std::vector<const sim::TaskMetrics*> tasks;
  u64 cpu_ns = 0, delays = 0;
  for (const sim::TaskMetrics& task : metrics.tasks) {
    if (task.switches == 0) continue;
    tasks.push_back(&task);
    cpu_ns += task.cpu_ns, delays += task.delays;
  }
  std::ranges::sort(tasks, [](const auto* a, const auto* b) {
    return std::tie(b->max_delay_ns, a->tid, a->max_delay_at_ns) <
           std::tie(a->max_delay_ns, b->tid, b->max_delay_at_ns);
  });
  const std::string rule = " " + std::string(104, '-') + '\n';
  std::string text = rule +
                     fmt::format(" {:<22}|{:>14} |{:>9} |{:>16} |{:>16} |{:>17} |\n", " Task", "Runtime ms", "Count",
                                 "Avg delay ms", "Max delay ms", "Max delay end s") +
                     rule;
  const auto ms = [](u64 ns) { return static_cast<double>(ns) / 1e6; };
  for (const auto* task : tasks) {
    text += fmt::format("  {:<21}|{:>14.3f} |{:>9} |{:>16.3f} |{:>16.3f} |{:>17.6f} |\n",
                        fmt::format("{}:{}", task->comm.data(), task->tid), ms(task->cpu_ns), task->delays,
                        task->delays == 0 ? 0.0 : ms(task->delay_ns) / static_cast<double>(task->delays),
                        ms(task->max_delay_ns), static_cast<double>(task->max_delay_at_ns) / 1e9);
  }
  return text + rule + fmt::format("  {:<21}|{:>14.3f} |{:>9} |\n", "TOTAL:", ms(cpu_ns), delays) + rule;
}

}  // namespace reprise::cli
