// SPDX-License-Identifier: GPL-2.0-only
// What a suite can expect of a run: the metrics of sim/metrics/gates.h and those that need the workload, too.
//
//   throughput           CPU time that the tasks got per second: how many CPUs' worth of work was done
//   weight_error_pct     part of the CPU time that went to others than the weights say, among the tasks that were on a
//                        CPU or waited for one for nine tenths of the run; on several CPUs only where each task's part
//                        is less than a CPU
//   spread_pct           between the task that got the largest part of the CPU time that it asked for and the one that
//   got
//                        the smallest, among those that asked for at least 1 % of the run; in points of per cent
//   migration_ratio      migrations per time that a task was switched in
//   migration_rate, context_switch_rate    per second
//   gap                  the longest time that a runnable task waited (max_wait)
//
// A value can be of all tasks or of a group of them, by their names. Switches, rates and utilisation are always those
// of the machine. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics/gates.h"
#include "sim/run/run.h"

namespace reprise::sim {

/// The metrics that a suite knows: those of gates.h first.
[[nodiscard]] std::span<const MetricInfo> measures();
/// "p99_run_delay", with or without a unit. Null: no such metric.
[[nodiscard]] const MetricInfo* find_measure(std::string_view name);
[[nodiscard]] std::size_t index_of(const MetricInfo&);
/// A gate each for those that have a default one.
[[nodiscard]] std::vector<Gate> suite_gates();

struct WeightedTask {
  u64 cpu_ns = 0, delay_ns = 0, switches = 0, migrations = 0;
  u32 weight = kWeightDefault;
};
/// A value per entry of measures(). `metrics` without the tasks that do not count.
[[nodiscard]] std::vector<MetricValue> measure(const Metrics& metrics, std::span<const WeightedTask> tasks);

/// Of a group of tasks, too; else of the machine only.
[[nodiscard]] bool per_task(const MetricInfo&);

/// How a value reads to people: "1.23 ms", "12.3 %", "1,234".
[[nodiscard]] std::string value_text(const MetricInfo&, double value);

}  // namespace reprise::sim
