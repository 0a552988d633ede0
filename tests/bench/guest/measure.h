/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest's programs read before and after a measured stretch, and how they report the difference.
 */
#ifndef REPRISE_BENCH_MEASURE_H
#define REPRISE_BENCH_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Instructions that do nothing, with displacements that nothing else has: profile/profile.c counts between them.
 */
#define MARK_BEGIN() __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x42, 0x50, 0x52, 0x31" ::: "memory")
#define MARK_END() __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x45, 0x50, 0x52, 0x31" ::: "memory")

static inline void fail(const char* what) {
  perror(what);
  exit(70);
}

struct measure {
  long long time_ns;
  long long switches; /* of the whole machine */
  long long idle_ticks;
};

static inline void measure(struct measure* m) {
  static char text[1 << 16];
  long long user, nice, system, idle, iowait;
  const char* at;
  size_t length;
  struct timespec now;
  FILE* stat = fopen("/proc/stat", "r");

  if (!stat) fail("/proc/stat");
  length = fread(text, 1, sizeof(text) - 1, stat);
  text[length] = 0;
  fclose(stat);
  if (sscanf(text, "cpu %lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &iowait) != 5) exit(70);
  at = strstr(text, "\nctxt ");
  if (!at) exit(70);
  m->switches = atoll(at + 6);
  m->idle_ticks = idle + iowait;
  clock_gettime(CLOCK_MONOTONIC, &now);
  m->time_ns = now.tv_sec * 1000000000ll + now.tv_nsec;
}

static inline void report(const char* name, const char* label, long repeat, long round_trips,
                          const struct measure* before, const struct measure* after) {
  printf("{\"workload\":\"%s\",\"label\":\"%s\",\"repeat\":%ld,\"round_trips\":%ld,\"time_ns\":%lld,\"switches\":%lld,"
         "\"idle_ticks\":%lld}\n",
         name, label, repeat, round_trips, after->time_ns - before->time_ns, after->switches - before->switches,
         after->idle_ticks - before->idle_ticks);
  fflush(stdout);
}

#endif
