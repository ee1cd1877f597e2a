/*
 * Attacks on a sandbox, each small and harmless outside one: it reads what it may not see, or asks the kernel
 * for what it may not have, and undoes what it did. Each returns a negative error when it was stopped.
 */
#ifndef ORIEN_ATTACKS_H
#define ORIEN_ATTACKS_H

#include "freestanding.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <linux/bpf.h>
#include <linux/stat.h>
#include <linux/un.h>
#include <asm/ioctls.h>

enum { NAMED_UNIX = 1, INET = 2, NETLINK = 16, PACKET = 17, VSOCK = 40, STREAM = 1, RAW = 3 };
enum { PTRACE_ATTACH = 16, MAX_DESCRIPTOR = 1024, CHUNK_BYTES = 65536, PAGE_BYTES = 4096 };

static char chunk[CHUNK_BYTES];
static char **environment;

static size length(const char *text) {
  size n = 0;
  while (text[n]) n++;
  return n;
}

/* `text` begins with `start`; what follows it, or null. */
static const char *after(const char *text, const char *start) {
  while (*start) if (*text++ != *start++) return 0;
  return text;
}

static int same(const char *a, const char *b) {
  const char *rest = after(a, b);
  return rest && !*rest;
}

static u64 number(const char *text) {
  u64 value = 0;
  while (text && *text >= '0' && *text <= '9') value = value * 10 + (u64)(*text++ - '0');
  return value;
}

static void print(const char *text) { sys3(__NR_write, 1, text, length(text)); }

static void nap(u64 ms) {
  struct timespec time = {(i64)(ms / 1000), (i64)(ms % 1000 * MILLISECOND_NS)};
  sys2(__NR_nanosleep, &time, 0);
}

static i64 open_file(const char *path, int flags) { return sys4(__NR_openat, AT_FDCWD, path, flags, 0644); }

static i64 read_file(const char *path) {
  i64 fd = open_file(path, O_RDONLY);
  return fd < 0 ? fd : sys3(__NR_read, fd, chunk, 16) > 0 ? 0 : -EIO;
}

static i64 write_file(const char *path) {
  i64 fd = open_file(path, O_WRONLY | O_CREAT);
  if (fd >= 0) sys3(__NR_unlinkat, AT_FDCWD, path, 0);
  return fd;
}

static i64 reach_port(const char *port) {
  struct sockaddr_in to = {.sin_family = INET, .sin_addr = {__builtin_bswap32(0x7f000001)}};
  to.sin_port = __builtin_bswap16((unsigned short)number(port));
  i64 fd = sys3(__NR_socket, INET, STREAM, 0);
  return fd < 0 ? fd : sys3(__NR_connect, fd, &to, sizeof to);
}

static i64 reach_abstract(const char *name) {
  struct sockaddr_un to = {.sun_family = NAMED_UNIX};
  memcpy(to.sun_path + 1, name, length(name));
  i64 fd = sys3(__NR_socket, NAMED_UNIX, STREAM, 0);
  return fd < 0 ? fd : sys3(__NR_connect, fd, &to, 3 + length(name));
}

static i64 see_environment(const char *name) {
  for (char **entry = environment; *entry; entry++) if (after(*entry, name)) return 0;
  return -ENOENT;
}

static i64 see_processes(const char *unused) {
  struct entry { u64 inode, offset; unsigned short bytes; u8 type; char name[]; };
  u64 seen = 0;
  i64 fd = open_file("/proc", O_RDONLY | O_DIRECTORY);
  for (i64 n; (n = sys3(__NR_getdents64, fd, chunk, CHUNK_BYTES)) > 0;)
    for (i64 at = 0; at < n; at += ((struct entry *)(chunk + at))->bytes)
      if (number(((struct entry *)(chunk + at))->name)) seen++;
  (void)unused;
  /* The helper, this program and the child that asks. */
  return seen > 3 ? 0 : -ENOENT;
}

static i64 see_descriptors(const char *unused) {
  (void)unused;
  for (int fd = 3; fd < MAX_DESCRIPTOR; fd++) if (sys2(__NR_fcntl, fd, F_GETFD) >= 0) return fd;
  return -EBADF;
}

static i64 sleeping_child(void) {
  i64 pid = duplicate_process();
  if (pid == 0) {
    nap(2000);
    quit(0);
  }
  return pid;
}

static i64 trace(const char *unused) {
  i64 pid = sleeping_child();
  i64 result = sys4(__NR_ptrace, PTRACE_ATTACH, pid, 0, 0);
  sys2(__NR_kill, pid, SIGKILL);
  return (void)unused, result;
}

static i64 read_memory(const char *unused) {
  struct { void *base; u64 bytes; } here = {chunk, 16}, there = {&environment, 8};
  i64 pid = sleeping_child();
  i64 result = sys6(__NR_process_vm_readv, pid, (i64)&here, 1, (i64)&there, 1, 0);
  sys2(__NR_kill, pid, SIGKILL);
  return (void)unused, result;
}

static i64 open_socket(int family, int type) { return sys3(__NR_socket, family, type, 0); }
static i64 vsock(const char *unused) { return (void)unused, open_socket(VSOCK, STREAM); }
static i64 netlink(const char *unused) { return (void)unused, open_socket(NETLINK, RAW); }
static i64 packet(const char *unused) { return (void)unused, open_socket(PACKET, RAW); }

static i64 new_user(const char *unused) { return (void)unused, sys1(__NR_unshare, CLONE_NEWUSER); }

static i64 clone_user(const char *unused) {
  i64 pid = sys5(__NR_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0);
  if (pid == 0) quit(0);
  return (void)unused, pid;
}

static i64 clone_three(const char *unused) {
  struct clone_args how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  i64 pid = sys2(__NR_clone3, &how, sizeof how);
  if (pid == 0) quit(0);
  return (void)unused, pid;
}

static i64 mount_over(const char *unused) {
  sys1(__NR_unshare, CLONE_NEWNS);
  sys5(__NR_mount, 0, "/", 0, MS_REC | MS_PRIVATE, 0);
  return (void)unused, sys5(__NR_mount, "none", "/tmp", "tmpfs", 0, 0);
}

static i64 enter_namespace(const char *unused) {
  return (void)unused, sys2(__NR_setns, open_file("/proc/self/ns/net", O_RDONLY), 0);
}

static i64 new_root(const char *unused) { return (void)unused, sys1(__NR_chroot, "/"); }

static i64 session_keyring(const char *unused) {
  return (void)unused, sys3(__NR_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1);
}

static i64 new_key(const char *unused) {
  return (void)unused, sys5(__NR_add_key, "user", "orien-canary", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

/* The name goes without its slash: a library takes it off. */
static i64 new_queue(const char *unused) {
  i64 fd = sys4(__NR_mq_open, "orien-canary", O_RDWR | O_CREAT, 0600, 0);
  sys1(__NR_mq_unlink, "orien-canary");
  return (void)unused, fd;
}

static i64 load_bpf(const char *unused) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return (void)unused, sys3(__NR_bpf, BPF_MAP_CREATE, &map, sizeof map);
}

static i64 count_events(const char *unused) {
  struct perf_event_attr what = {.type = PERF_TYPE_SOFTWARE, .size = sizeof what};
  return (void)unused, sys5(__NR_perf_event_open, &what, 0, -1, -1, 0);
}

static i64 ring(const char *unused) { return (void)unused, sys2(__NR_io_uring_setup, 1, chunk); }
static i64 handle_faults(const char *unused) { return (void)unused, sys1(__NR_userfaultfd, 0); }
static i64 kernel_log(const char *unused) { return (void)unused, sys3(__NR_syslog, 10, 0, 0); }

static i64 name_handle(const char *unused) {
  struct { u32 bytes; int type; u8 handle[128]; } handle = {128, 0, {0}};
  int mount;
  return (void)unused, sys5(__NR_name_to_handle_at, AT_FDCWD, "/usr", &handle, &mount, 0);
}

/* A terminal of our own, so that outside a sandbox nobody's real one is typed into. */
static i64 own_terminal(void) {
  int unlock = 0;
  i64 master = open_file("/dev/ptmx", O_RDWR | O_NOCTTY);
  if (master < 0) return master;
  sys0(__NR_setsid);
  sys3(__NR_ioctl, master, TIOCSPTLCK, &unlock);
  i64 terminal = sys3(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  sys3(__NR_ioctl, terminal, TIOCSCTTY, 0);
  return terminal;
}

static i64 type_into(const char *high_bits) {
  return sys3(__NR_ioctl, own_terminal(), TIOCSTI | (number(high_bits) << 32), "x");
}

static i64 set_discipline(const char *unused) {
  int plain = 0;
  return (void)unused, sys3(__NR_ioctl, own_terminal(), TIOCSETD, &plain);
}

/* These change nothing: they write back what they read. Inside a sandbox the parent's parent is PID 1. */
static i64 limit_parent(const char *pid) {
  struct { u64 soft, hard; } limit = {0, 0};
  sys4(__NR_prlimit64, 0, RLIMIT_NPROC, 0, &limit);
  return sys4(__NR_prlimit64, number(pid), RLIMIT_NPROC, &limit, 0);
}

static i64 pin_parent(const char *pid) {
  i64 bytes = sys3(__NR_sched_getaffinity, 0, 128, chunk);
  return bytes < 0 ? bytes : sys3(__NR_sched_setaffinity, number(pid), bytes, chunk);
}

static i64 slow_parent(const char *pid) { return sys3(__NR_setpriority, 0, number(pid), 0); }

static i64 raise_limit(const char *unused) {
  struct { u64 soft, hard; } none = {0, 0}, more = {1, 1};
  sys4(__NR_prlimit64, 0, RLIMIT_CORE, &none, 0);
  return (void)unused, sys4(__NR_prlimit64, 0, RLIMIT_CORE, &more, 0);
}

static i64 hurry(const char *unused) { return (void)unused, sys3(__NR_setpriority, 0, 0, -5); }

static i64 make_node(const char *path, u32 mode, u64 device) {
  i64 result = sys4(__NR_mknodat, AT_FDCWD, path, mode, device);
  if (result >= 0) sys3(__NR_unlinkat, AT_FDCWD, path, 0);
  return result;
}

static i64 make_device(const char *unused) { return (void)unused, make_node("/tmp/orien-canary-device", S_IFCHR | 0666, 0x103); }
static i64 make_fifo(const char *unused) { return (void)unused, make_node("/tmp/orien-canary-fifo", S_IFIFO | 0666, 0); }

static i64 set_id(const char *unused) {
  const char *path = "/tmp/orien-canary-setid";
  i64 fd = sys4(__NR_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0644);
  i64 result = fd < 0 ? fd : sys2(__NR_fchmod, fd, 04755);
  sys3(__NR_unlinkat, AT_FDCWD, path, 0);
  return (void)unused, result;
}

static i64 create_set_id(const char *unused) {
  const char *path = "/tmp/orien-canary-created";
  i64 fd = sys4(__NR_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 04755);
  sys3(__NR_unlinkat, AT_FDCWD, path, 0);
  return (void)unused, fd;
}

static i64 other_convention(const char *unused) {
  i64 result = -ENOSYS;
#if defined(__x86_64__)
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
#endif
  return (void)unused, result;
}

static const struct { const char *name; i64 (*attempt)(const char *); } attacks[] = {
    {"read", read_file}, {"write", write_file}, {"port", reach_port}, {"abstract", reach_abstract},
    {"environment", see_environment}, {"processes", see_processes}, {"descriptors", see_descriptors},
    {"ptrace", trace}, {"memory", read_memory}, {"vsock", vsock}, {"netlink", netlink}, {"packet", packet},
    {"unshare", new_user}, {"clone", clone_user}, {"clone3", clone_three}, {"mount", mount_over},
    {"setns", enter_namespace}, {"chroot", new_root}, {"keyring", session_keyring}, {"key", new_key}, {"queue", new_queue},
    {"bpf", load_bpf}, {"perf", count_events}, {"io_uring", ring}, {"userfaultfd", handle_faults},
    {"kernel_log", kernel_log}, {"handle", name_handle}, {"tiocsti", type_into}, {"tiocsetd", set_discipline},
    {"limits_of", limit_parent}, {"affinity_of", pin_parent}, {"priority_of", slow_parent},
    {"raise_limit", raise_limit}, {"negative_nice", hurry}, {"device", make_device}, {"fifo", make_fifo},
    {"set_id", set_id}, {"create_set_id", create_set_id}, {"int80", other_convention},
};

#endif
