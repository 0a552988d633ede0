/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy must not do, linked into one that is otherwise fine. Never called: that it is there is enough. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#ifdef WRONG_ENGINE
extern long no_such_thing_in_the_engine(void);
#endif
#ifdef WRONG_GLOBAL
long counters[8];
#endif

long touch(void);
long touch(void) {
#if defined(WRONG_CLOCK)
  struct timespec now;
  return clock_gettime(CLOCK_MONOTONIC, &now) ? 0 : now.tv_nsec;
#elif defined(WRONG_RANDOM)
  return rand();
#elif defined(WRONG_FILE)
  return open("/proc/loadavg", O_RDONLY);
#elif defined(WRONG_THREAD)
  static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_t lock = unlocked;
  return pthread_mutex_lock(&lock);
#elif defined(WRONG_GLOBAL)
  return ++counters[3];
#elif defined(WRONG_ENGINE)
  return no_such_thing_in_the_engine();
#else
  return 0;
#endif
}
