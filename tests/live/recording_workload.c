/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that wait for one another in every way that the recorder tells apart, each under a name of its own, so that
 * recording_check.py knows who must have woken whom and over what. Two tasks per kind, both on CPU 0: one can only
 * get on when the other sleeps.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100, FEW = 20 };

static int from[2], to[2]; /* what the two tasks of a kind use; set before they are forked */
static int *futex_here, *futex_there;

static void must(int good) {
  if (!good) {
    perror("recording_workload");
    _exit(2);
  }
}

static void become(const char* name) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET(0, &set);
  must(prctl(PR_SET_NAME, name) == 0 && sched_setaffinity(0, sizeof(set), &set) == 0);
}

static pid_t start(const char* name, void (*body)(void)) {
  pid_t child = fork();

  must(child >= 0);
  if (child) return child;
  become(name);
  body();
  _exit(0);
}

static void both(const char* name_a, void (*a)(void), const char* name_b, void (*b)(void)) {
  pid_t first = start(name_a, a), second = start(name_b, b);
  int status;

  must(waitpid(first, &status, 0) == first && status == 0);
  must(waitpid(second, &status, 0) == second && status == 0);
}

static void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, 0); }

static void get(int fd) {
  char byte;
  must(read(fd, &byte, 1) == 1);
}

static void put(int fd) { must(write(fd, "x", 1) == 1); }

/* ---- ping-pong: a writes to[1], b reads to[0] and writes from[1], a reads from[0] ---- */

static void ping(void) {
  for (int i = 0; i < ROUNDS; i++) put(to[1]), get(from[0]);
}

static void pong(void) {
  for (int i = 0; i < ROUNDS; i++) get(to[0]), put(from[1]);
}

static void connected(int a, int b) {
  to[1] = from[0] = a;
  to[0] = from[1] = b;
}

static void ping_pongs(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int pair[2], listener, client;

  must(pipe(to) == 0 && pipe(from) == 0);
  both("pipe-a", ping, "pipe-b", pong);
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  connected(pair[0], pair[1]);
  both("unix-a", ping, "unix-b", pong);
  listener = socket(AF_INET, SOCK_STREAM, 0);
  must(bind(listener, (struct sockaddr*)&address, length) == 0 && listen(listener, 1) == 0);
  must(getsockname(listener, (struct sockaddr*)&address, &length) == 0);
  client = socket(AF_INET, SOCK_STREAM, 0);
  must(connect(client, (struct sockaddr*)&address, length) == 0);
  connected(client, accept(listener, 0, 0));
  both("tcp-a", ping, "tcp-b", pong);
}

/* What is written before the accept is read after it. */
static struct sockaddr_un early_address = {.sun_family = AF_UNIX, .sun_path = "\0reprise-check"};

static void early_client(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);

  must(connect(fd, (struct sockaddr*)&early_address, sizeof(early_address)) == 0);
  put(fd);
  get(fd);
}

static void early_server(void) {
  int fd;

  sleep_ms(10);
  fd = accept(to[0], 0, 0);
  get(fd);
  put(fd);
  sleep_ms(5);
}

/* ---- one gives now and then, the other waits ---- */

static void give_bytes(void) {
  for (int i = 0; i < FEW; i++) sleep_ms(1), put(i & 1 ? to[1] : from[1]);
}

static void take_event(void) {
  uint64_t value;
  for (int i = 0; i < FEW; i++) must(read(to[0], &value, sizeof(value)) == sizeof(value));
}

static void give_event(void) {
  uint64_t value = 1;
  for (int i = 0; i < FEW; i++) sleep_ms(1), must(write(to[0], &value, sizeof(value)) == sizeof(value));
}

static void take_polled(void) {
  for (int i = 0; i < FEW; i++) {
    struct pollfd fds[2] = {{to[0], POLLIN, 0}, {from[0], POLLIN, 0}};
    must(poll(fds, 2, -1) >= 1);
    get(fds[0].revents ? to[0] : from[0]);
  }
}

static void take_epolled(void) {
  struct epoll_event event = {.events = EPOLLIN};
  int set = epoll_create1(0);

  event.data.fd = to[0];
  must(epoll_ctl(set, EPOLL_CTL_ADD, to[0], &event) == 0);
  event.data.fd = from[0];
  must(epoll_ctl(set, EPOLL_CTL_ADD, from[0], &event) == 0);
  for (int i = 0; i < FEW; i++) {
    must(epoll_wait(set, &event, 1, -1) == 1);
    get(event.data.fd);
  }
}

static int futex_flag;

static void futex(int* address, int operation, int value) {
  syscall(SYS_futex, address, operation | futex_flag, value, 0, 0, 0);
}

static void give_futex(void) {
  for (int i = 1; i <= FEW; i++) {
    sleep_ms(1);
    __atomic_store_n(futex_here, i, __ATOMIC_SEQ_CST);
    futex(futex_here, FUTEX_WAKE, 1);
  }
}

static void take_futex(void) {
  for (int i = 1; i <= FEW; i++)
    while (__atomic_load_n(futex_there, __ATOMIC_SEQ_CST) < i) futex(futex_there, FUTEX_WAIT, i - 1);
}

static void* give_futex_thread(void* unused) {
  become("futex-a");
  give_futex();
  return unused;
}

static void futex_threads(void) {
  static int word;
  pthread_t thread;

  futex_here = futex_there = &word;
  futex_flag = FUTEX_PRIVATE_FLAG;
  must(pthread_create(&thread, 0, give_futex_thread, 0) == 0);
  take_futex();
  must(pthread_join(thread, 0) == 0);
}

static void nothing(void) {}

static void givers_and_takers(void) {
  int memory;

  to[0] = socket(AF_UNIX, SOCK_STREAM, 0);
  must(bind(to[0], (struct sockaddr*)&early_address, sizeof(early_address)) == 0 && listen(to[0], 1) == 0);
  both("early-a", early_client, "early-b", early_server);
  to[0] = eventfd(0, 0);
  both("event-a", give_event, "event-b", take_event);
  must(pipe(to) == 0 && pipe(from) == 0);
  both("poll-a", give_bytes, "poll-b", take_polled);
  both("epoll-a", give_bytes, "epoll-b", take_epolled);
  both("futex-b", futex_threads, "nothing", nothing);
  memory = memfd_create("shared", 0); /* the same place, mapped at two addresses from two offsets */
  must(ftruncate(memory, 8192) == 0);
  futex_here = (int*)mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) + 1024 + 5;
  futex_there = (int*)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 4096) + 5;
  both("shared-a", give_futex, "shared-b", take_futex);
}

/* ---- timers ---- */

static void sleep_relative(void) {
  for (int i = 0; i < FEW; i++) sleep_ms(3);
}

static void sleep_until(clockid_t clock) {
  struct timespec when;

  must(clock_gettime(clock, &when) == 0);
  for (int i = 0; i < FEW; i++) {
    when.tv_nsec += 3000000;
    if (when.tv_nsec >= 1000000000) when.tv_nsec -= 1000000000, when.tv_sec++;
    must(clock_nanosleep(clock, TIMER_ABSTIME, &when, 0) == 0);
  }
}

static void sleep_absolute(void) {
  sleep_until(CLOCK_MONOTONIC);
  sleep_until(CLOCK_REALTIME);
}

static const struct itimerspec every_2_ms = {{0, 2000000}, {0, 2000000}};

static void timer_file(void) {
  to[0] = timerfd_create(CLOCK_MONOTONIC, 0);
  must(timerfd_settime(to[0], 0, &every_2_ms, 0) == 0);
  take_event();
}

static void timer_signal(void) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  sigset_t set;
  timer_t timer;
  int got;

  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_BLOCK, &set, 0);
  must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every_2_ms, 0) == 0);
  for (int i = 0; i < FEW; i++) must(sigwait(&set, &got) == 0);
}

/* ---- locks and CPU time ---- */

static void lock_flock(void) {
  int fd = open("/tmp/reprise-check.lock", O_CREAT | O_RDWR, 0600);

  must(fd >= 0 && flock(fd, LOCK_EX) == 0);
  sleep_ms(5);
  must(flock(fd, LOCK_UN) == 0);
}

static void lock_fcntl(void) {
  int fd = open("/tmp/reprise-check.lock", O_CREAT | O_RDWR, 0600);
  struct flock lock = {.l_type = F_WRLCK};

  must(fd >= 0 && fcntl(fd, F_SETLKW, &lock) == 0);
  sleep_ms(5);
  lock.l_type = F_UNLCK;
  must(fcntl(fd, F_SETLKW, &lock) == 0);
}

static void spin(void) {
  char text[128] = {}, name[16] = {};
  struct timespec used;
  int fd;

  do {
    for (volatile int i = 0; i < 20000; i++) continue;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  } while (used.tv_sec == 0 && used.tv_nsec < 200000000);
  fd = open("/proc/self/schedstat", O_RDONLY);
  must(prctl(PR_GET_NAME, name) == 0 && read(fd, text, sizeof(text) - 1) > 0);
  printf("%s %lld\n", name, atoll(text));
  fflush(stdout);
}

int main(void) {
  ping_pongs();
  givers_and_takers();
  both("sleep-a", sleep_relative, "sleep-b", sleep_absolute);
  both("timer-a", timer_file, "timer-b", timer_signal);
  both("flock-a", lock_flock, "flock-b", lock_flock);
  both("fcntl-a", lock_fcntl, "fcntl-b", lock_fcntl);
  both("spin-a", spin, "spin-b", spin);
  unlink("/tmp/reprise-check.lock");
  return 0;
}
