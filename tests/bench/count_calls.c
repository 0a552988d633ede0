/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a command and counts the system calls that another process makes meanwhile: of a user-space scheduler, what it
 * needs per task that it schedules. Prints a line of JSON.
 *
 *   count_calls -l LABEL -s SCHEDULER_PID -- COMMAND...
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "count_calls_bpf.skel.h"

static int run(char** command) {
  int status;
  pid_t child = fork();

  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY);

    dup2(nowhere, 1);
    execvp(command[0], command);
    _exit(127);
  }
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char** argv) {
  const char* label = "";
  int option, scheduler = 0;
  unsigned long long all = 0;
  struct count_calls_bpf* skeleton;
  struct rusage use;

  while ((option = getopt(argc, argv, "+l:s:")) != -1) {
    if (option == 'l')
      label = optarg;
    else if (option == 's')
      scheduler = atoi(optarg);
    else
      return 2;
  }
  if (optind == argc || !scheduler) return 2;
  skeleton = count_calls_bpf__open();
  if (!skeleton) return 70;
  skeleton->rodata->process = (unsigned)scheduler;
  if (count_calls_bpf__load(skeleton) || count_calls_bpf__attach(skeleton)) {
    fprintf(stderr, "count_calls: this kernel does not take the program\n");
    return 70;
  }
  if (!run(argv + optind)) {
    fprintf(stderr, "count_calls: %s failed\n", argv[optind]);
    return 1;
  }
  count_calls_bpf__detach(skeleton);
  for (size_t i = 0; i < sizeof(skeleton->bss->calls) / sizeof(skeleton->bss->calls[0]); i++)
    all += skeleton->bss->calls[i];
  getrusage(RUSAGE_CHILDREN, &use);
  printf("{\"calls_of\":\"%s\",\"bpf\":%llu,\"sched_yield\":%llu,\"all\":%llu,\"workload_switches\":%ld}\n", label,
         (unsigned long long)skeleton->bss->calls[SYS_bpf], (unsigned long long)skeleton->bss->calls[SYS_sched_yield],
         all, use.ru_nvcsw + use.ru_nivcsw);
  count_calls_bpf__destroy(skeleton);
  return 0;
}
