// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/workload_source.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include "sim/workload/generate.h"
#include "sim/workload/json_tree.h"
#include "sim/workload/rtapp.h"
#include "tools/cli/trace_text.h"

namespace reprise::cli {
namespace {

constexpr u32 kCpusDefault = 4;  // of a workload that comes without a machine
constexpr u32 kMaxGenerated = 10'000'000;
constexpr char kWhatSimReads[] = "sim takes traces (.rtrace) and files of rt-app (.json)";

Expected<sim::Program> generated(const std::string& text, u64 seed) {
  const std::size_t colon = text.find(':');
  u32 tasks = 100;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, tasks);
    if (error != std::errc() || at != end || tasks == 0 || tasks > kMaxGenerated)
      return fail(ExitCode::kUsage,
                  fmt::format("--load '{}' is not NAME:TASKS, with 1..{} tasks", text, grouped(kMaxGenerated)), {},
                  "as hackbench:160");
  }
  return sim::generate(std::string_view(text).substr(0, colon), tasks, seed);
}

// What `file` looks like, before it is read as that.
enum class FileKind : u8 { kTrace, kRtapp, kOther };
Expected<FileKind> kind_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ExitCode::kIo, fmt::format("cannot be opened: {}", std::strerror(errno)), file);
  char first = 0;
  in >> first;  // past blanks
  if (static_cast<unsigned char>(first) == 0x89) return FileKind::kTrace;
  return first == '{' || first == '/' || file.ends_with(".json") ? FileKind::kRtapp : FileKind::kOther;
}

Expected<sim::Program> from_rtapp(const std::string& file, u32 cpus) {
  std::ifstream in(file, std::ios::binary);
  std::string text;
  text.reserve(1 << 16);
  for (std::istreambuf_iterator<char> at(in), end; at != end && text.size() <= sim::kMaxJsonBytes; ++at) text += *at;
  if (in.bad()) return fail(ExitCode::kIo, fmt::format("cannot be read: {}", std::strerror(errno)), file);
  if (text.find("\"schema\"") < 20 && text.find("\"reprise.") < 40)
    return fail(ExitCode::kBadInput, "is a result that reprise wrote, and no workload", file,
                fmt::format("{}; reprise compare reads results", kWhatSimReads));
  return sim::read_rtapp(text, file, {.cpus = cpus});
}

Expected<sim::Recorded> recorded(const std::string& file, const sim::FromTraceOptions& options) {
  auto loaded = sim::from_trace(file, options);
  if (loaded) return loaded;
  Error error = about_trace(loaded.error());
  if (error.code == ExitCode::kUsage) error.code = ExitCode::kBadInput;
  return std::unexpected(std::move(error));
}

void warn(const sim::Recorded& recording, const std::string& file, Console& console) {
  const sim::ExtractReport& report = recording.extracted;
  for (const std::string& problem : report.problems) console.warning(fmt::format("{}: {}", file, problem));
  if (const u64 lost = std::max(report.lost_events, report.sequence_gaps); lost != 0)
    console.warning(
        fmt::format("{} lost {} of {}: what tasks did then is taken from the times around them, never for "
                    "longer than was recorded",
                    file, counted(lost, "event"), grouped(lost + report.events)));
  if (recording.program.weak)
    console.warning(file +
                    " holds no system calls, so sleeps stay as they were recorded and say less of other policies; "
                    "record without --no-syscalls");
  console.detail("{}", report.text());
}

}  // namespace

Expected<WorkloadSource> load_workload(const std::string& file, const std::string& generator,
                                       const SimSelection& selection, Console& console, bool details) {
  if (file.empty() == generator.empty())
    return fail(ExitCode::kUsage, "give either FILE or --load", {}, "reprise sim --help shows examples");
  WorkloadSource source;
  std::optional<sim::Costs> costs;
  if (!selection.costs_from.empty()) {
    auto other = recorded(selection.costs_from, {});
    if (!other) return std::unexpected(other.error());
    costs = other->machine.costs;
  }
  FileKind kind = FileKind::kOther;
  if (!file.empty()) {
    auto found = kind_of(file);
    if (!found) return std::unexpected(found.error());
    kind = *found;
  }
  if (!file.empty() && kind != FileKind::kRtapp) {
    auto loaded = recorded(
        file, {.session = selection.session, .fit = !selection.default_costs, .costs = costs, .details = details});
    if (!loaded) {
      Error error = loaded.error();
      if (kind == FileKind::kOther && error.code == ExitCode::kBadInput) error.hint = kWhatSimReads;
      return std::unexpected(std::move(error));
    }
    warn(*loaded, file, console);
    source.program = std::move(loaded->program);
    source.machine = loaded->machine;
    source.recorded = std::move(*loaded);
    return source;
  }
  const u32 cpus = selection.least_cpus(kCpusDefault);
  auto made = file.empty() ? generated(generator, selection.first_seed()) : from_rtapp(file, cpus);
  if (!made) return std::unexpected(made.error());
  source.program = std::move(*made);
  source.machine.topology = sim::Topology::flat(cpus);
  if (costs) source.machine.costs = *costs;
  return source;
}

}  // namespace reprise::cli
