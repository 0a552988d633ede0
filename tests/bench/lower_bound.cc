// SPDX-License-Identifier: GPL-2.0-only
// Loads lower_bound.bpf.c and is its thread: yields, until SIGTERM or until the kernel lets it go.
//
//   lower_bound [preempt]
#include <bpf/libbpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "lower_bound_bpf.skel.h"
#include "scheduler/live/command.h"
#include "scheduler/live/kernel_features.h"

namespace {

volatile sig_atomic_t stop = 0;

void on_signal(int) { stop = 1; }

}  // namespace

int main(int argc, char** argv) {
  const auto features = reprise::live::read_kernel_features();
  if (!features) {
    std::fprintf(stderr, "lower_bound: %s\n", features.error().what.c_str());
    return 69;
  }
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  mlockall(MCL_CURRENT | MCL_FUTURE);
  sched_param parameter{};
  sched_setscheduler(0, reprise::live::kSchedExtPolicy, &parameter);

  lower_bound_bpf* skeleton = lower_bound_bpf__open();
  if (!skeleton) return 70;
  skeleton->rodata->scheduler_tid = getpid();
  skeleton->rodata->preempt = argc > 1 && std::strcmp(argv[1], "preempt") == 0;
  skeleton->rodata->enq_wakeup = features->values.enq_wakeup;
  skeleton->rodata->kick_preempt = features->values.kick_preempt;
  skeleton->rodata->task_queued = features->values.task_queued;
  skeleton->struct_ops.bound_ops->flags = features->ops_enq_last;
  skeleton->struct_ops.bound_ops->hotplug_seq = reprise::live::read_sched_ext_state().hotplug_seq;
  if (lower_bound_bpf__load(skeleton) != 0) return 70;
  bpf_link* link = bpf_map__attach_struct_ops(skeleton->maps.bound_ops);
  if (!link) return 70;
  const volatile int& ended = skeleton->bss->exit_kind;
  while (!stop && ended == 0) sched_yield();
  bpf_link__destroy(link);
  lower_bound_bpf__destroy(skeleton);
  return 0;
}
