/*
 * Every attack ends with 0 when it came through and with 1 when it was stopped; anything else means that the attack
 * itself is broken. What stopped it goes to stderr.
 */
#ifndef ORIEN_ATTACK_H
#define ORIEN_ATTACK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int stopped(const char *by) { return fprintf(stderr, "stopped: %s\n", by), 1; }

/* Of a call that answers with a negative number, and errno, where it is refused. */
static inline int verdict(long result) { return result < 0 ? stopped(strerror(errno)) : 0; }

/* Lives for as long as an attack on it may take. */
static inline pid_t victim(void) {
  pid_t pid = fork();
  if (pid == 0) {
    sleep(5);
    _exit(0);
  }
  return pid;
}

static inline int verdict_over(pid_t pid, long result) {
  int error = errno;
  kill(pid, SIGKILL);
  waitpid(pid, 0, 0);
  errno = error;
  return verdict(result);
}

/* A terminal of its own, so that outside a sandbox nobody's real one is written to. */
static inline int own_terminal(void) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), unlock = 0;
  if (master < 0) return master;
  if (fork() > 0) {
    int status;
    wait(&status);
    exit(WEXITSTATUS(status));
  }
  setsid();
  ioctl(master, 0x40045431 /* TIOCSPTLCK */, &unlock);
  int terminal = ioctl(master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY);
  ioctl(terminal, 0x540e /* TIOCSCTTY */, 0);
  return terminal;
}

#endif
