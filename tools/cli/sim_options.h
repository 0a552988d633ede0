// SPDX-License-Identifier: GPL-2.0-only
// What simulations are asked for on the command line: policies, seeds, CPU counts and what the machine is like.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "scheduler/core/error.h"
#include "scheduler/core/types.h"
#include "sim/kernel/kernel_model.h"

namespace reprise::cli {

/// Names the kernel's own scheduler where a policy is asked for.
inline constexpr std::string_view kKernelDefault = "eevdf";

class SimSelection {
 public:
  struct Machine {
    std::string policy;  // as it was given
    std::string full;    // with all options
    std::string code;    // SHA-256, hex, of the shared object that it is in; empty: it is in the table
    sim::SimOptions options;
  };

  void declare(CLI::App&);
  /// Error (kUsage): a list, a number or a name that does not do.
  Expected<void> parse();
  /// One per policy, CPU count and seed, in that order, each made from `base`. After parse. Error (kUsage): no such
  /// policy or option, an impossible topology.
  Expected<std::vector<Machine>> machines(const sim::SimOptions& base) const;

  [[nodiscard]] sim::Costs costs(sim::Costs base) const;
  [[nodiscard]] u64 duration_ns() const { return duration_ns_; }
  [[nodiscard]] const std::vector<u64>& seeds() const { return seeds_; }
  [[nodiscard]] u32 jitter_per_mille() const { return static_cast<u32>(jitter_pct_ * 10 + 0.5); }
  [[nodiscard]] u64 first_seed() const { return seeds_.front(); }
  /// The smallest machine that is asked for; `otherwise` where none is. After parse.
  [[nodiscard]] u32 least_cpus(u32 otherwise) const;

  u32 session = 0;
  bool default_costs = false;
  std::string costs_from;

 private:
  std::vector<std::string> policy_text_, cost_text_, fault_text_;
  std::string seed_text_ = "1", cpus_text_, topology_text_, duration_text_;
  u32 hz_ = 0, check_every_ = 0;
  double jitter_pct_ = 0;
  bool check_ = false;

  std::vector<std::string> policies_;
  std::vector<u64> seeds_;
  std::vector<u64> cpus_;
  u64 duration_ns_ = 0;
  std::vector<std::pair<u64 sim::Costs::*, u64>> costs_;
  sim::FaultOptions faults_;
};

/// "fifo,vruntime:slice_us=3000,share_us=1,eevdf" as three policies: what follows a comma and has '=' but no ':' is
/// another option of the policy before.
[[nodiscard]] std::vector<std::string> split_policies(std::string_view text);

/// "1,4-6" as 1 4 5 6. Error (kUsage): not of that form, outside of min..max, more than 10,000 numbers.
Expected<std::vector<u64>> parse_numbers(std::string_view option, std::string_view text, u64 min, u64 max);

}  // namespace reprise::cli
