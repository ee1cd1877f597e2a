import fc from 'fast-check'
import type { Address, PrivateKeyAccount } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBalance, readCredit } from '../readBalance.ts'
import { readChannel } from '../readChannel.ts'
import { approve, openChannel, signVoucher, type TestChannel } from '../testing/channel.ts'
import { openWorld, type World } from '../testing/world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld({ closeGraceSeconds: 60n })
})
afterAll(() => world.close())

/** One random step; the numbers choose a channel, an amount and a person. */
const step = fc.record({
  verb: fc.constantFrom(
    ...(['open', 'topUp', 'settle', 'claim', 'claim', 'close', 'claimAndClose', 'forfeit'] as const),
    ...(['requestClose', 'withdraw', 'pass', 'block', 'unblock', 'pause', 'deliver', 'outsider'] as const),
  ),
  channel: fc.nat(),
  perMille: fc.integer({ min: 0, max: 1_100 }),
  person: fc.nat(),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type State = { channels: TestChannel[]; people: PrivateKeyAccount[]; blocked: Set<Address>; paused: boolean }

const pick = <T>(list: readonly T[], index: number): T => {
  const chosen = list[index % list.length]
  return chosen ?? expect.fail('nothing to pick from')
}

async function unblockAll(state: State): Promise<void> {
  if (state.paused) await world.tokenOwner('unpause')
  for (const account of state.blocked) await world.tokenOwner('unBlacklist', [account])
  state.blocked.clear()
  state.paused = false
}

async function take(state: State, { verb, channel: index, perMille, person }: Step): Promise<string> {
  const { payee, payer, session, ...channel } = pick(state.channels, index)
  const whole = { ...channel, payee, payer, session }
  const micros = (channel.depositMicros * BigInt(perMille)) / 1_000n
  const someone = pick(state.people, person)
  switch (verb) {
    case 'open': {
      if (state.paused || state.blocked.size > 0) await unblockAll(state)
      const payerOfNew = pick(state.people, person)
      const payeeOfNew = pick(state.people, person + 1)
      const deposit = BigInt(perMille) * 7n + 1n
      state.channels.push(await openChannel(world, deposit, { payer: payerOfNew, payee: payeeOfNew }))
      return 'ok'
    }
    case 'topUp':
      if (state.paused || state.blocked.size > 0) await unblockAll(state)
      await world.chain.mint(payer.address, micros + 1n)
      await approve(world, payer, micros + 1n)
      return (await world.act(payer, 'topUp', [channel.id, micros + 1n])).status
    case 'settle':
      return (await world.act(payee, verb, [channel.id, micros, await signVoucher(world, whole, micros)]))
        .status
    case 'close':
      return (await world.act(payee, verb, [channel.id, micros, await signVoucher(world, whole, micros)]))
        .status
    case 'claim':
    case 'claimAndClose': {
      const voucher = await signVoucher(world, whole, 10_000n)
      return (await world.act(payee, verb, [channel.id, micros, 10_000n, voucher])).status
    }
    case 'forfeit':
      return (await world.act(payee, 'close', [channel.id, 0n, '0x'])).status
    case 'requestClose':
      return (await world.act(pick([payer, session], person), verb, [channel.id])).status
    case 'withdraw':
      return (await world.act(someone, verb, [channel.id])).status
    case 'pass':
      await world.pass(40)
      return 'ok'
    case 'block':
      state.blocked.add(someone.address)
      await world.tokenOwner('blacklist', [someone.address])
      return 'ok'
    case 'unblock':
      await unblockAll(state)
      return 'ok'
    case 'pause':
      if (!state.paused) await world.tokenOwner('pause')
      state.paused = true
      return 'ok'
    case 'deliver':
      return (await world.act(session, 'deliverCredit', [someone.address])).status
    case 'outsider': {
      const voucher = await signVoucher(world, whole, 10_000n)
      const theft = await world.act(session, 'claim', [channel.id, micros, 10_000n, voucher])
      expect(theft.status).toBe('reverted')
      return 'reverted'
    }
  }
}

/** What the escrow owes: every open channel's unsettled rest, and every credit. */
async function liabilities({ channels, people }: State): Promise<bigint> {
  const { escrow, platform, reserve } = world.chain
  const readings = await Promise.all(channels.map(({ id }) => readChannel(world.client, escrow, id)))
  const open = readings.map((reading) => {
    if (reading.status !== 'found') return expect.fail(`channel ${reading.status}`)
    const { depositMicros, settledMicros, phase } = reading.channel
    expect(settledMicros <= depositMicros).toBe(true)
    return phase === 'finalized' ? 0n : depositMicros - settledMicros
  })
  const accounts = [...people.map(({ address }) => address), platform, reserve]
  const credits = await Promise.all(
    accounts.map(async (account) => {
      const reading = await readCredit(world.client, escrow, account)
      return reading.status === 'read' ? reading.micros : expect.fail('no credit read')
    }),
  )
  return [...open, ...credits].reduce((sum, micros) => sum + micros, 0n)
}

test('after every one of hundreds of random calls the escrow holds exactly what it owes', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 120, maxLength: 120 }), async (steps) => {
    const people = [await world.actor(), await world.actor(), await world.actor()]
    const state: State = { channels: [], people, blocked: new Set(), paused: false }
    state.channels.push(await openChannel(world, 5_000n, { payer: pick(people, 0), payee: pick(people, 1) }))
    const { escrow, usdc } = world.chain
    const heldBefore = await readBalance(world.client, usdc, escrow)
    const foreign = (heldBefore.status === 'read' ? heldBefore.micros : 0n) - (await liabilities(state))
    let succeeded = 0
    for (const each of steps) {
      if ((await take(state, each)) === 'ok') succeeded += 1
      const held = await readBalance(world.client, usdc, escrow)
      expect(held).toEqual({ status: 'read', micros: (await liabilities(state)) + foreign })
    }
    // Otherwise the steps would prove little.
    expect(succeeded).toBeGreaterThan(steps.length / 4)
    await unblockAll(state)
  })
  await fc.assert(property, { numRuns: 3, endOnFailure: true })
}, 180_000)
