// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/test_report.h"

#include <algorithm>
#include <tuple>

#include "sim/suite/measure.h"
#include "tools/cli/result_details.h"

namespace reprise::cli {
namespace {

using sim::CaseReport;
using sim::CaseVerdict;
using sim::Finding;

constexpr std::size_t kMovedShown = 20;
constexpr std::size_t kFindingsShown = 6;  // of a case
constexpr std::size_t kAnnotations = 10;
constexpr std::size_t kSummaryBytes = 1 << 20;

const sim::Case& case_of(const TestView& view, const CaseReport& report) { return view.suite.cases[report.index]; }

struct Moved {
  const CaseReport* report;
  const Finding* finding;
};

// Findings with numbers, of all cases, worst first.
std::vector<Moved> moved(const TestView& view) {
  std::vector<Moved> all;
  for (const CaseReport& report : view.report.cases)
    for (const Finding& finding : report.findings)
      if (!finding.metric.empty() && finding.verdict != CaseVerdict::kUndecided) all.push_back({&report, &finding});
  std::ranges::sort(all, [](const Moved& a, const Moved& b) {
    if (a.finding->verdict != b.finding->verdict) return a.finding->verdict > b.finding->verdict;
    if (a.finding->severity() != b.finding->severity()) return a.finding->severity() > b.finding->severity();
    return std::tie(a.report->index, a.finding->metric) < std::tie(b.report->index, b.finding->metric);
  });
  return all;
}

std::vector<const CaseReport*> not_passed(const TestView& view) {
  std::vector<const CaseReport*> bad;
  for (const CaseReport& report : view.report.cases)
    if (report.verdict != CaseVerdict::kPass) bad.push_back(&report);
  const auto severity = [](const CaseReport* r) { return r->findings.empty() ? 0.0 : r->findings.front().severity(); };
  std::ranges::sort(bad, [&](const CaseReport* a, const CaseReport* b) {
    if (a->verdict != b->verdict) return a->verdict > b->verdict;
    return severity(a) != severity(b) ? severity(a) > severity(b) : a->index < b->index;
  });
  return bad;
}

std::string number(const Finding& finding, double value) {
  const std::size_t dot = finding.metric.find('.');
  const sim::MetricInfo* metric =
      sim::find_measure(dot == std::string::npos ? finding.metric : finding.metric.substr(dot + 1));
  return metric ? sim::value_text(*metric, value) : fmt::format("{:g}", value);
}

std::string change(const Finding& finding) {
  if (finding.base == 0) return finding.now == 0 ? "0 %" : "new";
  const double percent = (finding.now - finding.base) / std::abs(finding.base) * 100;
  return std::abs(percent) >= 1000 ? fmt::format("x{:.1f}", finding.now / finding.base)
                                   : fmt::format("{:+.1f} %", percent);
}

const Finding* first(const CaseReport& report) { return report.findings.empty() ? nullptr : &report.findings.front(); }

std::string details(const TestView& view, const CaseReport& report, std::string_view indent) {
  std::string text;
  std::size_t shown = 0, left = 0;
  for (const Finding& finding : report.findings) {
    if (finding.verdict == CaseVerdict::kPass) continue;
    if (shown == kFindingsShown) {
      ++left;
      continue;
    }
    ++shown;
    text += fmt::format("{}{}\n", indent, finding.sentence);
  }
  if (left != 0) text += fmt::format("{}and {} more\n", indent, left);
  if (!report.divergence.empty())
    text += fmt::format("{}decisions leave the baseline: {}\n", indent, report.divergence);
  if (!report.worst_wait.empty())
    text += fmt::format("{}longest wait (seed {}): {}\n", indent, report.seed, report.worst_wait);
  text += fmt::format("{}again: {}\n", indent, again(view, report));
  const std::size_t at = static_cast<std::size_t>(&report - view.report.cases.data());
  if (at < view.timelines.size() && !view.timelines[at].empty())
    text += fmt::format("{}timeline: {}\n", indent, view.timelines[at]);
  return text;
}

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";
        break;
      default:
        // Other control characters have no place in XML 1.0.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
  return out;
}

std::string workflow(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%')
      out += "%25";
    else if (c == '\r')
      out += "%0D";
    else if (c == '\n')
      out += "%0A";
    else if (property && c == ':')
      out += "%3A";
    else if (property && c == ',')
      out += "%2C";
    else
      out += c;
  }
  return out;
}

std::string markdown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '`' || c == '*' || c == '_') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

double seconds(u64 ns) { return static_cast<double>(ns) / 1e9; }

}  // namespace

std::string again(const TestView& view, const CaseReport& report) {
  std::string command =
      fmt::format("reprise test {} --case {}", shell_quoted(view.suite.path), shell_quoted(case_of(view, report).name));
  if (view.seed_offset != 0) command += fmt::format(" --seed-offset {}", view.seed_offset);
  return command;
}

std::string summary_line(const TestView& view) {
  const auto& counts = view.report.counts;
  std::string text = fmt::format("{}: {} passed", counted(view.report.cases.size(), "case"), counts[0]);
  for (const CaseVerdict verdict : {CaseVerdict::kUndecided, CaseVerdict::kFail, CaseVerdict::kError})
    if (const u32 count = counts[static_cast<std::size_t>(verdict)]; count != 0)
      text += fmt::format(", {} {}", count,
                          verdict == CaseVerdict::kFail    ? "failed"
                          : verdict == CaseVerdict::kError ? "in error"
                                                           : "undecided");
  return text + fmt::format("; {} in {} ({} of CPU time)", counted(view.report.events, "event"),
                            duration_text(view.wall_ns), duration_text(view.report.cpu_ns));
}

std::string table_text(const Console& console, const TestView& view) {
  std::string text;
  const std::vector<Moved> all = moved(view);
  if (!all.empty()) {
    std::size_t width = 4, metric_width = 6;
    for (std::size_t i = 0; i < std::min(all.size(), kMovedShown); ++i) {
      width = std::max(width, case_of(view, *all[i].report).name.size());
      metric_width = std::max(metric_width, all[i].finding->metric.size());
    }
    text += fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}  {:>9}  {:>9}  what moved\n", "case", width, "metric",
                        metric_width, "expected", "now", "change", "of limit");
    for (std::size_t i = 0; i < std::min(all.size(), kMovedShown); ++i) {
      const Finding& finding = *all[i].finding;
      const bool bad = finding.verdict > CaseVerdict::kUndecided, better = finding.worse < 0;
      const std::string word = bad ? "worse" : better ? "better" : "within";
      const std::string mark = bad      ? console.out_colour(Console::Colour::kRed, word)
                               : better ? console.out_colour(Console::Colour::kGreen, word)
                                        : word;
      const double part = std::min(std::abs(finding.severity()), 9999.0);
      text += fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}  {:>9}  {:>8.2f}x  {}\n", case_of(view, *all[i].report).name,
                          width, finding.metric, metric_width, number(finding, finding.base),
                          number(finding, finding.now), change(finding), part, mark);
    }
    if (all.size() > kMovedShown) text += fmt::format("and {} more, all in --json\n", all.size() - kMovedShown);
  }
  for (const CaseReport* report : not_passed(view)) {
    const sim::Case& item = case_of(view, *report);
    const auto colour = report->verdict == CaseVerdict::kUndecided ? Console::Colour::kYellow : Console::Colour::kRed;
    text += fmt::format("\n{} {} ({}:{})\n{}", console.out_colour(colour, name(report->verdict)), item.name,
                        view.suite.path, item.line, details(view, *report, "  "));
  }
  return text + (text.empty() ? "" : "\n") + summary_line(view) + "\n";
}

std::string junit_xml(const TestView& view, const std::string& at) {
  const auto& counts = view.report.counts;
  const auto count = [&](CaseVerdict verdict) { return counts[static_cast<std::size_t>(verdict)]; };
  const std::string numbers =
      fmt::format("name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\"", xml(view.suite.name),
                  view.report.cases.size(), count(CaseVerdict::kFail), count(CaseVerdict::kError));
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {} time=\"{:.3f}\">\n"
      "  <testsuite {} skipped=\"{}\" time=\"{:.3f}\" timestamp=\"{}\">\n",
      numbers, seconds(view.wall_ns), numbers, count(CaseVerdict::kUndecided), seconds(view.wall_ns),
      at.ends_with('Z') ? at.substr(0, at.size() - 1) : at);
  for (const CaseReport& report : view.report.cases) {
    const sim::Case& item = case_of(view, report);
    const std::string& policy = view.suite.setups[item.setup].policy;
    text += fmt::format("    <testcase name=\"{}\" classname=\"{}.{}\" time=\"{:.3f}\"", xml(item.name),
                        xml(view.suite.name), xml(policy.empty() ? "replay" : policy), seconds(report.cpu_ns));
    if (report.verdict == CaseVerdict::kPass) {
      text += "/>\n";
      continue;
    }
    const Finding* found = first(report);
    const std::string all = fmt::format("{}:{}\n{}", view.suite.path, item.line, details(view, report, ""));
    if (report.verdict == CaseVerdict::kUndecided) {
      text += fmt::format(">\n      <skipped>{}</skipped>\n    </testcase>\n", xml(all));
    } else {
      const char* element = report.verdict == CaseVerdict::kFail ? "failure" : "error";
      text += fmt::format(">\n      <{} type=\"{}\" message=\"{}\">{}</{}>\n    </testcase>\n", element,
                          found ? name(found->kind) : "run", xml(found ? found->sentence : std::string()), xml(all),
                          element);
    }
  }
  return text + "  </testsuite>\n</testsuites>\n";
}

std::string github_annotations(const TestView& view) {
  std::string text;
  std::size_t made = 0;
  const std::vector<const CaseReport*> bad = not_passed(view);
  for (const CaseReport* report : bad) {
    if (made == kAnnotations) break;
    ++made;
    const sim::Case& item = case_of(view, *report);
    std::string message = details(view, *report, "");
    // The last one says that there are more.
    if (made == kAnnotations && bad.size() > kAnnotations)
      message = fmt::format("and {} more; the step summary has all\n{}", bad.size() - kAnnotations, message);
    text += fmt::format(
        "::{} file={},line={},title={}::{}\n", report->verdict == CaseVerdict::kUndecided ? "warning" : "error",
        workflow(view.suite.path, true), item.line,
        workflow(fmt::format("{} {}", item.name, name(report->verdict)), true), workflow(message, false));
  }
  return text;
}

std::string github_summary(const TestView& view) {
  std::string text = fmt::format("## {}: {}\n\n{}\n", markdown(view.suite.name), name(view.report.verdict),
                                 markdown(summary_line(view)));
  const auto add = [&](const std::string& more) {
    constexpr std::string_view kCut = "\n(cut: more than GitHub shows)\n";
    if (text.size() + more.size() + kCut.size() <= kSummaryBytes) return text += more, true;
    text += kCut;
    return false;
  };
  const std::vector<Moved> all = moved(view);
  if (!all.empty() &&
      !add("\n| case | metric | expected | now | change | |\n| --- | --- | ---: | ---: | ---: | --- |\n"))
    return text;
  for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), 100); ++i) {
    const Finding& finding = *all[i].finding;
    if (!add(fmt::format("| {} | {} | {} | {} | {} | {} |\n", markdown(case_of(view, *all[i].report).name),
                         markdown(finding.metric), number(finding, finding.base), number(finding, finding.now),
                         change(finding), name(finding.verdict))))
      return text;
  }
  for (const CaseReport* report : not_passed(view))
    if (!add(fmt::format("\n### {} {}\n\n```text\n{}```\n", name(report->verdict),
                         markdown(case_of(view, *report).name), details(view, *report, ""))))
      return text;
  return text;
}

}  // namespace reprise::cli
