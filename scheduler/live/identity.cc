// SPDX-License-Identifier: GPL-2.0-only
#include "scheduler/live/identity.h"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "scheduler/live/kernel_features.h"

namespace reprise::live {
namespace {

// What the program returns when this thread runs it. A program returns 32 bits, so it takes two for two ids.
Expected<i32> run(const std::vector<bpf_insn>& program) {
  LIBBPF_OPTS(bpf_prog_load_opts, how);
  how.prog_flags = BPF_F_SLEEPABLE;
  const int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "whoami", "GPL", program.data(), program.size(), &how);
  if (fd < 0)
    return fail(errno == EPERM ? ExitCode::kNotPermitted : ExitCode::kInternal,
                std::string("cannot ask the kernel for our ids: ") + std::strerror(errno), {},
                "run as root; reprise doctor shows what else may be missing");
  LIBBPF_OPTS(bpf_test_run_opts, result);
  const int error = bpf_prog_test_run_opts(fd, &result);
  close(fd);
  if (error)
    return fail(ExitCode::kInternal, std::string("cannot ask the kernel for our ids: ") + std::strerror(-error), {},
                "run reprise doctor");
  return static_cast<i32>(result.retval);
}

}  // namespace

Expected<Identity> own_identity() {
  const bpf_insn call = {
      .code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_get_current_pid_tgid};
  const bpf_insn upper = {.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 32};
  const bpf_insn exit = {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
  const auto tid = run({call, exit});
  if (!tid) return std::unexpected(tid.error());
  const auto tgid = run({call, upper, exit});
  if (!tgid) return std::unexpected(tgid.error());
  return Identity{.tid = *tid, .tgid = *tgid};
}

std::string missing_capabilities() {
  const std::string status = read_small_file("/proc/self/status");
  const auto line = status.find("CapEff:");
  if (line == std::string::npos) return {};
  const u64 have = std::strtoull(status.c_str() + line + 7, nullptr, 16);
  if (have >> CAP_SYS_ADMIN & 1) return {};  // contains the others
  std::string missing;
  if (!(have >> CAP_BPF & 1)) missing += "CAP_BPF";
  if (!(have >> CAP_PERFMON & 1)) missing += missing.empty() ? "CAP_PERFMON" : " CAP_PERFMON";
  return missing;
}

}  // namespace reprise::live
