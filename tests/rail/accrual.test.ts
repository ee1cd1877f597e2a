import { createPool } from '@orien/coordinator'
import type { Hex } from '@orien/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase } from '../../apps/coordinator/src/db/executor.ts'
import { createBus } from '../../apps/coordinator/src/events/bus.ts'
import { type Accruer, createAccruer } from '../../apps/coordinator/src/session/accrue.ts'
import { createTestDatabase, type TestDatabase } from '../harness/postgres.ts'
import { insertVoucherSessions, paperChain, type VoucherSession } from '../harness/voucherSessions.ts'

const BUDGET = 1_000_000n
let database: TestDatabase
let pool: ReturnType<typeof createPool>
let accruer: Accruer
let [session, other, ended]: VoucherSession[] = []
const heard: number[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  pool = createPool({ url: database.url })
  const bus = createBus()
  accruer = createAccruer({ db: createDatabase(pool), bus, chain: paperChain })
  ;[session, other, ended] = await insertVoucherSessions(pool, { count: 3, budgetMicros: BUDGET })
  bus.subscribe(of(session).id, (message) => {
    if (message.kind === 'event') heard.push(message.sequence)
  })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})

const of = (made: VoucherSession | undefined): VoucherSession => {
  if (!made) throw new TypeError('the session is made before the tests')
  return made
}

async function stateOf(id: string) {
  const { rows } = await pool.query(
    `select authorised_micros::text as authorised, voucher_signature as signature,
       (select coalesce(json_agg(data ->> 'authorisedMicros' order by sequence), '[]') from events where session_id = s.id) as told,
       (select coalesce(json_agg(sequence order by sequence), '[]') from events where session_id = s.id) as sequences
     from sessions s where id = $1`,
    [id],
  )
  return rows[0] as { authorised: string; signature: string; told: string[]; sequences: number[] }
}

test('a hundred vouchers of a session sent at once in any order end at the highest, and only raises are told', async () => {
  const target = of(session)
  const amounts = Array.from({ length: 100 }, (_, index) => BigInt(((index * 37) % 100) + 1) * 1_000n)
  await Promise.all(amounts.map((amount) => accruer.accrue(target, target.id, target.sign(amount))))
  const { authorised, signature, told, sequences } = await stateOf(target.id)
  expect(authorised).toBe('100000')
  expect(signature).toBe(target.sign(100_000n).signature)
  expect(told.map(BigInt)).toEqual(told.map(BigInt).toSorted((left, right) => Number(left - right)))
  expect(new Set(told).size).toBe(told.length)
  expect(sequences).toEqual(sequences.map((_, index) => index + 1))
  expect(heard).toEqual(sequences)
})

test('a voucher that is known or lower changes nothing and tells nothing', async () => {
  const target = of(session)
  const before = await stateOf(target.id)
  await accruer.accrue(target, target.id, target.sign(100_000n))
  await accruer.accrue(target, target.id, target.sign(1n))
  expect(await stateOf(target.id)).toEqual(before)
})

/** The same signature under the other v: right for whoever only verifies, void for the contract. */
const otherV = (signature: Hex) =>
  `${signature.slice(0, 130)}${signature.endsWith('1b') ? '1c' : '1b'}` as Hex

test.each([
  ['of another chain', (at: VoucherSession) => at.sign(200_000n, { chainId: 1 })],
  ['of another contract', (at: VoucherSession) => at.sign(200_000n, { escrow: at.terms.token })],
  ['of another channel', (_at: VoucherSession) => of(other).sign(200_000n)],
  ['of another signer', (at: VoucherSession) => at.sign(200_000n, {}, `0x${'77'.repeat(32)}`)],
  [
    'over another amount',
    (at: VoucherSession) => ({ ...at.sign(200_000n), cumulativeMicros: at.sign(300_000n).cumulativeMicros }),
  ],
  [
    'with the wrong v',
    (at: VoucherSession) => ({ ...at.sign(200_000n), signature: otherV(at.sign(200_000n).signature) }),
  ],
  ['above the deposit', (at: VoucherSession) => at.sign(BUDGET + 1n)],
])('a voucher %s is refused beside good ones, and the good ones are taken', async (_what, make) => {
  const [target, neighbour] = [of(session), of(other)]
  const before = await stateOf(target.id)
  const raised = BigInt((await stateOf(neighbour.id)).authorised) + 1_000n
  const [bad, good] = await Promise.allSettled([
    accruer.accrue(target, target.id, make(target)),
    accruer.accrue(neighbour, neighbour.id, neighbour.sign(raised)),
  ])
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'voucher_invalid' } })
  expect(good.status).toBe('fulfilled')
  expect(await stateOf(target.id)).toEqual(before)
  expect((await stateOf(neighbour.id)).authorised).toBe(raised.toString())
})

test('a session that has ended takes no voucher, though its channel is remembered', async () => {
  const target = of(ended)
  await accruer.accrue(target, target.id, target.sign(1_000n))
  await pool.query(`update sessions set status = 'ending' where id = $1`, [target.id])
  const late = accruer.accrue(target, target.id, target.sign(2_000n))
  await expect(late).rejects.toMatchObject({ code: 'session_not_active' })
  expect((await stateOf(target.id)).authorised).toBe('1000')
})

test('another agent does not find the session, though its channel is remembered', async () => {
  const target = of(session)
  const stranger = { agentId: `agt_${'0'.repeat(26)}` as VoucherSession['agentId'] }
  const attempt = accruer.accrue(stranger, target.id, target.sign(200_000n))
  await expect(attempt).rejects.toMatchObject({ code: 'not_found' })
})
