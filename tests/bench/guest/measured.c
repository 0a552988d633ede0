/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a command several times and reports what each run cost, all its processes included.
 *
 *   measured -l LABEL -t WORKLOAD [-w WARM_UPS] [-r REPEATS] [-s SCHEDULER_PID] -- COMMAND...
 *
 * Prints a line of JSON per repeat; see measure.h. What the command prints goes nowhere.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

static long long switches_of_children(void) {
  struct rusage use;

  if (getrusage(RUSAGE_CHILDREN, &use)) fail("getrusage");
  return use.ru_nvcsw + use.ru_nivcsw;
}

static void run(char** command) {
  int status;
  pid_t child = fork();

  if (child < 0) fail("fork");
  if (child == 0) {
    int nowhere = open("/dev/null", O_WRONLY);

    dup2(nowhere, 1);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
  }
  if (waitpid(child, &status, 0) != child) fail("waitpid");
  if (status) {
    fprintf(stderr, "measured: %s ended with status %#x\n", command[0], status);
    exit(1);
  }
}

int main(int argc, char** argv) {
  long warm_ups = 1, repeats = 5;
  const char *label = "", *workload = "";
  int option, scheduler = 0;

  while ((option = getopt(argc, argv, "+w:r:l:t:s:")) != -1) {
    if (option == 'w')
      warm_ups = atol(optarg);
    else if (option == 'r')
      repeats = atol(optarg);
    else if (option == 'l')
      label = optarg;
    else if (option == 't')
      workload = optarg;
    else if (option == 's')
      scheduler = atoi(optarg);
    else
      return 2;
  }
  if (optind == argc || warm_ups < 0 || repeats < 1) return 2;
  for (long i = 0; i < warm_ups; i++) run(argv + optind);
  for (long i = 0; i < repeats; i++) {
    struct measure before, after;

    before.workload_switches = switches_of_children();
    measure(&before, scheduler);
    MARK_BEGIN();
    run(argv + optind);
    MARK_END();
    measure(&after, scheduler);
    after.workload_switches = switches_of_children();
    report(workload, label, i, &before, &after);
  }
  return 0;
}
