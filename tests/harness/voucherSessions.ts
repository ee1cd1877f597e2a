import { randomBytes } from 'node:crypto'
import type { createPool } from '@orien/coordinator'
import {
  type ChannelTerms,
  channelId,
  type Hex,
  type Id,
  makeId,
  micros,
  sessionSalt,
  type Voucher,
  voucherDigest,
} from '@orien/protocol'
import { addressOfKey, signDigest } from '@orien/sdk'
import type { ChainTerms } from '../../apps/coordinator/src/context.ts'

/** Where the channels of these sessions are; no such chain runs. */
export const paperChain: ChainTerms = {
  chainId: 31_337,
  escrow: `0x${'22'.repeat(20)}`,
  token: `0x${'33'.repeat(20)}`,
  tokenName: 'USDC',
  tokenVersion: '2',
  closeGraceMs: 900_000,
  rpcUrl: '',
}

/** A session that can take vouchers, with its key in the caller's hand. */
export type VoucherSession = {
  id: string
  agentId: Id<'agent'>
  terms: ChannelTerms
  sign: (cumulativeMicros: bigint, changes?: Partial<ChannelTerms>, key?: Hex) => Voucher
}

const anId = <K extends 'session' | 'agent'>(kind: K) =>
  makeId(kind, Date.now(), new Uint8Array(randomBytes(10)))
const aKey = () => `0x${randomBytes(32).toString('hex')}` as Hex

type Place = Pick<ChainTerms, 'chainId' | 'escrow' | 'token'>

function makeSession(agentId: Id<'agent'>, { chainId, escrow, token }: Place): VoucherSession {
  const id = anId('session')
  const key = aKey()
  const terms: ChannelTerms = {
    chainId,
    escrow,
    token,
    payer: `0x${'44'.repeat(20)}`,
    payee: `0x${'55'.repeat(20)}`,
    salt: sessionSalt(id),
    authorizedSigner: addressOfKey(key),
  }
  const sign: VoucherSession['sign'] = (cumulative, changes = {}, signer = key) => {
    const place = { ...terms, ...changes }
    const cumulativeMicros = micros(cumulative)
    const digest = voucherDigest(place, channelId(place), cumulativeMicros)
    return { cumulativeMicros, signature: signDigest(signer, digest) }
  }
  return { id, agentId, terms, sign }
}

/** Inserts an agent, a provider and active sessions of theirs, without any chain. */
export async function insertVoucherSessions(
  pool: ReturnType<typeof createPool>,
  { count, budgetMicros, chain = paperChain }: { count: number; budgetMicros: bigint; chain?: Place },
): Promise<VoucherSession[]> {
  const agentId = anId('agent')
  const provider = `prv_${'0'.repeat(26)}`
  await pool.query('insert into agents (id, wallet) values ($1, $1)', [agentId])
  await pool.query(
    `insert into providers (id, name, payout, operator, node_key, rate_micros_per_minute, tools, isolation, registration, registration_issued_at)
     values ($1, 'paper', '0x', '0x', 'k', 600000, '[]', 'none', '{}', 0) on conflict do nothing`,
    [provider],
  )
  const sessions = Array.from({ length: count }, () => makeSession(agentId, chain))
  for (const { id, terms } of sessions) {
    await pool.query(
      `insert into sessions (id, agent_id, provider_id, status, rail, rate_micros_per_minute, budget_micros,
         receipt_head, offer, offer_hash, registration, payee, payer, authorized_signer, salt, channel_id, channel_status, voucher_signature)
       values ($1, $2, $3, 'active', 'escrow', 600000, $4, repeat('0', 64), '', '', '{}', $5, $6, $7, $8, $9, 'open', '')`,
      [
        id,
        agentId,
        provider,
        budgetMicros,
        terms.payee,
        terms.payer,
        terms.authorizedSigner,
        terms.salt,
        channelId(terms),
      ],
    )
  }
  return sessions
}
