/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two processes hand a byte to and fro over two pipes: per round trip, two wakeups and two switches of the workload's
 * own tasks, nothing else.
 *
 *   ping_pong [-w WARM_UP] [-n ROUND_TRIPS] [-r REPEATS] [-l LABEL] [-s SCHEDULER_PID]
 *
 * Prints a line of JSON per repeat; see measure.h.
 */
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

static void exchange(int from, int to, long times, int first) {
  char byte = 'x';

  for (long i = 0; i < times; i++) {
    if (first && write(to, &byte, 1) != 1) fail("write");
    if (read(from, &byte, 1) != 1) fail("read");
    if (!first && write(to, &byte, 1) != 1) fail("write");
  }
}

int main(int argc, char** argv) {
  long warm_up = 1000, round_trips = 10000, repeats = 5;
  const char* label = "";
  int there[2], back[2], option, scheduler = 0;
  pid_t other;

  while ((option = getopt(argc, argv, "w:n:r:l:s:")) != -1) {
    if (option == 'w')
      warm_up = atol(optarg);
    else if (option == 'n')
      round_trips = atol(optarg);
    else if (option == 'r')
      repeats = atol(optarg);
    else if (option == 'l')
      label = optarg;
    else if (option == 's')
      scheduler = atoi(optarg);
    else
      return 2;
  }
  if (optind != argc || warm_up < 0 || round_trips < 1 || repeats < 1) return 2;
  if (pipe(there) || pipe(back)) fail("pipe");
  other = fork();
  if (other < 0) fail("fork");
  if (other == 0) {
    exchange(there[0], back[1], warm_up + repeats * round_trips, 0);
    _exit(0);
  }
  exchange(back[0], there[1], warm_up, 1);
  for (long i = 0; i < repeats; i++) {
    struct measure before, after;

    before.workload_switches = switches_of(getpid()) + switches_of(other);
    measure(&before, scheduler);
    MARK_BEGIN();
    exchange(back[0], there[1], round_trips, 1);
    MARK_END();
    measure(&after, scheduler);
    after.workload_switches = switches_of(getpid()) + switches_of(other);
    report("ping_pong", label, i, &before, &after);
  }
  if (waitpid(other, 0, 0) != other) fail("waitpid");
  return 0;
}
