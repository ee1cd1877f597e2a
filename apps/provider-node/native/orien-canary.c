/*
 * Attacks and bad behaviour on request. `orien-canary try NAME[=VALUE] …` prints `NAME escaped` or `NAME contained`
 * for each; the other commands burn, fork, flood and linger in known amounts. The node runs it inside a sandbox
 * to learn what that sandbox is worth, and the tests run it outside too, to see that each attack is a real one.
 */
#include "attacks.h"

/* In a child, because some attacks end the attacker. */
static int escapes(i64 (*attempt)(const char *), const char *value) {
  int status = 0;
  i64 pid = duplicate_process();
  if (pid == 0) quit(attempt(value) >= 0 ? 0 : 1);
  while (sys4(__NR_wait4, pid, &status, 0, 0) == -EINTR) {}
  return status == 0;
}

static int try_all(char **names) {
  for (; *names; names++) {
    u64 i = 0, count = sizeof attacks / sizeof attacks[0];
    const char *value = 0;
    for (; i < count; i++) {
      value = after(*names, attacks[i].name);
      if (value && (*value == 0 || *value == '=')) break;
    }
    if (i == count) return 2;
    int escaped = escapes(attacks[i].attempt, *value ? value + 1 : value);
    print(*names);
    print(escaped ? " escaped\n" : " contained\n");
  }
  return 0;
}

static void burn(u64 ms) {
  struct rusage used;
  do {
    for (volatile int i = 0; i < 20000; i++) {}
    sys2(__NR_getrusage, RUSAGE_SELF, &used);
  } while ((u64)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 + (u64)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000 < ms);
}

/* Reads and writes each so much, a full pipe at a time. */
static void move(u64 megabytes) {
  int ends[2];
  sys2(__NR_pipe2, ends, 0);
  for (u64 i = 0; i < megabytes * 16; i++) {
    sys3(__NR_write, ends[1], chunk, CHUNK_BYTES);
    sys3(__NR_read, ends[0], chunk, CHUNK_BYTES);
  }
}

/* Each does its work, and is waited for. */
static void work_in_children(void (*work)(u64), u64 count, u64 amount) {
  for (u64 i = 0; i < count; i++)
    if (duplicate_process() == 0) {
      work(amount);
      quit(0);
    }
  for (int status; sys4(__NR_wait4, -1, &status, 0, 0) > 0;) {}
}

static void ignore_signals(void) {
  struct { void *handler; u64 flags; void *restorer; u64 mask; } ignore = {(void *)1, 0, 0, 0};
  for (int s = 1; s < 65; s++) sys4(__NR_rt_sigaction, s, &ignore, 0, 8);
}

/* Double-forked into sessions of their own, deaf to every signal but SIGKILL; they burn, then stay. */
static void daemons(u64 count, u64 burn_ms) {
  int status;
  for (u64 i = 0; i < count; i++) {
    i64 pid = duplicate_process();
    if (pid == 0) {
      sys0(__NR_setsid);
      ignore_signals();
      if (duplicate_process() != 0) quit(0);
      burn(burn_ms);
      print("d");
      nap(3600000);
      quit(0);
    }
    sys4(__NR_wait4, pid, &status, 0, 0);
  }
}

/* One descendant a link: children that nobody ever waits for, whose work only the last reaper can count. */
static void work_in_orphans(void (*work)(u64), u64 count, u64 amount) {
  int ends[2];
  char token;
  sys2(__NR_pipe2, ends, 0);
  for (u64 i = 0; i < count; i++)
    if (duplicate_process() == 0) {
      if (duplicate_process() != 0) quit(0);
      work(amount);
      sys3(__NR_write, ends[1], "x", 1);
      quit(0);
    }
  for (u64 i = 0; i < count; i++) sys3(__NR_read, ends[0], &token, 1);
}

static void touch_memory(u64 megabytes) {
  u64 bytes = megabytes << 20;
  i64 at = sys6(__NR_mmap, 0, (i64)bytes, 3, 0x22, -1, 0);
  if (at < 0) quit(3);
  for (u64 i = 0; i < bytes; i += PAGE_BYTES) ((volatile char *)at)[i] = 1;
}

/* Children that hold memory at the same time; fails when one of them was killed. */
static int crowd(u64 count, u64 megabytes) {
  int failed = 0, status;
  for (u64 i = 0; i < count; i++)
    if (duplicate_process() == 0) {
      touch_memory(megabytes);
      nap(200);
      quit(0);
    }
  while (sys4(__NR_wait4, -1, &status, 0, 0) > 0) failed |= status;
  return failed ? 5 : 0;
}

static int fill(const char *path, u64 megabytes) {
  i64 fd = open_file(path, O_WRONLY | O_CREAT);
  for (u64 i = 0; i < megabytes * 16; i++) if (sys3(__NR_write, fd, chunk, CHUNK_BYTES) != CHUNK_BYTES) return 3;
  return 0;
}

/* Empty files until there is no room for another. */
static int litter(const char *dir, u64 count) {
  char name[64];
  for (u64 i = 0; i < count; i++) {
    u64 at = length(dir);
    memcpy(name, dir, at);
    name[at++] = '/';
    for (u64 rest = i + 1; rest; rest /= 10) name[at++] = (char)('0' + rest % 10);
    name[at] = 0;
    i64 fd = open_file(name, O_WRONLY | O_CREAT);
    if (fd < 0) return 3;
    sys1(__NR_close, fd);
  }
  return 0;
}

/* System V objects outlive their maker; closed to everybody, so that only their owner's right can remove them. */
static int leave_objects(u64 count) {
  for (u64 key = 1; key <= count; key++)
    if (sys3(__NR_shmget, key, 65536, 01000) < 0 || sys3(__NR_semget, key, 1, 01000) < 0 || sys2(__NR_msgget, key, 01000) < 0) return 3;
  return 0;
}

static int count_objects(u64 count) {
  int found = 0;
  for (u64 key = 1; key <= count; key++)
    found += (sys3(__NR_shmget, key, 0, 0) != -ENOENT) + (sys3(__NR_semget, key, 0, 0) != -ENOENT) + (sys2(__NR_msgget, key, 0) != -ENOENT);
  return found;
}

static u64 fork_until_refused(void) {
  u64 made = 0;
  for (;; made++) {
    i64 pid = duplicate_process();
    if (pid < 0) return made;
    if (pid == 0) {
      nap(3600000);
      quit(0);
    }
  }
}

static int command(int count, char **words) {
  const char *verb = count > 1 ? words[1] : "";
  u64 a = count > 2 ? number(words[2]) : 0, b = count > 3 ? number(words[3]) : 0;
  if (same(verb, "try")) return try_all(words + 2);
  if (same(verb, "burn")) return burn(a), 0;
  if (same(verb, "children")) return work_in_children(burn, a, b), 0;
  if (same(verb, "orphans")) return work_in_orphans(burn, a, b), 0;
  if (same(verb, "move")) return move(a), 0;
  if (same(verb, "move-in-children")) return work_in_children(move, a, b), 0;
  if (same(verb, "move-in-orphans")) return work_in_orphans(move, a, b), 0;
  if (same(verb, "daemons")) return daemons(a, b), nap(count > 4 ? number(words[4]) : 0), 0;
  if (same(verb, "sleep")) return nap(a), 0;
  if (same(verb, "memory")) return touch_memory(a), nap(b), 0;
  if (same(verb, "crowd")) return crowd(a, b);
  if (same(verb, "forks")) return fork_until_refused() < a ? 0 : 4;
  if (same(verb, "fill")) return fill(words[2], b) || (count > 5 ? fill(words[4], number(words[5])) : 0) ? 3 : 0;
  if (same(verb, "litter")) return litter(words[2], b);
  if (same(verb, "objects")) return leave_objects(a);
  if (same(verb, "found")) return count_objects(a);
  if (same(verb, "mark")) return sys5(__NR_setxattr, words[2], "user.orien", "x", 1, 0) < 0 ? 3 : 0;
  if (same(verb, "flood")) for (;;) sys3(__NR_write, 1, chunk, CHUNK_BYTES);
  if (same(verb, "fail")) return (int)a;
  if (same(verb, "signal")) return sys2(__NR_kill, sys0(__NR_getpid), a), 0;
  return 2;
}

void program(i64 *stack) {
  int count = (int)stack[0];
  char **words = (char **)(stack + 1);
  environment = words + count + 1;
  quit(command(count, words));
}
