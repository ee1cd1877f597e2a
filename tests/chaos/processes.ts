import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ManagedProcess, manageProcess } from '../harness/processes.ts'
import type { Links, Ports } from './links/links.ts'
import type { CoordinatorSettings } from './settings.ts'

/** Where everything is. */
export type Place = {
  dir: string
  ports: Ports
  links: Links
  databaseUrl: string
  chainUrl: string
  profile: CoordinatorSettings['profile']
  closeGraceSeconds: number
  /** Silence after which a provider counts as gone; as in the product when absent. */
  providerGoneMs?: number
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const nodeMain = here('../../apps/provider-node/src/main.ts')

// Most of a start is reading TypeScript: the code of the last start is used again.
const environment = { NODE_COMPILE_CACHE: join(tmpdir(), 'orien-chaos-cache') }

/** Short, so that a run can be lost, and long enough for a node to find its coordinator again. */
const LEASE_MS = 10_000

export function planSupervisor(dir: string, port: number): ManagedProcess {
  return manageProcess(() => ({
    name: 'supervisor',
    command: [process.execPath, here('parts/postgres.ts'), join(dir, 'postgres'), `${port}`],
    logFile: join(dir, 'postgres.log'),
    environment,
    isReady: (line) => line.startsWith('ready '),
  }))
}

export function planCoordinator({
  dir,
  ports,
  links,
  databaseUrl,
  chainUrl,
  profile,
  closeGraceSeconds,
  providerGoneMs,
}: Place): ManagedProcess {
  const settings: CoordinatorSettings = {
    config: {
      host: '127.0.0.1',
      port: ports.coordinator,
      baseUrl: `http://127.0.0.1:${links.agent.port}`,
      dataDir: join(dir, 'coordinator'),
      isProduction: false,
      requestsPerMinute: 1_000_000,
      leaseMs: LEASE_MS,
      sweepEveryMs: 200,
      logLevel: 'info',
      version: 'chaos',
      ...(providerGoneMs !== undefined && { providerGoneMs }),
    },
    databaseUrl: databaseUrl.replace(`:${ports.postgres}/`, `:${links.postgres.port}/`),
    rpcUrl: `http://127.0.0.1:${links.coordinatorRpc.port}`,
    directRpcUrl: chainUrl,
    profile,
    closeGraceSeconds,
  }
  return manageProcess(() => ({
    name: 'coordinator',
    command: [process.execPath, here('parts/coordinator.ts'), JSON.stringify(settings)],
    logFile: join(dir, 'coordinator.log'),
    environment,
    isReady: (line) => line === 'ready',
  }))
}

export function planNode({ dir, links }: Place): ManagedProcess {
  const hooks = new URL('parts/journalHooks.mjs', import.meta.url)
  hooks.searchParams.set('url', links.hooks.url)
  const place = ['--data-dir', join(dir, 'node'), '--tools', join(dir, 'tools.yaml')]
  return manageProcess(() => ({
    name: 'node',
    command: [process.execPath, '--import', hooks.href, nodeMain, ...place],
    logFile: join(dir, 'node.log'),
    environment: { ...environment, ORIEN_LOG_LEVEL: 'info' },
    isReady: (line) => line.includes('"node.started"'),
  }))
}
