// SPDX-License-Identifier: GPL-2.0-only
// A policy in a shared object of its own: what the object holds so that it can be found and is known to fit.
//
//   REPRISE_POLICY(kMinePolicy)
//
// once, outside of any namespace, at the end of the policy's file. The loader (scheduler/load) reads the numbers from
// the file before it runs any of it. They have to be right: policies and engine share C++ types, so both must be
// compiled from the same headers.
#pragma once

#include "scheduler/core/policy.h"

namespace reprise {

/// Counts up with each change to what a policy is told or may ask for, also where the types stay as they are.
inline constexpr u32 kPolicyInterface = 1;

/// Of the types that policies and engine share; differs when the headers or the compiler's idea of a type do.
inline constexpr u32 kPolicyLayout = [] {
  u32 hash = 2'166'136'261u;  // FNV-1a
  for (const std::size_t size :
       {sizeof(Task), sizeof(Event), sizeof(Decision), sizeof(Limits), sizeof(Context), sizeof(Arena), sizeof(Policy),
        sizeof(PolicyInfo), sizeof(OptionSpec), sizeof(Options), sizeof(Error), sizeof(std::string),
        sizeof(Expected<std::unique_ptr<Policy>>), offsetof(PolicyInfo, options), offsetof(PolicyInfo, create),
        offsetof(Task, tid), offsetof(Event, task)})
    hash = (hash ^ static_cast<u32>(size)) * 16'777'619u;
  return hash;
}();

struct PolicyModule {
  char magic[8];  // "reprise"
  u32 interface;
  u32 layout;
  const PolicyInfo* info;
};
inline constexpr char kPolicyModuleMagic[8] = "reprise";
inline constexpr char kPolicyModuleSymbol[] = "reprise_policy";

}  // namespace reprise

#define REPRISE_POLICY(policy_info)                                                                 \
  extern "C" [[gnu::visibility("default")]] const ::reprise::PolicyModule reprise_policy;           \
  constinit const ::reprise::PolicyModule reprise_policy = {"reprise", ::reprise::kPolicyInterface, \
                                                            ::reprise::kPolicyLayout, &(policy_info)}
