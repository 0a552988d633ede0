// SPDX-License-Identifier: GPL-2.0-only
// Results of `test`: verdicts, what moved, and each case that did not pass with the command that shows it again.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace reprise::report {
namespace {

constexpr std::size_t kFindingsShown = 12;  // of a case

int rank(std::string_view verdict) {
  return verdict == "error" ? 3 : verdict == "fail" ? 2 : verdict == "undecided" ? 1 : 0;
}

// 1 and more fails.
double severity(const Json& finding) {
  const double worse = finding.value("worse", 0.0), allowed = finding.value("allowed", 0.0);
  return allowed > 0 ? worse / allowed : worse > 0 ? 1e9 : 0;
}

std::string tiles(const Json& document) {
  std::string out = fmt::format("<ul class=\"tiles\">\n<li class=\"{0}\"><b>{0}</b>verdict</li>\n",
                                text(document.at("verdict").get<std::string>()));
  for (const char* name : {"pass", "fail", "error", "undecided"}) {
    const u64 count = document.at("counts").at(name);
    out += fmt::format("<li{}><b>{}</b>{}</li>\n", count == 0 ? "" : fmt::format(" class=\"{}\"", name), grouped(count),
                       name);
  }
  return out + fmt::format("<li><b>{}</b>events simulated</li>\n</ul>\n", grouped(document.at("events").get<u64>()));
}

std::string policies(const Json& document) {
  Table table{"Policies", {{"policy", false}, {"verdict", false}, {"cases"}, {"code", false}}};
  for (const Json& row : document.at("policies"))
    table.rows.push_back(
        {{fmt::format("<code>{}</code>", text(row.at("policy").get<std::string>())), {}},
         {verdict(row.at("verdict").get<std::string>()), {}},
         Cell::number(row.at("cases").get<double>(), grouped(row.at("cases").get<u64>())),
         {fmt::format("<span class=\"hash\">{}</span>", text(row.at("code").get<std::string>())), {}}});
  return table.rows.empty() ? std::string() : table.html();
}

struct Moved {
  const Json* item;
  const Json* finding;
  std::size_t order;  // in the document
};

std::vector<Moved> moved(const Json& document) {
  std::vector<Moved> all;
  for (const Json& item : document.at("cases"))
    for (const Json& finding : item.at("findings"))
      if (finding.contains("metric") && finding.at("verdict") != "undecided")
        all.push_back({&item, &finding, all.size()});
  std::ranges::sort(all, [](const Moved& a, const Moved& b) {
    const int left = rank(a.finding->at("verdict").get<std::string>()),
              right = rank(b.finding->at("verdict").get<std::string>());
    if (left != right) return left > right;
    const double one = severity(*a.finding), other = severity(*b.finding);
    return one != other ? one > other : a.order < b.order;
  });
  return all;
}

std::string what_moved(const Json& document, const Detail& detail) {
  const std::vector<Moved> all = moved(document);
  if (all.empty()) return "<h3>What moved</h3>\n<p>No value moved by as much as a tenth of what is allowed.</p>\n";
  Table table{"What moved, the worst first",
              {{"case", false},
               {"metric", false},
               {"expected", true, "approved, bound, or the other policy's"},
               {"now"},
               {"change"},
               {"of limit", true, "how many times what is allowed; above 1 it counts"},
               {"", false}}};
  for (const Moved& one : all) {
    if (table.rows.size() == detail.rows) break;
    const Json& finding = *one.finding;
    const double base = finding.at("base"), now = finding.at("now");
    const std::string unit = finding.value("unit", std::string("ratio"));
    const double part = std::abs(severity(finding));
    const bool bad = rank(finding.at("verdict").get<std::string>()) > 1, better = finding.at("worse").get<double>() < 0;
    table.rows.push_back({Cell::of(one.item->at("name").get<std::string>()),
                          Cell::of(finding.at("metric").get<std::string>()),
                          Cell::number(base, value(base, unit)),
                          Cell::number(now, value(now, unit)),
                          Cell::number(base == 0 ? 0 : (now - base) / std::abs(base), change(base, now)),
                          Cell::number(part, part >= 1000 ? "over 1,000×" : fmt::format("{:.2f}×", part)),
                          {verdict(bad      ? "worse"
                                   : better ? "better"
                                            : "within"),
                           {}}});
  }
  std::string out = "<h3>What moved</h3>\n" + table.html();
  if (all.size() > table.rows.size())
    out +=
        fmt::format("<p class=\"note\">{} more moved by less and are left out.</p>\n", all.size() - table.rows.size());
  return out;
}

std::string failure(const Json& item) {
  std::string out =
      fmt::format("<article class=\"case {}\">\n<h4>{} {}</h4>\n<ul>\n", text(item.at("verdict").get<std::string>()),
                  verdict(item.at("verdict").get<std::string>()), text(item.at("name").get<std::string>()));
  std::size_t shown = 0, left = 0;
  for (const Json& finding : item.at("findings")) {
    if (finding.at("verdict") == "pass") continue;
    if (shown++ >= kFindingsShown)
      ++left;
    else
      out += fmt::format("<li>{}</li>\n", text(finding.at("sentence").get<std::string>()));
  }
  if (left != 0) out += fmt::format("<li>and {} more</li>\n", left);
  out += "</ul>\n";
  const auto sentence = [&](const char* key, const char* what) {
    const auto at = item.find(key);
    return at == item.end() || at->is_null() ? std::string()
                                             : fmt::format("<p>{}: {}</p>\n", what, text(at->get<std::string>()));
  };
  out += sentence("first_divergence", "Decisions leave the baseline");
  out += sentence("longest_wait", "Longest wait");
  if (const auto again = item.find("again"); again != item.end()) out += code_block(again->get<std::string>());
  return out + "</article>\n";
}

std::string not_passed(const Json& document, const Detail& detail) {
  std::vector<const Json*> bad;
  for (const Json& item : document.at("cases"))
    if (item.at("verdict") != "pass") bad.push_back(&item);
  if (bad.empty()) return {};
  const auto worst = [](const Json* item) {
    return item->at("findings").empty() ? 0.0 : severity(item->at("findings").front());
  };
  std::ranges::sort(bad, [&](const Json* a, const Json* b) {
    const int left = rank(a->at("verdict").get<std::string>()), right = rank(b->at("verdict").get<std::string>());
    if (left != right) return left > right;
    return worst(a) != worst(b) ? worst(a) > worst(b) : a < b;  // in the document's order
  });
  std::string out = "<h3>Cases that did not pass</h3>\n";
  for (std::size_t i = 0; i < std::min(bad.size(), detail.rows); ++i) out += failure(*bad[i]);
  if (bad.size() > detail.rows)
    out += fmt::format("<p class=\"note\">{} more are left out.</p>\n", bad.size() - detail.rows);
  return out;
}

std::string all_cases(const Json& document, const Detail& detail) {
  const Json& cases = document.at("cases");
  Table table{"All cases",
              {{"case", false}, {"verdict", false}, {"policy", false}, {"workload", false}, {"events"}, {"CPU time"}}};
  for (const Json& item : cases) {
    if (table.rows.size() == detail.rows) break;
    const std::string workload = item.at("workload"), policy = item.at("policy");
    table.rows.push_back({Cell::of(item.at("name").get<std::string>()),
                          {verdict(item.at("verdict").get<std::string>()), {}},
                          Cell::of(policy.substr(0, policy.find(':'))),
                          Cell::of(workload.substr(workload.rfind('/') + 1)),
                          Cell::number(item.at("events").get<double>(), grouped(item.at("events").get<u64>())),
                          Cell::number(item.at("cpu_ns").get<double>(), duration(item.at("cpu_ns").get<double>()))});
  }
  return fmt::format("<details>\n<summary>All {} cases{}</summary>\n{}</details>\n", cases.size(),
                     cases.size() > table.rows.size() ? fmt::format(", the first {}", table.rows.size()) : "",
                     table.html());
}

}  // namespace

Section test_section(const std::string& file, const Json& document, const Detail& detail) {
  const Json &suite = document.at("suite"), &made = document.at("made"), &code = document.at("code");
  const std::string path = suite.at("file");
  std::string out = tiles(document);
  if (!document.at("complete").get<bool>())
    out +=
        "<p>Not all cases of the suite ran, or not with its seeds, so nothing can be deployed on account of "
        "this.</p>\n";
  out += not_passed(document, detail) + what_moved(document, detail) + "<h3>Policies</h3>\n" + policies(document) +
         all_cases(document, detail);
  const auto hash = [](const Json& value) {
    return value.is_string() ? fmt::format("<span class=\"hash\">{}</span>", text(value.get<std::string>()))
                             : std::string();
  };
  std::vector<std::pair<std::string, std::string>> rows = {{"Result", text(file)},
                                                           {"Suite", text(path) + " " + hash(suite.at("sha256"))},
                                                           {"Baseline", hash(suite.at("baseline_sha256"))},
                                                           {"Made", text(made.at("at").get<std::string>())}};
  // This document keeps them at places of its own, which others rely on.
  const std::string command = made.value("command", fmt::format("reprise test {} --json", path));
  const Json made_by = {{"provenance",
                         {{"command", command},
                          {"version", made.at("version")},
                          {"compiler", made.at("compiler")},
                          {"build_type", made.at("build_type")},
                          {"code", code}}}};
  return {fmt::format("Suite {}", suite.at("name").get<std::string>()), out + provenance(made_by, std::move(rows))};
}

}  // namespace reprise::report
