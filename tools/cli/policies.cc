// SPDX-License-Identifier: GPL-2.0-only
// reprise policies: the table of policies with their options.
#include <algorithm>

#include "scheduler/policies/table.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"

namespace reprise::cli {
namespace {

constexpr char kDescription[] =
    "Lists the policies with their options: unit, range and default of each. An option is given with the policy, as\n"
    "in --policy vruntime:slice_us=3000.";
constexpr char kFooter[] =
    "examples\n"
    "  reprise policies\n"
    "  reprise policies vruntime --json";

Json policy_row(const PolicyInfo& policy) {
  Json options = Json::array();
  for (const OptionSpec& option : policy.options)
    options.push_back({{"name", option.name},
                       {"unit", option.unit},
                       {"min", option.min},
                       {"max", option.max},
                       {"default", option.default_value},
                       {"summary", option.summary}});
  return {{"name", policy.name},
          {"summary", policy.summary},
          {"sees_running", (policy.interests & kInterestRunning) != 0},
          {"options", options}};
}

void show(Console& console, const PolicyInfo& policy) {
  console.print("{:<12} {}\n", policy.name, policy.summary);
  for (const OptionSpec& option : policy.options) {
    const std::string range = fmt::format("{}..{}{}{}, default {}", option.min, option.max,
                                          option.unit.empty() ? "" : " ", option.unit, option.default_value);
    console.print("  {:<20} {:<36} {}\n", option.name, range, option.summary);
  }
}

class Policies final : public Command {
 public:
  void declare(CLI::App& app) override {
    app.description(kDescription);
    app.footer(kFooter);
    app.add_option("NAME", name_, "only this one");
  }
  Expected<ExitCode> run(Console&) override;

 private:
  std::string name_;
};

Expected<ExitCode> Policies::run(Console& console) {
  std::span<const PolicyInfo> shown = policies();
  if (!name_.empty()) {
    auto found = find_policy(name_);
    if (!found) return std::unexpected(found.error());
    shown = {*found, 1};
  }
  if (console.json()) {
    Json list = Json::array();
    for (const PolicyInfo& policy : shown) list.push_back(policy_row(policy));
    console.document({{"schema", "reprise.policies/1"}, {"policies", list}});
    return ExitCode::kDone;
  }
  for (const PolicyInfo& policy : shown) {
    if (&policy != shown.data()) console.write("\n");
    show(console, policy);
  }
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_policies() { return std::make_unique<Policies>(); }

}  // namespace reprise::cli
