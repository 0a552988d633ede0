// SPDX-License-Identifier: GPL-2.0-only
// Request and response: clients that think, ask and wait for the answer, and the threads of a server that take the
// requests of all of them from one socket. What a request costs and how long a client thinks is drawn from a seed.
//   server CLIENTS WORKERS REQUESTS
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMaxClients = 64 };

struct request {
  uint32_t client;
  uint32_t loops;
};

static int queue[2];  // SEQPACKET: one request a message, whichever worker comes first
static int answers[kMaxClients][2];

static uint64_t next(uint64_t* state) {  // xorshift64
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void work(uint32_t loops) {
  for (volatile uint32_t i = 0; i < loops; ++i) {
  }
}

static void* worker(void* unused) {
  struct request request;
  prctl(PR_SET_NAME, "worker");
  while (read(queue[1], &request, sizeof request) == sizeof request) {
    work(request.loops);
    if (write(answers[request.client][1], &request, sizeof request) != sizeof request) perror("answer");
  }
  return unused;
}

static void client(uint32_t number, int requests) {
  uint64_t state = 88172645463325252u + number;
  prctl(PR_SET_NAME, "client");
  while (requests-- > 0) {
    const uint64_t draw = next(&state);
    struct request request = {.client = number, .loops = 5000 + (uint32_t)(draw % 20000) * (draw >> 32 & 15 ? 1 : 8)};
    const struct timespec think = {.tv_nsec = 500000 + (long)(next(&state) % 4000000)};
    nanosleep(&think, NULL);
    work(2000);
    if (write(queue[0], &request, sizeof request) != sizeof request) perror("request");
    if (read(answers[number][0], &request, sizeof request) != sizeof request) perror("answer");
  }
}

int main(int argc, char** argv) {
  const int clients = argc > 1 ? atoi(argv[1]) : 8, workers = argc > 2 ? atoi(argv[2]) : 3;
  const int requests = argc > 3 ? atoi(argv[3]) : 100;
  if (clients < 1 || clients > kMaxClients || workers < 1 || requests < 1) return 2;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, queue) != 0) return 1;
  for (int i = 0; i < clients; ++i)
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, answers[i]) != 0) return 1;
  for (int i = 0; i < clients; ++i) {
    if (fork() != 0) continue;
    close(queue[1]);
    client((uint32_t)i, requests);
    return 0;
  }
  close(queue[0]);  // so that the workers end when the last client has
  pthread_t thread;
  for (int i = 1; i < workers; ++i)
    if (pthread_create(&thread, NULL, worker, NULL) != 0) return 1;
  worker(NULL);
  return 0;
}
