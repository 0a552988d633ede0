// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/seal.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "traces/digest.h"

namespace reprise::sim {

std::string seal_of(const nlohmann::ordered_json& document) {
  nlohmann::ordered_json open = document;
  open.erase("seal");
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  return trace::sha256_hex(fmt::format("{}\n{}", kResultsSchema, open.dump(-1, ' ', false, replace)));
}

Expected<void> check_seal(const nlohmann::ordered_json& document, const std::string& where) {
  const auto text = [&](const char* key) {
    return document.is_object() && document.contains(key) && document[key].is_string()
               ? document[key].get<std::string>()
               : std::string();
  };
  const std::string schema = text("schema");
  if (schema != kResultsSchema)
    return fail(ExitCode::kBadInput,
                schema.empty() ? std::string("these are no results of reprise test")
                               : fmt::format("schema is {}, {} is needed", schema, kResultsSchema),
                where, "make them with: reprise test SUITE.toml --json > results.json");
  const std::string seal = text("seal");
  if (seal.empty())
    return fail(ExitCode::kBadInput, "the results have no seal: the file was cut short or edited", where,
                "make them again: reprise test SUITE.toml --json > results.json");
  if (seal != seal_of(document))
    return fail(ExitCode::kBadInput, "the seal is not that of these results: the file was changed after it was made",
                where, "make them again: reprise test SUITE.toml --json > results.json");
  return {};
}

}  // namespace reprise::sim
