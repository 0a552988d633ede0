// SPDX-License-Identifier: GPL-2.0-only
// Results of `fidelity`, `compare` and `replay`, and where a result comes from.
#include <fmt/format.h>

#include <algorithm>

#include "sim/metrics/gates.h"
#include "tools/report/html.h"
#include "tools/report/sections.h"

namespace reprise::report {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string unit_of(const std::string& metric) {
  if (metric.ends_with("_ns")) return "ns";
  const auto found = sim::find_metric(metric);
  return found && (*found)->unit == sim::Unit::kRatio ? "ratio" : "count";
}

Cell value_cell(const Json& json, const std::string& unit) {
  if (json.is_null()) return {"<span class=\"none\">–</span>", {}};
  return Cell::number(json.get<double>(), value(json.get<double>(), unit));
}

std::string percent(double part) { return fmt::format("{:.1f} %", part * 100); }

std::string hash_html(const Json& json) {
  return json.is_string() && !json.get<std::string>().empty()
             ? fmt::format("<span class=\"hash\">{}</span>", text(json.get<std::string>()))
             : std::string();
}

std::string code_html(const Json& code) {
  std::string out;
  for (const char* name : {"engine", "policies", "dispatcher"})
    if (const auto at = code.find(name); at != code.end())
      out += fmt::format("{}{} {}", out.empty() ? "" : "<br>", name, hash_html(*at));
  return out;
}

std::string joined(const Json& strings) {
  std::string out;
  for (const Json& one : strings) out += fmt::format("{}{}", out.empty() ? "" : ", ", text(one.get<std::string>()));
  return out;
}

std::string side_text(const Json& side) {
  const u64 seeds = side.at("seeds").size();
  return fmt::format("{}, {} CPUs{}", side.at("policy").get<std::string>(), side.at("cpus").get<u64>(),
                     seeds > 1 ? fmt::format(", median of {} seeds", seeds) : "");
}

std::string pair_table(const Json& pair, const Detail& detail) {
  Table table{fmt::format("A: {}; B: {}", side_text(pair.at("a")), side_text(pair.at("b"))),
              {{"metric", false}, {"A"}, {"B"}, {"change"}, {"allowed"}, {"verdict", false}}};
  for (const Json& row : pair.at("metrics")) {
    if (table.rows.size() == detail.rows) break;
    const std::string name = row.at("name"), unit = unit_of(name);
    const bool both = !row.at("a").is_null() && !row.at("b").is_null();
    const double a = both ? row.at("a").get<double>() : 0, b = both ? row.at("b").get<double>() : 0;
    const std::string word = row.at("verdict").is_null() ? std::string() : row.at("verdict").get<std::string>();
    Cell judged{word.empty() ? std::string() : verdict(word), {}};
    judged.title = row.value("reason", std::string());
    table.rows.push_back({Cell::of(name), value_cell(row.at("a"), unit), value_cell(row.at("b"), unit),
                          Cell::number(a == 0 ? 0 : (b - a) / a, both ? change(a, b) : std::string("–")),
                          value_cell(row.at("allowed"), unit), judged});
  }
  return table.html();
}

std::string decision_table(const Json& found) {
  const Json &recorded = found.at("recorded"), &replayed = found.at("replayed");
  const Json& keys = recorded.is_null() ? replayed : recorded;
  if (keys.is_null()) return {};
  Table table{"The first decision that differs", {{"", false}, {"recorded", false}, {"replayed", false}}};
  table.sortable = false;
  for (const auto& item : keys.items()) {
    const auto side = [&](const Json& one) { return one.is_null() ? std::string("–") : one.at(item.key()).dump(); };
    const std::string left = side(recorded), right = side(replayed);
    Cell other = Cell::of(right);
    if (left != right) other.classes = "differs";
    table.rows.push_back({Cell::of(item.key()), Cell::of(left), other});
  }
  return table.html();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> recording_rows(const Json& recording) {
  const auto plain = [&](const char* key) { return recording.value(key, std::string()); };
  Rows rows = {{"Trace", text(recording.at("file").get<std::string>()) + " " + hash_html(recording.at("sha256"))},
               {"Recorded under",
                fmt::format("<code>{}</code>, seed {}", text(plain("policy")), recording.value("seed", u64{0}))}};
  std::string machine = text(plain("machine"));
  if (!plain("cpu_model").empty()) machine += ", " + text(plain("cpu_model"));
  rows.emplace_back("On", fmt::format("{}; {} CPUs", machine, recording.value("cpus", u64{0})));
  std::string kernel = text(plain("kernel"));
  if (recording.value("hz", u64{0}) != 0) kernel += fmt::format(", HZ {}", recording.value("hz", u64{0}));
  if (!plain("preemption").empty()) kernel += ", preemption " + text(plain("preemption"));
  rows.emplace_back("Kernel", kernel);
  if (const auto code = recording.find("code"); code != recording.end())
    rows.emplace_back("Recorded by", code_html(*code));
  return rows;
}

std::string provenance(const Json& document, Rows rows) {
  std::string command;
  if (const auto made = document.find("provenance"); made != document.end()) {
    command = made->value("command", std::string());
    rows.emplace_back("Made by", fmt::format("reprise {} ({}, {})", text(made->value("version", std::string())),
                                             text(made->value("compiler", std::string())),
                                             text(made->value("build_type", std::string()))));
    if (const auto code = made->find("code"); code != made->end()) rows.emplace_back("Code", code_html(*code));
  }
  std::string out = "<h3>Where this comes from</h3>\n" + definitions(rows);
  if (!command.empty())
    out += "<h3>How to repeat it</h3>\n<p>The same code gives the same figures, on any machine.</p>\n" +
           code_block(command);
  return out;
}

Section fidelity_section(const std::string& file, const Json& document, const Detail& detail) {
  const std::string word = document.at("verdict");
  std::string out = fmt::format("<p class=\"lead\">Simulated against recorded: {}</p>\n", verdict(word));
  if (word == "void")
    out += "<p>Void: a simulation that was wrong on purpose could not be told from this one, so nothing follows.</p>\n";
  Table table{fmt::format("{}, metric by metric", document.at("policy").get<std::string>()),
              {{"metric", false}, {"recorded"}, {"simulated"}, {"error"}, {"allowed"}, {"verdict", false}}};
  for (const Json& row : document.at("metrics")) {
    if (table.rows.size() == detail.rows) break;
    const std::string name = row.at("name"), judged = row.at("verdict"), unit = unit_of(name);
    const bool measured = judged != "not_measured";
    Cell last{verdict(measured ? judged : "not measured"), {}};
    if (row.value("within_goal", false) && measured) last.html += " <span class=\"note\">within the goal</span>";
    if (!measured)
      last.html += fmt::format(" <span class=\"note\">{}</span>", text(row.value("reason", std::string())));
    const auto part = [&](const char* key) {
      return measured ? Cell::number(row.at(key).get<double>(), percent(row.at(key).get<double>())) : Cell::of("–");
    };
    table.rows.push_back({Cell::of(name), value_cell(row.at("recorded"), unit), value_cell(row.at("simulated"), unit),
                          part("error"), part("allowed"), last});
  }
  out += table.html() + "<ul>\n";
  for (const Json& control : document.at("control").at("runs"))
    out += fmt::format("<li>Control, {}: {}</li>\n", text(control.at("what").get<std::string>()),
                       control.at("rejected").get<bool>()
                           ? fmt::format("rejected, as it must be, by {}", text(control.value("metric", std::string())))
                       : control.value("applies", true) ? "<b>not rejected</b>"
                                                        : "makes no difference to this workload");
  out += "</ul>\n";
  Rows rows = {{"Result", text(file)}, {"Recordings", joined(document.at("files"))}};
  if (const auto recording = document.find("recording"); recording != document.end())
    for (auto& row : recording_rows(*recording)) rows.push_back(std::move(row));
  return {"Fidelity", out + provenance(document, std::move(rows))};
}

Section compare_section(const std::string& file, const Json& document, const Detail& detail) {
  const u64 broken = document.at("broken");
  std::string out = fmt::format("<p class=\"lead\">{}: {} gate{} broken, {} undecided</p>\n",
                                verdict(document.at("verdict").get<std::string>()), broken, broken == 1 ? "" : "s",
                                document.at("undecided").get<u64>());
  std::size_t shown = 0;
  for (const Json& pair : document.at("results"))
    if (shown++ < detail.moments) out += pair_table(pair, detail);
  if (shown > detail.moments)
    out += fmt::format("<p class=\"note\">{} more pairs are left out.</p>\n", shown - detail.moments);
  const Json& unmatched = document.at("unmatched");
  return {"Comparison", out + provenance(document, {{"Result", text(file)},
                                                    {"A", text(document.at("a").at("file").get<std::string>())},
                                                    {"B", text(document.at("b").at("file").get<std::string>())},
                                                    {"Without a partner", joined(unmatched)}})};
}

Section replay_section(const std::string& file, const Json& document, const Detail&) {
  const Json& found = document.at("first_divergence");
  const u64 divergent = document.at("divergent");
  const bool same = found.is_null() && divergent == 0;
  std::string out = fmt::format("<p class=\"lead\">{}: {} decisions in {} steps; {} identical, {} different</p>\n",
                                verdict(same ? "identical" : "diverged"), grouped(document.at("decisions").get<u64>()),
                                grouped(document.at("steps").get<u64>()), grouped(document.at("identical").get<u64>()),
                                grouped(divergent));
  if (!found.is_null()) {
    if (const auto sentence = found.find("sentence"); sentence != found.end() && sentence->is_string())
      out += fmt::format("<p>{}</p>\n", text(sentence->get<std::string>()));
    out += decision_table(found);
  }
  const Json& other = document.at("other_policy");
  return {"Replay",
          out + provenance(document, {{"Result", text(file)},
                                      {"Trace", text(document.at("file").get<std::string>())},
                                      {"Policy in place of the recorded one",
                                       other.is_null() ? "" : text(other.get<std::string>())},
                                      {"SHA-256 of the decisions", hash_html(document.at("decisions_sha256"))}})};
}

}  // namespace reprise::report
