// SPDX-License-Identifier: GPL-2.0-only
#include "tools/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "report_page.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"
#include "traces/digest.h"

namespace reprise::report {
namespace {

using MakeSection = Section (*)(const std::string& file, const Json&, const Detail&);

struct Kind {
  std::string_view schema;
  const char* results;  // the key that a document with results has
  MakeSection make;
};
constexpr Kind kKinds[] = {
    {"reprise.sim/1", "results", sim_section},         {"reprise.info/1", "sessions", info_section},
    {"reprise.test/1", "cases", test_section},         {"reprise.fidelity/1", "metrics", fidelity_section},
    {"reprise.compare/1", "results", compare_section}, {"reprise.replay/1", "decisions", replay_section}};

constexpr char kWhatReportReads[] =
    "report reads what sim, test, fidelity, compare, replay and info --metrics wrote with --json";

// From all there is to what is left of it where a page has no room.
constexpr Detail kDetails[] = {{100, 16, 300}, {40, 8, 200}, {20, 4, 100}, {0, 1, 50}};

const Kind* kind_of(const Json& json) {
  if (!json.is_object()) return nullptr;
  const auto schema = json.find("schema");
  if (schema == json.end() || !schema->is_string()) return nullptr;
  const auto* kind = std::ranges::find(kKinds, schema->get<std::string>(), &Kind::schema);
  return kind == std::end(kKinds) ? nullptr : kind;
}

bool has_metrics(const Json& info) {
  const Json& sessions = info.at("sessions");
  return std::ranges::any_of(sessions, [](const Json& session) { return session.contains("metrics"); });
}

// Of a hash in hex, as Content-Security-Policy wants it.
std::string base64_of_hex(std::string_view hex) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, held = 0;
  for (const char c : hex) {
    held = held << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    bits += 4;
    for (; bits >= 6; bits -= 6) out += kDigits[held >> (bits - 6) & 63];
  }
  if (bits != 0) out += kDigits[held << (6 - bits) & 63];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

std::string hash_source(std::string_view code) { return "sha256-" + base64_of_hex(trace::sha256_hex(code)); }

std::string filled(std::string_view page, const std::map<std::string_view, std::string>& values) {
  std::string out;
  while (!page.empty()) {
    const std::size_t begin = page.find('@');
    out += page.substr(0, begin);
    if (begin == page.npos) break;
    const std::size_t end = page.find('@', begin + 1);
    const auto value = end == page.npos ? values.end() : values.find(page.substr(begin + 1, end - begin - 1));
    if (value == values.end()) {
      out += '@';
      page.remove_prefix(begin + 1);
      continue;
    }
    out += value->second;
    page.remove_prefix(end + 1);
  }
  return out;
}

std::string assembled(const std::vector<Section>& sections, const std::string& version) {
  std::string body, links;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    body += fmt::format("<section id=\"r{0}\" aria-labelledby=\"h{0}\">\n", i + 1);
    if (sections.size() > 1) body += fmt::format("<h2 id=\"h{}\">{}</h2>\n", i + 1, text(sections[i].title));
    body += sections[i].html + "</section>\n";
    links += fmt::format("<li><a href=\"#r{}\">{}</a></li>\n", i + 1, text(sections[i].title));
  }
  const bool one = sections.size() == 1;
  return filled(kPageHtml, {{"TITLE", one ? text(sections.front().title)
                                          : "Report of " + std::to_string(sections.size()) + " results"},
                            {"LEAD", one ? "" : "<nav aria-label=\"results\"><ul>\n" + links + "</ul></nav>\n"},
                            {"BODY", std::move(body)},
                            {"VERSION", text(version)},
                            {"STYLE", kPageCss},
                            {"STYLE_HASH", hash_source(kPageCss)},
                            {"SCRIPT", kPageJs},
                            {"SCRIPT_HASH", hash_source(kPageJs)}});
}

// "[json.exception.type_error.302] type must be string, but is null"
std::string reason(const Json::exception& error) {
  const std::string_view what = error.what();
  const std::size_t at = what.find("] ");
  return std::string(at == what.npos ? what : what.substr(at + 2));
}

}  // namespace

Expected<Document> read_document(const std::string& file, const std::string& bytes) {
  const auto bad = [&](std::string what, std::string hint = kWhatReportReads) {
    return fail(ExitCode::kBadInput, std::move(what), file, std::move(hint));
  };
  Document document{file, {}};
  try {
    document.json = Json::parse(bytes);
  } catch (const Json::parse_error& error) {
    const std::string what = reason(error);  // "parse error at line 3, column 7: syntax error while parsing..."
    return bad(fmt::format("is not JSON: {}", what),
               bytes.empty() ? "it is empty: did the command before fail?" : kWhatReportReads);
  }
  const Kind* kind = kind_of(document.json);
  if (!kind) {
    const std::string schema =
        document.json.is_object() && document.json.contains("schema") && document.json["schema"].is_string()
            ? document.json["schema"].get<std::string>()
            : std::string();
    return bad(schema.empty() ? "is JSON without a \"schema\", so it is no result of reprise"
                              : fmt::format("is of the schema '{}', which this program cannot show", schema));
  }
  if (!document.json.contains(kind->results)) {
    const auto error = document.json.find("error");
    if (error != document.json.end() && error->is_object())
      return bad(fmt::format("holds no result but an error: {}", error->value("what", std::string())),
                 "mend that and write the result anew");
    return bad(fmt::format("holds no \"{}\", so it is cut or edited", kind->results), "write it anew");
  }
  try {
    if (kind->make == info_section && !has_metrics(document.json))
      return bad("holds no metrics", "reprise info --metrics --json writes them");
  } catch (const Json::exception& error) {
    return bad(fmt::format("is not as reprise writes it: {}", reason(error)), "write it anew");
  }
  return document;
}

Expected<std::string> page(std::span<const Document> documents, const std::string& version) {
  for (const Detail& detail : kDetails) {
    std::vector<Section> sections;
    for (const Document& document : documents) {
      const Kind* kind = kind_of(document.json);
      if (!kind) return fail(ExitCode::kBadInput, "is no result", document.file, kWhatReportReads);
      try {
        sections.push_back(kind->make(document.file, document.json, detail));
      } catch (const Json::exception& error) {
        return fail(ExitCode::kBadInput, fmt::format("is not as reprise writes it: {}", reason(error)), document.file,
                    "write it anew; results are not made to be edited");
      }
    }
    std::string made = assembled(sections, version);
    if (made.size() < kMaxBytes) return made;
  }
  return fail(ExitCode::kUsage, fmt::format("{} results are too much for one page of 2 MiB", documents.size()), {},
              "give fewer of them, or simulate fewer policies, seeds and CPU counts at a time");
}

}  // namespace reprise::report
