/*
 * What a run may leave behind in a sandbox that is used again, once all its processes are dead: files in /tmp and
 * /dev/shm, System V objects and sockets that the kernel keeps. Takes it away, or says that it could not, and then the
 * sandbox is given up. Keys and POSIX queues cannot be left: the system-call filter refuses to make them.
 */
#ifndef ORIEN_LEFTOVERS_H
#define ORIEN_LEFTOVERS_H

#include "freestanding.h"

enum { MAX_DEPTH = 16, MAX_ENTRIES = 4096, LISTING_BYTES = 2048, ATTRIBUTES_BYTES = 1024, NET_BYTES = 512 };
/* What could not be taken away, in the order of LEFTOVERS in src/sandbox/slot.ts. */
enum { LEFT_NOTHING, LEFT_TEMPORARY, LEFT_SHARED_MEMORY, LEFT_OBJECTS, LEFT_ADDRESS, LEFT_SOCKETS };
enum { DIRECTORY_ENTRY = 4, REMOVE_DIRECTORY = 0x200, OPEN_TO_ALL = 01777, IPC_REMOVE = 0 };

struct listed { u64 inode, offset; unsigned short bytes; u8 type; char name[]; };

static int is_dots(const char *name) { return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])); }

static int starts_with(const char *text, const char *start) {
  while (*start) if (*text++ != *start++) return 0;
  return 1;
}

/* A directory may be closed even to its owner. Nothing else runs here any more, so a name cannot change its meaning. */
static i64 enter(i64 parent, const char *name) {
  sys3(__NR_fchmodat, parent, name, 0700);
  return sys4(__NR_openat, parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* Attributes of a directory that stays outlive its files; those of the machine's own security module may stay. */
static int has_attributes(i64 dir) {
  char names[ATTRIBUTES_BYTES];
  i64 n = sys3(__NR_flistxattr, dir, names, ATTRIBUTES_BYTES);
  if (n == -EOPNOTSUPP || n == -ENOSYS) return 0;
  if (n < 0) return 1;
  for (i64 at = 0; at < n; at++) {
    if (starts_with(names + at, "user.") || starts_with(names + at, "system.")) return 1;
    while (at < n && names[at]) at++;
  }
  return 0;
}

static int remove_entry(i64 dir, const struct listed *entry, int depth, int *left);

/*
 * Begins again after every pass that removed something, because what is removed while a directory is read may hide
 * what follows it. What the sandbox itself mounted there (a tool's runtime) stays, and the directories on the way to it.
 *
 * @returns how much stays, or a negative number when something else could not be removed
 */
static int empty_directory(i64 dir, int depth, int *left) {
  char listing[LISTING_BYTES];
  for (;;) {
    int removed = 0, kept = 0;
    if (sys3(__NR_lseek, dir, 0, 0) < 0) return -1;
    for (i64 n; (n = sys3(__NR_getdents64, dir, listing, LISTING_BYTES)) != 0;) {
      if (n < 0) return -1;
      for (i64 at = 0; at < n; at += ((struct listed *)(listing + at))->bytes) {
        const struct listed *entry = (struct listed *)(listing + at);
        if (is_dots(entry->name)) continue;
        int outcome = --*left < 0 ? -1 : remove_entry(dir, entry, depth, left);
        if (outcome < 0) return -1;
        if (outcome) kept++;
        else removed++;
      }
    }
    if (!removed) return has_attributes(dir) ? -1 : kept;
  }
}

/* @returns 0 when it is gone, 1 when it belongs to the sandbox, or a negative number */
static int remove_entry(i64 dir, const struct listed *entry, int depth, int *left) {
  int flags = entry->type == DIRECTORY_ENTRY ? REMOVE_DIRECTORY : 0;
  i64 error = sys3(__NR_unlinkat, dir, entry->name, flags);
  if (error == 0) return 0;
  if (error == -EBUSY) return 1;
  if (error != -ENOTEMPTY || depth == MAX_DEPTH) return -1;
  i64 child = enter(dir, entry->name);
  if (child < 0) return -1;
  int kept = empty_directory(child, depth + 1, left);
  sys1(__NR_close, child);
  if (kept) return kept < 0 ? kept : sys3(__NR_fchmodat, dir, entry->name, 0755) < 0 ? -1 : 1;
  return sys3(__NR_unlinkat, dir, entry->name, REMOVE_DIRECTORY) < 0 ? -1 : 0;
}

static int empty_place(const char *path) {
  int left = MAX_ENTRIES;
  sys3(__NR_fchmodat, AT_FDCWD, path, OPEN_TO_ALL);
  i64 dir = sys4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (dir < 0) return 0;
  int kept = empty_directory(dir, 0, &left);
  sys1(__NR_close, dir);
  return kept >= 0;
}

/* By index and whatever its mode says (…_STAT_ANY, Linux 4.17). @returns whether none is left */
static int remove_objects(i64 call, int info, int stat_any, int with_number) {
  u64 facts[64];
  for (int round = 0, found = 1; found; round++) {
    if (round == 2) return 0;
    found = 0;
    i64 highest = with_number ? sys4(call, 0, 0, info, facts) : sys3(call, 0, info, facts);
    if (highest < 0) return highest == -ENOSYS;
    for (i64 i = 0; i <= highest; i++) {
      i64 id = with_number ? sys4(call, i, 0, stat_any, facts) : sys3(call, i, stat_any, facts);
      if (id < 0) continue;
      found = 1;
      if ((with_number ? sys4(call, id, 0, IPC_REMOVE, 0) : sys3(call, id, IPC_REMOVE, 0)) < 0) return 0;
    }
  }
  return 1;
}

static int empty_ipc(void) {
  return remove_objects(__NR_shmctl, 14, 15, 0) && remove_objects(__NR_msgctl, 12, 13, 0) && remove_objects(__NR_semctl, 19, 20, 1);
}

/* In milliseconds, far above what the kernel takes to forget a closed socket on a busy machine. */
enum { FORGETTING_MS = 500 };

/*
 * Of this network namespace alone. The kernel counts a closed socket until every processor has forgotten it, which
 * takes some milliseconds: bubblewrap's own, with which it brought the network up, is still counted after a first
 * short run. What holds a TCP address back, open or for a while after its end, is given up at once.
 */
static int look_at_network(void) {
  char text[NET_BYTES];
  i64 fd = sys4(__NR_openat, AT_FDCWD, "/proc/net/sockstat", O_RDONLY | O_CLOEXEC, 0);
  i64 n = fd < 0 ? fd : sys3(__NR_read, fd, text, NET_BYTES - 1);
  if (fd >= 0) sys1(__NR_close, fd);
  if (n <= 0) return LEFT_ADDRESS;
  text[n] = 0;
  int is_free = 0;
  for (const char *at = text; *at; at++) {
    if (starts_with(at, "\nTCP: inuse ") && !starts_with(at, "\nTCP: inuse 0 ")) return LEFT_ADDRESS;
    if (starts_with(at, " tw ") && !(is_free = starts_with(at, " tw 0 "))) return LEFT_ADDRESS;
  }
  if (!is_free) return LEFT_ADDRESS;
  return starts_with(text, "sockets: used 0\n") ? LEFT_NOTHING : LEFT_SOCKETS;
}

static int await_network(void) {
  struct timespec millisecond = {0, (i64)MILLISECOND_NS};
  for (int waited_ms = 0;; waited_ms++) {
    int left = look_at_network();
    if (left != LEFT_SOCKETS || waited_ms == FORGETTING_MS) return left;
    sys2(__NR_nanosleep, &millisecond, 0);
  }
}

static int take_leftovers_away(void) {
  if (!empty_place("/tmp")) return LEFT_TEMPORARY;
  if (!empty_place("/dev/shm")) return LEFT_SHARED_MEMORY;
  if (!empty_ipc()) return LEFT_OBJECTS;
  return await_network();
}

#endif
