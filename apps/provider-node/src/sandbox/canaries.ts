import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import { systemRandom } from '../random.ts'
import type { Driver, Isolation, RunFacts } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'
import { randomName } from './names.ts'
import { buildHelper } from './native.ts'

/** Attacks that need no target of ours; the names are those of native/attacks.h. */
const ATTACKS_ON_KERNEL = [
  ...['processes', 'descriptors', 'environment=PATH', 'ptrace', 'memory', 'vsock', 'netlink', 'packet'],
  ...[
    'unshare',
    'clone',
    'clone3',
    'mount',
    'setns',
    'chroot',
    'keyring',
    'key',
    'queue',
    'bpf',
    'perf',
    'io_uring',
  ],
  ...[
    'userfaultfd',
    'kernel_log',
    'handle',
    'tiocsti=0',
    'tiocsti=1',
    'tiocsetd',
    'limits_of=1',
    'affinity_of=1',
  ],
  ...['priority_of=1', 'raise_limit', 'negative_nice', 'device', 'fifo', 'set_id', 'create_set_id', 'int80'],
  ...[
    'write=/orien-canary',
    'write=/usr/lib/orien-canary',
    'write=/dev/orien-canary',
    'write=/proc/orien-canary',
  ],
  ...['read=/proc/1/environ', 'read=/proc/keys', 'read=/etc/shadow'],
]

/** Something outside that an attack can aim at: a secret, a port, an abstract socket. */
type Targets = { secretFile: string; port: number; abstractName: string; workspaceDir: string }

async function listen(
  server: Server,
  where: { port: number; host: string } | { path: string },
): Promise<void> {
  server.listen(where)
  await once(server, 'listening')
}

/** Runs `use` while targets stand ready, and takes them down whatever happens. */
export async function withTargets<T>(stateDir: string, use: (targets: Targets) => Promise<T>): Promise<T> {
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  const dir = await mkdtemp(join(stateDir, 'canary-'))
  const [tcp, abstract] = [createServer(), createServer()]
  try {
    // Readable by all: a mere permission must not pass for isolation.
    const secretFile = join(dir, 'secret')
    const workspaceDir = join(dir, 'workspace')
    await Promise.all([writeFile(secretFile, systemRandom.bytes(16), { mode: 0o644 }), mkdir(workspaceDir)])
    const abstractName = `orien-canary-${randomName()}`
    await Promise.all([
      listen(tcp, { port: 0, host: '127.0.0.1' }),
      listen(abstract, { path: `\0${abstractName}` }),
    ])
    const address = tcp.address()
    invariant(address !== null && typeof address === 'object', 'a TCP server has a port')
    return await use({ secretFile, port: address.port, abstractName, workspaceDir })
  } finally {
    tcp.close()
    abstract.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** The outcome of one self-test: what was found, and the run that found it. */
export type CanaryReport = { canaries: Isolation['canaries']; facts: RunFacts }

/** Lets a driver run every attack against itself, so many times one after the other; all of them must be contained. */
export async function runCanaries(
  driver: Pick<Driver, 'run' | 'release'>,
  stateDir: string,
  times = 1,
): Promise<CanaryReport> {
  const canary = await buildHelper(join(stateDir, 'native'), 'orien-canary')
  return withTargets(stateDir, async ({ secretFile, port, abstractName, workspaceDir }) => {
    const aimed = [`read=${secretFile}`, `port=${port}`, `abstract=${abstractName}`]
    const attacks = [...aimed, ...ATTACKS_ON_KERNEL]
    const contained = new Set(attacks)
    let report = await attackOnce(driver, canary.path, workspaceDir, attacks)
    for (let time = 1; ; time += 1) {
      // An attack that did not report is not known to be contained.
      for (const attack of attacks) if (!report.lines.has(`${attack} contained`)) contained.delete(attack)
      if (time >= times) break
      report = await attackOnce(driver, canary.path, workspaceDir, attacks)
    }
    await driver.release(workspaceDir)
    const canaries = attacks.map((attack) => ({
      name: aimed.includes(attack) ? (attack.split('=')[0] ?? attack) : attack,
      contained: contained.has(attack),
    }))
    return { canaries, facts: report.facts }
  })
}

async function attackOnce(
  driver: Pick<Driver, 'run'>,
  canaryPath: string,
  workspaceDir: string,
  attacks: readonly string[],
): Promise<{ lines: Set<string>; facts: RunFacts }> {
  const output: Uint8Array[] = []
  const limits = {
    timeMs: SANDBOX_LIMITS.canaryMs,
    memoryBytes: 67_108_864,
    processes: 16,
    outputBytes: 65_536,
  }
  const run = driver.run(
    {
      executionId: 'canary',
      workspaceDir,
      argv: [canaryPath, 'try', ...attacks],
      env: {},
      limits,
      deadlineMs: SANDBOX_LIMITS.canaryMs,
      readOnlyPaths: [],
    },
    ({ bytes }) => void output.push(bytes),
  )
  const facts = await run.finished
  return { lines: new Set(Buffer.concat(output).toString('utf8').split('\n')), facts }
}
