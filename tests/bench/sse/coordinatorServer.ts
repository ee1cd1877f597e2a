import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool, startEmbeddedPostgres } from '@orien/coordinator'
import type { Hex } from '@orien/protocol'
import { startStack } from '../../harness/stack.ts'
import { insertVoucherSessions } from '../../harness/voucherSessions.ts'
import { readMemory } from './memory.ts'
import type { ServerReady, ToServer } from './messages.ts'
import { signIn } from './signIn.ts'

// A whole coordinator with its database and its chain. Events are made through its API, by vouchers handed in.
const dir = mkdtempSync(join(tmpdir(), 'orien-bench-'))
const postgres = await startEmbeddedPostgres({ dataDir: dir })
const drop = async () => {}
const stack = await startStack({}, { url: postgres.url, drop, [Symbol.asyncDispose]: drop })
const { token, agentId } = await signIn(stack.url)
const pool = createPool({ url: postgres.url, connections: 1 })
const [session] = await insertVoucherSessions(pool, {
  count: 1,
  budgetMicros: 1_000_000_000_000n,
  chain: {
    chainId: stack.chain.chainId,
    escrow: stack.chain.escrow.toLowerCase() as Hex,
    token: stack.chain.usdc.toLowerCase() as Hex,
  },
})
if (!session) throw new TypeError('there is a session')
await pool.query('update sessions set agent_id = $1', [agentId])
await pool.end()

let authorised = 0n
async function publish(events: number, mark: string): Promise<void> {
  for (let sequence = 1; sequence <= events; sequence += 1) {
    authorised = sequence === events ? BigInt(mark) : authorised + 1n
    const voucher = session?.sign(authorised)
    const answer = await fetch(`${stack.url}/api/sessions/${session?.id}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        action: 'voucher',
        voucher: { ...voucher, cumulativeMicros: authorised.toString() },
      }),
    })
    if (!answer.ok) throw new TypeError(`the voucher was refused: ${await answer.text()}`)
  }
}

const message: ServerReady = {
  ready: {
    port: Number(new URL(stack.url).port),
    path: `/api/sessions/${session.id}/events`,
    headers: { authorization: `Bearer ${token}` },
  },
}
process.send?.(message)
process.on('message', (asked: ToServer) => {
  if (asked.ask === 'memory') process.send?.(readMemory())
  else void publish(asked.events, asked.mark)
})
process.on('disconnect', async () => {
  await stack.stop()
  await postgres.stop()
  rmSync(dir, { recursive: true, force: true })
  process.exit(0)
})
