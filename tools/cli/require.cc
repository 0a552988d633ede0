// SPDX-License-Identifier: GPL-2.0-only
#include "tools/cli/require.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "sim/suite/seal.h"
#include "tools/cli/console.h"
#include "version.h"

namespace reprise::cli {
namespace {

constexpr char kAgain[] = "run the suite with this code: reprise test SUITE.toml --json > RESULTS";

Expected<Json> read_results(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return fail(ExitCode::kIo, std::string("cannot read the results: ") + std::strerror(errno), path,
                "make them with: reprise test SUITE.toml --json > RESULTS");
  Json document = Json::parse(file, nullptr, false);
  if (document.is_discarded())
    return fail(ExitCode::kBadInput, "the results are no JSON document: the file was cut short or edited", path,
                kAgain);
  return document;
}

// Of a document that its seal vouches for; what is missing all the same reads as nothing.
std::string text(const Json& document, const char* pointer) {
  const Json::json_pointer at(pointer);
  return document.contains(at) && document[at].is_string() ? document[at].get<std::string>() : std::string();
}

std::string brief(const std::string& hash) { return hash.empty() ? "none" : hash.substr(0, 12); }

/// "tests/suite.toml of 2026-11-25T16:04:05Z"
std::string suite_of(const Json& document) {
  return fmt::format("{} of {}", text(document, "/suite/file"), text(document, "/made/at"));
}

std::unexpected<Error> refuse(std::string what, const std::string& path) {
  return fail(ExitCode::kExpectationFailed, std::move(what), path, kAgain);
}

/// All of the program that is not the policy.
Expected<void> check_program(const Json& document, const std::string& path) {
  for (const auto& [name, here] : {std::pair{"engine", kEngineHash}, {"dispatcher", kDispatcherHash}}) {
    const std::string there = text(document, fmt::format("/code/{}", name).c_str());
    if (there != here)
      return refuse(fmt::format("the {} is not the one that {} ran with: code {} here, {} there", name,
                                suite_of(document), brief(here), brief(there)),
                    path);
  }
  return {};
}

}  // namespace

Expected<std::string> require_passed(const std::string& path, const PolicySpec& policy) {
  auto document = read_results(path);
  if (!document) return std::unexpected(document.error());
  if (auto sealed = sim::check_seal(*document, path); !sealed) return std::unexpected(sealed.error());
  if (!document->value("complete", false)) return refuse(fmt::format("{} ran in part only", suite_of(*document)), path);
  if (auto same = check_program(*document, path); !same) return std::unexpected(same.error());

  const std::string name(policy.info->name), wanted = policy.text(),
                                             code = policy.code.empty() ? kPoliciesHash : policy.code;
  std::string other_options, other_code;
  for (const Json& row : document->value("policies", Json::array())) {
    if (text(row, "/name") != name) continue;
    if (text(row, "/policy") != wanted) {
      other_options = text(row, "/options");
      continue;
    }
    if (text(row, "/code") != code) {
      other_code = text(row, "/code");
      continue;
    }
    if (const std::string verdict = text(row, "/verdict"); verdict != "pass")
      return refuse(
          fmt::format("policy {} did not pass {}: its verdict there is {}", wanted, suite_of(*document), verdict),
          path);
    return fmt::format("policy {}, code {}, passed {}: {}", name, brief(code), suite_of(*document),
                       counted(row.value("cases", u64{0}), "case"));
  }
  if (!other_code.empty())
    return refuse(fmt::format("policy {} is not the code that passed {}: {} here, {} there", name, suite_of(*document),
                              brief(code), brief(other_code)),
                  path);
  if (!other_options.empty())
    return refuse(fmt::format("policy {} was not in {} with these options, but with {}", wanted, suite_of(*document),
                              other_options),
                  path);
  return refuse(fmt::format("policy {} was not in {}", name, suite_of(*document)), path);
}

}  // namespace reprise::cli
