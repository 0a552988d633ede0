/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest's programs share: the clock, options with a whole number each, and giving up. */
#ifndef REPRISE_TESTS_LIVE_COMMON_H
#define REPRISE_TESTS_LIVE_COMMON_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline _Noreturn void give_up(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void sleep_ms(long ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&time, &time) && errno == EINTR) continue;
}

/* The n-th value of an option "--name NUMBER" (n from 0), or `otherwise`. */
static inline long option(int argc, char** argv, const char* name, int n, long otherwise) {
  for (int i = 1; i + 1 < argc; i += 2) {
    char* end;
    if (strcmp(argv[i], name) || n--) continue;
    long value = strtol(argv[i + 1], &end, 10);
    if (*end || end == argv[i + 1]) {
      fprintf(stderr, "%s needs a whole number, not %s\n", name, argv[i + 1]);
      exit(2);
    }
    return value;
  }
  return otherwise;
}

#endif
