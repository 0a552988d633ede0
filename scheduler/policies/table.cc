// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/policies/table.h"

#include <algorithm>
#include <array>
#include <vector>

namespace reprise {

// One per file of this folder, each defined at the end of it.
extern const PolicyInfo kCentralFifoPreemptPolicy;
extern const PolicyInfo kEdfPolicy;
extern const PolicyInfo kEevdfUserPolicy;
extern const PolicyInfo kFifoPolicy;
extern const PolicyInfo kLavdLitePolicy;
extern const PolicyInfo kLotteryPolicy;
extern const PolicyInfo kMlfqPolicy;
extern const PolicyInfo kNewcomerPolicy;
extern const PolicyInfo kVruntimePolicy;

std::span<const PolicyInfo> policies() {
  static const std::array table = {
      kFifoPolicy, kVruntimePolicy, kNewcomerPolicy, kEevdfUserPolicy,          kEdfPolicy,
      kMlfqPolicy, kLotteryPolicy,  kLavdLitePolicy, kCentralFifoPreemptPolicy,
  };
  return table;
}

std::string PolicySpec::text() const {
  const std::string values = options.text();
  return std::string(info->name) + (values.empty() ? "" : ":" + values);
}

Expected<const PolicyInfo*> find_policy(std::string_view name) {
  const auto found = std::ranges::find(policies(), name, &PolicyInfo::name);
  if (found != policies().end()) return &*found;
  std::vector<std::string_view> names;
  std::string known = "known policies:";
  for (const PolicyInfo& info : policies()) {
    known += (names.empty() ? " " : ", ") + std::string(info.name);
    names.push_back(info.name);
  }
  if (name == "eevdf")
    return fail(ExitCode::kUsage, "eevdf is the kernel's own scheduler: it is simulated, not loaded", {},
                "as a policy in user space it is 'eevdf_user'; " + known);
  const std::string_view nearest = nearest_name(name, names);
  return fail(ExitCode::kUsage, "unknown policy '" + std::string(name) + "'", {},
              nearest.empty() ? known : "did you mean '" + std::string(nearest) + "'? " + known);
}

Expected<PolicySpec> parse_policy(std::string_view text) {
  const std::size_t colon = text.find(':');
  const Expected<const PolicyInfo*> info = find_policy(text.substr(0, colon));
  if (!info) return std::unexpected(info.error());
  Expected<Options> options =
      Options::parse((*info)->options, colon == text.npos ? std::string_view{} : text.substr(colon + 1));
  if (!options) {
    Error error = options.error();
    error.where = "policy '" + std::string((*info)->name) + "'";
    return std::unexpected(std::move(error));
  }
  return PolicySpec{.info = *info, .options = std::move(*options)};
}

}  // namespace reprise
