/*
 * PID 1 of a sandbox: runs one command, forwards its output, stops it in time, buries every process of
 * its tree and reports what it cost. When the node asks for it, it takes away what the run left and waits for the
 * next one. It speaks frames over the socket at descriptor 3, which no tool ever holds, so that nothing inside can
 * forge a report.
 *
 * It is the only honest meter here: the process outside the namespace never reaps the tool, and polling
 * /proc misses short-lived children.
 */
#include "container.h"
#include "frames.h"
#include "io.h"
#include "launch.h"
#include "leftovers.h"
#include "memory.h"

enum { OUTPUT_FRAME_BYTES = 65536, STDIN_BYTES = 65536 };
enum { POLL_WHILE_DYING_MS = 1, LOOK_AT_MEMORY_MS = 10, FULL_BELOW_BYTES = 65536 };
enum { FRAME_EXTEND = 2, FRAME_KILL = 3, FRAME_INPUT = 4, FRAME_EMPTY = 5 };
enum { FRAME_STARTED = 17, FRAME_STDOUT = 18, FRAME_STDERR = 19, FRAME_DONE = 20, FRAME_FAILED = 21, FRAME_WANT = 22 };
enum { STOP_NONE = 0, STOP_TIME_LIMIT = 1, STOP_DEADLINE = 2, STOP_CANCELLED = 3, STOP_OUTPUT_LIMIT = 4, STOP_MEMORY = 5 };
enum { LEFTOVERS = 4 };

struct report {
  u64 start_ns, end_ns, stop_ns, cpu_micros, own_micros, max_rss_bytes, output_bytes;
  u64 wait_status, stop, disk_full, read_bytes, written_bytes, has_io;
};

struct run {
  u64 start_ns, end_ns, stop_ns, limit_ns, deadline_ns, output_left, output_bytes, memory_bytes, look_ns, stop;
  u64 cpu_micros, max_rss_bytes;
  i64 main_pid, out, err, in, held[2];
  int main_status, main_gone, alone, has_input_ended, wants_input, is_start_told;
};

static struct { struct header header; u8 data[OUTPUT_FRAME_BYTES]; } outgoing;
static u64 outgoing_from, outgoing_until;
static u8 stdin_bytes[STDIN_BYTES];
static u64 stdin_from, stdin_until;
/* What the dead had moved when the last run was over. */
static struct io io_told;

static void receive_all(void *to, u64 bytes) {
  if (!receive(CHANNEL, to, bytes)) quit(0);
}

static void send_all(u32 kind, const void *payload, u32 bytes) { send_frame(CHANNEL, kind, payload, bytes); }

static void fail(u64 step, i64 error) {
  u64 facts[2] = {step, (u64)-error};
  send_all(FRAME_FAILED, facts, sizeof facts);
  quit(1);
}

static void make_pipe(int ends[2], int own) {
  i64 error = sys2(__NR_pipe2, ends, O_CLOEXEC);
  if (error < 0) fail(STEP_PREPARE, error);
  sys3(__NR_fcntl, ends[own], F_SETFL, O_NONBLOCK);
}

static void close_stdin(struct run *run) {
  if (run->in >= 0) sys1(__NR_close, run->in);
  run->in = -1;
}

static void heed(int children) {
  u8 signals[1024];
  sys3(__NR_read, children, signals, sizeof signals);
}

/*
 * Begins before the request is there, and ends with the tool under way. PID 1 keeps the tool's ends of its output: the last
 * of its processes would wake it by closing each of them, while it ends and before it can be waited for.
 */
static struct run start(int children, int is_used) {
  int in[2], out[2], err[2];
  make_pipe(in, 1);
  make_pipe(out, 0);
  make_pipe(err, 0);
  /* Nobody is left whose end could still be heard of. */
  heed(children);
  launch = (struct launch){.in = in[0], .out = out[1], .err = err[1], .says_ready = is_used, .step = STEP_PREPARE, .error = -EIO};
  i64 pid = begin_launch();
  if (pid < 0) fail(STEP_PREPARE, pid);
  sys1(__NR_close, in[0]);
  await_launch(children, out[0], err[0]);
  if (launch.error) fail(launch.step, launch.error);
  struct run run = {
      .main_pid = pid, .in = in[1], .out = out[0], .err = err[0], .held = {out[1], err[1]}, .start_ns = launch.start_ns,
      .limit_ns = request->limit_ns, .deadline_ns = request->deadline_ns, .output_left = request->output_bytes, .memory_bytes = request->memory_bytes,
  };
  if (!request->has_input) close_stdin(&run);
  return run;
}

static void tell_start(struct run *run) {
  if (run->is_start_told) return;
  run->is_start_told = 1;
  send_all(FRAME_STARTED, &run->start_ns, sizeof run->start_ns);
}

static void stop(struct run *run, u64 reason) {
  if (run->stop == STOP_NONE && !run->main_gone) {
    run->stop = reason;
    run->stop_ns = now_ns();
  }
}

static int dying(const struct run *run) { return run->stop != STOP_NONE || run->main_gone; }

static u64 cpu_micros(const struct rusage *usage) {
  u64 seconds = (u64)usage->ru_utime.tv_sec + (u64)usage->ru_stime.tv_sec;
  return seconds * 1000000UL + (u64)usage->ru_utime.tv_usec + (u64)usage->ru_stime.tv_usec;
}

/* A process brings along what it was told of those that it waited for itself. */
static void account(struct run *run, const struct rusage *used) {
  u64 rss_bytes = (u64)used->ru_maxrss * 1024;
  run->cpu_micros += cpu_micros(used);
  if (rss_bytes > run->max_rss_bytes) run->max_rss_bytes = rss_bytes;
}

static void kill_all(const struct run *run) {
  (void)run;
  sys2(__NR_kill, -1, SIGKILL);
}

/*
 * Kills again on every round: a fork that raced with the first signal must not get away. A kill of all looks through the
 * processes of the whole machine, so it is left out where the tool leaves nobody: its children would be ours by now.
 */
static void bury(struct run *run) {
  int have_killed = dying(run);
  if (have_killed) kill_all(run);
  struct rusage used;
  for (int status;;) {
    i64 pid = sys4(__NR_wait4, -1, &status, WNOHANG | __WALL, &used);
    if (pid > 0) account(run, &used);
    if (pid == run->main_pid) {
      run->main_gone = 1;
      run->main_status = status;
    } else if (pid == -ECHILD) {
      run->alone = 1;
      run->end_ns = now_ns();
      return;
    } else if (pid <= 0) {
      if (have_killed || !dying(run)) return;
      have_killed = 1;
      kill_all(run);
    }
  }
}

static void flush_outgoing(void) {
  if (outgoing_from == outgoing_until) return;
  i64 n = sys6(__NR_sendto, CHANNEL, (i64)((u8 *)&outgoing + outgoing_from), (i64)(outgoing_until - outgoing_from), 0x4040, 0, 0);
  if (n > 0) outgoing_from += (u64)n;
  else if (n != -EAGAIN && n != -EINTR) quit(1);
}

/* One frame at a time: while the node does not read, the tool's pipe fills and holds the tool back. */
static void forward(struct run *run, i64 *fd, u32 kind) {
  if (*fd < 0 || outgoing_from != outgoing_until) return;
  i64 n = sys3(__NR_read, *fd, outgoing.data, OUTPUT_FRAME_BYTES);
  if (n == -EINTR || (n == -EAGAIN && !run->alone)) return;
  if (n <= 0) {
    sys1(__NR_close, *fd);
    *fd = -1;
    return;
  }
  if ((u64)n > run->output_left) {
    n = (i64)run->output_left;
    if (run->stop == STOP_NONE) {
      run->stop = STOP_OUTPUT_LIMIT;
      run->stop_ns = now_ns();
    }
  }
  run->output_left -= (u64)n;
  run->output_bytes += (u64)n;
  if (n == 0) return;
  tell_start(run);
  outgoing.header.kind = kind;
  outgoing.header.bytes = (u32)n;
  outgoing_from = 0;
  outgoing_until = sizeof(struct header) + (u64)n;
  flush_outgoing();
}

/* What the tool does not want any more is taken all the same: the node need not know why. */
static void feed(struct run *run) {
  i64 n = 0;
  if (run->in >= 0 && stdin_from != stdin_until) {
    n = sys3(__NR_write, run->in, stdin_bytes + stdin_from, stdin_until - stdin_from);
    if (n > 0) stdin_from += (u64)n;
    else if (n != -EAGAIN && n != -EINTR) close_stdin(run);
  }
  if (run->in < 0) stdin_from = stdin_until;
  if (stdin_from != stdin_until) return;
  if (run->has_input_ended) close_stdin(run);
  else run->wants_input = 1;
}

/* Not in the middle of a piece of output. */
static void ask_for_input(struct run *run) {
  if (!run->wants_input || outgoing_from != outgoing_until) return;
  run->wants_input = 0;
  tell_start(run);
  send_all(FRAME_WANT, "", 0);
}

/* The node sends one piece and waits until it is wanted again, so that a kill never queues behind input. */
static void take_input(struct run *run, u32 bytes) {
  if (bytes > STDIN_BYTES || stdin_from != stdin_until) quit(1);
  receive_all(stdin_bytes, bytes);
  stdin_from = 0;
  stdin_until = bytes;
  if (bytes == 0) run->has_input_ended = 1;
  feed(run);
}

static void obey(struct run *run) {
  struct header header;
  u64 value;
  receive_all(&header, sizeof header);
  if (header.kind == FRAME_INPUT) return take_input(run, header.bytes);
  if (header.bytes != sizeof value) quit(1);
  receive_all(&value, sizeof value);
  if (header.kind == FRAME_EXTEND) run->deadline_ns = value;
  else if (header.kind == FRAME_KILL) stop(run, value);
  else quit(1);
}

/* Stops what is over its time or memory. Returns how long nothing needs to be looked at. */
static i64 enforce(struct run *run) {
  u64 until = run->start_ns + (run->limit_ns < run->deadline_ns ? run->limit_ns : run->deadline_ns);
  u64 now = now_ns();
  if (dying(run)) return POLL_WHILE_DYING_MS * (i64)MILLISECOND_NS;
  if (now >= until) {
    stop(run, run->deadline_ns < run->limit_ns ? STOP_DEADLINE : STOP_TIME_LIMIT);
    return 0;
  }
  if (!run->memory_bytes) return (i64)(until - now);
  if (now >= run->look_ns) {
    if (holds_more_than(run->memory_bytes)) stop(run, STOP_MEMORY);
    run->look_ns = now_ns() + LOOK_AT_MEMORY_MS * MILLISECOND_NS;
  }
  return (i64)((until < run->look_ns ? until : run->look_ns) - now);
}

/* Tells the start when it is time. @returns how long to wait at most */
static i64 until_start_is_told(struct run *run, i64 wait_ns) {
  i64 left_ns = (i64)(run->start_ns + TELL_START_WITHIN_MS * MILLISECOND_NS - now_ns());
  if (left_ns <= 0) tell_start(run);
  return left_ns <= 0 || wait_ns < left_ns ? wait_ns : left_ns;
}

static int drained(const struct run *run) { return run->out < 0 && run->err < 0 && outgoing_from == outgoing_until; }

static void wait_for_events(struct run *run, int children) {
  i64 wait_ns = run->alone ? (i64)SECOND_NS : enforce(run);
  if (!run->is_start_told) wait_ns = until_start_is_told(run, wait_ns);
  struct timespec wait = {wait_ns / (i64)SECOND_NS, wait_ns % (i64)SECOND_NS};
  int blocked = outgoing_from != outgoing_until;
  struct pollfd fds[] = {
      {children, POLLIN, 0},
      {CHANNEL, (short)(POLLIN | (blocked ? POLLOUT : 0)), 0},
      {blocked ? -1 : (int)run->out, POLLIN, 0},
      {blocked ? -1 : (int)run->err, POLLIN, 0},
      {stdin_from != stdin_until ? (int)run->in : -1, POLLOUT, 0},
  };
  if (sys5(__NR_ppoll, fds, 5, &wait, 0, 0) < 0) return;
  if (fds[0].revents) heed(children);
  if (fds[1].revents & (POLLIN | POLLHUP)) obey(run);
  flush_outgoing();
  if (fds[2].revents) forward(run, &run->out, FRAME_STDOUT);
  if (fds[3].revents) forward(run, &run->err, FRAME_STDERR);
  if (fds[4].revents) feed(run);
  ask_for_input(run);
}

static u64 disk_is_full(const char *path) {
  struct disk disk;
  if (sys2(__NR_statfs, path, &disk) < 0) return 0;
  return disk.available * (u64)disk.block_bytes < FULL_BELOW_BYTES || (disk.inodes && !disk.inodes_free);
}

static u64 own_micros(void) {
  struct rusage own;
  sys2(__NR_getrusage, RUSAGE_SELF, &own);
  return cpu_micros(&own);
}

static void report(const struct run *run, u64 own_before_micros) {
  struct io io = {0, 0};
  int has_io = io_of_dead(&io);
  /* Asked only where it can be the reason of a failure. */
  int is_full = run->main_status != 0 && (disk_is_full("/workspace") || disk_is_full("/tmp"));
  struct { struct header started; u64 start_ns; struct header done; struct report facts; } told = {
      {FRAME_STARTED, sizeof told.start_ns}, run->start_ns, {FRAME_DONE, sizeof told.facts}, {
      run->start_ns, run->end_ns, run->stop_ns, run->cpu_micros,
      own_micros() - own_before_micros, run->max_rss_bytes, run->output_bytes,
      (u64)(u32)run->main_status, run->stop, (u64)is_full,
      io.read_bytes - io_told.read_bytes, io.written_bytes - io_told.written_bytes, (u64)has_io,
  }};
  io_told = io;
  if (run->is_start_told) send_bytes(CHANNEL, &told.done, sizeof told.done + sizeof told.facts);
  else send_bytes(CHANNEL, &told, sizeof told);
}

/* What the node still said to a run that was over already changes nothing. @returns once the node asks for another */
static void wait_until_wanted(void) {
  for (struct header header;;) {
    await_node();
    receive_all(&header, sizeof header);
    if (header.bytes > REQUEST_BYTES) quit(1);
    receive_all(request_bytes, header.bytes);
    if (header.kind == FRAME_EMPTY) return;
  }
}

static void serve(int children, int is_used) {
  /* A new sandbox is not in its group yet: nothing is started in it before there is a request. */
  if (!is_used) {
    send_all(FRAME_READY, "", 0);
    await_node();
  }
  u64 own_before_micros = own_micros();
  outgoing_from = outgoing_until = stdin_from = stdin_until = 0;
  struct run run = start(children, is_used);
  /* The node reads the group's figures after READY: what PID 1 did before that is in none of them. */
  if (is_used) own_before_micros = own_micros();
  for (bury(&run); !run.alone; bury(&run)) wait_for_events(&run, children);
  while (!drained(&run)) {
    if (outgoing_from != outgoing_until) wait_for_events(&run, children);
    forward(&run, &run.out, FRAME_STDOUT);
    forward(&run, &run.err, FRAME_STDERR);
  }
  for (int i = 0; i < 2; i++) sys1(__NR_close, run.held[i]);
  close_stdin(&run);
  report(&run, own_before_micros);
}

void program(const u64 *stack) {
  learn_page_bytes(stack);
  /* Anywhere else than in a namespace of its own, kill(-1) would hit the whole machine. */
  if (sys0(__NR_getpid) != 1) quit(2);
  /* Under bubblewrap the channel and the filter are there already. */
  const char *const *words = (const char *const *)(stack + 1);
  if (stack[0] == 3 && (!connect_channel(words[1], CHANNEL) || !load_filter(words[2]))) quit(2);
  if (sys3(__NR_close_range, CHANNEL + 1, ~0U, 0) < 0) quit(2);
  i64 timer = sys2(__NR_timerfd_create, CLOCK_MONOTONIC, O_NONBLOCK | O_CLOEXEC);
  if (timer < 0 || (timer != START_TIMER && sys3(__NR_dup3, timer, START_TIMER, O_CLOEXEC) < 0)) quit(2);
  open_io();
  io_of_dead(&io_told);
  if (sys2(__NR_prctl, PR_SET_DUMPABLE, 0) < 0) quit(2);
  i64 nowhere = sys4(__NR_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
  for (int fd = 0; fd < CHANNEL; fd++) sys3(__NR_dup3, nowhere, fd, 0);
  sys1(__NR_close, nowhere);
  heed_all_signals();
  int children = (int)watch_children();
  if (children < 0) fail(2, children);
  for (int is_used = 0;; is_used = 1) {
    serve(children, is_used);
    wait_until_wanted();
    int left = take_leftovers_away();
    if (left != LEFT_NOTHING) fail(LEFTOVERS, -left);
  }
}
