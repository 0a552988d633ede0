/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * affinity: changes the affinity of its threads at random and at a high rate, and checks that they obey.
 *
 *   affinity --threads N --seconds N --seed N
 *
 * Half of the threads compute all the time, half sleep now and then. Each looks at which CPU it runs on between two
 * looks at the mask that it has (a sequence lock): sched_setaffinity has returned before a mask counts, so a thread
 * that is elsewhere is a mistake of the scheduler. Prints one JSON document.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#define THREADS_MAX 256

static struct thread {
  atomic_uint version; /* odd: the mask is being changed */
  atomic_ulong mask;
  atomic_int tid;
  atomic_ulong looks;
  unsigned long wrong;
  unsigned long progress_seen; /* by the changer, to find the longest time without progress */
  uint64_t progress_at;
  uint64_t longest_ns;
} threads[THREADS_MAX];
static atomic_int over;

static void* member(void* argument) {
  struct thread* self = argument;
  int sleeps = (int)(self - threads) & 1;

  atomic_store(&self->tid, (int)syscall(SYS_gettid));
  while (!atomic_load(&over)) {
    unsigned before = atomic_load(&self->version);
    unsigned cpu = 0;
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    unsigned long mask = atomic_load(&self->mask);
    if (!(before & 1) && before == atomic_load(&self->version) && !(mask >> cpu & 1)) self->wrong++;
    unsigned long looks = atomic_fetch_add(&self->looks, 1);
    if (sleeps && looks % 16 == 0) usleep(200);
    if (!sleeps && looks % 256 == 0) sched_yield();
  }
  return NULL;
}

static uint64_t next(uint64_t* state) { /* xorshift64 */
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void set_mask(struct thread* thread, unsigned long mask) {
  cpu_set_t set;

  CPU_ZERO(&set);
  for (unsigned cpu = 0; cpu < 64; cpu++)
    if (mask >> cpu & 1) CPU_SET(cpu, &set);
  atomic_fetch_add(&thread->version, 1);
  if (sched_setaffinity(atomic_load(&thread->tid), sizeof(set), &set)) give_up("sched_setaffinity");
  atomic_store(&thread->mask, mask);
  atomic_fetch_add(&thread->version, 1);
}

static void watch(struct thread* thread, uint64_t now) {
  unsigned long looks = atomic_load(&thread->looks);

  if (looks != thread->progress_seen) {
    thread->progress_seen = looks;
    thread->progress_at = now;
  } else if (now - thread->progress_at > thread->longest_ns) {
    thread->longest_ns = now - thread->progress_at;
  }
}

int main(int argc, char** argv) {
  long count = option(argc, argv, "--threads", 0, 16), seconds = option(argc, argv, "--seconds", 0, 5);
  uint64_t random = (uint64_t)option(argc, argv, "--seed", 0, 1) * 0x9e3779b97f4a7c15u;
  unsigned long all = (1ul << sysconf(_SC_NPROCESSORS_ONLN)) - 1, changes = 0, wrong = 0, fewest = ~0ul;
  uint64_t longest_ns = 0;
  pthread_t ids[THREADS_MAX];

  if (count < 1 || count > THREADS_MAX || !random) return 2;
  for (long i = 0; i < count; i++) {
    threads[i].mask = all;
    threads[i].progress_at = now_ns();
    if ((errno = pthread_create(&ids[i], NULL, member, &threads[i]))) give_up("pthread_create");
  }
  for (long i = 0; i < count; i++)
    while (!atomic_load(&threads[i].tid)) usleep(1000);
  for (uint64_t now = now_ns(), end = now + (uint64_t)seconds * 1000000000u; now < end; now = now_ns()) {
    unsigned long mask = next(&random) & all;
    set_mask(&threads[next(&random) % (uint64_t)count], mask ? mask : all);
    changes++;
    for (long i = 0; i < count; i++) watch(&threads[i], now);
    if (changes % 64 == 0) usleep(1000);
  }
  atomic_store(&over, 1);
  for (long i = 0; i < count; i++) {
    pthread_join(ids[i], NULL);
    wrong += threads[i].wrong;
    if (threads[i].looks < fewest) fewest = threads[i].looks;
    if (threads[i].longest_ns > longest_ns) longest_ns = threads[i].longest_ns;
  }
  printf(
      "{\"threads\": %ld, \"changes\": %lu, \"on_a_wrong_cpu\": %lu, \"fewest_looks\": %lu, "
      "\"longest_without_progress_ns\": %llu}\n",
      count, changes, wrong, fewest, (unsigned long long)longest_ns);
  return 0;
}
