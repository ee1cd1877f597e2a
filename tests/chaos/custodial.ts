import { randomBytes } from 'node:crypto'
import {
  endSession,
  execute,
  getBalance,
  getExecution,
  getSession,
  type Hex,
  micros,
  openSession,
  pay,
} from '@orien/protocol'
import { authorizationTypes } from '../../packages/contracts/src/index.ts'
import type { Agent } from './agent.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

const BALANCE_MICROS = micros(3_000_000n)
const BUDGET_MICROS = micros(2_000_000n)
const CAP_MICROS = micros(1_500_000n)
const LIFE_MS = 600_000
const LOOKS = 300

/** The wallet's signature under a transfer to the custody wallet; the same however often it is sent. */
async function signDeposit({ account }: Agent, to: { to: Hex; token: Hex; chainId: number } & Domain) {
  const nonce = `0x${randomBytes(32).toString('hex')}` as Hex
  const window = { validAfter: 0, validBefore: Math.floor((Date.now() + LIFE_MS) / 1_000) }
  const signature = await account.signTypedData({
    domain: {
      name: to.tokenName,
      version: to.tokenVersion,
      chainId: to.chainId,
      verifyingContract: to.token,
    },
    types: authorizationTypes,
    primaryType: 'TransferWithAuthorization',
    message: {
      from: account.address,
      to: to.to,
      value: BALANCE_MICROS,
      validAfter: 0n,
      validBefore: BigInt(window.validBefore),
      nonce,
    },
  })
  const deposit = { valueMicros: BALANCE_MICROS, ...window, nonce, signature }
  return { operation: 'deposit' as const, additionalMicros: BALANCE_MICROS, topUpSalt: nonce, deposit }
}

type Domain = { tokenName: string; tokenVersion: string }

/** A deposit into the balance, a session on it with one run, and a withdrawal of all that is left. */
export async function bank({ providerId }: World, agent: Agent, name: string): Promise<void> {
  const { orien, acknowledged, insist } = agent
  const balance = () => insist('balance', () => orien.call(getBalance, {}))
  const body = await signDeposit(agent, (await balance()).deposit)
  const key = (what: string) => ({ idempotencyKey: `${name}-${what}` })
  await insist('deposit', () => orien.call(pay, { body }, key('deposit')))
  await until('the deposit is credited', LOOKS, async () =>
    (await balance()).availableMicros === BALANCE_MICROS ? true : null,
  )
  const order = { providerId, budgetMicros: BUDGET_MICROS, rail: 'escrow' as const, custodial: true }
  const { id } = await insist('open', () => orien.call(openSession, { body: order }, key('open')))
  acknowledged.sessionId = id
  const params = { id }
  const text = `${name} run 1`
  const request = { tool: 'say', args: { text }, maxCostMicros: CAP_MICROS }
  const begun = await insist('run', () => orien.call(execute, { params, body: request }, key('1')))
  const view = await until('the run is over', LOOKS, async () => {
    const now = await insist('run', () => orien.call(getExecution, { params: { id: begun.id } }))
    return now.status === 'completed' || now.status === 'failed' ? now : null
  })
  acknowledged.runs.push({ key: `${name}-1`, text, view })
  await insist('end', () => orien.call(endSession, { params }))
  acknowledged.isEnded = true
  await until('the session is settled', LOOKS, async () =>
    (await insist('state', () => orien.call(getSession, { params }))).status === 'settled' ? true : null,
  )
  await insist('withdraw', () => orien.call(pay, { body: { operation: 'withdraw' } }, key('withdraw')))
  await until('the withdrawal is final', LOOKS, async () => {
    const { availableMicros, withdrawingMicros } = await balance()
    return availableMicros === 0n && withdrawingMicros === 0n ? true : null
  })
}
