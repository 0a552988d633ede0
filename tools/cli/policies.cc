// SPDX-License-Identifier: GPL-2.0-only
// reprise policies: the table of policies with their options.
#include <algorithm>

#include "scheduler/load/load.h"
#include "tools/cli/arguments.h"
#include "tools/cli/command.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kPoliciesDescription[] =
    "Lists the policies with their options: unit, range and default of each. An option is given with the policy, as\n"
    "in --policy vruntime:slice_us=3000. Of a shared object also says whether it fits and may be used.";
constexpr char kPoliciesFooter[] =
    "examples\n"
    "  reprise policies\n"
    "  reprise policies vruntime --json\n"
    "  reprise policies build/mine.so";

Json policy_row(const PolicyInfo& policy, const std::string& code) {
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
          {"options", options},
          {"code", code}};
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
    app.description(kPoliciesDescription);
    app.footer(kPoliciesFooter);
    app.add_option("NAME", name_, "only this one; or the path of a shared object");
  }
  Expected<ExitCode> run(Console&) override;

 private:
  std::string name_;
};

Expected<ExitCode> Policies::run(Console& console) {
  std::span<const PolicyInfo> shown = policies();
  std::string code = kPoliciesHash;
  if (!name_.empty()) {
    // A name only, as ever: no options.
    if (loader::names_file(name_)) {
      auto loaded = loader::load_policy(name_);
      if (!loaded) return std::unexpected(loaded.error());
      shown = {loaded->info, 1};
      code = std::move(loaded->code);
    } else {
      auto found = find_policy(name_);
      if (!found) return std::unexpected(found.error());
      shown = {*found, 1};
    }
  }
  if (console.json()) {
    Json list = Json::array();
    for (const PolicyInfo& policy : shown) list.push_back(policy_row(policy, code));
    console.document({{"schema", "reprise.policies/1"}, {"policies", list}});
    return ExitCode::kDone;
  }
  for (const PolicyInfo& policy : shown) {
    if (&policy != shown.data()) console.write("\n");
    show(console, policy);
  }
  if (code != kPoliciesHash) console.print("  code {}\n", code);
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> make_policies() { return std::make_unique<Policies>(); }

}  // namespace reprise::cli
