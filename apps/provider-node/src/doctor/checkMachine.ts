import { mkdtemp, readFile, rm, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBubblewrapDriver } from '../sandbox/bubblewrap.ts'
import type { Isolation } from '../sandbox/driver.ts'
import { type FaultCode, type Finding, fault, ok, warning } from './finding.ts'

/** Where the kernel says what it allows; tests have one of their own. */
export const PROC_SYS = '/proc/sys'

/** Below this a node is one large upload away from a full disk. */
const ENOUGH_BYTES = 1_073_741_824

/** Makes a sandbox as a node would and attacks it from inside. */
export async function checkSandbox(searchPath: string, procSys: string): Promise<Finding[]> {
  if (process.platform !== 'linux')
    return [fault('sandbox', 'sandbox_unsupported', `no sandbox for strangers on ${process.platform}`)]
  const stateDir = await mkdtemp(join(tmpdir(), 'orien-doctor-'))
  const driver = createBubblewrapDriver({ stateDir, searchPath })
  try {
    return findingsOf(await driver.detect(), procSys)
  } finally {
    await driver.close()
    await rm(stateDir, { recursive: true, force: true })
  }
}

async function findingsOf(
  { refusal, isolationClass, canaries }: Isolation,
  procSys: string,
): Promise<Finding[]> {
  if (refusal) {
    const { code, detail } = refusal
    if (code === 'userns_forbidden') return [fault('sandbox', await usernsCode(procSys), detail)]
    return [fault('sandbox', code === 'no_isolation' ? 'sandbox_unsupported' : code, detail)]
  }
  const proof = ok('sandbox', `bubblewrap, class ${isolationClass}: ${canaries.length} attacks contained`)
  if (isolationClass === 'namespaces+cgroups')
    return [proof, ok('cgroups', 'memory, processes and time are bounded')]
  return [
    proof,
    warning('cgroups', 'cgroups_unwritable', 'no writable cgroups: the isolation class is the lower one'),
  ]
}

/** Which of the kernel's switches it is. */
async function usernsCode(procSys: string): Promise<FaultCode> {
  const read = async (name: string) => (await readFile(join(procSys, name), 'utf8').catch(() => '')).trim()
  if ((await read('kernel/unprivileged_userns_clone')) === '0') return 'userns_disabled'
  if ((await read('kernel/apparmor_restrict_unprivileged_userns')) === '1')
    return 'userns_restricted_by_apparmor'
  return 'userns_forbidden'
}

export async function checkDisk(dataDir: string, enoughBytes: number = ENOUGH_BYTES): Promise<Finding> {
  const { bavail, bsize, ffree, files } = await statfs(dataDir)
  const freeBytes = bavail * bsize
  const free = `${(freeBytes / 1_073_741_824).toFixed(1)} GiB free`
  // Some file systems make inodes as they go and count none.
  const hasInodes = files === 0 || ffree > 1_000
  return freeBytes >= enoughBytes && hasInodes
    ? ok('disk', free)
    : fault('disk', 'disk_low', hasInodes ? free : `${free}, but hardly an inode`)
}

/** @param port of the loopback interface; 0 takes any, so there is nothing to check */
export function checkPort(port: number): Promise<Finding> {
  if (port === 0) return Promise.resolve(ok('port', 'any that is free'))
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', ({ message }) => resolve(fault('port', 'port_in_use', message)))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(ok('port', `${port} is free`))))
  })
}
