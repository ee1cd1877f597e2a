/*
 * How much the processes of a sandbox moved by read and write calls: rchar and wchar of proc(5), whatever lies behind
 * a descriptor. What reached a device (read_bytes, write_bytes, a cgroup's io.stat) depends on what the machine's cache
 * happens to hold, and is nothing for a workspace in memory: the same run would have another figure each time.
 *
 * The dead hand their counts to whoever waits for them. PID 1 has one thread: what its whole process counts beyond that
 * thread came from the dead.
 */
#ifndef ORIEN_IO_H
#define ORIEN_IO_H

#include "memory.h"

enum { IO_TEXT_BYTES = 512 };

struct io { u64 read_bytes, written_bytes; };

static i64 io_of_process = -1, io_of_thread = -1;

/* While the process is still dumpable: later not even its own file is open to it. */
static void open_io(void) {
  io_of_process = sys4(__NR_openat, AT_FDCWD, "/proc/self/io", O_RDONLY | O_CLOEXEC, 0);
  io_of_thread = sys4(__NR_openat, AT_FDCWD, "/proc/thread-self/io", O_RDONLY | O_CLOEXEC, 0);
}

static u64 field_of(const char *text, const char *name) {
  for (; *text; text++) {
    u64 i = 0;
    while (name[i] && text[i] == name[i]) i++;
    if (!name[i]) return parse_number(text + i);
  }
  return 0;
}

/* @returns the bytes that this itself read, or 0 where the kernel does not count */
static u64 read_io(i64 fd, struct io *io) {
  char text[IO_TEXT_BYTES];
  i64 n = fd < 0 ? fd : sys4(__NR_pread64, fd, text, IO_TEXT_BYTES - 1, 0);
  if (n <= 0) return 0;
  text[n] = 0;
  io->read_bytes = field_of(text, "rchar:");
  io->written_bytes = field_of(text, "wchar:");
  return (u64)n;
}

/* @returns whether the kernel says what all the dead moved */
static int io_of_dead(struct io *io) {
  struct io own, all;
  u64 asked_bytes = read_io(io_of_thread, &own);
  if (!asked_bytes || !read_io(io_of_process, &all)) return 0;
  io->read_bytes = all.read_bytes - own.read_bytes - asked_bytes;
  io->written_bytes = all.written_bytes - own.written_bytes;
  return 1;
}

#endif
