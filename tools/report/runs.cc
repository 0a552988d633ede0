// SPDX-License-Identifier: GPL-2.0-only
// Results of `sim` and `info --metrics`: runs beside each other.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "sim/metrics/gates.h"
#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace reprise::report {
namespace {

struct Run {
  std::string name;    // short, and unlike all others
  std::string policy;  // with its options
  bool recorded = false;
  u64 cpus = 0, seed = 0;
  const Json* metrics = nullptr;  // null: it failed
  const Json* details = nullptr;  // null: not kept
  std::string failure = {};
};

struct Measure {
  const char* metric;
  const char* title;
  const char* explanation;
};
constexpr Measure kMeasures[] = {
    {"makespan_ns", "makespan", "from the first event to the last"},
    {"p50_wakeup_latency_ns", "wakeup p50", "from waking to running; half of them are shorter"},
    {"p99_wakeup_latency_ns", "wakeup p99", "from waking to running; 99 of 100 are shorter"},
    {"p999_wakeup_latency_ns", "wakeup p99.9", "from waking to running; 999 of 1,000 are shorter"},
    {"p50_run_delay_ns", "delay p50", "from runnable to running, woken or preempted; half of them are shorter"},
    {"p99_run_delay_ns", "delay p99", "from runnable to running, woken or preempted; 99 of 100 are shorter"},
    {"max_wait_ns", "longest wait", "the longest time that a runnable task waited"},
    {"mean_slice_ns", "mean slice", "from switched in to switched out"},
    {"context_switches", "switches", "context switches of the machine"},
    {"migrations", "migrations", "times a task began to run on another CPU than before"},
    {"cpu_utilisation", "CPUs busy", "part of all CPUs' time that was not idle"},
    {"fairness_jain", "fairness", "Jain's index over the part of the CPU time that it asked for that each task got"},
};

std::string bare(const std::string& policy) { return policy.substr(0, policy.find(':')); }

// Names as short as they can be without two being the same.
void name_runs(std::vector<Run>& runs) {
  std::set<std::string> full, short_ones;
  std::set<u64> cpus, seeds;
  for (const Run& run : runs) {
    if (run.recorded) continue;
    full.insert(run.policy), short_ones.insert(bare(run.policy));
    cpus.insert(run.cpus), seeds.insert(run.seed);
  }
  for (Run& run : runs) {
    if (!run.name.empty()) continue;
    run.name = full.size() == short_ones.size() ? bare(run.policy) : run.policy;
    if (cpus.size() > 1) run.name += fmt::format(", {} CPU{}", run.cpus, run.cpus == 1 ? "" : "s");
    if (seeds.size() > 1) run.name += fmt::format(", seed {}", run.seed);
  }
}

struct Measured {
  double value = 0;
  bool enough = true;  // values for the percentile to mean something
  u64 count = 0;
};

std::optional<Measured> measured(const Run& run, const sim::MetricInfo& metric) {
  if (!run.metrics) return {};
  const Json& at = run.metrics->at(std::string(metric.key));
  if (metric.part.empty()) return Measured{at.get<double>()};
  const u64 count = at.at("count");
  return Measured{at.at(std::string(metric.part)).get<double>(), count >= metric.min_count, count};
}

// Among simulated runs on as many CPUs and with the same seed, where not all are the same.
bool is_best(const std::vector<Run>& runs, const Run& mine, const sim::MetricInfo& metric) {
  const auto own = measured(mine, metric);
  if (!own || !own->enough || mine.recorded || !metric.better || *metric.better == sim::Better::kSame) return false;
  bool differs = false;
  for (const Run& other : runs) {
    const auto theirs = measured(other, metric);
    if (!theirs || other.recorded || other.cpus != mine.cpus || other.seed != mine.seed) continue;
    if (*metric.better == sim::Better::kLess ? theirs->value < own->value : theirs->value > own->value) return false;
    differs = differs || theirs->value != own->value;
  }
  return differs;
}

Cell measure_cell(const std::vector<Run>& runs, const Run& run, const sim::MetricInfo& metric) {
  const auto own = measured(run, metric);
  if (!own) return {"<span class=\"none\">–</span>", {}};
  std::string plain;
  switch (metric.unit) {
    case sim::Unit::kNs:
      plain = duration(own->value);
      break;
    case sim::Unit::kCount:
      plain = grouped(static_cast<u64>(own->value));
      break;
    case sim::Unit::kRatio:
      plain = metric.key == "cpu_utilisation" ? fmt::format("{:.1f} %", own->value * 100)
                                              : fmt::format("{:.3f}", own->value);
      break;
  }
  Cell cell = Cell::number(own->value, plain);
  double most = 0;
  for (const Run& other : runs)
    if (const auto theirs = measured(other, metric)) most = std::max(most, theirs->value);
  if (most > 0) cell.classes = fmt::format("bar b{}", static_cast<int>(std::ceil(own->value / most * 20)) * 5);
  if (!own->enough) {
    cell.classes += " few";
    cell.title =
        fmt::format("only {} values; {} are needed to mean something", grouped(own->count), grouped(metric.min_count));
  }
  if (is_best(runs, run, metric)) {
    cell.classes += " best";
    cell.html = "<span class=\"mark\" title=\"best of its column\" aria-label=\"best\">★</span> " + cell.html;
  }
  return cell;
}

std::string comparison(const std::vector<Run>& runs, const std::string& caption, const char* first,
                       const Detail& detail) {
  Table table{caption, {{first, false}}};
  std::vector<const sim::MetricInfo*> metrics;
  for (const Measure& measure : kMeasures) {
    const auto found = sim::find_metric(measure.metric);
    if (!found) continue;
    metrics.push_back(*found);
    table.columns.push_back({measure.title, true, measure.explanation});
  }
  bool few = false, failed = false;
  for (const Run& run : runs) {
    if (table.rows.size() == detail.rows) break;
    Cell name = Cell::of(run.name);
    name.title = run.policy;
    if (run.recorded) name.classes = "recorded";
    std::vector<Cell> row = {name};
    for (const sim::MetricInfo* metric : metrics) row.push_back(measure_cell(runs, run, *metric));
    for (const Cell& cell : row)
      few = few || cell.classes.ends_with("few") || cell.classes.find(" few") != cell.classes.npos;
    failed = failed || !run.metrics;
    table.rows.push_back(std::move(row));
  }
  std::string out = table.html() +
                    "<p class=\"note\">★ best of its column among simulated runs on the same machine with "
                    "the same seed. A bar is the part of the column's largest value.";
  if (few) out += " Grey: too few values for that percentile (p99 takes 1,000, p99.9 takes 10,000).";
  if (runs.size() > table.rows.size())
    out += fmt::format(" {} more runs are left out.", runs.size() - table.rows.size());
  out += "</p>\n";
  if (failed) {
    out += "<ul class=\"failures\">\n";
    for (const Run& run : runs)
      if (!run.metrics) out += fmt::format("<li><b>{}</b> failed: {}</li>\n", text(run.name), text(run.failure));
    out += "</ul>\n";
  }
  return out;
}

std::string headline(const std::vector<Run>& runs) {
  const auto metric = sim::find_metric("p99_wakeup_latency_ns");
  std::vector<std::pair<double, const Run*>> order;
  const auto first = std::ranges::find(runs, false, &Run::recorded);
  for (const Run& run : runs)
    if (const auto value = measured(run, **metric);
        value && !run.recorded && value->enough && run.cpus == first->cpus && run.seed == first->seed)
      order.emplace_back(value->value, &run);
  std::ranges::sort(order, {}, [](const auto& one) { return one.first; });
  if (order.size() < 2 || order.front().first == order.back().first) return {};
  return fmt::format(
      "<p class=\"lead\">The shortest p99 wakeup latency is that of <b>{}</b>, {}; the longest that of <b>{}</b>, "
      "{}.</p>\n",
      text(order.front().second->name), text(duration(order.front().first)), text(order.back().second->name),
      text(duration(order.back().first)));
}

std::vector<Series> series_of(const std::vector<Run>& runs, const std::string& key) {
  std::vector<Series> all;
  const bool mixed = std::ranges::any_of(runs, [](const Run& run) { return !run.recorded; });
  for (const Run& run : runs) {
    if (!run.details) continue;
    const Json& histogram = run.details->at("histograms").at(key);
    Series series{run.name, run.recorded && mixed, histogram.at("upper_ns"), histogram.at("count")};
    series.upper_ns.resize(std::min(series.upper_ns.size(), series.count.size()));
    series.count.resize(series.upper_ns.size());
    all.push_back(std::move(series));
  }
  return all;
}

std::string distributions(const std::vector<Run>& runs) {
  constexpr std::pair<const char*, const char*> kDistributions[] = {
      {"wakeup_latency_ns", "Wakeup latency: from waking to running"},
      {"run_delay_ns", "Run delay: from runnable to running"},
      {"slice_ns", "Slice: from switched in to switched out"}};
  std::string charts;
  for (const auto& [key, title] : kDistributions) charts += tail_chart(title, series_of(runs, key));
  if (charts.empty()) return {};
  return "<h3>Latency</h3>\n<p class=\"note\">How many take longer than that. Each step down the axis is a tenth of "
         "those above: "
         "the curve of the better policy is further left, and its tail further up is what people notice.</p>\n" +
         legend(series_of(runs, "run_delay_ns")) + "<div class=\"charts\">\n" + charts + "</div>\n";
}

std::string moments(const std::vector<Run>& runs, const Detail& detail) {
  std::string out;
  std::size_t drawn = 0, left = 0;
  for (const Run& run : runs) {
    if (!run.details || run.details->at("worst_moment").is_null()) continue;
    if (drawn == detail.moments) {
      ++left;
      continue;
    }
    ++drawn;
    out += timeline(run.name, run.details->at("worst_moment"));
  }
  if (out.empty()) return {};
  if (left != 0) out += fmt::format("<p class=\"note\">Those of {} more runs are left out.</p>\n", left);
  return "<h3>The worst moment</h3>\n<p class=\"note\">The longest time in each run that a task could have run and did "
         "not, "
         "and who had the CPUs then.</p>\n" +
         out;
}

Cell duration_cell(const Json& ns) {
  if (ns.is_null()) return {"<span class=\"none\">–</span>", {}};
  return Cell::number(ns.get<double>(), duration(ns.get<double>()));
}

std::string task_table(const Run& run, const Detail& detail) {
  const Json& tasks = run.details->at("tasks");
  const u64 listed = tasks.size(), left = run.details->at("tasks_left_out");
  Table table{fmt::format("Tasks under {}, the longest wait first", run.name),
              {{"task", false},
               {"tid"},
               {"CPU time"},
               {"switches", true, "times that it was switched in"},
               {"wakeups", true, "that it ran after"},
               {"wakeup p50", true, "at most 3 % too high"},
               {"wakeup p99", true, "at most 3 % too high"},
               {"wakeup max"},
               {"longest wait", true, "woken or preempted"},
               {"migrations"}}};
  for (const Json& task : tasks) {
    if (table.rows.size() == detail.tasks) break;
    const Json& latency = task.at("wakeup_latency_ns");
    const auto part = [&](const char* key) {
      return duration_cell(latency.is_null() ? Json(nullptr) : latency.at(key));
    };
    const auto count = [&](const char* key) {
      return Cell::number(task.at(key).get<double>(), grouped(task.at(key).get<u64>()));
    };
    Cell name = Cell::of(task.at("comm").get<std::string>());
    if (task.at("own").get<bool>()) {
      name.classes = "own";
      name.title = "of the process that schedules or records";
    }
    table.rows.push_back({name, Cell::number(task.at("tid").get<double>(), std::to_string(task.at("tid").get<i64>())),
                          duration_cell(task.at("cpu_ns")), count("switches"), count("wakeups"), part("p50"),
                          part("p99"), part("max"), duration_cell(task.at("max_run_delay_ns")), count("migrations")});
  }
  const u64 shown = table.rows.size();
  return fmt::format(
      "<details>\n<summary>{}: {} task{}{}</summary>\n{}</details>\n", text(run.name), grouped(shown),
      shown == 1 ? "" : "s",
      listed + left > shown ? fmt::format(" of {}, those that waited longest", grouped(listed + left)) : "",
      table.html());
}

std::string tasks(const std::vector<Run>& runs, const Detail& detail) {
  std::string out;
  std::size_t shown = 0, left = 0;
  for (const Run& run : runs) {
    if (!run.details || run.details->at("tasks").empty() || detail.tasks == 0) continue;
    if (shown == detail.moments) {
      ++left;
      continue;
    }
    ++shown;
    out += task_table(run, detail);
  }
  if (out.empty()) return {};
  if (left != 0) out += fmt::format("<p class=\"note\">Those of {} more runs are left out.</p>\n", left);
  return "<h3>Tasks</h3>\n" + out;
}

std::string run_sections(const std::vector<Run>& runs, const std::string& caption, const char* first,
                         const Detail& detail) {
  return headline(runs) + comparison(runs, caption, first, detail) + distributions(runs) + moments(runs, detail) +
         tasks(runs, detail);
}

const Json* details_of(const Json& row) {
  const auto at = row.find("details");
  return at == row.end() || at->is_null() ? nullptr : &*at;
}

std::string policies_of(const std::vector<Run>& runs, const Json& results) {
  std::set<std::string> seen;
  std::string out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string policy = results[i].at("policy");
    if (!seen.insert(policy).second) continue;
    const auto code = results[i].find("code");
    const bool known = code != results[i].end() && code->is_string();
    out += fmt::format(
        "{}<code>{}</code>{}", out.empty() ? "" : "<br>", text(policy),
        known ? fmt::format(" <span class=\"hash\">{}</span>", text(code->get<std::string>())) : std::string());
  }
  return runs.empty() ? std::string() : out;
}

}  // namespace

Section sim_section(const std::string& file, const Json& document, const Detail& detail) {
  std::vector<Run> runs;
  std::set<u64> seeds;
  if (const auto recorded = document.find("recorded"); recorded != document.end()) {
    const std::string policy = recorded->at("policy");
    runs.push_back({"recorded", fmt::format("as it was recorded, under {}", policy), true,
                    recorded->value("cpus", u64{0}), 0, &recorded->at("metrics"), details_of(*recorded)});
  }
  std::set<u64> cpus;
  const Json& results = document.at("results");
  for (const Json& row : results) {
    Run run{{}, row.at("policy"), false, row.value("cpus", u64{0}), row.at("seed")};
    if (const auto metrics = row.find("metrics"); metrics != row.end()) {
      run.metrics = &*metrics;
      run.details = details_of(row);
    } else {
      run.failure = row.at("error").value("what", std::string("no reason is given"));
    }
    seeds.insert(run.seed), cpus.insert(run.cpus);
    runs.push_back(std::move(run));
  }
  name_runs(runs);
  const auto source = document.find("file");
  const std::string what =
      source != document.end() ? source->get<std::string>() : document.value("load", std::string());
  std::string machines, seed_text;
  for (const u64 one : cpus) machines += fmt::format("{}{}", machines.empty() ? "" : ", ", one);
  for (const u64 one : seeds)
    if (seed_text.size() < 200) seed_text += fmt::format("{}{}", seed_text.empty() ? "" : ", ", one);
  std::vector<std::pair<std::string, std::string>> rows = {{"Result", text(file)}, {"Workload", text(what)}};
  if (const auto recording = document.find("recording"); recording != document.end())
    for (auto& row : recording_rows(*recording)) rows.push_back(std::move(row));
  rows.emplace_back("Simulated CPUs", machines);
  rows.emplace_back("Seeds", seed_text);
  rows.emplace_back("Policies and their code", policies_of(runs, results));
  const std::string caption = fmt::format("{} on {} CPU{}", what, machines, machines == "1" ? "" : "s");
  return {fmt::format("Simulation of {}", what.substr(what.rfind('/') + 1)),
          run_sections(runs, caption, "policy", detail) + provenance(document, std::move(rows))};
}

Section info_section(const std::string& file, const Json& document, const Detail& detail) {
  std::vector<Run> runs;
  std::vector<std::pair<std::string, std::string>> rows = {{"Result", text(file)},
                                                           {"Trace", text(document.at("file").get<std::string>())}};
  u64 number = 0;
  for (const Json& session : document.at("sessions")) {
    ++number;
    if (!session.contains("metrics")) continue;
    const Json& policy = session.at("policy");
    Run run{{},
            policy.is_null() ? "none" : policy.at("text").get<std::string>(),
            true,
            session.at("cpus"),
            session.at("seed"),
            &session.at("metrics"),
            details_of(session)};
    run.name = document.at("sessions").size() > 1 ? fmt::format("session {}", number) : bare(run.policy);
    rows.emplace_back(fmt::format("Session {}", number),
                      fmt::format("<code>{}</code>, {} CPUs, seed {}, kernel {}", text(run.policy), run.cpus, run.seed,
                                  text(session.at("kernel").at("release").get<std::string>())));
    runs.push_back(std::move(run));
  }
  const std::string trace = document.at("file");
  return {fmt::format("Recording {}", trace.substr(trace.rfind('/') + 1)),
          run_sections(runs, fmt::format("{} as it was recorded", trace), "run", detail) +
              provenance(document, std::move(rows))};
}

}  // namespace reprise::report
