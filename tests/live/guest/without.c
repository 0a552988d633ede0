/* SPDX-License-Identifier: GPL-2.0-only */
/* without CAPABILITY... -- COMMAND...: runs it without these capabilities (numbers), as root is in many containers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char** argv) {
  int i;

  for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (prctl(PR_CAPBSET_DROP, strtoul(argv[i], NULL, 10), 0, 0, 0) != 0) {
      perror("without: prctl");
      return 1;
    }
  }
  if (i + 1 >= argc) {
    fprintf(stderr, "usage: without CAPABILITY... -- COMMAND...\n");
    return 2;
  }
  execvp(argv[i + 1], argv + i + 1); /* what root may do after exec is what is left of the bounding set */
  perror("without: exec");
  return 1;
}
