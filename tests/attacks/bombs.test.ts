import { auditLedger, createPool } from '@orien/coordinator'
import { type ExecutionView, micros, readReceipt } from '@orien/protocol'
import type { Session } from '@orien/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAgent } from '../harness/stack.ts'
import { type Arena, openArena } from './api.ts'
import { buildPrograms } from './programs.ts'
import { DISK_BYTES } from './table.ts'

const HONEST_SESSIONS = 16
const MICROS_PER_MS = 1_000n

let arena: Arena
beforeAll(async () => {
  arena = await openArena(await buildPrograms())
}, 120_000)
afterAll(() => arena.close())

/** What a tool may do to the machine by mere quantity, and how such a run may end if its money lasts so long. */
const BOMBS: Record<string, { code: string; ends: (string | null)[] }> = {
  processes: {
    code: `
import os
while True:
    try: os.fork()
    except OSError: pass`,
    ends: ['out_of_memory'],
  },
  memory: {
    code: 'held = []\nwhile True: held.append(bytearray(b"x") * (16 << 20))',
    ends: ['out_of_memory', 'nonzero_exit'],
  },
  disk: {
    code: `
import os
for directory in ('/workspace', '/tmp', '/dev/shm'):
    try:
        for n in range(1000): open(f'{directory}/fill{n}', 'wb').write(bytes(1 << 20))
    except OSError: print('full', directory, flush=True)
raise SystemExit(1)`,
    ends: ['disk_limit', 'nonzero_exit'],
  },
  files: {
    code: `
for directory in ('/workspace', '/tmp'):
    try:
        for n in range(20000): open(f'{directory}/file{n}', 'w').close()
    except OSError: print('full', directory, flush=True)
raise SystemExit(1)`,
    ends: ['disk_limit', 'nonzero_exit'],
  },
  output: { code: 'import os\nwhile True: os.write(1, bytes(65536))', ends: ['output_limit'] },
  daemons: {
    code: `
import os, signal
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: pass
while True: pass`,
    ends: [],
  },
}

async function explode(session: Session, code: string): Promise<ExecutionView> {
  return session.run({ tool: 'python', args: { code }, maxCostMicros: micros(400_000n) })
}

/** Its answer is its own number and nobody else's. */
const honest = (number: number) => `
import hashlib, os
text = ('honest ${number} ' * 20000).encode()
open('result', 'wb').write(text)
print(hashlib.sha256(open('result', 'rb').read()).hexdigest(), sorted(os.listdir('.')))`

function expectBilled(run: ExecutionView): void {
  expect(run.costMicros).toBe(BigInt(run.effectiveMs) * MICROS_PER_MS)
  expect(readReceipt(run.receipt ?? '')?.receipt).toMatchObject({
    executionId: run.id,
    effectiveMs: run.effectiveMs,
  })
}

describe('bombs of every kind, again and again, while honest sessions work', () => {
  it('end by their own limits; the others finish with their own results and pay exactly for them', async () => {
    const attackers = await Promise.all(
      Object.keys(BOMBS).map(async () => arena.openSession(await createAgent(arena.stack, 300_000_000n))),
    )
    const sessions = await Promise.all(Array.from({ length: HONEST_SESSIONS }, () => arena.openSession()))
    const attacks = Object.values(BOMBS).map(async ({ code }, index) => {
      const session = attackers[index]
      return session ? [await explode(session, code), await explode(session, code)] : []
    })
    const works = sessions.map(async (session, index) => [
      await arena.python(session, honest(index)),
      await arena.python(session, honest(index)),
    ])
    const [exploded, worked] = await Promise.all([Promise.all(attacks), Promise.all(works)])

    Object.entries(BOMBS).forEach(([name, { ends }], index) => {
      for (const run of exploded[index] ?? []) {
        expect([...ends, 'budget_exhausted'], `${name} ended by ${run.reason}`).toContain(run.reason)
        expectBilled(run)
        expect(run.costMicros).toBeLessThanOrEqual(400_000n)
      }
    })
    const outputs = worked.map((runs) => new Set(runs.map((run) => run.stdout)))
    for (const runs of worked)
      for (const run of runs) expect(run).toMatchObject({ status: 'completed', exitCode: 0 })
    for (const output of outputs) expect([...output][0]).toMatch(/^[0-9a-f]{64} \['result'\]\n$/)
    // The same in both runs of a session, another in every session.
    expect(outputs.map((output) => output.size)).toEqual(outputs.map(() => 1))
    expect(new Set(outputs.flatMap((output) => [...output])).size).toBe(HONEST_SESSIONS)
    for (const [index, session] of sessions.entries()) {
      for (const run of worked[index] ?? []) expectBilled(run)
      const spent = (worked[index] ?? []).reduce((sum, run) => sum + run.costMicros, 0n)
      expect((await session.state()).consumedMicros).toBe(spent)
    }
    const pool = createPool({ url: arena.stack.database.url, connections: 1 })
    expect((await auditLedger(pool)).filter(({ violations }) => violations > 0)).toEqual([])
    await pool.end()
  }, 120_000)

  it('leave a workspace within its share, and a node that goes on', async () => {
    const session = await arena.openSession()
    await explode(session, BOMBS.disk?.code ?? '')
    const files = await session.files()
    expect(files.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThanOrEqual(DISK_BYTES)
    const next = await arena.openSession()
    expect((await arena.python(next, honest(1))).status).toBe('completed')
  }, 60_000)
})

describe('a tool’s end', () => {
  it.each([
    [
      'kills everything that it can reach',
      'import os, signal\nfor target in (1, -1):\n    try: os.kill(target, signal.SIGKILL)\n    except OSError: pass\nos._exit(7)',
      7,
    ],
    [
      'stops the process that keeps the meter',
      'import os, signal\nfor number in (signal.SIGSTOP, signal.SIGSEGV, signal.SIGCHLD, signal.SIGTERM, 33, 64):\n    try: os.kill(1, number)\n    except OSError: pass\nos._exit(7)',
      7,
    ],
    [
      'lets a child end with another status',
      'import os\nif os.fork() == 0: os._exit(0)\nos.wait()\nos._exit(7)',
      7,
    ],
    [
      'leaves a child behind that holds its output and ends with another status',
      'import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3600)\nos._exit(7)',
      7,
    ],
    [
      'writes what looks like a report to every descriptor',
      'import os\nfor fd in range(3, 256):\n    try: os.write(fd, bytes([20, 0, 0, 0, 80, 0, 0, 0]) + bytes(80))\n    except OSError: pass\nos._exit(7)',
      7,
    ],
  ])('is its own although it %s', async (_, code, exitCode) => {
    const session = await arena.openSession()
    const run = await arena.python(session, code)
    expect(run).toMatchObject({ status: 'failed', reason: 'nonzero_exit', exitCode })
    expectBilled(run)
  })
})
