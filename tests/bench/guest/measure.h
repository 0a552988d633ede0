/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest's programs read before and after a measured stretch, and how they report the difference.
 *
 * On the deterministic machine with one CPU the clock counts instructions, 1 ns each, but it also runs on while the CPU
 * idles. So the time that the CPU's tasks have run is read as well (/proc/schedstat, exact but for the stretch of the
 * reader itself): the difference is idle time and no cost.
 */
#ifndef REPRISE_BENCH_MEASURE_H
#define REPRISE_BENCH_MEASURE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Instructions that do nothing, with displacements that nothing else has: ../profile/count.c counts between them. */
#define MARK_BEGIN() __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x42, 0x50, 0x52, 0x31" ::: "memory")
#define MARK_END() __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x45, 0x50, 0x52, 0x31" ::: "memory")

static inline void fail(const char* what) {
  perror(what);
  exit(70);
}

struct measure {
  long long time_ns;
  long long ran_ns;             /* tasks, all CPUs together */
  long long switches;           /* of the whole machine */
  long long workload_switches;  /* how often the workload's tasks left a CPU, as often as they were scheduled */
  long long scheduler_switches; /* the scheduler's process, all its threads */
};

static inline const char* read_text(const char* path) {
  static char text[1 << 16];
  FILE* file = fopen(path, "r");

  if (!file) fail(path);
  text[fread(text, 1, sizeof(text) - 1, file)] = 0;
  fclose(file);
  return text;
}

static inline long long number_after(const char* text, const char* name) {
  const char* at = strstr(text, name);

  if (!at) fail(name);
  return atoll(at + strlen(name));
}

/* All threads of a process; 0 for pid 0. */
static inline long long switches_of(int pid) {
  char path[512];
  long long sum = 0;
  struct dirent* entry;
  DIR* folder;

  if (!pid) return 0;
  snprintf(path, sizeof(path), "/proc/%d/task", pid);
  folder = opendir(path);
  if (!folder) fail(path);
  while ((entry = readdir(folder))) {
    const char* text;

    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, entry->d_name);
    text = read_text(path);
    sum += number_after(text, "\nvoluntary_ctxt_switches:") + number_after(text, "nonvoluntary_ctxt_switches:");
  }
  closedir(folder);
  return sum;
}

static inline long long all_ran_ns(void) {
  const char* at = read_text("/proc/schedstat");
  long long sum = 0, ran;

  while ((at = strstr(at, "\ncpu"))) {
    at++;
    if (sscanf(at, "cpu%*d %*d %*d %*d %*d %*d %*d %lld", &ran) != 1) fail("/proc/schedstat");
    sum += ran;
  }
  return sum;
}

/* workload_switches is for the caller to fill in. */
static inline void measure(struct measure* m, int scheduler_pid) {
  struct timespec now;

  m->scheduler_switches = switches_of(scheduler_pid);
  m->switches = number_after(read_text("/proc/stat"), "\nctxt ");
  m->ran_ns = all_ran_ns();
  clock_gettime(CLOCK_MONOTONIC, &now);
  m->time_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline void report(const char* workload, const char* label, long repeat, const struct measure* before,
                          const struct measure* after) {
  printf(
      "{\"workload\":\"%s\",\"label\":\"%s\",\"repeat\":%ld,\"time_ns\":%lld,\"ran_ns\":%lld,\"switches\":%lld,"
      "\"workload_switches\":%lld,\"scheduler_switches\":%lld}\n",
      workload, label, repeat, after->time_ns - before->time_ns, after->ran_ns - before->ran_ns,
      after->switches - before->switches, after->workload_switches - before->workload_switches,
      after->scheduler_switches - before->scheduler_switches);
  fflush(stdout);
}

#endif
