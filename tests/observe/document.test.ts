import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { createFigureReader } from '../../apps/coordinator/src/telemetry/figures.ts'
import { createMetrics } from '../../apps/coordinator/src/telemetry/metrics.ts'
import { createNodeMetrics } from '../../apps/provider-node/src/telemetry/metrics.ts'

const path = fileURLToPath(new URL('../../docs/observability.md', import.meta.url))

/** A row of the table for every metric of ours. */
function rowsOf(registry: Registry): string[] {
  return registry
    .getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; help: string; type: string; labelNames: string[] })
    .filter(({ name }) => name.startsWith('orien_'))
    .map(({ name, help, type, labelNames }) => {
      const labels = labelNames.filter((label) => label !== 'le').map((label) => `\`${label}\``)
      return `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`
    })
    .sort()
}

function documented(marker: string): string[] {
  const text = readFileSync(path, 'utf8')
  const after = text.split(`<!-- metrics:${marker} -->`)[0] ?? ''
  const table = after.split('| metric | type | labels | meaning |\n|---|---|---|---|\n').at(-1) ?? ''
  return table.split('\n').filter((line) => line.startsWith('| `orien_'))
}

const never = () => new Promise<never>(() => {})
const coordinator = createMetrics({
  nodesOnline: () => 0,
  subscribers: () => 0,
  trails: () => 0,
  pool: () => ({ totalCount: 0, idleCount: 0, waitingCount: 0 }),
  refresh: async () => {},
  figures: createFigureReader(systemClock, never, never).figures,
}).registry
const nothing = {
  running: 0,
  queued: 0,
  sessions: 0,
  unacknowledgedReceipts: 0,
  refusedReceipts: 0,
  isLinked: false,
}
const node = createNodeMetrics(() => nothing).registry

test.each([
  ['coordinator', coordinator],
  ['node', node],
])('every metric of the %s is in the document as it is in the source', (name, registry) => {
  expect(documented(name)).toEqual(rowsOf(registry))
})

test('names follow Prometheus’ conventions: counters end in _total, time is in seconds', () => {
  for (const registry of [coordinator, node]) {
    for (const { name, type } of registry.getMetricsAsArray() as unknown as {
      name: string
      type: string
    }[]) {
      if (!name.startsWith('orien_')) continue
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
      expect(name).not.toMatch(/(milliseconds|_ms|minutes|_time)(_|$)/)
    }
  }
})
