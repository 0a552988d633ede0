// SPDX-License-Identifier: GPL-2.0-only
#include "tools/report/report.h"

#include <gtest/gtest.h>

#include "tools/report/chart.h"
#include "tools/report/html.h"

namespace reprise::report {
namespace {

constexpr char kHostile[] = "</td><script>alert(1)</script>";

Json distribution(u64 count, u64 p50, u64 p99) {
  return {{"count", count}, {"min", 1},   {"mean", p50},     {"p50", p50},    {"p90", p99},
          {"p95", p99},     {"p99", p99}, {"p999", p99 * 2}, {"max", p99 * 3}};
}

Json metrics(u64 p99) {
  return {{"context_switches", 100},
          {"voluntary_switches", 60},
          {"involuntary_switches", 40},
          {"migrations", 5},
          {"cpu_utilisation", 0.75},
          {"makespan_ns", 50'000'000},
          {"fairness_jain", 0.98},
          {"max_wait_ns", p99 * 3},
          {"wakeup_latency_ns", distribution(5000, 2000, p99)},
          {"run_delay_ns", distribution(500, 2000, p99)},
          {"slice_ns", distribution(5000, 30'000, 90'000)}};
}

Json stay(u64 begin_ns, u64 end_ns, const std::string& comm, int tid) {
  return {{"begin_ns", begin_ns}, {"end_ns", end_ns}, {"comm", comm}, {"tid", tid}};
}

Json moment(const std::string& comm) {
  const Json first = {{"cpu", 0}, {"stays", Json::array({stay(9000, 15'000, "busy", 7)})}};
  const Json second = {{"cpu", 1},
                       {"stays", Json::array({stay(9000, 12'000, "other", 8), stay(14'000, 15'000, comm, 42)})}};
  return {{"comm", comm},
          {"tid", 42},
          {"wait_ns", 4000},
          {"runnable_ns", 10'000},
          {"running_ns", 14'000},
          {"cpu_before", 0},
          {"cpu_after", 1},
          {"from_ns", 9000},
          {"to_ns", 15'000},
          {"merged_below_ns", 0},
          {"cpus", Json::array({first, second})},
          {"cpus_left_out", 0}};
}

Json run(const std::string& policy, u64 p99, const std::string& comm = "task") {
  const Json histogram = {{"upper_ns", Json::array({1000, 5000, p99 * 3})}, {"count", Json::array({900, 90, 10})}};
  const Json task = {{"comm", comm},
                     {"tid", 42},
                     {"own", false},
                     {"cpu_ns", 123'456},
                     {"switches", 17},
                     {"wakeups", 9},
                     {"migrations", 1},
                     {"wakeup_latency_ns", {{"p50", 900}, {"p99", 4000}, {"max", 4000}}},
                     {"max_run_delay_ns", 4000},
                     {"max_run_delay_at_ns", 14'000}};
  return {{"policy", policy},
          {"seed", 1},
          {"cpus", 2},
          {"metrics", metrics(p99)},
          {"code", "abc123"},
          {"details",
           {{"histograms", {{"wakeup_latency_ns", histogram}, {"run_delay_ns", histogram}, {"slice_ns", histogram}}},
            {"tasks", Json::array({task})},
            {"tasks_left_out", 3},
            {"worst_moment", moment(comm)}}}};
}

Json sim(Json results) {
  return {{"schema", "reprise.sim/1"},
          {"file", "some/run.rtrace"},
          {"provenance",
           {{"command", "reprise sim run.rtrace --policy fifo"},
            {"version", "1"},
            {"compiler", "c"},
            {"build_type", "b"},
            {"code", {{"engine", "e1"}, {"policies", "p1"}, {"dispatcher", "d1"}}}}},
          {"results", std::move(results)}};
}

std::string page_of(const Json& json) {
  const Document document{"result.json", json};
  const auto made = page({&document, 1}, "1.2.3");
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().what);
  return made.value_or("");
}

bool holds(const std::string& page, std::string_view part) { return page.find(part) != page.npos; }

std::size_t count(const std::string& page, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = page.find(part); at != page.npos; at = page.find(part, at + part.size())) ++found;
  return found;
}

TEST(HtmlTest, TextHasNoMeaningInHtml) {
  EXPECT_EQ(text("a<b>&\"'c"), "a&lt;b&gt;&amp;&quot;&#39;c");
  EXPECT_EQ(text("µs → ok"), "µs → ok");
}

TEST(HtmlTest, ControlCharactersAndThoseThatTurnTheDirectionAreReplaced) {
  EXPECT_EQ(text(std::string_view("a\0b\x1b[31m\x7f", 9)),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd[31m\xef\xbf\xbd");
  EXPECT_EQ(text("x\u202Egnp.exe\u2066"), "x\uFFFDgnp.exe\uFFFD");
  EXPECT_EQ(text("a\u2013b"), "a\u2013b");
}

TEST(HtmlTest, DurationsHaveThreeDigitsThatMatter) {
  EXPECT_EQ(duration(0), "0 ns");
  EXPECT_EQ(duration(999), "999 ns");
  EXPECT_EQ(duration(1530), "1.53 µs");
  EXPECT_EQ(duration(99'960), "100 µs");
  EXPECT_EQ(duration(999'900), "1.00 ms");
  EXPECT_EQ(duration(-12'340'000), "-12.3 ms");
  EXPECT_EQ(brief("1.00 ms"), "1 ms");
  EXPECT_EQ(brief("100 µs"), "100 µs");
  EXPECT_EQ(offset(2500), "+2.50 µs");
  EXPECT_EQ(offset(0), "0");
}

TEST(HtmlTest, ChangesAreInPercentUntilTheyAreManifold) {
  EXPECT_EQ(change(100, 112.5), "+12.5 %");
  EXPECT_EQ(change(100, 80), "-20.0 %");
  EXPECT_EQ(change(0, 3), "new");
  EXPECT_EQ(change(10, 250), "×25.0");
}

TEST(ChartTest, ALinePerRunThatHasValues) {
  const std::vector<Series> series = {
      {"a", false, {1000, 2000}, {9, 1}}, {"none", false, {}, {}}, {"rec", true, {500}, {4}}};
  const std::string chart = tail_chart("Title", series);
  EXPECT_EQ(count(chart, "<path class=\"line "), 2u);
  EXPECT_TRUE(holds(chart, "class=\"line rec\" data-name=\"rec\""));
  EXPECT_TRUE(holds(chart, "aria-label=\"Title"));
  EXPECT_EQ(tail_chart("Title", std::vector<Series>{{"none", false, {}, {}}}), "");
}

TEST(ChartTest, TheTailTakesAsMuchRoomAsTheRest) {
  const std::vector<Series> series = {{"a", false, {1000, 2000, 4000, 8000}, {900, 90, 9, 1}}};
  const std::string chart = tail_chart("Title", series);
  // Of 1,000 values: 100 are longer than 1 us, 10 than 2 us, 1 than 4 us. A third of the height each.
  EXPECT_TRUE(holds(chart, "data-depth=\"3\""));
  for (const char* y : {"V94.0", "V176.0", "V258.0"}) EXPECT_TRUE(holds(chart, y)) << y << chart;
}

TEST(ChartTest, LinesThatColoursCannotTellApartAreCountedNotDrawn) {
  std::vector<Series> series;
  for (int i = 0; i < 11; ++i) series.push_back({"p" + std::to_string(i), false, {1000, 2000}, {5, 5}});
  EXPECT_EQ(count(tail_chart("Title", series), "<path class=\"line "), kSeriesMax);
  EXPECT_TRUE(holds(legend(series), "and 3 more, not drawn"));
}

TEST(TimelineTest, SaysWhoWaitedAndWhoRanMeanwhile) {
  const std::string drawn = timeline("fifo", moment("late"));
  EXPECT_TRUE(holds(drawn, "<strong>late[42]</strong> could have run and waited 4.00 µs, then ran on CPU 1."));
  EXPECT_TRUE(holds(drawn, "busy[7] ran 50 %, other[8] ran 25 %, and 25 % of the CPUs' time shown was idle."));
  EXPECT_TRUE(holds(drawn, "CPU 0: busy[7], 6.00 µs from -1.00 µs"));
}

TEST(TimelineTest, ATaskThatStillWaitsIsSaidToDoSo) {
  Json json = moment("late");
  json["running_ns"] = nullptr;
  EXPECT_TRUE(holds(timeline("fifo", json), "and still did when the run ended"));
}

TEST(ReportTest, TheSameDocumentsGiveTheSameBytes) {
  const Json json = sim(Json::array({run("fifo", 9000), run("vruntime", 5000)}));
  EXPECT_EQ(page_of(json), page_of(Json::parse(json.dump())));
}

TEST(ReportTest, NamesOfTasksFilesAndPoliciesAreNeverMarkup) {
  Json json = sim(Json::array({run(kHostile, 9000, kHostile), run("vruntime", 5000, kHostile)}));
  json["file"] = kHostile;
  json["provenance"]["command"] = kHostile;
  json["results"].push_back({{"policy", "edf"}, {"seed", 1}, {"cpus", 2}, {"error", {{"what", kHostile}}}});
  const std::string made = page_of(json);
  EXPECT_FALSE(holds(made, kHostile));
  EXPECT_TRUE(holds(made, "&lt;/td&gt;&lt;script&gt;alert(1)"));
  EXPECT_EQ(count(made, "<script"), 1u);
}

TEST(ReportTest, LoadsNothing) {
  const std::string made = page_of(sim(Json::array({run("fifo", 9000)})));
  for (const char* part : {"http://", "https://", "src=", "@import", "url("}) EXPECT_FALSE(holds(made, part)) << part;
  EXPECT_TRUE(holds(made, "default-src 'none'"));
}

TEST(ReportTest, TheBestOfAColumnIsMarkedOnceAndTheRecordingNever) {
  Json json = sim(Json::array({run("fifo", 9000), run("vruntime", 5000)}));
  json["recorded"] = {{"policy", "fifo"}, {"cpus", 2}, {"metrics", metrics(1000)}, {"details", nullptr}};
  const std::string made = page_of(json);
  EXPECT_TRUE(holds(made, "<td class=\"n bar b100\" data-v=\"9000\">9.00 µs</td>"));
  EXPECT_TRUE(holds(made, "aria-label=\"best\">★</span> 5.00 µs</td>"));
  EXPECT_FALSE(holds(made, "★</span> 1.00 µs</td>"));
  EXPECT_FALSE(holds(made, "★</span> 9.00 µs</td>"));
}

TEST(ReportTest, APercentileOfTooFewValuesIsGreyAndSaysSo) {
  const std::string made = page_of(sim(Json::array({run("fifo", 9000), run("vruntime", 5000)})));
  EXPECT_TRUE(holds(made, "only 500 values; 1,000 are needed to mean something"));
  EXPECT_TRUE(holds(made, "Grey: too few values"));
}

TEST(ReportTest, SaysHowToRepeatAndWhatCodeItWas) {
  const std::string made = page_of(sim(Json::array({run("fifo", 9000)})));
  for (const char* part :
       {"reprise sim run.rtrace --policy fifo", "e1", "d1", "abc123", "1 task of 4, those that waited longest"})
    EXPECT_TRUE(holds(made, part)) << part;
}

TEST(ReportTest, ManyRunsStayBelowTwoMebibytesAndSayWhatIsLeftOut) {
  Json results = Json::array();
  for (int i = 0; i < 400; ++i) {
    Json one = run("policy" + std::to_string(i), 9000 + static_cast<u64>(i));
    const Json task = one["details"]["tasks"][0];
    for (int k = 0; k < 99; ++k) one["details"]["tasks"].push_back(task);
    results.push_back(std::move(one));
  }
  const std::string made = page_of(sim(std::move(results)));
  EXPECT_LT(made.size(), kMaxBytes);
  EXPECT_TRUE(holds(made, "more runs are left out"));
}

TEST(ReportTest, TooManyDocumentsAreRefused) {
  const std::vector<Document> documents(400, {"a.json", sim(Json::array({run("fifo", 9000)}))});
  const auto made = page(documents, "1");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ExitCode::kUsage);
}

TEST(ReportTest, WhatIsNoResultIsRefusedWithItsPlaceAndARemedy) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is not JSON"},
      {"{\n\"schema\": \"reprise.sim/1\",\n", "line 3"},
      {"[1]", "without a \"schema\""},
      {"{\"schema\": 7}", "without a \"schema\""},
      {"{\"schema\": \"reprise.sim/2\", \"results\": []}", "'reprise.sim/2'"},
      {"{\"schema\": \"reprise.sim/1\"}", "holds no \"results\""},
      {"{\"schema\": \"reprise.sim/1\", \"error\": {\"what\": \"no such file\"}}", "no such file"},
      {"{\"schema\": \"reprise.info/1\", \"sessions\": [{}]}", "holds no metrics"},
      {"{\"schema\": \"reprise.info/1\", \"sessions\": 3}", "holds no metrics"}};
  for (const auto& [bytes, what] : cases) {
    const auto document = read_document("a.json", bytes);
    ASSERT_FALSE(document.has_value()) << bytes;
    EXPECT_EQ(document.error().code, ExitCode::kBadInput);
    EXPECT_TRUE(holds(document.error().what, what)) << document.error().what;
    EXPECT_EQ(document.error().where, "a.json");
    EXPECT_NE(document.error().hint, "");
  }
}

TEST(ReportTest, ADocumentThatWasEditedIsRefusedByWhatIsWrong) {
  Json json = sim(Json::array({run("fifo", 9000)}));
  json["results"][0]["details"]["worst_moment"]["wait_ns"] = "long";
  const Document document{"a.json", json};
  const auto made = page({&document, 1}, "1");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ExitCode::kBadInput);
  EXPECT_EQ(made.error().where, "a.json");
  EXPECT_TRUE(holds(made.error().what, "must be number")) << made.error().what;
}

}  // namespace
}  // namespace reprise::report
