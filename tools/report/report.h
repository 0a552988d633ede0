// SPDX-License-Identifier: GPL-2.0-only
// Results of reprise as one page for a browser: HTML that holds all it needs, below kMaxBytes.
//
// The same documents give the same bytes. A page that would be larger leaves out rows of tables and drawings, and says
// so where it does. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "scheduler/core/error.h"

namespace reprise::report {

inline constexpr std::size_t kMaxBytes = 2u << 20;

struct Document {
  std::string file;  // for people
  nlohmann::ordered_json json;
};

/// What `--json` wrote. Errors (kBadInput): no JSON (with line and column), a schema that is not known, no result in
/// it. `file` is for messages.
Expected<Document> read_document(const std::string& file, const std::string& bytes);

/// `version`: of the program, for the foot of the page. Errors: (kBadInput) a document that is not as reprise writes
/// it; (kUsage) too many documents for a page.
Expected<std::string> page(std::span<const Document>, const std::string& version);

}  // namespace reprise::report
