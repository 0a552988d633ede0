/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * crowd: threads that are all woken at once, round by round, and how long each took to run.
 *
 *   crowd --threads N --rounds N --pause-ms N
 *         [--stop PID [--stop-thread TID] --stop-every ROUNDS [--stops N] --stop-ms N]
 *
 * With --stop, every so many rounds (at most --stops times) the process PID gets SIGSTOP just before the threads are
 * woken, and SIGCONT --stop-ms later; the rounds go on meanwhile. The signal goes to the thread TID: what is sent to a
 * process is taken by any of its threads, and until that one has run the others go on, the scheduler's, too. Who wakes
 * and stops is of class SCHED_FIFO: no sched_ext scheduler has a say in when it runs. Prints one JSON document: rounds
 * done, stops made, and the longest time from waking to running of any thread, in rounds with the process stopped and
 * in the others.
 */
#include <linux/futex.h>
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#define THREADS_MAX 4096

static atomic_uint round_number; /* the futex */
static atomic_uint ran;          /* in this round */
static atomic_ullong woken_at;
static atomic_int stopped;
static unsigned rounds;
static struct {
  uint64_t longest_ns[2]; /* [1]: with the process stopped */
  uint64_t rounds;
} threads[THREADS_MAX];

static void futex(atomic_uint* word, int what, unsigned value) {
  syscall(SYS_futex, word, what | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void* member(void* argument) {
  long self = (long)argument;

  for (unsigned number = 0; number < rounds; number++) {
    while (atomic_load(&round_number) == number) futex(&round_number, FUTEX_WAIT, number);
    uint64_t took = now_ns() - atomic_load(&woken_at), *longest = &threads[self].longest_ns[atomic_load(&stopped)];
    if (took > *longest) *longest = took;
    threads[self].rounds++;
    atomic_fetch_add(&ran, 1);
  }
  return NULL;
}

static void start(pthread_t* ids, long count) {
  struct sched_param first = {.sched_priority = 1};
  pthread_attr_t small;

  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  for (long i = 0; i < count; i++)
    if ((errno = pthread_create(&ids[i], &small, member, (void*)i))) give_up("pthread_create");
  sleep_ms(500); /* all wait by now */
  if (sched_setscheduler(0, SCHED_FIFO, &first)) give_up("sched_setscheduler");
}

static void report(long count, long stops, long incomplete) {
  uint64_t fewest = rounds, longest_ns[2] = {0, 0};

  for (long i = 0; i < count; i++) {
    if (threads[i].rounds < fewest) fewest = threads[i].rounds;
    for (int when = 0; when < 2; when++)
      if (threads[i].longest_ns[when] > longest_ns[when]) longest_ns[when] = threads[i].longest_ns[when];
  }
  printf(
      "{\"threads\": %ld, \"rounds\": %u, \"fewest_rounds\": %llu, \"incomplete_rounds\": %ld, \"stops\": %ld, "
      "\"longest_wakeup_ns\": %llu, \"longest_wakeup_while_stopped_ns\": %llu}\n",
      count, rounds, (unsigned long long)fewest, incomplete, stops, (unsigned long long)longest_ns[0],
      (unsigned long long)longest_ns[1]);
}

int main(int argc, char** argv) {
  long count = option(argc, argv, "--threads", 0, 100), pause_ms = option(argc, argv, "--pause-ms", 0, 100);
  long stop_pid = option(argc, argv, "--stop", 0, 0), stop_every = option(argc, argv, "--stop-every", 0, 1);
  long stop_tid = option(argc, argv, "--stop-thread", 0, stop_pid);
  long stops_left = option(argc, argv, "--stops", 0, 1 << 20), stop_ms = option(argc, argv, "--stop-ms", 0, 100);
  pthread_t ids[THREADS_MAX];
  uint64_t cont_at = 0;
  long stops = 0, incomplete = 0;

  rounds = (unsigned)option(argc, argv, "--rounds", 0, 10);
  if (count < 1 || count > THREADS_MAX) return 2;
  start(ids, count);
  for (unsigned number = 0; number < rounds; number++) {
    if (stop_pid && stops_left && !cont_at && (number + 1) % stop_every == 0) {
      if (syscall(SYS_tgkill, stop_pid, stop_tid, SIGSTOP)) give_up("SIGSTOP");
      cont_at = now_ns() + (uint64_t)stop_ms * 1000000;
      stops_left--;
      stops++;
    }
    atomic_store(&stopped, cont_at != 0);
    atomic_store(&ran, 0);
    atomic_store(&woken_at, now_ns());
    atomic_store(&round_number, number + 1);
    futex(&round_number, FUTEX_WAKE, 1 << 30);
    for (long waited_ms = 0; atomic_load(&ran) < count && waited_ms < 20000; waited_ms += pause_ms) {
      sleep_ms(pause_ms);
      if (cont_at && now_ns() >= cont_at) {
        if (kill((pid_t)stop_pid, SIGCONT)) give_up("SIGCONT");
        cont_at = 0;
      }
    }
    if (atomic_load(&ran) < count) incomplete++;
  }
  if (cont_at) kill((pid_t)stop_pid, SIGCONT);
  for (long i = 0; i < count; i++) pthread_join(ids[i], NULL);
  report(count, stops, incomplete);
  return incomplete ? 1 : 0;
}
