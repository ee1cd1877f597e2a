import { createPool } from '@orien/coordinator'
import type { getHealth, OperationOutput } from '@orien/protocol'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { busAnswers } from '../../apps/coordinator/src/health/busAnswers.ts'
import { selectDrift } from '../../apps/coordinator/src/ledger/store.ts'
import { systemRandom } from '../../apps/coordinator/src/random.ts'
import { startRpcProxy } from '../harness/rpcProxy.ts'
import { type ScriptedNode, startScriptedNode } from '../harness/scriptedNode.ts'
import { type Stack, startStack } from '../harness/stack.ts'

let proxy: Awaited<ReturnType<typeof startRpcProxy>>
let stack: Stack
let node: ScriptedNode

beforeAll(async () => {
  proxy = await startRpcProxy()
  stack = await startStack({}, undefined, {
    rpcUrl: async (chainUrl) => {
      proxy.to = chainUrl
      return proxy.url
    },
  })
  node = await startScriptedNode(stack)
})
afterAll(async () => {
  await stack.stop()
  proxy.close()
})
afterEach(async () => {
  proxy.fault = 'none'
  await expectHealth({ status: 'ok', reasons: [] })
})

type Health = OperationOutput<typeof getHealth>
const ask = async () => {
  const response = await fetch(`${stack.url}/api/health`, { signal: AbortSignal.timeout(10_000) })
  return { http: response.status, ...((await response.json()) as Health) }
}
const expectHealth = (wanted: object) =>
  expect.poll(ask, { timeout: 15_000, interval: 100 }).toMatchObject(wanted)
const rpc = async (method: string, params: readonly unknown[] = []) => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const response = await fetch(stack.chain.rpcUrl, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  return ((await response.json()) as { result: unknown }).result
}
const inDatabase = async (
  work: (query: (text: string, values?: unknown[]) => Promise<unknown>) => Promise<unknown>,
) => {
  const pool = createPool({ url: stack.database.url, connections: 1 })
  try {
    await work(async (text, values) => pool.query(text, values))
  } finally {
    await pool.end()
  }
}

test.each(['away', 'silent'] as const)(
  'a chain that is %s is told as down, and the coordinator serves on',
  async (fault) => {
    proxy.fault = fault
    await expectHealth({ http: 200, status: 'degraded', chain: 'down', reasons: ['chain_down'] })
  },
)

test('a chain with another id than configured is told as the wrong one', async () => {
  proxy.fault = 'other_chain'
  await expectHealth({ http: 200, status: 'degraded', chain: 'wrong', reasons: ['chain_wrong'] })
})

test('a chain whose head falls back further than a reorganisation is told as behind', async () => {
  const snapshot = await rpc('evm_snapshot')
  await rpc('anvil_mine', ['0x20'])
  const high = Number(await rpc('eth_blockNumber'))
  await untilLookedAgain()
  await rpc('evm_revert', [snapshot])
  await expectHealth({ http: 200, status: 'degraded', chain: 'behind', reasons: ['chain_behind'] })
  const low = Number(await rpc('eth_blockNumber'))
  await rpc('anvil_mine', [`0x${(high - low).toString(16)}`])
})

/** An answer is given again for a second: a fault in between shows that the next one was not. */
async function untilLookedAgain(): Promise<void> {
  proxy.fault = 'other_chain'
  await expectHealth({ chain: 'wrong' })
  proxy.fault = 'none'
  await expectHealth({ chain: 'ok' })
}

test('a relayer without gas is told before the first payout fails for it', async () => {
  const { address } = await relayerOf()
  const had = await rpc('eth_getBalance', [address, 'latest'])
  await rpc('anvil_setBalance', [address, '0x1'])
  await expectHealth({
    http: 200,
    status: 'degraded',
    relayer: 'out_of_gas',
    reasons: ['relayer_out_of_gas'],
  })
  await rpc('anvil_setBalance', [address, had])
})

async function relayerOf() {
  const { privateKeyToAccount } = await import('viem/accounts')
  return privateKeyToAccount(stack.chain.relayerPrivateKey)
}

test('a leader that holds the relayer and finishes nothing is told as stuck, on every replica', async () => {
  await inDatabase(async (query) => {
    const lock = 0x72_65_6c_61_79n
    const waiting = query('select pg_advisory_lock($1)', [lock])
    await inDatabase((other) =>
      other(
        `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
           and database = (select oid from pg_database where datname = current_database())
           and objid = ($1::bigint & 4294967295)::oid`,
        [lock],
      ),
    )
    await waiting
    await query(`update facts set at = clock_timestamp() - interval '2 minutes' where name = 'relayer'`)
    await expectHealth({ http: 200, status: 'degraded', relayer: 'stuck', reasons: ['relayer_stuck'] })
  })
})

test('no provider online is told', async () => {
  node.close()
  await expectHealth({ http: 200, status: 'degraded', providersOnline: 0, reasons: ['no_provider_online'] })
  node = await startScriptedNode(stack)
})

test('money that is earned and not paid for a day is an alarm in health, metrics and reconciliation', async () => {
  await inDatabase(async (query) => {
    await query(`insert into agents (id, wallet) values ('agt_overdue', '0xoverdue')`)
    await query(
      `insert into sessions (id, agent_id, provider_id, status, rail, rate_micros_per_minute, budget_micros, spent_micros,
         authorised_micros, receipt_head, offer, offer_hash, registration, payee, salt, channel_status, ended_at)
       select 'ses_overdue', 'agt_overdue', id, 'completed', 'escrow', 1, 5, 5, 5, '', '', '', '{}', '', '', 'none',
         now() - interval '25 hours' from providers limit 1`,
    )
    await expectHealth({ http: 200, status: 'degraded', reasons: ['payouts_overdue'] })
    const page = await (await fetch(`${stack.url}/metrics`)).text()
    expect(page).toContain('orien_overdue_payouts 1')
    expect(page).toMatch(/orien_oldest_unpaid_seconds 9\d{4}/)
    const pool = createPool({ url: stack.database.url, connections: 1 })
    const drift = (await selectDrift(pool)).find(({ check }) => check.includes('unpaid'))
    await pool.end()
    expect(drift).toMatchObject({ violations: 1, example: 'ses_overdue' })
    await query(`delete from sessions where id = 'ses_overdue'`)
  })
})

test('a database that does not commit makes it 503 in bounded time; nothing else does', async () => {
  await inDatabase(async (query) => {
    const name = new URL(stack.database.url).pathname.slice(1)
    const told = (state: string) =>
      query(`alter database ${name} set default_transaction_read_only = ${state}`).then(() =>
        inDatabase((other) =>
          other(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'orien health' and datname = $1`,
            [name],
          ),
        ),
      )
    await told('on')
    await expectHealth({ http: 503, status: 'down', database: 'read_only', reasons: ['database_read_only'] })
    expect((await fetch(`${stack.url}/metrics`)).status).toBe(200)
    await told('off')
  })
})

test('a bus that loses what is published does not answer', async () => {
  const listeners = new Set<() => void>()
  const deaf = { publish: () => {}, subscribe: () => () => {} }
  const sound = {
    publish: () => {
      for (const listener of listeners) listener()
    },
    subscribe: (_subject: string, listener: (message: never) => void) => {
      const woken = () => listener(undefined as never)
      listeners.add(woken)
      return () => void listeners.delete(woken)
    },
  }
  expect(await busAnswers(sound, systemRandom(systemClock))).toBe(true)
  expect(await busAnswers(deaf, systemRandom(systemClock))).toBe(false)
  expect(listeners.size).toBe(0)
})
