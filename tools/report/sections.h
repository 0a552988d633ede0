// SPDX-License-Identifier: GPL-2.0-only
// A section of the page for each kind of result. They take documents as `--json` writes them and throw Json::exception
// for what is not so. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace reprise::report {

using Json = nlohmann::ordered_json;

struct Section {
  std::string title;  // plain text
  std::string html;
};

/// How much is shown; less where a page would become too large.
struct Detail {
  std::size_t tasks = 100;   // of each run
  std::size_t moments = 16;  // runs whose worst moment is drawn, and whose tasks are listed
  std::size_t rows = 300;    // of any other table
};

[[nodiscard]] Section sim_section(const std::string& file, const Json&, const Detail&);
[[nodiscard]] Section info_section(const std::string& file, const Json&, const Detail&);
[[nodiscard]] Section test_section(const std::string& file, const Json&, const Detail&);
[[nodiscard]] Section fidelity_section(const std::string& file, const Json&, const Detail&);
[[nodiscard]] Section compare_section(const std::string& file, const Json&, const Detail&);
[[nodiscard]] Section replay_section(const std::string& file, const Json&, const Detail&);

/// Who made a result, from its key "provenance" and what else is known; with the command to repeat it.
[[nodiscard]] std::string provenance(const Json& document, std::vector<std::pair<std::string, std::string>> rows = {});
/// Of the key "recording": trace, kernel, machine, policy, code.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> recording_rows(const Json& recording);

}  // namespace reprise::report
