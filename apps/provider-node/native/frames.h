/* Frames (u32 kind, u32 bytes, payload) over a socket: what the programs here say to the node and hear from it. */
#ifndef ORIEN_FRAMES_H
#define ORIEN_FRAMES_H

#include "freestanding.h"

enum { NO_SIGNAL = 0x4000, NOT_NOW = 0x40, SMALL_FRAME_BYTES = 4096 };

struct header { u32 kind, bytes; };

/* Not by read: that would count as a tool's own where its process takes the request. @returns whether all of it came before the other side went away */
static int receive(i64 fd, void *to, u64 bytes) {
  for (u64 have = 0; have < bytes;) {
    i64 n = sys6(__NR_recvfrom, fd, (i64)((u8 *)to + have), (i64)(bytes - have), 0, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) return 0;
    have += (u64)n;
  }
  return 1;
}

/* Ends the program where nobody listens any more. */
static void send_bytes(i64 fd, const void *from, u64 bytes) {
  for (u64 sent = 0; sent < bytes;) {
    i64 n = sys6(__NR_sendto, fd, (i64)((const u8 *)from + sent), (i64)(bytes - sent), NO_SIGNAL, 0, 0);
    if (n == -EINTR) continue;
    if (n <= 0) quit(1);
    sent += (u64)n;
  }
}

static void send_frame(i64 fd, u32 kind, const void *payload, u32 bytes) {
  struct { struct header header; u8 data[SMALL_FRAME_BYTES]; } frame;
  frame.header = (struct header){kind, bytes};
  memcpy(frame.data, payload, bytes);
  send_bytes(fd, &frame, sizeof(struct header) + bytes);
}

/* SIGCHLD is blocked and read from a descriptor, so that one poll waits for everything. */
static i64 watch_children(void) {
  u64 children = 1UL << (SIGCHLD - 1);
  sys4(__NR_rt_sigprocmask, SIG_BLOCK, &children, 0, sizeof children);
  return sys4(__NR_signalfd4, -1, &children, sizeof children, O_NONBLOCK | O_CLOEXEC);
}

#endif
