// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/kernel_features.h"

#include <bpf/btf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "scheduler/live/identity.h"

namespace reprise::live {
namespace {

struct BtfFree {
  void operator()(btf* p) const { btf__free(p); }
};
using Btf = std::unique_ptr<btf, BtfFree>;

struct EnumValue {
  bool found = false;
  u64 value = 0;
};

// Looks a name up in the enum of that type, 32 or 64 bits wide.
EnumValue enum_value(const btf* kernel, const char* type_name, const char* name) {
  for (u32 kind : {u32{BTF_KIND_ENUM64}, u32{BTF_KIND_ENUM}}) {
    const int id = btf__find_by_name_kind(kernel, type_name, kind);
    if (id < 0) continue;
    const btf_type* type = btf__type_by_id(kernel, static_cast<u32>(id));
    for (u32 i = 0; i < btf_vlen(type); ++i) {
      if (kind == BTF_KIND_ENUM64) {
        const struct btf_enum64* value = btf_enum64(type) + i;
        if (std::string_view(btf__name_by_offset(kernel, value->name_off)) == name)
          return {true, btf_enum64_value(value)};
      } else {
        const struct btf_enum* value = btf_enum(type) + i;
        if (std::string_view(btf__name_by_offset(kernel, value->name_off)) == name)
          return {true, static_cast<u64>(static_cast<u32>(value->val))};
      }
    }
  }
  return {};
}

bool has_function(const btf* kernel, const char* name) {
  return btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) > 0;
}

// From 7.1 on many functions take a hidden last argument, which the build takes out of their public type and leaves in
// that of NAME_impl. An old pahole leaves it in the public one, and nobody can call the function then.
bool is_malformed(const btf* kernel, const std::string& name) {
  const int id = btf__find_by_name_kind(kernel, name.c_str(), BTF_KIND_FUNC);
  if (id < 0 || has_function(kernel, (name + "_impl").c_str())) return false;
  const btf_type* function = btf__type_by_id(kernel, static_cast<u32>(id));
  const btf_type* type = btf__type_by_id(kernel, function->type);
  const u32 arguments = btf_vlen(type);
  if (arguments == 0) return false;
  const btf_type* last = btf__type_by_id(kernel, btf_params(type)[arguments - 1].type);
  while (last && (btf_is_ptr(last) || btf_is_mod(last))) last = btf__type_by_id(kernel, last->type);
  return last && std::string_view(btf__name_by_offset(kernel, last->name_off)) == "bpf_prog_aux";
}

// Without these the dispatcher cannot work; for the others it has substitutes (bpf/kernel.h).
constexpr const char* kRequired[] = {"scx_bpf_create_dsq", "scx_bpf_kick_cpu", "scx_bpf_dispatch_nr_slots",
                                     "scx_bpf_dispatch_cancel", "scx_bpf_test_and_clear_cpu_idle"};

constexpr const char* kOptional[] = {
    "scx_bpf_dispatch_vtime", "scx_bpf_dsq_insert_vtime",  "__scx_bpf_dsq_insert_vtime",
    "scx_bpf_consume",        "scx_bpf_dsq_move_to_local", "scx_bpf_task_set_slice",
    "scx_bpf_dsq_peek"};

}  // namespace

std::string read_small_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string result = text.str();
  while (!result.empty() && (result.back() == '\n' || result.back() == '\0')) result.pop_back();
  return result;
}

Expected<KernelFeatures> read_kernel_features() {
  Btf kernel(btf__load_vmlinux_btf());
  if (!kernel)
    return fail(ExitCode::kNoSchedExt, "this kernel has no BTF", "/sys/kernel/btf/vmlinux",
                "use a kernel >= 6.12 built with CONFIG_DEBUG_INFO_BTF and CONFIG_SCHED_CLASS_EXT");
  if (btf__find_by_name_kind(kernel.get(), "sched_ext_ops", BTF_KIND_STRUCT) < 0)
    return fail(ExitCode::kNoSchedExt, "this kernel has no sched_ext", "/sys/kernel/btf/vmlinux",
                "use a kernel >= 6.12 with CONFIG_SCHED_CLASS_EXT=y, or try it with tools/vm/run");
  KernelFeatures features;
  // A 64-bit enum that was cut to 32 bits loses exactly this bit.
  const EnumValue preempt = enum_value(kernel.get(), "scx_enq_flags", "SCX_ENQ_PREEMPT");
  features.truncated_enums = preempt.found && preempt.value != 1ull << 32;
  auto value = [&](const char* type, const char* name, u64 documented) {
    const EnumValue found = enum_value(kernel.get(), type, name);
    if (!found.found) return u64{0};
    return features.truncated_enums && documented >> 32 ? documented : found.value;
  };
  wire_kernel_values& v = features.values;
  v.enq_wakeup = value("scx_enq_flags", "SCX_ENQ_WAKEUP", 1);
  v.enq_last = value("scx_enq_flags", "SCX_ENQ_LAST", 1ull << 41);
  v.enq_reenq = value("scx_enq_flags", "SCX_ENQ_REENQ", 1ull << 40);
  v.wake_sync = value("scx_wake_flags", "SCX_WAKE_SYNC", 16);
  v.kick_idle = value("scx_kick_flags", "SCX_KICK_IDLE", 1);
  v.kick_preempt = value("scx_kick_flags", "SCX_KICK_PREEMPT", 2);
  v.dsq_local = value("scx_dsq_id_flags", "SCX_DSQ_LOCAL", (1ull << 63) | 2);
  v.task_queued = static_cast<u32>(value("scx_ent_flags", "SCX_TASK_QUEUED", 1));
  features.ops_keep_builtin_idle = value("scx_ops_flags", "SCX_OPS_KEEP_BUILTIN_IDLE", 1);
  features.ops_enq_last = value("scx_ops_flags", "SCX_OPS_ENQ_LAST", 2);
  features.ops_switch_partial = value("scx_ops_flags", "SCX_OPS_SWITCH_PARTIAL", 8);
  features.ops_allow_queued_wakeup = value("scx_ops_flags", "SCX_OPS_ALLOW_QUEUED_WAKEUP", 32);
  features.exit_code_restart = value("scx_exit_code", "SCX_ECODE_ACT_RESTART", 1ull << 48);
  for (const char* name : kOptional)
    if (has_function(kernel.get(), name) && !is_malformed(kernel.get(), name)) features.present.emplace_back(name);
  std::string broken;
  for (const char* name : kRequired)
    if (!has_function(kernel.get(), name) || is_malformed(kernel.get(), name)) broken += std::string(" ") + name;
  if (!broken.empty())
    return fail(
        ExitCode::kNoSchedExt, "this kernel's BTF is malformed for functions that the dispatcher calls:" + broken,
        "/sys/kernel/btf/vmlinux",
        "the kernel was built with a pahole older than 1.26; no scheduler can call these here. Use another build "
        "of this kernel");
  if (!v.kick_idle || !v.dsq_local || !v.task_queued || !features.ops_enq_last)
    return fail(ExitCode::kNoSchedExt, "this kernel's sched_ext lacks values that the dispatcher needs",
                "/sys/kernel/btf/vmlinux", "kernels from 6.12 on have them; run reprise doctor");
  return features;
}

SchedExtState read_sched_ext_state() {
  SchedExtState state;
  const std::string root = "/sys/kernel/sched_ext/";
  state.state = read_small_file(root + "state");
  state.available = !state.state.empty();
  state.ops = read_small_file(root + "root/ops");
  const std::string seq = read_small_file(root + "hotplug_seq");
  if (!seq.empty()) state.hotplug_seq = std::stoull(seq);
  return state;
}

std::vector<Finding> diagnose() {
  using enum Finding::Verdict;
  std::vector<Finding> findings;
  utsname name{};
  uname(&name);
  findings.push_back({kNote, std::string("kernel ") + name.release + " on " + name.machine, ""});
  const auto features = read_kernel_features();
  if (!features) {
    findings.push_back({kBad, features.error().what, features.error().hint});
  } else {
    findings.push_back({kGood, "sched_ext in the kernel's BTF", ""});
    std::string kfuncs;
    for (const std::string& present : features->present) kfuncs += (kfuncs.empty() ? "" : " ") + present;
    findings.push_back({kNote, "optional kernel functions: " + kfuncs, ""});
    if (features->truncated_enums)
      findings.push_back({kNote, "the kernel's BTF cuts 64-bit enums; documented values are used", ""});
    if (!features->ops_allow_queued_wakeup)
      findings.push_back({kNote, "no queued wakeups on this kernel: remote wakeups cost more", ""});
  }
  const SchedExtState state = read_sched_ext_state();
  if (state.available && state.state != "disabled")
    findings.push_back({kBad, "another scheduler is attached: " + state.ops + " (" + state.state + ")",
                        "stop it first; only one sched_ext scheduler runs at a time"});
  else if (state.available)
    findings.push_back({kGood, "no sched_ext scheduler is attached", ""});
  if (const std::string missing = missing_capabilities(); !missing.empty())
    findings.push_back({kBad, "not permitted to load a scheduler: " + missing + " missing",
                        "use sudo; in a container, have it given these capabilities"});
  else
    findings.push_back({kGood, "permitted to load a scheduler", ""});
  if (const std::string numa = read_small_file("/proc/sys/kernel/numa_balancing"); !numa.empty() && numa != "0")
    findings.push_back(
        {kNote, "NUMA balancing is on: pages of the scheduler may fault", "reprise live turns it off while it runs"});
  return findings;
}

}  // namespace reprise::live
