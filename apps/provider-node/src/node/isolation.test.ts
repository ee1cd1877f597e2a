import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { decodeJws, invariant } from '@orien/protocol'
import { afterEach, describe, expect, test } from 'vitest'
import { isolationRecordPath } from '../sandbox/isolationRecord.ts'
import { createProcessDriver } from '../sandbox/unsandboxed.ts'
import { startWorld, type World } from '../testing/world.ts'

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

/** A node whose machine isolates nothing any more. */
async function startWeakened() {
  const lines: Record<string, unknown>[] = []
  const error = (line: unknown) => void lines.push(line as Record<string, unknown>)
  const log = { info: () => {}, warn: () => {}, error }
  world = await startWorld({ driver: createProcessDriver(), allowUnisolated: true, log })
  const path = isolationRecordPath(world.dataDir)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, JSON.stringify({ v: 1, isolationClass: 'namespaces+cgroups' }))
  await world.restart()
  return { world, lines }
}

describe('a node that isolates less than it once did', () => {
  test('says so in its log, its health, its offer, its tools and its receipts', async () => {
    const { world: weakened, lines } = await startWeakened()
    const downgrade = { code: 'isolation_downgraded', from: 'namespaces+cgroups', to: 'none' }
    expect(lines).toContainEqual({ event: 'isolation.downgraded', ...downgrade })
    expect(weakened.node.health()).toMatchObject({
      isolation: 'none',
      isolationDowngrade: downgrade,
      refusesStrangers: { code: 'no_isolation' },
    })
    const hello = weakened.coordinator.received.findLast(({ type }) => type === 'hello')
    invariant(hello?.type === 'hello', 'the node has said hello')
    expect(decodeJws('orien-offer+jws', hello.offer)?.payload).toMatchObject({ isolation: 'none' })
    const tools = await fetch(new URL('/tools', weakened.node.apiUrl), {
      headers: { authorization: `Bearer ${weakened.node.apiToken}` },
    })
    expect(await tools.json()).toMatchObject({ isolation: 'none' })
    expect(await weakened.run(weakened.newSession().work())).toMatchObject({ isolation: 'none' })
  })
})
