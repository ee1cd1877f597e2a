/*
 * How the helper comes to be PID 1 of a container, whose engine hands on neither descriptors nor a filter of ours: it
 * connects to the node by a socket that is shown to it, and puts itself, and so every tool, behind the same
 * system-call filter as under bubblewrap.
 */
#ifndef ORIEN_CONTAINER_H
#define ORIEN_CONTAINER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/un.h>

#include "freestanding.h"

enum { LOCAL = 1, LOCAL_STREAM = 1, FILTER_INSTRUCTIONS = 4096 };

static struct sock_filter filter[FILTER_INSTRUCTIONS];

/* The node listens until this one connection is there, so nothing that runs later can be connected. */
static int connect_channel(const char *path, int channel) {
  struct sockaddr_un address = {LOCAL, ""};
  for (size i = 0; path[i]; i++) {
    if (i + 1 >= sizeof address.sun_path) return 0;
    address.sun_path[i] = path[i];
  }
  i64 fd = sys3(__NR_socket, LOCAL, LOCAL_STREAM, 0);
  if (fd < 0 || sys3(__NR_connect, fd, &address, sizeof address) < 0) return 0;
  if (fd == channel) return 1;
  if (sys3(__NR_dup3, fd, channel, 0) < 0) return 0;
  sys1(__NR_close, fd);
  return 1;
}

static int load_filter(const char *path) {
  i64 fd = sys4(__NR_openat, AT_FDCWD, path, O_RDONLY, 0);
  u64 bytes = 0;
  for (i64 n; fd >= 0 && bytes < sizeof filter; bytes += (u64)n)
    if ((n = sys3(__NR_read, fd, (u8 *)filter + bytes, sizeof filter - bytes)) <= 0) break;
  sys1(__NR_close, fd);
  struct sock_fprog program = {(unsigned short)(bytes / sizeof filter[0]), filter};
  if (bytes == 0 || bytes == sizeof filter || bytes % sizeof filter[0]) return 0;
  if (sys5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return 0;
  return sys3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

#endif
