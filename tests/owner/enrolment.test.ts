import {
  actOnEnrolment,
  createEnrolment,
  deriveProviderId,
  type EnrolmentDraft,
  getEnrolment,
  type Hex,
  micros,
  registrationTypedData,
  setOperatorTypedData,
} from '@orien/protocol'
import { Orien } from '@orien/sdk'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../apps/coordinator/src/clock.ts'
import { type Stack, startStack } from '../harness/stack.ts'

let stack: Stack
let skewMs = 0
let signedIn: Orien
beforeAll(async () => {
  const now = () => new Date(systemClock.now().getTime() - skewMs)
  stack = await startStack({}, undefined, { clock: { ...systemClock, now } })
  signedIn = new Orien({ baseUrl: stack.url, account: owner })
})
afterAll(() => stack.stop())

const owner = privateKeyToAccount(`0x${'21'.repeat(32)}`)
const stranger = privateKeyToAccount(`0x${'22'.repeat(32)}`)
const machine = () => new Orien({ baseUrl: stack.url })
const payout = owner.address.toLowerCase() as Hex

const newCode = async () => (await signedIn.call(createEnrolment, {})).code

function draftOf(name: string, of: Hex = payout): EnrolmentDraft {
  const salt: Hex = `0x${'5a'.repeat(32)}`
  const registration = {
    providerId: deriveProviderId(of, salt),
    name,
    payout: of,
    salt,
    nodeKey: 'A'.repeat(43),
    operator: `0x${'0f'.repeat(20)}` as Hex,
    issuedAt: 1_800_000_000,
  }
  return {
    registration,
    operatorNonce: '7',
    operatorDeadline: 1_900_000_000,
    rateMicrosPerMinute: micros(600_000n),
  }
}

const handIn = (code: string, draft: EnrolmentDraft) =>
  machine().call(actOnEnrolment, { params: { code }, body: { action: 'draft', draft } })

async function signWith(account: PrivateKeyAccount, code: string, { registration }: EnrolmentDraft) {
  const { chainId, escrow } = stack.chain
  const { operator } = registration
  const terms = { owner: payout, operator, allowed: true, nonce: 7n, deadline: 1_900_000_000 }
  const signatures = {
    registration: await account.signTypedData(registrationTypedData(registration)),
    operator: await account.signTypedData(
      setOperatorTypedData({ chainId, escrow: escrow.toLowerCase() as Hex }, terms),
    ),
  }
  return machine().call(actOnEnrolment, { params: { code }, body: { action: 'sign', signatures } })
}

describe('a code', () => {
  test('is for who is signed in', async () => {
    await expect(machine().call(createEnrolment, {})).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('serves one machine: a second one is told, and what the first one asked for stays', async () => {
    const code = await newCode()
    const first = await handIn(code, draftOf('first'))
    expect(first).toMatchObject({ status: 'drafted', payout })
    await expect(handIn(code, draftOf('second'))).rejects.toMatchObject({ code: 'registration_conflict' })
    expect(await handIn(code, draftOf('first'))).toEqual(first)
  })

  test('of two machines at once one gets the owner, and the other one knows', async () => {
    const code = await newCode()
    const both = await Promise.allSettled(['left', 'right'].map((name) => handIn(code, draftOf(name))))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const { draft } = await machine().call(getEnrolment, { params: { code } })
    const winner = both.find((one) => one.status === 'fulfilled')
    expect(winner).toMatchObject({ value: { draft } })
  })

  test('pays its owner alone', async () => {
    const of = stranger.address.toLowerCase() as Hex
    await expect(handIn(await newCode(), draftOf('mine', of))).rejects.toMatchObject({
      code: 'registration_conflict',
    })
  })

  test('brings the machine the signatures of its owner, and nobody else’s', async () => {
    const code = await newCode()
    const draft = draftOf('signed')
    await expect(signWith(owner, code, draft)).rejects.toMatchObject({ code: 'illegal_transition' })
    await handIn(code, draft)
    await expect(signWith(stranger, code, draft)).rejects.toMatchObject({ code: 'signature_invalid' })
    await expect(signWith(owner, code, draftOf('another'))).rejects.toMatchObject({
      code: 'signature_invalid',
    })
    await signWith(owner, code, draft)
    expect(await machine().call(getEnrolment, { params: { code } })).toMatchObject({
      status: 'signed',
      draft,
      signatures: { registration: expect.stringMatching(/^0x/) },
    })
  })

  test('that is a quarter of an hour old is as one that never was', async () => {
    skewMs = 901_000
    const code = await newCode()
    skewMs = 0
    await expect(handIn(code, draftOf('late'))).rejects.toMatchObject({ code: 'not_found' })
    await expect(machine().call(getEnrolment, { params: { code } })).rejects.toMatchObject({
      code: 'not_found',
    })
  })
})
