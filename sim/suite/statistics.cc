// SPDX-License-Identifier: GPL-2.0-only
#include "sim/suite/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace reprise::sim {
namespace {

constexpr std::size_t kExactValues = 25;

// In how many ways `pairs` pairs can be won, for each number of them, by `now` of so many values against `base`; in
// all binomial(base + now, now) ways (Mann and Whitney 1947, the recurrence of their section 4).
std::vector<double> ways(std::size_t base, std::size_t now) {
  std::vector<std::vector<double>> rows(now + 1, std::vector<double>(base * now + 1));
  // rows[n] for the present number of base values: sums over where the largest value is.
  for (std::size_t n = 0; n <= now; ++n) rows[n][0] = 1;
  for (std::size_t m = 1; m <= base; ++m) {
    for (std::size_t n = 1; n <= now; ++n) {
      // The largest is of `now`: it wins against all m; else it is of `base`, and leaves m - 1.
      std::vector<double> sums(base * now + 1);
      for (std::size_t u = 0; u < sums.size(); ++u) sums[u] = rows[n][u] + (u >= m ? rows[n - 1][u - m] : 0.0);
      rows[n] = std::move(sums);
    }
  }
  return rows[now];
}

double normal_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

}  // namespace

double sign_test(std::span<const double> differences) {
  const auto positive = static_cast<std::size_t>(std::ranges::count_if(differences, [](double d) { return d > 0; }));
  const std::size_t n = differences.size();
  double sum = 0, term = std::pow(0.5, static_cast<double>(n));  // binomial(n, 0) of 2^-n
  for (std::size_t k = 0; k <= n; ++k) {
    if (k >= positive) sum += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  return std::min(1.0, sum);
}

double mann_whitney(std::span<const double> base, std::span<const double> now) {
  std::size_t won = 0;
  for (const double b : base)
    for (const double n : now) won += n > b ? 1 : 0;
  const auto m = static_cast<double>(base.size()), n = static_cast<double>(now.size());
  if (base.empty() || now.empty()) return 1;
  if (base.size() > kExactValues || now.size() > kExactValues)
    return normal_tail((static_cast<double>(won) - 0.5 - m * n / 2) / std::sqrt(m * n * (m + n + 1) / 12));
  const std::vector<double> count = ways(base.size(), now.size());
  double all = 0, extreme = 0;
  for (std::size_t u = 0; u < count.size(); ++u) {
    all += count[u];
    if (u >= won) extreme += count[u];
  }
  return extreme / all;
}

double least_sign_test(std::size_t values) { return std::pow(0.5, static_cast<double>(values)); }

double least_mann_whitney(std::size_t base, std::size_t now) {
  double ways = 1;  // binomial(base + now, now)
  for (std::size_t k = 1; k <= now; ++k) ways *= static_cast<double>(base + k) / static_cast<double>(k);
  return 1 / ways;
}

}  // namespace reprise::sim
