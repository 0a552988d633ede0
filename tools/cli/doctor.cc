// SPDX-License-Identifier: GPL-2.0-only
// reprise doctor: what this machine lacks for live scheduling, and what to do about it.
#include <string>
#include <vector>

#include "scheduler/live/kernel_features.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#ifdef REPRISE_LIVE
#include "scheduler/live/host_settings.h"
#endif

namespace reprise::cli {
namespace {

using live::Finding;
using Verdict = live::Finding::Verdict;

constexpr char kDoctorDescription[] =
    "Says whether a policy can schedule this machine: kernel, rights, another scheduler that is in the way. With "
    "--fix\n"
    "settings of the host that a run which crashed has left changed are put back.\n"
    "+ is good, - is worth knowing, ! has to be mended first.";
constexpr char kDoctorFooter[] =
    "examples\n"
    "  reprise doctor\n"
    "  sudo reprise doctor --fix\n\n"
    "exit status\n"
    "  0 reprise live can run here   69 no sched_ext here, or it is in use   77 not permitted";

struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<std::string> left_over;  // settings that a crashed run has left; without --fix
  std::vector<std::string> put_back;
  ExitCode code = ExitCode::kDone;
};

#ifdef REPRISE_LIVE

// What stands in the way, the hardest first.
ExitCode judge(const std::vector<Finding>& findings) {
  bool bad = false;
  for (const Finding& finding : findings) bad = bad || finding.verdict == Verdict::kBad;
  if (!bad) return ExitCode::kDone;
  if (const auto features = live::read_kernel_features(); !features) return features.error().code;
  const live::SchedExtState state = live::read_sched_ext_state();
  if (!state.available || state.state != "disabled") return ExitCode::kNoSchedExt;
  return ExitCode::kNotPermitted;
}

Diagnosis diagnose_here(bool fix) {
  Diagnosis diagnosis;
  if (fix) {
    diagnosis.put_back = live::restore_leftovers();
  } else {
    diagnosis.left_over = live::find_leftovers();
  }
  diagnosis.findings = live::diagnose();
  for (const std::string& line : diagnosis.left_over)
    diagnosis.findings.push_back({Verdict::kNote, "left by a run that crashed: " + line, "sudo reprise doctor --fix"});
  diagnosis.code = judge(diagnosis.findings);
  return diagnosis;
}

#else

Diagnosis diagnose_here(bool) {
  return {.findings = {{Verdict::kBad, "this build has no live runtime",
                        "build with -DREPRISE_LIVE=ON (tools/dev build); replaying and inspecting traces work here"}},
          .left_over = {},
          .put_back = {},
          .code = ExitCode::kNoSchedExt};
}

#endif

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "good";
    case Verdict::kNote:
      return "note";
    case Verdict::kBad:
      return "bad";
  }
  return "unknown";
}

std::string mark(const Console& console, Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return console.out_colour(Console::Colour::kGreen, "+");
    case Verdict::kNote:
      return "-";
    case Verdict::kBad:
      return console.out_colour(Console::Colour::kRed, "!");
  }
  return "?";
}

class Doctor final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kDoctorDescription);
    app.footer(kDoctorFooter);
    app.add_flag("--fix", fix_, "put back settings of the host that a crashed run has left changed");
  }
  Expected<ExitCode> run(Console&) override;

 private:
  bool fix_ = false;
};

Expected<ExitCode> Doctor::run(Console& console) {
  const Diagnosis diagnosis = diagnose_here(fix_);
  const bool good = diagnosis.code == ExitCode::kDone;
  if (console.json()) {
    Json findings = Json::array();
    for (const Finding& finding : diagnosis.findings)
      findings.push_back({{"verdict", name_of(finding.verdict)}, {"what", finding.what}, {"hint", finding.hint}});
    console.document({{"schema", "reprise.doctor/1"},
                      {"live_possible", good},
                      {"exit_code", static_cast<int>(diagnosis.code)},
                      {"findings", findings},
                      {"put_back", diagnosis.put_back}});
    return diagnosis.code;
  }
  for (const std::string& line : diagnosis.put_back)
    console.print("{} put back: {}\n", mark(console, Verdict::kGood), line);
  if (fix_ && diagnosis.put_back.empty()) console.print("{} nothing to put back\n", mark(console, Verdict::kGood));
  for (const Finding& finding : diagnosis.findings) {
    console.print("{} {}\n", mark(console, finding.verdict), finding.what);
    if (!finding.hint.empty()) console.print("    what to do: {}\n", finding.hint);
  }
  console.print("\n{}\n", good ? "reprise live can run here" : "reprise live cannot run here");
  return diagnosis.code;
}

}  // namespace

std::unique_ptr<Command> make_doctor() { return std::make_unique<Doctor>(); }

}  // namespace reprise::cli
