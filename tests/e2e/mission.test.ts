import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const orien = fileURLToPath(new URL('../../apps/orien/bin/orien.mjs', import.meta.url))

type Mission = {
  sessionId: string
  executions: {
    tool: string
    status: string
    reason: string | null
    effectiveMs: number
    costMicros: string
  }[]
  budgetMicros: string
  consumedMicros: string
  settlement: Record<
    'txHash' | 'providerMicros' | 'platformMicros' | 'reserveMicros' | 'refundedMicros',
    string
  >
  billPath: string
  verified: boolean
}

/** Command lines of everything that runs on this machine. */
async function processes(): Promise<string> {
  return (await run('ps', ['-eo', 'args'])).stdout
}

test('the mission: rents, runs, is metered, stops one run by its cost, settles, verifies, and leaves nothing running', async () => {
  const { stdout } = await run(process.execPath, [orien, 'mission', '--json'], {
    timeout: 150_000,
    maxBuffer: 1 << 24,
  })
  const mission = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Mission
  expect(mission.verified).toBe(true)
  expect(mission.executions.map(({ tool, status, reason }) => [tool, status, reason])).toEqual([
    ['execute_script', 'completed', null],
    ['run_build', 'completed', null],
    ['render_scene', 'completed', null],
    ['execute_script', 'failed', 'budget_exhausted'],
  ])
  const sum = (amounts: readonly string[]) => amounts.reduce((total, amount) => total + BigInt(amount), 0n)
  const { providerMicros, platformMicros, reserveMicros, refundedMicros, txHash } = mission.settlement
  expect(sum(mission.executions.map(({ costMicros }) => costMicros))).toBe(BigInt(mission.consumedMicros))
  expect(sum([providerMicros, platformMicros, reserveMicros])).toBe(BigInt(mission.consumedMicros))
  expect(sum([providerMicros, platformMicros, reserveMicros, refundedMicros])).toBe(
    BigInt(mission.budgetMicros),
  )
  expect(txHash).toMatch(/^0x[0-9a-f]{64}$/)
  const offline = await run(process.execPath, [orien, 'verify', mission.billPath])
  expect(offline.stdout + offline.stderr).toContain('consistent')
  expect(JSON.parse(readFileSync(mission.billPath, 'utf8'))).toMatchObject({ sessionId: mission.sessionId })
  // Its chain was its own, on a port that nobody else was given.
  expect(await processes()).not.toContain(mission.sessionId)
}, 180_000)
