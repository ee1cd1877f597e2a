/** A check on the low 32 bits of one argument: the kernel truncates these arguments too (CVE-2019-10063). */
export type Condition =
  | { arg: number; test: 'equals' | 'differs'; value: number }
  | { arg: number; test: 'anyBit'; mask: number }

/** One system call that is refused: always, or when every condition of one of the alternatives holds. */
export type Rule = {
  name: string
  /** Call numbers; absent where the processor has no such call. */
  x64?: number
  arm64?: number
  errno: number
  refuseWhen?: readonly (readonly Condition[])[]
}

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

/** The helper is always process 1 of its sandbox. */
const INIT_PID = 1
/** mount, cgroup, uts, ipc, user, pid and net; CLONE_NEWTIME cannot be asked of clone(2). */
const CLONE_NEW_MASK = 0x7e02_0000
const SET_ID_BITS = 0o6000
/** O_CREAT or O_TMPFILE: only then is the mode argument read. */
const CREATING_BITS = 0o100 | 0o20_000_000
/** Any of these in a mode makes something else than a regular file. */
const SPECIAL_FILE_BITS = 0o070_000

const equals = (arg: number, value: number): Condition => ({ arg, test: 'equals', value })
const differs = (arg: number, value: number): Condition => ({ arg, test: 'differs', value })
const anyBit = (arg: number, mask: number): Condition => ({ arg, test: 'anyBit', mask })

/** name, x64 number, arm64 number; 0 where there is none (call 0 itself, read and io_setup, is never refused). */
type Row = readonly [name: string, x64: number, arm64: number]

const rule = ([name, x64, arm64]: Row, errno: number, refuseWhen?: Rule['refuseWhen']): Rule => ({
  name,
  errno,
  ...(x64 > 0 ? { x64 } : {}),
  ...(arm64 > 0 ? { arm64 } : {}),
  ...(refuseWhen ? { refuseWhen } : {}),
})

const ALWAYS_REFUSED: readonly Row[] = [
  // Another process's memory, registers or descriptors: PID 1 and its meter share the tool's uid.
  ['ptrace', 101, 117],
  ['process_vm_readv', 310, 270],
  ['process_vm_writev', 311, 271],
  ['kcmp', 312, 272],
  ['pidfd_getfd', 438, 438],
  ['process_madvise', 440, 440],
  ['process_mrelease', 448, 448],
  ['migrate_pages', 256, 238],
  ['move_pages', 279, 239],
  // Keyrings are inherited from the node and counted per host uid: a channel between sessions.
  ['add_key', 248, 217],
  ['request_key', 249, 218],
  ['keyctl', 250, 219],
  // Large kernel surfaces that no tool needs.
  ['bpf', 321, 280],
  ['perf_event_open', 298, 241],
  ['io_uring_setup', 425, 425],
  ['io_uring_enter', 426, 426],
  ['io_uring_register', 427, 427],
  ['userfaultfd', 323, 282],
  ['memfd_secret', 447, 447],
  ['fanotify_init', 300, 262],
  ['fanotify_mark', 301, 263],
  ['lookup_dcookie', 212, 18],
  ['modify_ldt', 154, 0],
  // New namespaces and mounts.
  ['unshare', 272, 97],
  ['setns', 308, 268],
  ['mount', 165, 40],
  ['umount2', 166, 39],
  ['pivot_root', 155, 41],
  ['chroot', 161, 51],
  ['open_tree', 428, 428],
  ['move_mount', 429, 429],
  ['fsopen', 430, 430],
  ['fsconfig', 431, 431],
  ['fsmount', 432, 432],
  ['fspick', 433, 433],
  ['mount_setattr', 442, 442],
  ['statmount', 457, 457],
  ['listmount', 458, 458],
  ['name_to_handle_at', 303, 264],
  ['open_by_handle_at', 304, 265],
  ['quotactl', 179, 60],
  ['quotactl_fd', 443, 443],
  // The machine itself: clock, modules, power, log, swap, accounting.
  ['kexec_load', 246, 104],
  ['kexec_file_load', 320, 294],
  ['reboot', 169, 142],
  ['syslog', 103, 116],
  ['settimeofday', 164, 170],
  ['clock_settime', 227, 112],
  ['clock_adjtime', 305, 266],
  ['adjtimex', 159, 171],
  ['swapon', 167, 224],
  ['swapoff', 168, 225],
  ['init_module', 175, 105],
  ['finit_module', 313, 273],
  ['delete_module', 176, 106],
  ['acct', 163, 89],
  ['sethostname', 170, 161],
  ['setdomainname', 171, 162],
  ['vhangup', 153, 58],
  ['iopl', 172, 0],
  ['ioperm', 173, 0],
  ['nfsservctl', 180, 42],
  ['uselib', 134, 0],
  ['ustat', 136, 0],
  ['sysfs', 139, 0],
  ['_sysctl', 156, 0],
]

/** Called absent. clone3 and openat2 pass flags behind a pointer; libraries fall back to the older, checkable call. */
const ABSENT: readonly Row[] = [
  ['clone3', 435, 435],
  ['openat2', 437, 437],
  // Queues outlive their maker, and without a mount of their own nobody could find what was left.
  ['mq_open', 240, 180],
]

const onlyLocalSockets = [[differs(0, 1), differs(0, 2), differs(0, 10)]]
const onInit = [[equals(0, INIT_PID)]]

const CHECKED: readonly Rule[] = [
  rule(['clone', 56, 220], EPERM, [[anyBit(0, CLONE_NEW_MASK)]]),
  // unix, inet and inet6 alone: vsock reaches the hypervisor even from an empty network namespace.
  rule(['socket', 41, 198], EAFNOSUPPORT, onlyLocalSockets),
  rule(['socketpair', 53, 199], EAFNOSUPPORT, onlyLocalSockets),
  // TIOCSTI types into a terminal, TIOCLINUX pastes, TIOCSETD loads line disciplines, TIOCCONS takes the console.
  rule(['ioctl', 16, 29], EPERM, [
    [equals(1, 0x5412)],
    [equals(1, 0x541c)],
    [equals(1, 0x5423)],
    [equals(1, 0x541d)],
  ]),
  // Same uid, so the kernel would let a tool change PID 1's limits, processors and priority.
  rule(['prlimit64', 302, 261], EPERM, [[differs(0, 0)]]),
  rule(['sched_setaffinity', 203, 122], EPERM, onInit),
  rule(['sched_setscheduler', 144, 119], EPERM, onInit),
  rule(['sched_setparam', 142, 118], EPERM, onInit),
  rule(['sched_setattr', 314, 274], EPERM, onInit),
  rule(['setpriority', 141, 140], EPERM, [[equals(1, INIT_PID)], [equals(0, 2)]]),
  rule(['ioprio_set', 251, 30], EPERM, [[equals(1, INIT_PID)], [equals(0, 3)]]),
  rule(['personality', 135, 92], EPERM, [[differs(0, 0), differs(0, 0xffff_ffff)]]),
  // Files with set-id bits, devices and FIFOs must not come to lie in a workspace that the host reads.
  rule(['chmod', 90, 0], EPERM, [[anyBit(1, SET_ID_BITS)]]),
  rule(['fchmod', 91, 52], EPERM, [[anyBit(1, SET_ID_BITS)]]),
  rule(['fchmodat', 268, 53], EPERM, [[anyBit(2, SET_ID_BITS)]]),
  rule(['fchmodat2', 452, 452], EPERM, [[anyBit(2, SET_ID_BITS)]]),
  rule(['mkdir', 83, 0], EPERM, [[anyBit(1, SET_ID_BITS)]]),
  rule(['mkdirat', 258, 34], EPERM, [[anyBit(2, SET_ID_BITS)]]),
  rule(['creat', 85, 0], EPERM, [[anyBit(1, SET_ID_BITS)]]),
  rule(['open', 2, 0], EPERM, [[anyBit(1, CREATING_BITS), anyBit(2, SET_ID_BITS)]]),
  rule(['openat', 257, 56], EPERM, [[anyBit(2, CREATING_BITS), anyBit(3, SET_ID_BITS)]]),
  rule(['mknod', 133, 0], EPERM, [[anyBit(1, SPECIAL_FILE_BITS | SET_ID_BITS)]]),
  rule(['mknodat', 259, 33], EPERM, [[anyBit(2, SPECIAL_FILE_BITS | SET_ID_BITS)]]),
]

/** Calls that Linux grew after 6.10 are unknown here, hence absent. 462 is mseal. */
export const LAST_KNOWN_CALL = 462

/** Everything a tool may not ask of the kernel. */
export const RULES: readonly Rule[] = [
  ...ALWAYS_REFUSED.map((row) => rule(row, EPERM)),
  ...ABSENT.map((row) => rule(row, ENOSYS)),
  ...CHECKED,
]
