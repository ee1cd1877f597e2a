/*
 * How PID 1 starts a tool. The new process works in PID 1's own memory, on a stack of its own, until it becomes the tool;
 * PID 1 stands still as long. Copying even this small process takes two tenths of a millisecond, and nothing of the tool is
 * there yet that could look at what is shared.
 */
#ifndef ORIEN_LAUNCH_H
#define ORIEN_LAUNCH_H

#include "freestanding.h"

enum { CHANNEL = 3, MAX_ARGUMENTS = 4096, CHILD_STACK_BYTES = 16384 };

struct request {
  u64 limit_ns, deadline_ns, output_bytes, processes, open_files, file_bytes, memory_bytes, has_input, argc, envc;
  char strings[];
};

/* What both know until the one is the tool. */
struct launch { const struct request *request; int in, out, err; u64 start_ns; i64 error; };

static char *arguments[MAX_ARGUMENTS + 1], *environment[MAX_ARGUMENTS + 1];
static volatile struct launch launch;
static u8 child_stack[CHILD_STACK_BYTES] __attribute__((aligned(16)));

static i64 start_within(void (*entry)(void), u8 *stack_end) {
  i64 flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
#if defined(__x86_64__)
  register i64 none __asm__("r10") = 0;
  register i64 nowhere __asm__("r8") = 0;
  register void (*there)(void) __asm__("r9") = entry;
  i64 result;
  __asm__ volatile("syscall\n test %%rax,%%rax\n jnz 1f\n xor %%ebp,%%ebp\n call *%%r9\n hlt\n1:"
                   : "=a"(result)
                   : "a"(__NR_clone), "D"(flags), "S"(stack_end), "d"(0L), "r"(none), "r"(nowhere), "r"(there)
                   : "rcx", "r11", "memory");
  return result;
#else
  register i64 x8 __asm__("x8") = __NR_clone;
  register i64 x0 __asm__("x0") = flags;
  register u8 *x1 __asm__("x1") = stack_end;
  register i64 x2 __asm__("x2") = 0;
  register i64 x3 __asm__("x3") = 0;
  register i64 x4 __asm__("x4") = 0;
  register void (*there)(void) __asm__("x9") = entry;
  __asm__ volatile("svc 0\n cbnz x0, 1f\n mov x29,#0\n blr x9\n brk #1\n1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(there)
                   : "memory");
  return x0;
#endif
}

static void set_limit(int which, u64 value) {
  struct { u64 soft, hard; } limit = {value, value};
  if (sys4(__NR_prlimit64, 0, which, &limit, 0) < 0) quit(1);
}

/* In the memory of PID 1, which waits meanwhile. Only descriptors 0, 1 and 2 survive. */
static void become_tool(void) {
  const struct request *request = launch.request;
  u64 no_signals = 0;
  /* Where processors are shared out by session, a hundred processes of the tool weigh no more than PID 1 alone. */
  sys0(__NR_setsid);
  sys3(__NR_dup3, launch.in, 0, 0);
  sys3(__NR_dup3, launch.out, 1, 0);
  sys3(__NR_dup3, launch.err, 2, 0);
  if (sys3(__NR_close_range, CHANNEL, ~0U, 0) < 0) quit(1);
  sys4(__NR_rt_sigprocmask, SIG_SETMASK, &no_signals, 0, sizeof no_signals);
  set_limit(RLIMIT_CORE, 0);
  /* The kernel counts them by user namespace and user; a container without a namespace shares that with other runs. */
  if (request->processes) set_limit(RLIMIT_NPROC, request->processes);
  set_limit(RLIMIT_NOFILE, request->open_files);
  set_limit(RLIMIT_FSIZE, request->file_bytes);
  launch.error = 0;
  launch.start_ns = now_ns();
  launch.error = sys3(__NR_execve, arguments[0], arguments, environment);
  quit(127);
}

/* @returns the tool's process, or why there is none; `launch` says whether it became the tool */
static i64 launch_tool(void) { return start_within(become_tool, child_stack + CHILD_STACK_BYTES); }

/* An ignored signal would stay ignored in every tool. */
static void heed_all_signals(void) {
  struct { void *handler; u64 flags; void *restorer; u64 mask; } plain = {0, 0, 0, 0};
  for (int s = 1; s < 65; s++) sys4(__NR_rt_sigaction, s, &plain, 0, sizeof plain.mask);
}

#endif
