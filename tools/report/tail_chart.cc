// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tools/report/chart.h"
#include "tools/report/html.h"

namespace reprise::report {
namespace {

// Of the drawing, in its own units.
constexpr double kWidth = 480, kHeight = 300;
constexpr double kDecadesMax = 6;  // what is shorter lies on the left edge
constexpr double kLeft = 52, kRight = 14, kTop = 12, kBottom = 42;

struct Axes {
  double low = 0, high = 1;  // log10 of ns
  double depth = 3;          // the least share is 10^-depth

  [[nodiscard]] double x(double ns) const {
    const double at = (std::log10(std::max(ns, 1.0)) - low) / (high - low);
    return kLeft + std::clamp(at, 0.0, 1.0) * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double share) const {
    const double at = share <= 0 ? depth : std::min(-std::log10(share), depth);
    return kTop + at / depth * (kHeight - kTop - kBottom);
  }
};

u64 total(const Series& series) { return std::accumulate(series.count.begin(), series.count.end(), u64{0}); }

// 1, 2 or 5 times a power of ten, at or below (above) it.
double rounded(double ns, bool up) {
  const double power = std::pow(10, std::floor(std::log10(std::max(ns, 1.0))));
  double best = up ? power * 10 : power;
  for (const double step : {1.0, 2.0, 5.0})
    if (up ? step * power >= ns && step * power < best : step * power <= ns) best = step * power;
  return best;
}

Axes axes_of(std::span<const Series> all) {
  Axes axes;
  double least = 1e18, most = 1;
  u64 values = 0;
  for (const Series& series : all) {
    const u64 count = total(series);
    if (count == 0) continue;
    values = std::max(values, count);
    most = std::max(most, static_cast<double>(series.upper_ns.back()));
    // A few very short ones would leave no room for the others.
    u64 seen = 0;
    for (std::size_t i = 0; i < series.count.size(); ++i)
      if ((seen += series.count[i]) * 100 >= count) {
        least = std::min(least, static_cast<double>(series.upper_ns[i]));
        break;
      }
  }
  axes.high = std::log10(rounded(most, true));
  axes.low = std::max(std::log10(rounded(least * 0.9, false)), axes.high - kDecadesMax);
  axes.high = std::max(axes.high, axes.low + 0.3);
  axes.depth = std::clamp(std::ceil(std::log10(static_cast<double>(values))), 2.0, 6.0);
  return axes;
}

std::string grid(const Axes& axes) {
  std::string out;
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  constexpr std::pair<double, const char*> kLevels[] = {{1, "all"},        {0.5, "p50"},      {0.1, "p90"},
                                                        {0.01, "p99"},     {0.001, "p99.9"},  {1e-4, "p99.99"},
                                                        {1e-5, "p99.999"}, {1e-6, "p99.9999"}};
  for (const auto& [share, name] : kLevels) {
    if (-std::log10(share) > axes.depth + 1e-9) continue;
    const double y = axes.y(share);
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", kLeft, y, right);
    out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 6, y + 4,
                       name);
  }
  const bool few = axes.high - axes.low <= 1.7;
  for (double power = std::floor(axes.low); power <= axes.high; ++power)
    for (int step = 1; step < 10; ++step) {
      const double at = power + std::log10(step);
      if (at < axes.low - 1e-9 || at > axes.high + 1e-9) continue;
      const double x = axes.x(std::pow(10, at));
      out += fmt::format("<path class=\"grid{}\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>", step == 1 ? "" : " minor", x, kTop,
                         bottom);
      if (step == 1 || (few && (step == 2 || step == 5)))
        out += fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", x,
                           bottom + 16, text(brief(duration(std::round(std::pow(10, at))))));
    }
  return out;
}

// Falls at the upper bound of each bucket, as far as values are known to lie below it.
std::string line(const Axes& axes, const Series& series) {
  const double count = static_cast<double>(total(series));
  u64 seen = 0;
  std::string path = fmt::format("M{:.1f} {:.1f}", kLeft, axes.y(1));
  std::string last_x, last_y;
  for (std::size_t i = 0; i < series.count.size(); ++i) {
    seen += series.count[i];
    const std::string x = fmt::format("{:.1f}", axes.x(static_cast<double>(series.upper_ns[i])));
    const std::string y = fmt::format("{:.1f}", axes.y(1 - static_cast<double>(seen) / count));
    if (x != last_x) path += 'H' + x;
    if (i + 1 == series.count.size()) break;  // all are shorter than that: no share to draw
    if (y != last_y) path += 'V' + y;
    last_x = x, last_y = y;
  }
  return path;
}

std::string series_class(std::span<const Series> all, std::size_t index) {
  if (all[index].recorded) return "rec";
  const auto before = std::ranges::count(all.first(index), false, &Series::recorded);
  return fmt::format("s{}", before % static_cast<std::ptrdiff_t>(kSeriesMax));
}

}  // namespace

std::string tail_chart(std::string_view title, std::span<const Series> all) {
  all = all.first(std::min(all.size(), kSeriesMax));
  if (std::ranges::all_of(all, [](const Series& series) { return total(series) == 0; })) return {};
  const Axes axes = axes_of(all);
  std::string names, lines;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (total(all[i]) == 0) continue;
    names += (names.empty() ? "" : ", ") + all[i].name;
    lines += fmt::format("<path class=\"line {}\" data-name=\"{}\" d=\"{}\"/>\n", series_class(all, i),
                         text(all[i].name), line(axes, all[i]));
  }
  std::string out = fmt::format(
      "<figure class=\"chart\">\n<figcaption>{0}</figcaption>\n"
      "<svg viewBox=\"0 0 {1} {2}\" role=\"img\" aria-label=\"{0}: how many take longer than a time, for {3}; the "
      "percentiles are in the table above\" data-low=\"{4:.4f}\" data-high=\"{5:.4f}\" data-depth=\"{6}\" "
      "data-box=\"{7} {8} {9} {10}\">\n",
      text(title), kWidth, kHeight, text(names), axes.low, axes.high, axes.depth, kLeft, kTop, kWidth - kRight,
      kHeight - kBottom);
  out += grid(axes) + "\n" + lines;
  out += fmt::format(
      "<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">time, logarithmic</text>\n"
      "<path class=\"cursor\" d=\"\"/>\n</svg>\n</figure>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 6);
  return out;
}

std::string legend(std::span<const Series> all) {
  std::string out = "<ul class=\"legend\">\n";
  for (std::size_t i = 0; i < std::min(all.size(), kSeriesMax); ++i)
    out += fmt::format(
        "<li><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"line {}\" d=\"M1 5H27\"/></svg>{}</li>\n",
        series_class(all, i), text(all[i].name));
  if (all.size() > kSeriesMax) out += fmt::format("<li>and {} more, not drawn</li>\n", all.size() - kSeriesMax);
  return out + "</ul>\n";
}

}  // namespace reprise::report
