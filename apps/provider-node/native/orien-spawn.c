/*
 * Starts bubblewrap for the node, so that the node itself never forks: duplicating a process with a large heap takes
 * milliseconds in which it serves nobody, this one takes a tenth of one.
 *
 * The node connects to its socket once for each sandbox and sends what to start; the very same connection then
 * becomes the sandbox's channel. Descriptor 3 is the control: what bubblewrap says, and that it ended, goes out there,
 * and orders to kill come in. When the control closes, the node is gone: the channels have closed with it, so the
 * sandboxes end by themselves, and what has not after a while is killed.
 */
#include "frames.h"

enum { CONTROL = 3, MAX_SANDBOXES = 1024, LAUNCH_BYTES = 60000, SAID_BYTES = 2048, FIRST_FREE_FD = 64 };
enum { FRAME_LAUNCH = 1, FRAME_KILL_SANDBOX = 2 };
enum { FRAME_LISTENING = 32, FRAME_STATUS = 33, FRAME_COMPLAINT = 34, FRAME_EXITED = 35 };
enum { UNIX = 1, STREAM = 1, SOCKET_CLOEXEC = 02000000, OPTION_SOCKET = 1, OPTION_PEER = 17, BACKLOG = 1024 };
enum { LAUNCH_STRINGS = 5, PATIENCE_MS = 2000, FIXED = 3, MAX_WAITING = 256 };

struct launch { u64 id, uid; char strings[]; };
struct order { u64 id, init_pid; };
struct peer { int pid; u32 uid, gid; };
struct address { unsigned short family; char path[108]; };
struct sandbox { u64 id; i64 pid, status, complaint; };

static u8 launch_bytes[LAUNCH_BYTES + 1];
static struct sandbox sandboxes[MAX_SANDBOXES];
static i64 waiting[MAX_WAITING];
static u64 count, waiting_count;
static struct pollfd watched[FIXED + 2 * MAX_SANDBOXES + MAX_WAITING];

static i64 above(i64 fd) { return sys3(__NR_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD); }

static i64 open_above(const char *path, int flags) {
  i64 fd = sys4(__NR_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
  return fd < 0 ? fd : above(fd);
}

/* A pipe could be too small where its owner has used up the quota of pages. */
static i64 hold_above(const char *bytes, u64 count_bytes) {
  i64 fd = sys2(__NR_memfd_create, "options", 1);
  if (fd < 0 || sys3(__NR_write, fd, bytes, count_bytes) != (i64)count_bytes) return -1;
  sys3(__NR_lseek, fd, 0, 0);
  return above(fd);
}

static void complain(const char *what) {
  u64 length = 0;
  while (what[length]) length++;
  sys3(__NR_write, 2, what, length);
  quit(127);
}

/* Runs in the child: nothing of the node or of this program goes on but the ten descriptors. */
static void become_sandbox(const struct launch *launch, char *strings[], const char *options, u64 options_bytes, i64 channel, i64 status, i64 complaint) {
  u64 no_signals = 0;
  char *words[] = {strings[0], "--args", "4", "--", "/orien-init", 0}, *environment[] = {0};
  i64 fds[] = {open_above("/dev/null", O_RDWR), open_above("/dev/null", O_RDWR), above(complaint), above(channel),
               hold_above(options, options_bytes), open_above(strings[1], O_RDONLY), above(status),
               open_above(strings[2], O_RDONLY), open_above(strings[3], O_RDONLY), open_above(strings[4], O_RDONLY)};
  for (int fd = 0; fd < 10; fd++)
    if (fds[fd] < 0 || sys3(__NR_dup3, fds[fd], fd, 0) < 0) complain("a descriptor is missing");
  sys3(__NR_close_range, 10, ~0U, 0);
  sys4(__NR_rt_sigprocmask, SIG_SETMASK, &no_signals, 0, sizeof no_signals);
  if (launch->uid != ~0UL) {
    u64 id = launch->uid;
    if (sys2(__NR_setgroups, 0, 0) < 0 || sys3(__NR_setresgid, id, id, id) < 0 || sys3(__NR_setresuid, id, id, id) < 0)
      complain("the user could not be changed");
  }
  sys3(__NR_execve, words[0], words, environment);
  complain("bubblewrap could not be started");
}

static void tell(u32 kind, u64 id, const void *said, u32 bytes) {
  struct { u64 id; u8 said[SAID_BYTES]; } payload = {.id = id};
  memcpy(payload.said, said, bytes);
  send_frame(CONTROL, kind, &payload, (u32)sizeof id + bytes);
}

static void tell_exit(u64 id, int status) {
  u64 value = (u64)(u32)status;
  tell(FRAME_EXITED, id, &value, sizeof value);
}

/* Cuts a launch into its strings. @returns where bubblewrap's options begin, or nothing when there are too few */
static const char *cut(struct launch *launch, const char *end, char *strings[]) {
  char *at = launch->strings;
  for (int i = 0; i < LAUNCH_STRINGS; i++) {
    strings[i] = at;
    while (at < end && *at) at++;
    if (at++ >= end) return 0;
  }
  return at;
}

static void start(i64 channel, u32 bytes) {
  struct launch *launch = (struct launch *)launch_bytes;
  char *strings[LAUNCH_STRINGS], *end = (char *)launch_bytes + bytes;
  int status[2], complaint[2];
  *end = 0;
  const char *options = cut(launch, end, strings);
  if (!options || count == MAX_SANDBOXES) return tell_exit(launch->id, -1);
  if (sys2(__NR_pipe2, status, O_CLOEXEC) < 0 || sys2(__NR_pipe2, complaint, O_CLOEXEC) < 0) return tell_exit(launch->id, -1);
  i64 pid = duplicate_process();
  if (pid == 0) become_sandbox(launch, strings, options, (u64)(end - options), channel, status[1], complaint[1]);
  sys1(__NR_close, status[1]);
  sys1(__NR_close, complaint[1]);
  if (pid < 0) {
    sys1(__NR_close, status[0]);
    sys1(__NR_close, complaint[0]);
    return tell_exit(launch->id, -1);
  }
  sys3(__NR_fcntl, status[0], F_SETFL, O_NONBLOCK);
  sys3(__NR_fcntl, complaint[0], F_SETFL, O_NONBLOCK);
  sandboxes[count++] = (struct sandbox){launch->id, pid, status[0], complaint[0]};
}

/* Only the process that started this one may start sandboxes. */
static int is_node(i64 connection) {
  struct peer peer = {0, 0, 0};
  u32 bytes = sizeof peer;
  return sys5(__NR_getsockopt, connection, OPTION_SOCKET, OPTION_PEER, &peer, &bytes) == 0 && peer.pid == sys0(__NR_getppid);
}

/* Read only once something has come: a node that is busy between connecting and writing must hold nobody else up. */
static void take_connection(i64 listener) {
  i64 connection = sys4(__NR_accept4, listener, 0, 0, SOCKET_CLOEXEC);
  if (connection < 0) return;
  if (is_node(connection)) waiting[waiting_count++] = connection;
  else sys1(__NR_close, connection);
}

static void take_launch(i64 connection) {
  struct header header;
  if (receive(connection, &header, sizeof header) && header.kind == FRAME_LAUNCH &&
      header.bytes > sizeof(struct launch) && header.bytes <= LAUNCH_BYTES && receive(connection, launch_bytes, header.bytes))
    start(connection, header.bytes);
  sys1(__NR_close, connection);
}

static void pass_on(i64 *fd, u32 kind, u64 id) {
  u8 said[SAID_BYTES];
  for (i64 n; *fd >= 0 && (n = sys3(__NR_read, *fd, said, SAID_BYTES)) != -EAGAIN;) {
    if (n == -EINTR) continue;
    if (n > 0) {
      tell(kind, id, said, (u32)n);
      continue;
    }
    sys1(__NR_close, *fd);
    *fd = -1;
  }
}

static void pass_on_all(struct sandbox *sandbox) {
  pass_on(&sandbox->status, FRAME_STATUS, sandbox->id);
  pass_on(&sandbox->complaint, FRAME_COMPLAINT, sandbox->id);
}

static void reap(void) {
  int status;
  for (i64 pid; (pid = sys4(__NR_wait4, -1, &status, WNOHANG, 0)) > 0;)
    for (u64 i = 0; i < count; i++) {
      if (sandboxes[i].pid != pid) continue;
      pass_on_all(&sandboxes[i]);
      if (sandboxes[i].status >= 0) sys1(__NR_close, sandboxes[i].status);
      if (sandboxes[i].complaint >= 0) sys1(__NR_close, sandboxes[i].complaint);
      tell_exit(sandboxes[i].id, status);
      sandboxes[i] = sandboxes[--count];
      break;
    }
}

/* The number of a sandbox's first process is its own as long as bubblewrap, which alone reaps it, is there. */
static int obey(void) {
  struct header header;
  struct order order;
  if (!receive(CONTROL, &header, sizeof header) || header.kind != FRAME_KILL_SANDBOX || header.bytes != sizeof order) return 0;
  if (!receive(CONTROL, &order, sizeof order)) return 0;
  for (u64 i = 0; i < count; i++) {
    if (sandboxes[i].id != order.id) continue;
    if (order.init_pid > 1) sys2(__NR_kill, order.init_pid, SIGKILL);
    sys2(__NR_kill, sandboxes[i].pid, SIGKILL);
  }
  return 1;
}

/* Killed in the middle of its set-up, bubblewrap would leave an orphan behind; given a moment, it ends by itself. */
static void bury_all(void) {
  struct timespec wait = {0, 5 * (i64)MILLISECOND_NS};
  u64 until = now_ns() + PATIENCE_MS * MILLISECOND_NS;
  for (int status; now_ns() < until;) {
    i64 pid = sys4(__NR_wait4, -1, &status, WNOHANG, 0);
    if (pid == -ECHILD) quit(0);
    if (pid == 0) sys2(__NR_nanosleep, &wait, 0);
  }
  for (u64 i = 0; i < count; i++) sys2(__NR_kill, sandboxes[i].pid, SIGKILL);
  quit(0);
}

static i64 listen_at(const char *name) {
  struct address address = {UNIX, {0}};
  u64 length = 0;
  for (; name[length] && length < sizeof address.path - 1; length++) address.path[length] = name[length];
  i64 listener = sys3(__NR_socket, UNIX, STREAM | SOCKET_CLOEXEC, 0);
  if (listener < 0 || sys3(__NR_bind, listener, &address, sizeof address.family + length + 1) < 0) quit(3);
  if (sys2(__NR_listen, listener, BACKLOG) < 0) quit(3);
  return listener;
}

static int is_due(u64 index) { return watched[index].revents != 0; }

static void watch(u64 index, i64 fd) { watched[index] = (struct pollfd){(int)fd, POLLIN, 0}; }

static void wait_for_events(i64 listener, i64 children) {
  u8 signals[1024];
  u64 launches = FIXED + 2 * count, end = launches + waiting_count;
  watch(0, CONTROL);
  watch(1, waiting_count < MAX_WAITING ? listener : -1);
  watch(2, children);
  for (u64 i = 0; i < count; i++) {
    watch(FIXED + 2 * i, sandboxes[i].status);
    watch(FIXED + 2 * i + 1, sandboxes[i].complaint);
  }
  for (u64 i = 0; i < waiting_count; i++) watch(launches + i, waiting[i]);
  if (sys5(__NR_ppoll, watched, end, 0, 0, 0) < 0) return;
  if (is_due(0) && !obey()) bury_all();
  for (u64 i = 0; i < count; i++)
    if (is_due(FIXED + 2 * i) || is_due(FIXED + 2 * i + 1)) pass_on_all(&sandboxes[i]);
  if (is_due(2)) {
    sys3(__NR_read, children, signals, sizeof signals);
    reap();
  }
  /* From the end, because what is taken out is replaced by the last one. */
  for (u64 i = waiting_count; i-- > 0;) {
    if (!is_due(launches + i)) continue;
    take_launch(waiting[i]);
    waiting[i] = waiting[--waiting_count];
  }
  if (is_due(1)) take_connection(listener);
}

/* argv[1]: name of the socket, in the working directory. */
void program(const u64 *stack) {
  if (stack[0] != 2 || sys3(__NR_close_range, CONTROL + 1, ~0U, 0) < 0) quit(2);
  i64 listener = listen_at((const char *)stack[2]);
  i64 children = watch_children();
  if (children < 0 || sys1(__NR_chdir, "/") < 0) quit(2);
  send_frame(CONTROL, FRAME_LISTENING, "", 0);
  for (;;) wait_for_events(listener, children);
}
