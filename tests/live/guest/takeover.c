/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * takeover: a thread that is not the leader calls exec, by which it takes over the tid of its leader, which ends.
 *
 *   takeover --processes N --times N
 *
 * Each process does so a number of times in a row; the leader sleeps, computes or waits on the CPU in turn. Exits with
 * 1 if one of them got lost.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static void* call_exec(void* argument) {
  char left[24];

  snprintf(left, sizeof(left), "%ld", (long)argument - 1);
  execlp("takeover", "takeover", "--left", left, NULL);
  give_up("exec");
}

/* One process; `left`: how often it will still do it. */
static int play(long left) {
  pthread_t thread;

  if (left == 0) return 7;
  if ((errno = pthread_create(&thread, NULL, call_exec, (void*)left))) give_up("pthread_create");
  for (;;) {
    if (left % 3 == 0) pause();
    if (left % 3 == 1) sched_yield();
  }
}

int main(int argc, char** argv) {
  long left = option(argc, argv, "--left", 0, -1), count = option(argc, argv, "--processes", 0, 4);
  long times = option(argc, argv, "--times", 0, 10), failed = 0;
  int status;

  if (left >= 0) return play(left);
  for (long i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) return play(times);
  }
  for (long i = 0; i < count; i++) {
    if (wait(&status) < 0) give_up("wait");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) failed++;
  }
  return failed ? 1 : 0;
}
