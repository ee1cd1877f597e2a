import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createPool, startEmbeddedPostgres } from '@orien/coordinator'
import { fromHex, type Voucher } from '@orien/protocol'
import { createDatabase } from '../../apps/coordinator/src/db/executor.ts'
import { functionFilesBelow, migrateDatabase } from '../../apps/coordinator/src/db/migrate.ts'
import { createBus } from '../../apps/coordinator/src/events/bus.ts'
import { createAccruer } from '../../apps/coordinator/src/session/accrue.ts'
import { checkVoucher } from '../../apps/coordinator/src/session/voucher.ts'
import { nativeSecp256k1 } from '../../packages/sdk/src/keys/nativeSecp256k1.ts'
import { insertVoucherSessions, paperChain, type VoucherSession } from '../harness/voucherSessions.ts'
import type { BenchResult, BenchRow } from './row.ts'
import { processorMs, rateBeside, wallMs } from './sample.ts'

const sourceDir = fileURLToPath(new URL('../../apps/coordinator/src', import.meta.url))
const SESSIONS = 256
const VOUCHERS = 4_096
const IN_FLIGHT = 1_024
const BUDGET = 1_000_000_000_000n

type Work = { session: VoucherSession; voucher: Voucher }

/** Signed before the clock runs: the agent pays for that. */
function signAll(sessions: readonly VoucherSession[], count: number, from: number): Work[] {
  return Array.from({ length: count }, (_, index) => {
    const session = sessions[index % sessions.length]
    if (!session) throw new TypeError('there are sessions')
    return { session, voucher: session.sign(BigInt(from + index) * 100n) }
  })
}

/** libsecp256k1 alone: one recovery after the other of the same digest, nothing decoded, compared or stored. */
function bareRecoveries(count: number): () => void {
  const native = nativeSecp256k1
  if (!native) throw new TypeError('this platform has no prebuilt libsecp256k1')
  const digest = new Uint8Array(32).fill(7)
  const { signature, recid } = native.ecdsaSign(digest, fromHex(`0x${'11'.repeat(32)}`))
  return () => {
    for (let index = 0; index < count; index += 1) native.ecdsaRecover(signature, recid, digest, false)
  }
}

async function withSessions<T>(
  use: (pool: ReturnType<typeof createPool>, sessions: VoucherSession[]) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'orien-bench-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  await migrateDatabase({
    url: postgres.url,
    migrationsDir: join(sourceDir, 'db/migrations'),
    functionFiles: functionFilesBelow(sourceDir),
  })
  const pool = createPool({ url: postgres.url })
  try {
    return await use(pool, await insertVoucherSessions(pool, { count: SESSIONS, budgetMicros: BUDGET }))
  } finally {
    await pool.end()
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function accrued(): Promise<BenchResult> {
  return withSessions(async (pool, sessions) => {
    const accruer = createAccruer({ db: createDatabase(pool), bus: createBus(), chain: paperChain })
    let round = 0
    const { value, referenceValue } = await rateBeside({
      count: VOUCHERS,
      rounds: 5,
      clock: wallMs,
      prepare: () => signAll(sessions, VOUCHERS, round++ * VOUCHERS + 1),
      subject: async (work) => {
        let next = 0
        const client = async () => {
          for (let item = work[next++]; item; item = work[next++]) {
            await accruer.accrue(item.session, item.session.id, item.voucher)
          }
        }
        await Promise.all(Array.from({ length: IN_FLIGHT }, client))
      },
      reference: bareRecoveries(VOUCHERS),
    })
    const note = `${SESSIONS} sessions, ${IN_FLIGHT} in flight, committed in PostgreSQL with their events`
    return { value, referenceValue, unit: 'vouchers/s', note }
  })
}

async function checked(): Promise<BenchResult> {
  const key = await withSessions(async (_pool, sessions) => signAll(sessions, VOUCHERS, 1))
  const { value, referenceValue } = await rateBeside({
    count: VOUCHERS,
    rounds: 5,
    clock: processorMs,
    prepare: () => key,
    subject: async (work) => {
      for (const { session, voucher } of work) checkVoucher(session.terms, voucher, BUDGET)
    },
    reference: bareRecoveries(VOUCHERS),
  })
  const note = 'by processor time: channel id, digest, recovery, address'
  return { value, referenceValue, unit: 'vouchers/s', note }
}

const reference = 'libsecp256k1 alone, recoveries of one digest'

export const rows: BenchRow[] = [
  { name: 'vouchers checked', reference, better: 'higher', target: { value: 5_000 }, run: checked },
  {
    name: 'vouchers checked and accrued, one process',
    reference,
    better: 'higher',
    target: { value: 5_000 },
    run: accrued,
  },
]
