import { LIMITS } from '@orien/protocol'
import type { Targets } from './targets.ts'

/** What the tool of the suite may have: small, so that going over it is cheap outside as well. */
const DISK_MEBIBYTES = 32
export const DISK_BYTES = DISK_MEBIBYTES * 1_048_576
export const MEMORY_MEBIBYTES = 256
export const PROCESSES = 48
export const FILES = LIMITS.filesListed

/** Where an attack is run. */
export type Side = 'inside' | 'outside'

/** One attack on one boundary. */
export type Attack = {
  /** Of its program; its ending tells the language. */
  program: string
  boundary: string
  argument: (targets: Targets, side: Side) => string
  /**
   * Defences by which it is stopped, as alternatives of which each must be kept: the attack comes through as soon as all
   * defences of one list are gone, and as long as none of the lists is gone as a whole it does not.
   */
  stoppedBy: readonly (readonly string[])[]
}

const nothing = () => ''
/** PID 1 of the sandbox; outside a process of the machine with the same rights as the attack. */
const init: Attack['argument'] = (targets, side) => (side === 'inside' ? '1' : `${targets.processId}`)

const attack = (
  program: string,
  boundary: string,
  argument: Attack['argument'],
  ...stoppedBy: Attack['stoppedBy']
): Attack => ({ program, boundary, argument, stoppedBy })

/** By what they attack. The last one may take the whole run with it. */
export const ATTACKS: Readonly<Record<string, readonly Attack[]>> = {
  'files of the machine': [
    attack('read-host-secret.py', 'a file that everybody on the machine may read', (t) => t.secretFile, [
      'ownRoot',
    ]),
    attack('read-node-key', 'a key of the node', (t) => t.keyFile, ['ownRoot', 'unprivileged']),
    attack('read-passwords.py', 'the passwords of the machine', nothing, ['ownRoot', 'unprivileged']),
    attack('list-home.mjs', 'the home directory of the owner', (t) => t.homeDir, ['ownRoot', 'unprivileged']),
    attack('read-other-workspace.py', 'the files of another session', (t) => t.otherWorkspaceFile, [
      'ownRoot',
      'unprivileged',
    ]),
    attack('named-socket.mjs', 'a socket of the machine by its path', (t) => t.socketPath, ['ownRoot']),
    attack('list-temporary.mjs', 'the temporary files of the machine', (t) => t.word, ['ownTemporary']),
    attack('shared-memory-file.py', 'POSIX shared memory of the machine', (t) => t.word, ['ownSharedMemory']),
    attack('write-root', 'the root directory', nothing, ['readOnlyRoot']),
    attack('write-devices.py', 'the directory of devices', nothing, ['readOnlyDevices']),
    attack('write-runtime.mjs', 'the files of the tool itself', (t) => t.runtimeFile, ['readOnlyRuntime']),
    attack('write-usr', 'the libraries of the system', nothing, ['readOnlyRuntime', 'unprivileged']),
    attack(
      'host-mounts.py',
      'where on the machine the workspace lies',
      (t) => t.word,
      ['workspaceMount'],
      ['ownTemporary'],
      ['ownRoot'],
    ),
  ],
  'processes of the machine': [
    attack('list-processes.py', 'the list of processes', (t) => t.word, ['pidNamespace']),
    attack(
      'read-host-command-line',
      'the command line of a process of the machine',
      (t) => `${t.processId}:${t.word}`,
      ['pidNamespace'],
    ),
    attack(
      'read-host-environment.py',
      'the environment of a process of the machine',
      (t) => `${t.processId}`,
      ['pidNamespace', 'unprivileged'],
    ),
    attack('signal-host-process', 'a process of the machine', (t) => `${t.processId}`, [
      'pidNamespace',
      'unprivileged',
    ]),
    attack('read-environment.mjs', 'the environment of the node', (t) => t.environmentName, [
      'ownEnvironment',
    ]),
    attack('inherited-descriptor', 'descriptors of the node', nothing, ['spawnerCloses', 'helperCloses']),
    attack('host-name.mjs', 'the name of the machine', (t) => t.hostName, ['utsNamespace']),
    attack('cgroup-path.py', 'the groups that the machine puts its processes in', (t) => t.word, [
      'cgroupNamespace',
    ]),
    attack('kernel-build.mjs', 'the build of the kernel', nothing, ['maskedProc']),
    attack('list-keys.py', 'the list of keys', nothing, ['maskedProc', 'unprivileged']),
  ],
  'the process that keeps the meter': [
    attack('read-init-memory', 'its memory', init, ['nonDumpable'], ['unprivileged']),
    attack('list-init-descriptors.py', 'its descriptors', init, ['nonDumpable'], ['unprivileged']),
    attack(
      'sacrifice-init',
      'its place in the order of out-of-memory kills',
      init,
      ['readOnlyProc', 'nonDumpable'],
      ['readOnlyProc', 'unprivileged'],
    ),
    attack(
      'seize-init',
      'its being traced',
      init,
      ['call:ptrace', 'nonDumpable'],
      ['call:ptrace', 'unprivileged'],
    ),
    attack(
      'steal-descriptor',
      'its channel to the node',
      init,
      ['call:pidfd_getfd', 'nonDumpable'],
      ['call:pidfd_getfd', 'unprivileged'],
    ),
    attack('limits-of-init', 'its limits', init, ['call:prlimit64']),
    attack('processors-of-init', 'its processors', init, ['call:sched_setaffinity']),
    attack('priority-of-user', 'the priority of all processes of its user', nothing, ['call:setpriority']),
    attack('priority-of-init', 'its priority', init, ['call:setpriority']),
    attack('scheduler-of-init', 'its scheduling class', init, ['call:sched_setscheduler']),
    attack('attributes-of-init', 'its scheduling attributes', init, ['call:sched_setattr']),
    attack('io-priority-of-init', 'its priority at the disk', init, ['call:ioprio_set']),
  ],
  'the network': [
    attack('connect-to-host.py', 'servers of the network', (t) => t.outerAddress, ['netNamespace']),
    attack('node-port.mjs', 'the port of the node itself', (t) => `${t.port}`, ['netNamespace']),
    attack('udp-to-host', 'datagrams to the machine', (t) => `${t.udpPort}`, ['netNamespace']),
    attack('metadata-address.mjs', 'the address at which clouds hand out credentials', nothing, [
      'netNamespace',
    ]),
    attack('abstract-socket.py', 'sockets that lie in no directory', (t) => t.abstractName, ['netNamespace']),
    attack('host-interfaces.mjs', 'the interfaces of the machine', nothing, ['netNamespace']),
    attack('list-host-sockets.py', 'the list of servers of the machine', (t) => `${t.port}`, [
      'netNamespace',
    ]),
    attack('hypervisor-socket', 'the hypervisor', nothing, ['call:socket']),
    attack('netlink-socket', 'the network configuration of the kernel', nothing, ['call:socket']),
    attack('packet-socket', 'the packets of an interface', nothing, ['call:socket', 'unprivileged']),
    attack('raw-socket', 'packets of its own making', nothing, ['unprivileged']),
  ],
  'what processes of one machine share': [
    attack('shared-segment', 'System V shared memory', (t) => `${t.ipcKeys.shm}`, ['ipcNamespace']),
    attack('message-queue', 'System V message queues', (t) => `${t.ipcKeys.msg}`, ['ipcNamespace']),
    attack('semaphores', 'System V semaphores', (t) => `${t.ipcKeys.sem}`, ['ipcNamespace']),
    attack('posix-queue', 'POSIX message queues', nothing, ['call:mq_open']),
    attack('session-keyring', 'the session keyring', nothing, ['call:keyctl']),
    attack('add-key', 'the keys of its user', nothing, ['call:add_key']),
  ],
  'the kernel': [
    attack('trace-child', 'tracing', nothing, ['call:ptrace']),
    attack('read-child-memory', 'reading the memory of another process', nothing, ['call:process_vm_readv']),
    attack('write-child-memory', 'writing to the memory of another process', nothing, [
      'call:process_vm_writev',
    ]),
    attack('compare-processes', 'comparing processes', nothing, ['call:kcmp']),
    attack('bpf-map', 'BPF', nothing, ['call:bpf', 'unprivileged']),
    attack('performance-counter', 'performance counters', nothing, ['call:perf_event_open']),
    attack('io-uring', 'io_uring', nothing, ['call:io_uring_setup']),
    attack('user-fault', 'page faults of the kernel', nothing, ['call:userfaultfd']),
    attack('secret-memory', 'memory that the kernel cannot see', nothing, ['call:memfd_secret']),
    attack('watch-files', 'file accesses of others', nothing, ['call:fanotify_init']),
    attack('kernel-log', 'the log of the kernel', nothing, ['call:syslog', 'unprivileged']),
    attack('fixed-addresses', 'the randomisation of addresses', nothing, ['call:personality']),
    attack('unshare-user', 'user namespaces by unshare', nothing, ['call:unshare', 'nestedUserns']),
    attack('clone-user', 'user namespaces by clone', nothing, ['call:clone', 'nestedUserns']),
    attack('clone3-user', 'user namespaces by clone3', nothing, ['call:clone3', 'nestedUserns']),
    attack('enter-namespace', 'entering a namespace', nothing, ['call:setns', 'unprivileged']),
    attack('mount-memory', 'mounts', (t, side) => (side === 'inside' ? '/tmp' : t.homeDir), [
      'call:mount',
      'call:umount2',
      'unprivileged',
    ]),
    attack('new-mount-calls', 'mounts by the newer calls', nothing, ['call:fsopen', 'unprivileged']),
    attack('clone-mount', 'copies of mounts', nothing, ['call:open_tree', 'unprivileged']),
    attack('change-root', 'another root directory', nothing, ['call:chroot', 'unprivileged']),
    attack('rename-host', 'giving the machine another name', nothing, ['call:sethostname', 'unprivileged']),
    attack('file-handle', 'files by inode', nothing, ['call:name_to_handle_at']),
    attack('open-handle', 'files outside of what is shown', nothing, [
      'call:open_by_handle_at',
      'unprivileged',
    ]),
    attack('type-into-terminal', 'typing into a terminal', nothing, ['call:ioctl']),
    attack('type-with-upper-bits', 'typing into a terminal, upper bits set', nothing, ['call:ioctl']),
    attack('line-discipline', 'line disciplines', nothing, ['call:ioctl']),
    attack('old-convention', 'calls by the 32-bit convention', nothing, ['guard:convention']),
    attack('newest-call', 'calls newer than the filter', nothing, ['guard:newest']),
  ],
  'what a file of the workspace may be': [
    attack('device-node', 'devices', nothing, ['call:mknod', 'call:mknodat', 'unprivileged']),
    attack('pipe-node', 'FIFOs', nothing, ['call:mknod', 'call:mknodat']),
    attack('socket-node', 'sockets', nothing, ['call:mknod', 'call:mknodat']),
    attack('set-id-chmod', 'the right of its owner, by chmod', nothing, ['call:chmod', 'call:fchmodat']),
    attack('set-id-open', 'the right of its owner, by open', nothing, ['call:openat', 'call:open']),
    attack('set-id-directory', 'a directory that hands its group down', nothing, [
      'call:mkdir',
      'call:mkdirat',
    ]),
  ],
  limits: [
    attack('raise-limits.py', 'limits once set', nothing, ['fileLimit']),
    attack('hurry.py', 'a priority above everybody’s', nothing, ['unprivileged']),
    attack('real-time', 'a processor for itself', nothing, ['unprivileged']),
    attack('many-processes', 'the number of processes', () => `${PROCESSES + 30}`, [
      'processLimit',
      'cgroups',
    ]),
    attack('many-descriptors.py', 'the number of open files', () => '1500', ['descriptorLimit']),
    attack('large-file', 'the size of a file', () => `${2 * DISK_BYTES}`, ['fileLimit']),
    attack(
      'fill-temporary',
      'the size of /tmp',
      () => `${DISK_MEBIBYTES + 16}`,
      ['sizedTemporary'],
      ['ownTemporary'],
    ),
    attack(
      'fill-shared-memory.py',
      'the size of /dev/shm',
      () => '24',
      ['sizedSharedMemory'],
      ['ownSharedMemory'],
    ),
    attack('fill-workspace.mjs', 'the size of the workspace', () => `${DISK_MEBIBYTES + 16}`, [
      'workspaceMount',
    ]),
    attack('many-files', 'the number of files of the workspace', () => `${FILES + 200}`, ['workspaceMount']),
    attack('core-dump', 'copies of its memory', nothing, ['coreLimit']),
    attack('much-memory.mjs', 'memory', () => `${MEMORY_MEBIBYTES + 80}`, ['cgroups', 'memoryWatch']),
  ],
}
