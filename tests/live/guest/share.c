/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * share: processes that compute for a while, one per --nice, and how much CPU time each got.
 *
 *   share [--cpu N] --seconds N --nice N [--nice N]...
 *
 * With --cpu all of them are bound to that CPU. Prints one JSON document.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define PROCESSES_MAX 64

static _Noreturn void compute(long nice_level, long cpu, uint64_t end, atomic_ullong* cpu_ns) {
  struct timespec used;
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET((unsigned)cpu, &set);
  if (cpu >= 0 && sched_setaffinity(0, sizeof(set), &set)) give_up("sched_setaffinity");
  if (setpriority(PRIO_PROCESS, 0, (int)nice_level)) give_up("setpriority");
  while (now_ns() < end) {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    atomic_store(cpu_ns, (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec);
  }
  _exit(0);
}

int main(int argc, char** argv) {
  uint64_t end = now_ns() + (uint64_t)option(argc, argv, "--seconds", 0, 5) * 1000000000u;
  long cpu = option(argc, argv, "--cpu", 0, -1), level[PROCESSES_MAX];
  atomic_ullong* cpu_ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int count = 0, status, failed = 0;

  if (cpu_ns == MAP_FAILED) give_up("mmap");
  while (count < PROCESSES_MAX && (level[count] = option(argc, argv, "--nice", count, 99)) != 99) count++;
  for (int i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) compute(level[i], cpu, end, &cpu_ns[i]);
  }
  for (int i = 0; i < count; i++)
    if (wait(&status) < 0 || status) failed = 1;
  printf("[");
  for (int i = 0; i < count; i++)
    printf("%s{\"nice\": %ld, \"cpu_ns\": %llu}", i ? ", " : "", level[i], atomic_load(&cpu_ns[i]));
  printf("]\n");
  return failed;
}
