// SPDX-License-Identifier: GPL-2.0-only
// What `reprise test` tells to whom: a table for people, JUnit XML for CI servers, annotations and a summary for
// GitHub. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "sim/suite/run_suite.h"
#include "tools/cli/console.h"

namespace reprise::cli {

struct TestView {
  const sim::Suite& suite;
  const sim::SuiteReport& report;
  u64 wall_ns = 0;
  u64 seed_offset = 0;
  std::vector<std::string> timelines;  // by case of the report; empty: none was written
};

/// The command that runs one case alone.
[[nodiscard]] std::string again(const TestView&, const sim::CaseReport&);
/// What moved, worst first, then each case that did not pass.
[[nodiscard]] std::string table_text(const Console&, const TestView&);
[[nodiscard]] std::string summary_line(const TestView&);

/// As Jenkins' junit-10.xsd has it, which GitLab, GitHub actions and pytest's readers accept as well.
[[nodiscard]] std::string junit_xml(const TestView&, const std::string& at);

/// Workflow commands, at most 10 of them: GitHub shows no more of a step.
[[nodiscard]] std::string github_annotations(const TestView&);
/// Markdown, at most 1 MiB: GitHub refuses more.
[[nodiscard]] std::string github_summary(const TestView&);

}  // namespace reprise::cli
