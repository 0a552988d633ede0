// SPDX-License-Identifier: GPL-2.0-only
// reprise sim: a recorded workload again, under any policy, on a model of the kernel.
#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "scheduler/policies/table.h"
#include "sim/run/save.h"
#include "sim/run/starvation.h"
#include "sim/run/sweep.h"
#include "sim/run/verify.h"
#include "sim/workload/generate.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "tools/cli/metrics_text.h"
#include "tools/cli/result_details.h"
#include "tools/cli/sim_options.h"
#include "tools/cli/trace_text.h"
#include "tools/cli/workload_source.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kSimDescription[] =
    "Runs the workload of FILE again, in simulated time, on a model of the kernel that hosts the dispatcher: what "
    "each\n"
    "task does and waits for comes from the recording, when it runs is up to the policy. Every combination of the "
    "given\n"
    "policies, seeds and CPU counts is one simulation; they run side by side on all CPUs. A workload that comes "
    "without\n"
    "a machine gets 4 CPUs.\n"
    "A policy is one of `reprise policies`, or eevdf: the kernel's own, without a scheduler in user space.";
constexpr char kSimFooter[] =
    "examples\n"
    "  reprise sim run.rtrace --policy fifo,vruntime,eevdf\n"
    "  reprise sim run.rtrace --policy vruntime:slice_us=3000 --cpus 1,2,4 --seed 1-5 --json\n"
    "  reprise sim load.json --policy vruntime --duration 5          a workload of rt-app\n"
    "  reprise sim --load hackbench:160 --policy vruntime --cpus 4\n"
    "  reprise sim run.rtrace --policy fifo --fault late=50,late_us=2000 --check\n\n"
    "exit status\n"
    "  0 done   1 a policy broke its contract, an invariant or --verify failed   2 usage   65 FILE cannot be simulated";

// With --json: of the first seed of each policy and CPU count, as far as that goes.
constexpr std::size_t kDetailed = 32;

struct Row {
  std::string policy, full, code;
  u64 seed;
  u32 cpus;
};

class Sim final : public Command {
 public:
  void declare(CLI::App&) override;
  Expected<ExitCode> run(Console&) override;

 private:
  Expected<std::vector<sim::Job>> jobs(bool details);
  Expected<sim::JobResult> save(const sim::Job&) const;
  void explain(const sim::Job&, const Row&, Error&) const;
  Expected<ExitCode> verify(Console&, const std::vector<sim::Job>&, const std::vector<sim::JobResult>&) const;
  [[nodiscard]] Json document(const Console&, const std::vector<sim::JobResult>&) const;
  void show(Console&, const std::vector<sim::JobResult>&) const;
  [[nodiscard]] Json costs_json() const;

  std::string file_, generator_, out_;
  SimSelection selection_;
  bool verify_ = false, show_costs_ = false;
  u32 threads_ = 0;

  WorkloadSource source_;
  std::map<u64, sim::Program> of_seed_;  // with --jitter
  std::vector<Row> rows_;
};

void Sim::declare(CLI::App& app) {
  app.description(kSimDescription);
  app.footer(kSimFooter);
  app.add_option("FILE", file_, "a trace (.rtrace), or a workload as rt-app takes it (.json)");
  app.add_option("--load", generator_,
                 fmt::format("a generated workload instead of FILE, as NAME:TASKS; NAME is one of {}",
                             fmt::join(sim::generators(), ", ")))
      ->type_name("NAME:TASKS");
  selection_.declare(app);
  app.add_option("-o,--output", out_, "write the simulation as a trace, which replay, info and export read; one only")
      ->type_name("OUT.rtrace");
  app.add_flag("--verify", verify_, "run everything twice; the state hashes must be the same");
  app.add_flag("--costs", show_costs_, "show what the kernel's work is taken to cost, and where that comes from");
  add_number(app, "-j,--jobs", threads_, {"N", 0, 4096, false}, "simulations at a time; all CPUs when not given");
}

Expected<std::vector<sim::Job>> Sim::jobs(bool details) {
  auto bases = selection_.machines(source_.machine);
  if (!bases) return std::unexpected(bases.error());
  if (source_.program.endless && selection_.duration_ns() == 0)
    return fail(ExitCode::kUsage, "the workload never ends by itself", file_.empty() ? "--load " + generator_ : file_,
                "say how much of it to simulate: --duration SECONDS");
  std::vector<sim::Job> jobs;
  std::size_t detailed = 0;
  if (selection_.jitter_per_mille() != 0) {
    for (const u64 seed : selection_.seeds()) {
      const auto [at, fresh] = of_seed_.try_emplace(seed, source_.program);
      if (fresh) sim::jitter(at->second, selection_.jitter_per_mille(), Prng::seeded(seed).split("sim.jitter"));
    }
  }
  for (const SimSelection::Machine& made : *bases) {
    sim::Job job;
    const auto own = of_seed_.find(made.options.seed);
    job.program = own == of_seed_.end() ? &source_.program : &own->second;
    job.options.machine = made.options;
    job.options.duration_ns = selection_.duration_ns();
    job.options.details = details && made.options.seed == selection_.first_seed() && detailed++ < kDetailed;
    rows_.push_back({made.policy, made.full, made.code, made.options.seed, made.options.topology.size()});
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Json Sim::costs_json() const {
  Json json;
  const sim::Costs costs = selection_.costs(source_.machine.costs);
  for (const sim::CostField& field : sim::cost_fields()) json[std::string(field.name) + "_ns"] = costs.*field.field;
  return json;
}

Json Sim::document(const Console& console, const std::vector<sim::JobResult>& results) const {
  Json list = Json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    Json row = {{"policy", rows_[i].full}, {"seed", rows_[i].seed}, {"cpus", rows_[i].cpus}};
    if (const auto& result = results[i].result) {
      row["events"] = result->events;
      row["simulated_ns"] = result->simulated_ns;
      row["wall_ns"] = results[i].wall_ns;
      row["state_hash"] = fmt::format("{:016x}", result->state_hash);
      row["finished"] = result->finished;
      row["relieved"] = result->workload.relieved;
      row["steps"] = result->counters.steps;
      row["decisions"] = result->counters.decisions;
      row["metrics"] = metrics_json(result->metrics);
      row["code"] = rows_[i].policy == kKernelDefault ? Json(nullptr)
                    : rows_[i].code.empty()           ? Json(kPoliciesHash)
                                                      : Json(rows_[i].code);
      row["details"] = details_json(result->metrics);
    } else {
      row["error"] = error_json(result.error());
    }
    list.push_back(row);
  }
  Json json = {{"schema", "reprise.sim/1"}};
  if (source_.recorded) {
    json["file"] = file_;
    json["recorded"] = {{"policy", policy_text(source_.recorded->session.policy, source_.recorded->session.options)},
                        {"cpus", source_.recorded->session.cpus},
                        {"metrics", metrics_json(source_.recorded->metrics)},
                        {"details", details_json(source_.recorded->metrics)}};
    json["recording"] = recording_json(file_, source_.recorded->session);
  } else if (file_.empty()) {
    json["load"] = generator_;
  } else {
    json["file"] = file_;
  }
  json["costs"] = costs_json();
  json["provenance"] = provenance_json(console);
  json["results"] = list;
  return json;
}

// A column of the table for people: how it is got, and whether less is better.
struct Column {
  const char* title;
  double (*value)(const sim::Metrics&);
  std::string (*text)(const sim::Metrics&);
  bool less_is_better;
};
std::string time_text(u64 ns) { return duration_text(ns); }
constexpr Column kColumns[] = {
    {"makespan", [](const sim::Metrics& m) { return static_cast<double>(m.makespan_ns); },
     [](const sim::Metrics& m) { return time_text(m.makespan_ns); }, true},
    {"wakeup p50", [](const sim::Metrics& m) { return static_cast<double>(m.wakeup_latency_ns.percentile(500)); },
     [](const sim::Metrics& m) { return time_text(m.wakeup_latency_ns.percentile(500)); }, true},
    {"wakeup p99", [](const sim::Metrics& m) { return static_cast<double>(m.wakeup_latency_ns.percentile(990)); },
     [](const sim::Metrics& m) { return time_text(m.wakeup_latency_ns.percentile(990)); }, true},
    {"delay p50", [](const sim::Metrics& m) { return static_cast<double>(m.run_delay_ns.percentile(500)); },
     [](const sim::Metrics& m) { return time_text(m.run_delay_ns.percentile(500)); }, true},
    {"delay p99", [](const sim::Metrics& m) { return static_cast<double>(m.run_delay_ns.percentile(990)); },
     [](const sim::Metrics& m) { return time_text(m.run_delay_ns.percentile(990)); }, true},
    {"longest", [](const sim::Metrics& m) { return static_cast<double>(m.max_wait_ns); },
     [](const sim::Metrics& m) { return time_text(m.max_wait_ns); }, true},
    {"switches", [](const sim::Metrics& m) { return static_cast<double>(m.context_switches); },
     [](const sim::Metrics& m) { return grouped(m.context_switches); }, true},
    {"migrations", [](const sim::Metrics& m) { return static_cast<double>(m.migrations); },
     [](const sim::Metrics& m) { return grouped(m.migrations); }, true},
    {"fairness", [](const sim::Metrics& m) { return m.fairness_jain(); },
     [](const sim::Metrics& m) { return fmt::format("{:.3f}", m.fairness_jain()); }, false},
};

void Sim::show(Console& console, const std::vector<sim::JobResult>& results) const {
  std::size_t width = 8;
  for (const Row& row : rows_) width = std::max(width, row.policy.size());
  std::string head = fmt::format("{:<{}} {:>5} {:>5}", "policy", width, "CPUs", "seed");
  for (const Column& column : kColumns) head += fmt::format(" {:>11}", column.title);
  console.print("{}\n", head);
  if (source_.recorded) {
    std::string line = fmt::format("{:<{}} {:>5} {:>5}", "recorded", width, source_.recorded->session.cpus, "");
    for (const Column& column : kColumns) line += fmt::format(" {:>11}", column.text(source_.recorded->metrics));
    console.print("{}\n", line);
  }
  bool marked = false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::string line = fmt::format("{:<{}} {:>5} {:>5}", rows_[i].policy, width, rows_[i].cpus, rows_[i].seed);
    if (!results[i].result) {
      console.print("{} {}\n", line, console.out_colour(Console::Colour::kRed, "failed"));
      continue;
    }
    for (const Column& column : kColumns) {
      bool best = true, differs = false;
      const double mine = column.value(results[i].result->metrics);
      for (std::size_t k = 0; k < results.size(); ++k) {
        const sim::JobResult& other = results[k];
        if (!other.result || rows_[k].cpus != rows_[i].cpus || rows_[k].seed != rows_[i].seed) continue;
        const double theirs = column.value(other.result->metrics);
        best = best && (column.less_is_better ? mine <= theirs : mine >= theirs);
        differs = differs || mine != theirs;
      }
      marked = marked || (best && differs);
      const std::string text = column.text(results[i].result->metrics) + (best && differs ? "*" : " ");
      const std::string cell = fmt::format(" {:>11}", text);
      line += best && differs ? console.out_colour(Console::Colour::kGreen, cell) : cell;
    }
    console.print("{}\n", line);
  }
  if (marked) console.print("* best of its column, among runs with the same CPUs and seed\n");
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].result) continue;
    const sim::RunResult& result = *results[i].result;
    if (results.size() == 1)
      console.print("{} in {} of simulated time; {} decided in {}\n", counted(result.events, "event"),
                    duration_text(result.simulated_ns), counted(result.counters.decisions, "decision"),
                    counted(result.counters.steps, "step"));
    console.print("seed {}, {} on {}: state hash {:016x}\n", rows_[i].seed, rows_[i].policy,
                  counted(rows_[i].cpus, "CPU"), result.state_hash);
  }
  if (!show_costs_) return;
  console.print("\n{:<16} {:>10} {:>9}\n", "cost", "ns", "samples");
  const sim::Costs costs = selection_.costs(source_.machine.costs);
  for (std::size_t i = 0; i < sim::cost_fields().size(); ++i) {
    const sim::CostField& field = sim::cost_fields()[i];
    std::string samples = "default";
    if (source_.recorded && !source_.recorded->fit.fields.empty() && source_.recorded->fit.fields[i].samples != 0)
      samples = grouped(source_.recorded->fit.fields[i].samples);
    if (costs.*field.field != source_.machine.costs.*field.field) samples = "given";
    console.print("{:<16} {:>10} {:>9}  {}\n", field.name, grouped(costs.*field.field), samples, field.summary);
  }
}

Expected<sim::JobResult> Sim::save(const sim::Job& job) const {
  trace::SessionInfo info;
  if (source_.recorded) info = source_.recorded->session;
  info.version = kVersion;
  info.compiler = kCompiler;
  info.build_type = kBuildType;
  info.engine_hash = kEngineHash;
  info.policies_hash = kPoliciesHash;
  info.dispatcher_hash = kDispatcherHash;
  auto saved = sim::SavedRun::create(out_, info, job.options.machine);
  if (!saved) return std::unexpected(saved.error());
  sim::JobResult done;
  done.result = sim::run(*job.program, job.options, saved->get(), saved->get());
  if (auto finished = (*saved)->finish(done.result ? done.result->simulated_ns : 0); !finished)
    return std::unexpected(finished.error());
  return done;
}

// Which run it was and, where a task starved, the decision that it began with.
void Sim::explain(const sim::Job& job, const Row& row, Error& error) const {
  error.what = fmt::format("{} on {}, seed {}: {}", row.policy, counted(row.cpus, "CPU"), row.seed, error.what);
  if (error.code != ExitCode::kExpectationFailed || job.options.machine.policy == nullptr) return;
  if (const std::string why = sim::explain_starvation(job); !why.empty())
    error.hint += (error.hint.empty() ? "" : "; ") + why;
}

// The second of two runs must end as the first.
Expected<ExitCode> Sim::verify(Console& console, const std::vector<sim::Job>& jobs,
                               const std::vector<sim::JobResult>& first) const {
  const std::vector<sim::JobResult> second = sim::sweep(jobs, threads_);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto &a = first[i].result, &b = second[i].result;
    if (!a || !b || a->state_hash == b->state_hash) continue;
    auto found = sim::first_difference(jobs[i]);
    if (!found) return std::unexpected(found.error());
    return fail(ExitCode::kExpectationFailed,
                fmt::format("two runs of {} with seed {} differ: {:016x} and {:016x}; {}", rows_[i].policy,
                            rows_[i].seed, a->state_hash, b->state_hash, *found),
                {}, "this is a bug: something outside of the simulation reached a decision");
  }
  console.message("verified: {} ran twice and ended with the same state", counted(jobs.size(), "simulation"));
  return ExitCode::kDone;
}

Expected<ExitCode> Sim::run(Console& console) {
  if (auto valid = selection_.parse(); !valid) return std::unexpected(valid.error());
  auto source = load_workload(file_, generator_, selection_, console, console.json());
  if (!source) return std::unexpected(source.error());
  source_ = std::move(*source);
  auto jobs = this->jobs(console.json());
  if (!jobs) return std::unexpected(jobs.error());
  console.message("seed {}", fmt::join(selection_.seeds(), ", "));
  if (!out_.empty() && jobs->size() != 1)
    return fail(ExitCode::kUsage, fmt::format("-o takes one simulation, and this is {}", jobs->size()));
  const bool progress = console.shows_progress() && jobs->size() > 1;
  if (console.shows_progress() && jobs->size() == 1)
    jobs->front().options.progress = [&console](u64 now_ns) {
      console.progress(fmt::format("{} simulated", duration_text(now_ns)));
    };
  std::vector<sim::JobResult> results;
  if (out_.empty()) {
    results = sim::sweep(*jobs, threads_, [&](std::size_t done) {
      if (progress) console.progress(fmt::format("{} of {} simulations", done, jobs->size()));
    });
  } else {
    auto saved = save(jobs->front());
    if (!saved) return std::unexpected(saved.error());
    results.push_back(std::move(*saved));
  }
  std::optional<Error> error;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].result) {
      explain(jobs->at(i), rows_[i], results[i].result.error());
      if (!error) error = results[i].result.error();
      continue;
    }
    if (const auto& result = *results[i].result; result.stuck != 0)
      console.warning(fmt::format(
          "{} on {}: {} waited for what the trace does not tell, helped along {} times; first\n{}", rows_[i].policy,
          counted(rows_[i].cpus, "CPU"), counted(result.stuck, "task"), result.workload.relieved, result.waiting));
  }
  if (!error && verify_)
    if (auto verified = verify(console, *jobs, results); !verified) error = verified.error();
  if (console.json()) {
    Json json = document(console, results);
    if (error) json["error"] = error_json(*error);
    console.document(json);
  } else {
    show(console, results);
  }
  if (error) console.error(*error);
  return error ? error->code : ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_sim() { return std::make_unique<Sim>(); }

}  // namespace reprise::cli
