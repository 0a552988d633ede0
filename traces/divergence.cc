// SPDX-License-Identifier: GPL-2.0-only
#include "traces/divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "traces/format.h"

namespace reprise::trace {
namespace {

std::string field_that_differs(const Decision& a, const Decision& b) {
  if (a.task != b.task) return "task";
  if (a.generation != b.generation) return "generation";
  if (a.cpu != b.cpu) return "cpu";
  if (a.flags != b.flags) return "flags";
  if (a.slice_ns != b.slice_ns) return "slice_ns";
  if (a.vtime != b.vtime) return "vtime";
  return {};
}

std::string value_of(const Decision& d, const std::string& field) {
  if (field == "cpu") return d.cpu == kAnyCpu ? "any CPU" : fmt::format("CPU {}", d.cpu);
  if (field == "flags") return fmt::format("flags {:#x}", d.flags);
  if (field == "slice_ns") return fmt::format("a slice of {} us", static_cast<double>(d.slice_ns) / kNsPerUs);
  if (field == "vtime") return fmt::format("vtime {}", d.vtime);
  if (field == "generation") return fmt::format("an answer to enqueue number {}", d.generation);
  return fmt::format("slot {}", d.task);
}

std::string list_of(std::span<const i32> cpus) {
  if (cpus.empty()) return "none";
  return fmt::format("CPU {}", fmt::join(cpus, ", "));
}

std::string time_or_none(u64 ns) { return ns == 0 ? "no wish" : fmt::format("{} ns", ns); }

std::string the_task(const Divergence& d) {
  if (d.tid == 0) return "the task";
  std::string text = d.comm.empty() ? fmt::format("task {}", d.tid) : fmt::format("task {} ({})", d.tid, d.comm);
  if (d.event) {
    text += fmt::format(", {} in step {},", (d.event->flags & kEnqueueWakeup) != 0 ? "woken" : "queued", d.event_step);
  }
  return text;
}

}  // namespace

StepDifference difference(const StepRecord& recorded, const StepOutput& replayed) {
  StepDifference result;
  const std::span<const Decision> was = recorded.decisions;
  const std::span<const Decision> is = replayed.decisions();
  const auto note = [&](std::string field, std::size_t position = 0) {
    result.divergent += 1;
    if (!result.first.field.empty()) return;
    result.first.field = std::move(field);
    result.first.position = static_cast<u32>(position);
    if (position < was.size()) result.first.recorded = was[position];
    if (position < is.size()) result.first.replayed = is[position];
  };
  if (was.size() == is.size() && (was.empty() || std::memcmp(was.data(), is.data(), was.size_bytes()) == 0)) {
    result.identical = static_cast<u32>(was.size());
  } else {
    for (std::size_t i = 0; i < std::max(was.size(), is.size()); ++i) {
      if (i >= was.size() || i >= is.size()) {
        note("decisions", i);
      } else if (was[i] == is[i]) {
        result.identical += 1;
      } else {
        note(field_that_differs(was[i], is[i]), i);
      }
    }
  }
  const auto beyond = std::max(was.size(), is.size());  // no decision stands there
  if (!std::ranges::equal(recorded.preempts, replayed.preempts())) note("preempts", beyond);
  if (recorded.wake_at_ns != replayed.wake_at_ns) note("wake_at_ns", beyond);
  if (recorded.more != replayed.more) note("more", beyond);
  return result;
}

std::string sentence_for(const Divergence& d, const StepRecord& recorded, const StepOutput& replayed) {
  std::string text = fmt::format("Step {} at {}.{:09} s: ", d.step, d.time_ns / kNsPerSec, d.time_ns % kNsPerSec);
  if (d.field == "decisions") {
    const bool missing = d.recorded.has_value();
    text += fmt::format("{} was {} ({} decisions were recorded, {} came out now).", the_task(d),
                        missing ? "dispatched when recorded and is not now" : "not dispatched when recorded and is now",
                        recorded.decisions.size(), replayed.decision_count);
  } else if (d.field == "task") {
    text += fmt::format("decision {} dispatched {} when recorded; now slot {} comes before it.", d.position,
                        the_task(d), d.replayed ? d.replayed->task : kNoTask);
  } else if (d.field == "preempts") {
    text += fmt::format("the CPUs to preempt differ: {} when recorded, {} now.", list_of(recorded.preempts),
                        list_of(replayed.preempts()));
  } else if (d.field == "wake_at_ns") {
    text += fmt::format("the wish to be called differs: {} when recorded, {} now.", time_or_none(recorded.wake_at_ns),
                        time_or_none(replayed.wake_at_ns));
  } else if (d.field == "more") {
    text += recorded.more ? "decisions were left over when recorded and are not now."
                          : "decisions are left over now and were not when recorded.";
  } else if (d.field == "state_hash") {
    text += "all decisions came out the same so far, but the state of engine or policy does not.";
  } else if (d.recorded && d.replayed) {
    text += fmt::format("{} got {} when recorded and {} now.", the_task(d), value_of(*d.recorded, d.field),
                        value_of(*d.replayed, d.field));
  }
  return text;
}

}  // namespace reprise::trace
