/*
 * Raw system calls for programs that carry no C library: they start in microseconds, weigh a few
 * kilobytes (so a prebuilt one can live in the repository) and have no environment, locale or loader to subvert.
 */
#ifndef ORIEN_FREESTANDING_H
#define ORIEN_FREESTANDING_H

#include <asm/unistd.h>
#include <linux/close_range.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/wait.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;
typedef unsigned long size;

#define SECOND_NS 1000000000UL
#define MILLISECOND_NS 1000000UL

#if defined(__x86_64__)
static inline i64 sys6(i64 nr, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
  register i64 r10 __asm__("r10") = d;
  register i64 r8 __asm__("r8") = e;
  register i64 r9 __asm__("r9") = f;
  i64 result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call program\n hlt\n");
#elif defined(__aarch64__)
static inline i64 sys6(i64 nr, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f) {
  register i64 x8 __asm__("x8") = nr;
  register i64 x0 __asm__("x0") = a;
  register i64 x1 __asm__("x1") = b;
  register i64 x2 __asm__("x2") = c;
  register i64 x3 __asm__("x3") = d;
  register i64 x4 __asm__("x4") = e;
  register i64 x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n and sp,x0,#-16\n bl program\n brk #1\n");
#else
#error "unsupported processor"
#endif

#define sys0(nr) sys6((nr), 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) sys6((nr), (i64)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) sys6((nr), (i64)(a), (i64)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c) sys6((nr), (i64)(a), (i64)(b), (i64)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) sys6((nr), (i64)(a), (i64)(b), (i64)(c), (i64)(d), 0, 0)
#define sys5(nr, a, b, c, d, e) sys6((nr), (i64)(a), (i64)(b), (i64)(c), (i64)(d), (i64)(e), 0)

/* The compiler may emit calls to these even in freestanding code. */
void *memset(void *to, int value, size count) {
  for (size i = 0; i < count; i++) ((volatile u8 *)to)[i] = (u8)value;
  return to;
}

void *memcpy(void *to, const void *from, size count) {
  for (size i = 0; i < count; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}

static inline void quit(int status) {
  for (;;) sys1(__NR_exit_group, status);
}

static inline u64 now_ns(void) {
  struct timespec at = {0, 0};
  sys2(__NR_clock_gettime, CLOCK_MONOTONIC, &at);
  return (u64)at.tv_sec * SECOND_NS + (u64)at.tv_nsec;
}

static inline i64 duplicate_process(void) { return sys5(__NR_clone, SIGCHLD, 0, 0, 0, 0); }

/* libc's own struct statfs differs by architecture; both 64-bit ones share this layout. */
struct disk {
  i64 type, block_bytes;
  u64 blocks, free, available, inodes, inodes_free;
  int id[2];
  i64 name_bytes, fragment_bytes, flags, spare[4];
};

#endif
