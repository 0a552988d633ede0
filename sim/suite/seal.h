// SPDX-License-Identifier: GPL-2.0-only
// The seal of a results document: notices what was edited by hand or cut short. No boundary against an attacker.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "scheduler/core/error.h"

namespace reprise::sim {

inline constexpr std::string_view kResultsSchema = "reprise.test/1";

/// SHA-256 in hex, over `document` without its key "seal"; see docs/suite.md, "Results".
[[nodiscard]] std::string seal_of(const nlohmann::ordered_json& document);

/// Error (kBadInput): another schema, no seal, or one that is not right. `where` is the file's name, for the message.
Expected<void> check_seal(const nlohmann::ordered_json& document, const std::string& where);

}  // namespace reprise::sim
