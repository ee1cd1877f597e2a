/*
 * How PID 1 starts a tool. A process that becomes it is made beforehand, while nobody waits: it takes the request from the
 * node itself and works in PID 1's own memory, on a stack of its own, until `exec`; PID 1 stands still as long. Copying even
 * this small process would take two tenths of a millisecond, and nothing of a tool is there yet that could look at what is
 * shared.
 */
#ifndef ORIEN_LAUNCH_H
#define ORIEN_LAUNCH_H

#include <linux/futex.h>

#include "request.h"

enum { START_TIMER = CHANNEL + 1, CHILD_STACK_BYTES = 16384, FRAME_READY = 16 };
/* Told together with the end, the start of a short run costs the node no turn of its own. */
enum { TELL_START_WITHIN_MS = 2 };
enum { STEP_REQUEST = 1, STEP_PREPARE = 2, STEP_EXEC = 3 };

/* What both know until the one is the tool. `apart` is 0 from then on, or from its end: the kernel sees to that. */
struct launch { int in, out, err, says_ready; u64 start_ns, step; i64 error; u32 apart; };

static volatile struct launch launch;
static u8 child_stack[CHILD_STACK_BYTES] __attribute__((aligned(16)));

static i64 start_within(void (*entry)(void), u8 *stack_end) {
  i64 flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
#if defined(__x86_64__)
  register volatile u32 *word __asm__("r10") = &launch.apart;
  register i64 nowhere __asm__("r8") = 0;
  register void (*there)(void) __asm__("r9") = entry;
  i64 result;
  __asm__ volatile("syscall\n test %%rax,%%rax\n jnz 1f\n xor %%ebp,%%ebp\n call *%%r9\n hlt\n1:"
                   : "=a"(result)
                   : "a"(__NR_clone), "D"(flags), "S"(stack_end), "d"(0L), "r"(word), "r"(nowhere), "r"(there)
                   : "rcx", "r11", "memory");
  return result;
#else
  register i64 x8 __asm__("x8") = __NR_clone;
  register i64 x0 __asm__("x0") = flags;
  register u8 *x1 __asm__("x1") = stack_end;
  register i64 x2 __asm__("x2") = 0;
  register i64 x3 __asm__("x3") = 0;
  register volatile u32 *x4 __asm__("x4") = &launch.apart;
  register void (*there)(void) __asm__("x9") = entry;
  __asm__ volatile("svc 0\n cbnz x0, 1f\n mov x29,#0\n blr x9\n brk #1\n1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(there)
                   : "memory");
  return x0;
#endif
}

static void refuse(u64 step, i64 error) {
  launch.step = step;
  launch.error = error;
  quit(127);
}

static void set_limit(int which, u64 value) {
  struct { u64 soft, hard; } limit = {value, value};
  i64 error = sys4(__NR_prlimit64, 0, which, &limit, 0);
  if (error < 0) refuse(STEP_PREPARE, error);
}

static void set_start_timer(u64 wait_ns) {
  struct { struct timespec every, first; } times = {{0, 0}, {(i64)(wait_ns / SECOND_NS), (i64)(wait_ns % SECOND_NS)}};
  sys4(__NR_timerfd_settime, START_TIMER, 0, &times, 0);
}

/* How long the tool may have the processor to itself before PID 1 has to look. */
static u64 undisturbed_ns(void) {
  u64 wait_ns = request->has_input ? 1 : TELL_START_WITHIN_MS * MILLISECOND_NS;
  if (request->limit_ns < wait_ns) wait_ns = request->limit_ns;
  if (request->deadline_ns < wait_ns) wait_ns = request->deadline_ns;
  return wait_ns ? wait_ns : 1;
}

/* In the memory of PID 1, which waits meanwhile. Only descriptors 0, 1 and 2 survive. */
static void become_tool(void) {
  u64 no_signals = 0;
  /* Where processors are shared out by session, a hundred processes of the tool weigh no more than PID 1 alone. */
  sys0(__NR_setsid);
  sys3(__NR_dup3, launch.in, 0, 0);
  sys3(__NR_dup3, launch.out, 1, 0);
  sys3(__NR_dup3, launch.err, 2, 0);
  if (sys3(__NR_close_range, START_TIMER + 1, ~0U, 0) < 0) quit(1);
  int nothing[2];
  i64 error = sys2(__NR_pipe2, nothing, O_CLOEXEC);
  if (error < 0) refuse(STEP_PREPARE, error);
  sys1(__NR_close, nothing[1]);
  sys4(__NR_rt_sigprocmask, SIG_SETMASK, &no_signals, 0, sizeof no_signals);
  set_limit(RLIMIT_CORE, 0);
  if (launch.says_ready) send_frame(CHANNEL, FRAME_READY, "", 0);
  error = receive_request();
  if (error < 0) refuse(STEP_REQUEST, error);
  /* The kernel counts them by user namespace and user; a container without a namespace shares that with other runs. */
  if (request->processes) set_limit(RLIMIT_NPROC, request->processes);
  set_limit(RLIMIT_NOFILE, request->open_files);
  set_limit(RLIMIT_FSIZE, request->file_bytes);
  /* PID 1, which has the other end of its input, may be asleep for a while. */
  if (!request->has_input) sys3(__NR_dup3, nothing[0], 0, 0);
  set_start_timer(undisturbed_ns());
  if (sys3(__NR_close_range, CHANNEL, ~0U, 0) < 0) quit(1);
  launch.error = 0;
  launch.start_ns = now_ns();
  refuse(STEP_EXEC, sys3(__NR_execve, arguments[0], arguments, environment));
}

/* @returns the process that will be the tool, or why there is none */
static i64 begin_launch(void) {
  set_start_timer(0);
  launch.apart = 1;
  return start_within(become_tool, child_stack + CHILD_STACK_BYTES);
}

/*
 * Sleeps until there is something to do, which `exec` alone is not: woken by it, PID 1 would take the processor from a tool
 * that has just got it. Not by `CLONE_VFORK`: a parent that waits so counts as busy in the machine's load for as long as
 * nobody runs anything.
 */
static void await_launch(int children, int out, int err) {
  struct pollfd fds[] = {{children, POLLIN, 0}, {START_TIMER, POLLIN, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}};
  while (sys5(__NR_ppoll, fds, 4, 0, 0, 0) < 0) {}
  while (launch.apart) sys4(__NR_futex, &launch.apart, FUTEX_WAIT, 1, 0);
}

/* An ignored signal would stay ignored in every tool. */
static void heed_all_signals(void) {
  struct { void *handler; u64 flags; void *restorer; u64 mask; } plain = {0, 0, 0, 0};
  for (int s = 1; s < 65; s++) sys4(__NR_rt_sigaction, s, &plain, 0, sizeof plain.mask);
}

#endif
