// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "tools/report/chart.h"
#include "tools/report/html.h"

namespace reprise::report {
namespace {

constexpr double kWidth = 960, kLeft = 76, kRight = 10;
constexpr double kLane = 22, kGap = 6, kTop = 8, kAxis = 26;
constexpr std::size_t kColours = 8;      // for tasks; the others are grey
constexpr std::size_t kNamed = 3;        // tasks in the sentence
constexpr double kLetter = 6.6;          // width of one, about
constexpr std::size_t kLanesShown = 64;  // more than any result has

struct Stay {
  u64 begin_ns, end_ns;
  std::string name;  // "hackbench[123]"; of several tasks: empty
  u64 stays, busy_ns;
};
struct Lane {
  u64 cpu;
  std::vector<Stay> stays;
};

std::string task_name(const Json& comm, const Json& tid) {
  return fmt::format("{}[{}]", comm.get<std::string>(), tid.get<i64>());
}

struct Moment {
  explicit Moment(const Json& json) {
    name = task_name(json.at("comm"), json.at("tid"));
    wait_ns = json.at("wait_ns");
    runnable_ns = json.at("runnable_ns");
    over = !json.at("running_ns").is_null();
    running_ns = runnable_ns + wait_ns;
    if (!json.at("cpu_after").is_null()) cpu_after = json.at("cpu_after").get<u64>();
    from_ns = json.at("from_ns");
    to_ns = std::max(json.at("to_ns").get<u64>(), from_ns + 1);
    merged_below_ns = json.at("merged_below_ns");
    left_out = json.at("cpus_left_out");
    for (const Json& cpu : json.at("cpus")) {
      if (lanes.size() == kLanesShown) break;
      Lane lane{cpu.at("cpu"), {}};
      for (const Json& row : cpu.at("stays")) {
        Stay stay{row.at("begin_ns"), row.at("end_ns"), {}, row.value("stays", u64{1}), 0};
        if (!row.at("tid").is_null()) stay.name = task_name(row.at("comm"), row.at("tid"));
        stay.begin_ns = std::clamp(stay.begin_ns, from_ns, to_ns);
        stay.end_ns = std::clamp(stay.end_ns, stay.begin_ns, to_ns);
        stay.busy_ns = row.value("busy_ns", stay.end_ns - stay.begin_ns);
        lane.stays.push_back(std::move(stay));
      }
      lanes.push_back(std::move(lane));
    }
  }

  [[nodiscard]] double x(u64 ns) const {
    const u64 at = std::clamp(ns, from_ns, to_ns) - from_ns;
    return kLeft + static_cast<double>(at) / static_cast<double>(to_ns - from_ns) * (kWidth - kLeft - kRight);
  }
  // Seen from the moment at which the task could have run.
  [[nodiscard]] double since(u64 ns) const { return static_cast<double>(ns) - static_cast<double>(runnable_ns); }

  std::string name;
  u64 wait_ns = 0, runnable_ns = 0, running_ns = 0, from_ns = 0, to_ns = 1, merged_below_ns = 0, left_out = 0;
  std::optional<u64> cpu_after;
  bool over = true;
  std::vector<Lane> lanes;
};

// How long each task ran while the other waited, most first.
std::vector<std::pair<std::string, u64>> ran_meanwhile(const Moment& moment) {
  std::map<std::string, u64> time;
  for (const Lane& lane : moment.lanes)
    for (const Stay& stay : lane.stays) {
      const u64 begin = std::max(stay.begin_ns, moment.runnable_ns), end = std::min(stay.end_ns, moment.running_ns);
      if (end > begin) time[stay.name] += std::min(end - begin, stay.busy_ns);
    }
  std::vector<std::pair<std::string, u64>> order(time.begin(), time.end());
  std::ranges::sort(order, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return order;
}

using Colours = std::map<std::string, std::string>;  // task to class

Colours colours_of(const Moment& moment) {
  std::map<std::string, u64> time;
  for (const Lane& lane : moment.lanes)
    for (const Stay& stay : lane.stays)
      if (!stay.name.empty() && stay.name != moment.name) time[stay.name] += stay.end_ns - stay.begin_ns;
  std::vector<std::pair<u64, std::string>> order;
  for (const auto& [name, ns] : time) order.emplace_back(ns, name);
  std::ranges::sort(
      order, [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  Colours colours;
  for (std::size_t i = 0; i < std::min(order.size(), kColours); ++i) colours[order[i].second] = fmt::format("t{}", i);
  colours[moment.name] = "me";
  return colours;
}

std::string stay_svg(const Moment& moment, const Colours& colours, const Lane& lane, const Stay& stay, double y) {
  const double begin = moment.x(stay.begin_ns), width = std::max(moment.x(stay.end_ns) - begin, 0.6);
  const auto colour = colours.find(stay.name);
  const std::string what = stay.name.empty() ? fmt::format("{} stays of several tasks", grouped(stay.stays))
                           : stay.stays > 1  ? fmt::format("{}, {} stays", stay.name, grouped(stay.stays))
                                             : stay.name;
  std::string out = fmt::format(
      "<g><title>{}</title><rect class=\"stay {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\"/>",
      text(fmt::format("CPU {}: {}, {} from {}", lane.cpu, what,
                       duration(static_cast<double>(stay.end_ns - stay.begin_ns)),
                       offset(moment.since(stay.begin_ns)))),
      stay.name.empty()         ? "many"
      : colour == colours.end() ? "other"
                                : colour->second,
      begin, y, width, kLane);
  const auto room = static_cast<std::size_t>(std::max(0.0, (width - 6) / kLetter));
  std::string label = stay.name;
  if (label.size() > room) label = label.substr(0, label.rfind('['));
  if (!label.empty() && label.size() <= room)
    out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", begin + 4, y + kLane - 6.5,
                       text(label));
  return out + "</g>\n";
}

// A step of 1, 2 or 5 times a power of ten that gives about eight ticks.
double step_of(double span) {
  const double rough = span / 8, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double step : {1.0, 2.0, 5.0})
    if (step * power >= rough) return step * power;
  return 10 * power;
}

std::string axis_svg(const Moment& moment, double bottom) {
  std::string out;
  const double step = step_of(static_cast<double>(moment.to_ns - moment.from_ns));
  for (double at = std::ceil(moment.since(moment.from_ns) / step) * step; at <= moment.since(moment.to_ns);
       at += step) {
    const double x = moment.x(static_cast<u64>(std::max(0.0, at + static_cast<double>(moment.runnable_ns))));
    const bool zero = std::abs(at) < step / 2;
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {}V{:.1f}\"/>", x, kTop, bottom);
    out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", x,
                       bottom + 16, zero ? "0" : text(brief(duration(at))));
  }
  return out + "\n";
}

std::string sentence(const Moment& moment) {
  std::string out = fmt::format("<strong>{}</strong> could have run and waited {}{}.", text(moment.name),
                                text(duration(static_cast<double>(moment.wait_ns))),
                                !moment.over       ? ", and still did when the run ended"
                                : moment.cpu_after ? fmt::format(", then ran on CPU {}", *moment.cpu_after)
                                                   : "");
  const auto ran = ran_meanwhile(moment);
  const double all = static_cast<double>(moment.lanes.size()) * static_cast<double>(moment.wait_ns);
  double busy = 0;
  for (const auto& [name, ns] : ran) busy += static_cast<double>(ns);
  if (all == 0 || moment.from_ns > moment.runnable_ns) {
    out += " Only the end of that is shown: what came before is longer ago than what a run keeps.";
    return out;
  }
  out += " Meanwhile ";
  for (std::size_t i = 0; i < std::min(ran.size(), kNamed); ++i)
    out += fmt::format("{} ran {:.0f} %, ", ran[i].first.empty() ? "several tasks in turn" : text(ran[i].first),
                       static_cast<double>(ran[i].second) / all * 100);
  if (ran.size() > kNamed) out += fmt::format("{} others, ", ran.size() - kNamed);
  return out + fmt::format("and {:.0f} % of the CPUs' time shown was idle.", std::max(0.0, 1 - busy / all) * 100);
}

}  // namespace

std::string timeline(std::string_view title, const Json& json) {
  const Moment moment(json);
  const Colours colours = colours_of(moment);
  const double bottom = kTop + static_cast<double>(moment.lanes.size() + 1) * (kLane + kGap);
  std::string out = fmt::format(
      "<figure class=\"timeline\">\n<figcaption><b>{}:</b> {}</figcaption>\n"
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"who ran on each CPU, {}\">\n"
      "<svg viewBox=\"0 0 {} {:.0f}\" role=\"img\" aria-label=\"{}: who ran on each CPU while {} waited {}\">\n",
      text(title), sentence(moment), text(title), kWidth, bottom + kAxis, text(title), text(moment.name),
      text(duration(static_cast<double>(moment.wait_ns))));
  out += axis_svg(moment, bottom);
  const double begin = moment.x(moment.runnable_ns), end = moment.x(moment.running_ns);
  out += fmt::format("<rect class=\"span\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", begin, kTop,
                     std::max(end - begin, 0.6), bottom - kTop);
  out += fmt::format("<text class=\"lane\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">waits</text>\n", kLeft - 8,
                     kTop + kLane - 6.5);
  out += fmt::format(
      "<g><title>{0} waits {1}</title><rect class=\"wait\" x=\"{2:.1f}\" y=\"{3}\" width=\"{4:.1f}\" height=\"{5}\"/>"
      "<text class=\"name strong\" x=\"{6:.1f}\" y=\"{7:.1f}\">{0} {1}</text></g>\n",
      text(moment.name), text(duration(static_cast<double>(moment.wait_ns))), begin, kTop, std::max(end - begin, 0.6),
      kLane, begin + 4, kTop + kLane - 6.5);
  double y = kTop;
  for (const Lane& lane : moment.lanes) {
    y += kLane + kGap;
    out += fmt::format("<text class=\"lane\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">CPU {}</text>\n", kLeft - 8,
                       y + kLane - 6.5, lane.cpu);
    out += fmt::format("<rect class=\"idle\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\"/>\n", kLeft, y,
                       kWidth - kLeft - kRight, kLane);
    for (const Stay& stay : lane.stays) out += stay_svg(moment, colours, lane, stay, y);
  }
  out += "</svg>\n</div>\n<p class=\"note\">Time from the moment at which it could have run.";
  if (moment.merged_below_ns != 0)
    out += fmt::format(" Stays shorter than {} may be drawn as one, dark grey where they are of several tasks.",
                       text(duration(static_cast<double>(moment.merged_below_ns))));
  if (moment.left_out != 0) out += fmt::format(" {} more CPUs are not shown.", grouped(moment.left_out));
  return out + "</p>\n</figure>\n";
}

}  // namespace reprise::report
