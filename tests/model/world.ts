import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool } from '@orien/coordinator'
import {
  channelId,
  type Id,
  micros,
  type Receipt as SignedReceipt,
  sha256Hex,
  signReceipt,
} from '@orien/protocol'
import { once } from '../../apps/coordinator/src/access/once.ts'
import type { Unit } from '../../apps/coordinator/src/db/executor.ts'
import { openSession } from '../../apps/coordinator/src/session/open.ts'
import { startSession } from '../../apps/coordinator/src/session/start.ts'
import { createTestDatabase, type TestDatabase } from '../harness/postgres.ts'
import {
  agentNamed,
  channelTermsOf,
  insertParties,
  MANIFEST_HASHES,
  providerAt,
  RATES,
  startOf,
  type TestAgent,
  type TestProvider,
} from './parties.ts'
import { newSession, type Receipt, type Run, type Session } from './reference.ts'
import { createReplica, createTestClock, createTestRandom, type Replica, type TestClock } from './replica.ts'

type Pool = ReturnType<typeof createPool>

/** A real database with its parties in it, and coordinators on it. */
export type World = {
  pool: Pool
  database: TestDatabase
  clock: TestClock
  agents: readonly TestAgent[]
  providers: readonly TestProvider[]
  /** A coordinator that has just been started. */
  replica: (pool?: Pool) => Replica
  close: () => Promise<void>
}

/** @param alter changes the schema or its functions before anything happens */
export async function openWorld(alter: (pool: Pool) => Promise<void> = async () => {}): Promise<World> {
  const database = await createTestDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-model-'))
  const pool = createPool({ url: database.url })
  // Nothing here is about a power cut, and a commit that need not reach the disk is ten times as fast.
  await pool.query(
    `alter role current_user in database ${new URL(database.url).pathname.slice(1)} set synchronous_commit = off`,
  )
  await alter(pool)
  const clock = createTestClock()
  const random = createTestRandom(clock, 'model')
  const providers = RATES.map(providerAt)
  const agents = ['anna', 'boris'].map(agentNamed)
  await insertParties(pool, providers, agents)
  return {
    pool,
    database,
    clock,
    agents,
    providers,
    replica: (other = pool) => createReplica(other, { clock, random, providers, dataDir }),
    close: async () => {
      await pool.end()
      await database.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** A session in the database and in the model, and who is behind it. */
export type Place = { model: Session; agent: TestAgent; provider: TestProvider; budgetMicros: bigint }

export const termsOf = ({ model, agent, provider }: Place) => channelTermsOf(model.id, agent, provider)

export async function openPlace(
  { ctx }: Replica,
  agent: TestAgent,
  provider: TestProvider,
  budgetMicros: bigint,
  stepMicros: bigint | null = null,
): Promise<Place> {
  const step = stepMicros === null ? {} : { stepMicros: micros(stepMicros) }
  const body = {
    providerId: provider.id,
    budgetMicros: micros(budgetMicros),
    rail: 'escrow' as const,
    ...step,
  }
  const view = await ctx.db.write((unit) => openSession(ctx, unit, agent.caller, body))
  const terms = {
    id: view.id,
    provider: provider.id,
    rate: provider.rate,
    budgetMicros,
    stepMicros,
    head: provider.offer.hash,
  }
  return { model: newSession(terms), agent, provider, budgetMicros }
}

export const startPlace = ({ ctx }: Replica, place: Place) =>
  ctx.db.write((unit) =>
    startSession(
      ctx,
      unit,
      place.agent.caller,
      place.model.id,
      startOf(termsOf(place), place.agent, place.budgetMicros),
    ),
  )

/** As the routes do it: the key, what the verb writes and the answer in one transaction. */
export function onceFor<T>(
  { ctx }: Replica,
  { agent, model }: Place,
  named: { key: string; operation: string; body: unknown },
  verb: (unit: Unit) => Promise<T>,
): Promise<unknown> {
  const { key, operation, body } = named
  const request = { actor: agent.caller.agentId, key: `${model.id} ${key}`, operation, body }
  return once(ctx, request, async (unit) => {
    await verb(unit)
    return 'ok'
  })
}

/** A receipt for the model, and the same one signed. */
export type WrittenReceipt = { said: Receipt; jws: string }

/** Signs what a node says about a run. */
export function writeReceipt(
  { model, provider, agent }: Place,
  run: Pick<Run, 'id' | 'grant'>,
  tool: string,
  said: Omit<Receipt, 'hash' | 'observedMs' | 'wasStarted'>,
): string {
  const at = '2026-01-01T00:00:00.000Z'
  const receipt: SignedReceipt = {
    v: 1,
    executionId: run.id as Id<'execution'>,
    sessionId: model.id as Id<'session'>,
    providerId: provider.id,
    channelId: channelId(channelTermsOf(model.id, agent, provider)),
    sequence: said.sequence,
    previous: said.previous,
    grant: run.grant,
    tool,
    manifestHash: MANIFEST_HASHES.get(tool) ?? '',
    argumentsHash: sha256Hex('arguments'),
    inputs: [],
    outputs: [],
    logHash: sha256Hex(''),
    logBytes: 0,
    isolation: 'namespaces',
    startedAt: at,
    endedAt: at,
    effectiveMs: said.effectiveMs,
    cpuMs: 0,
    maxRssBytes: 0,
    sources: { wall: 'helper', cpu: 'helper', memory: 'helper' },
    exitCode: said.status === 'completed' ? 0 : null,
    status: said.status,
    ...(said.reason ? { reason: said.reason as NonNullable<SignedReceipt['reason']> } : {}),
    rateMicrosPerMinute: micros(provider.rate),
    holdMicros: micros(said.holdMicros),
    deadlineMs: said.deadlineMs,
    costMicros: micros(said.costMicros),
    cumulativeMicros: micros(said.cumulativeMicros),
  }
  return signReceipt(receipt, provider.nodeKey, provider.sign)
}
