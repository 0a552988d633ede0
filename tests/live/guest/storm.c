/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * storm: many short-lived processes, a few at a time; every fourth starts a thread as well.
 *
 *   storm --processes N --at-once N
 *
 * Exits with 1 if one of them did not end as it should.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

static volatile unsigned sink;

static void* compute(void* argument) {
  for (long i = 0; i < (long)argument; i++) sink += (unsigned)i;
  return NULL;
}

static _Noreturn void child(long number) {
  pthread_t thread;

  if (number % 4 == 0) {
    if (pthread_create(&thread, NULL, compute, (void*)2000)) _exit(9);
    compute((void*)1000);
    pthread_join(thread, NULL);
  } else {
    compute((void*)((number % 7) * 1000));
  }
  _exit(7);
}

int main(int argc, char** argv) {
  long count = option(argc, argv, "--processes", 0, 1000), at_once = option(argc, argv, "--at-once", 0, 8);
  long started = 0, ended = 0, failed = 0;
  int status;

  while (ended < count) {
    while (started < count && started - ended < at_once) {
      pid_t pid = fork();
      if (pid < 0) give_up("fork");
      if (pid == 0) child(started);
      started++;
    }
    if (wait(&status) < 0) give_up("wait");
    ended++;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) failed++;
  }
  return failed ? 1 : 0;
}
