import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { killHard, query, spawnOnSmallDisk } from '../../apps/coordinator/src/db/embedded/fixtures/faults.ts'
import { postgresProcesses } from '../../apps/coordinator/src/db/embedded/remains.ts'
import { type Stack, startStack } from '../harness/stack.ts'

// A coordinator of its own on a PostgreSQL of its own, whose disk is 80 MB and whose processes are ours to stop.
const disk = spawnOnSmallDisk()
let stack: Stack

beforeAll(async () => {
  const { url = '' } = await disk.nextAnswer()
  stack = await startStack({ sweepEveryMs: 60_000 }, { url, drop, [Symbol.asyncDispose]: drop })
}, 120_000)
afterAll(async () => {
  await stack.stop()
  await killHard(disk.child)
})
const drop = async () => {}

type Answer = { status: number; body: Record<string, unknown> }

async function call(path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${stack.url}${path}`, {
    ...(body && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** A request that writes a row: a sign-in message. @returns its nonce when it was acknowledged */
async function write(): Promise<{ answer: Answer; nonce: string | null }> {
  const answer = await call('/api/auth/challenge', { address: `0x${'1'.repeat(40)}` })
  const nonce = /Nonce: (\w+)/.exec(String(answer.body.message))?.[1] ?? null
  return { answer, nonce }
}

/** Writes until the first refusal. */
async function writeUntilRefused() {
  const nonces: string[] = []
  for (;;) {
    const written = await Promise.all(Array.from({ length: 32 }, write))
    nonces.push(...written.flatMap(({ nonce }) => nonce ?? []))
    const refused = written.flatMap(({ answer }) => (answer.status === 200 ? [] : [answer]))
    if (refused.length > 0) return { nonces, refused }
  }
}

const health = () => call('/api/health')
const lostNonces = async (nonces: readonly string[]) => {
  const rows = await query<{ nonce: string }>(stack.database.url, 'SELECT nonce FROM auth_challenges')
  const kept = new Set(rows.map((row) => row.nonce))
  return nonces.filter((nonce) => !kept.has(nonce))
}

describe('a full disk under the database', () => {
  test('is a coded refusal and not a 500, health says so, nothing acknowledged is lost, and room is enough to go on', {
    timeout: 120_000,
  }, async () => {
    expect((await health()).status).toBe(200)
    disk.fill(0)
    const { nonces, refused } = await writeUntilRefused()
    for (const { status, body } of refused) {
      expect([status, body]).toEqual([503, expect.objectContaining({ retryable: true })])
      expect(['database_full', 'database_unavailable']).toContain(body.code)
    }
    await expect.poll(async () => (await health()).body.database, { timeout: 10_000 }).not.toBe('ok')
    expect((await health()).status).toBe(503)
    disk.makeRoom()
    await expect.poll(async () => (await health()).status, { timeout: 60_000 }).toBe(200)
    const after = await write()
    expect(after.answer.status).toBe(200)
    expect(await lostNonces([...nonces, after.nonce ?? 'none'])).toEqual([])
  })
})

describe('a database that does not answer', () => {
  test('is a 503 of health within its time, and an ok when it does again', { timeout: 60_000 }, async () => {
    const processes = postgresProcesses(disk.clusterDir, null)
    for (const pid of processes) process.kill(pid, 'SIGSTOP')
    try {
      await expect.poll(async () => (await health()).status, { timeout: 20_000 }).toBe(503)
      const { body } = await health()
      expect(body.status).toBe('down')
      expect(['slow', 'down']).toContain(body.database)
    } finally {
      for (const pid of processes) process.kill(pid, 'SIGCONT')
    }
    await expect.poll(async () => (await health()).status, { timeout: 20_000 }).toBe(200)
  })
})
