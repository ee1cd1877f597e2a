/*
 * How much memory a sandbox holds, for machines where no cgroup can say it. A limit on address space or data would
 * not do: V8 and Go reserve gigabytes that they never touch.
 */
#ifndef ORIEN_MEMORY_H
#define ORIEN_MEMORY_H

#include "freestanding.h"

enum { AUXILIARY_PAGE_BYTES = 6, ENTRIES_BYTES = 32768, FACTS_BYTES = 4096 };

static u64 page_bytes = 4096;
static char entries[ENTRIES_BYTES], facts_text[FACTS_BYTES];

/* The kernel puts the page's size behind the environment; it is 4, 16 or 64 KiB on arm64. */
static void learn_page_bytes(const u64 *stack) {
  const u64 *at = stack + 1 + stack[0] + 1;
  while (*at) at++;
  for (at++; at[0]; at += 2) if (at[0] == AUXILIARY_PAGE_BYTES) page_bytes = at[1];
}

static u64 parse_number(const char *text) {
  u64 value = 0;
  while (*text == ' ') text++;
  while (*text >= '0' && *text <= '9') value = value * 10 + (u64)(*text++ - '0');
  return value;
}

/* Text of /proc/<pid>/<name>, or an empty one. */
static const char *process_facts(i64 proc, const char *pid, const char *name) {
  char path[64];
  size at = 0;
  while (*pid) path[at++] = *pid++;
  path[at++] = '/';
  while (*name) path[at++] = *name++;
  path[at] = 0;
  facts_text[0] = 0;
  i64 fd = sys4(__NR_openat, proc, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return facts_text;
  i64 n = sys3(__NR_read, fd, facts_text, FACTS_BYTES - 1);
  facts_text[n > 0 ? n : 0] = 0;
  sys1(__NR_close, fd);
  return facts_text;
}

static u64 resident_of(i64 proc, const char *pid) {
  const char *text = process_facts(proc, pid, "statm");
  while (*text && *text != ' ') text++;
  return parse_number(text) * page_bytes;
}

/* What is shared counts once; a process that hides from this is counted by its whole resident size. */
static u64 share_of(i64 proc, const char *pid) {
  for (const char *text = process_facts(proc, pid, "smaps_rollup"); *text; text++)
    if (text[0] == '\n' && text[1] == 'P' && text[2] == 's' && text[3] == 's' && text[4] == ':')
      return parse_number(text + 5) * 1024;
  return resident_of(proc, pid);
}

/* Every process of the namespace but PID 1. */
static u64 sum_over_processes(u64 (*bytes_of)(i64, const char *)) {
  struct entry { u64 inode, offset; unsigned short bytes; u8 type; char name[]; };
  u64 sum = 0;
  i64 proc = sys4(__NR_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (proc < 0) return 0;
  for (i64 n; (n = sys3(__NR_getdents64, proc, entries, ENTRIES_BYTES)) > 0;)
    for (i64 at = 0; at < n; at += ((struct entry *)(entries + at))->bytes) {
      const char *name = ((struct entry *)(entries + at))->name;
      if (parse_number(name) > 1) sum += bytes_of(proc, name);
    }
  sys1(__NR_close, proc);
  return sum;
}

/* The exact sum walks every page table, so it is asked for only when the cheap one is too large. */
static int holds_more_than(u64 limit_bytes) {
  return sum_over_processes(resident_of) > limit_bytes && sum_over_processes(share_of) > limit_bytes;
}

#endif
