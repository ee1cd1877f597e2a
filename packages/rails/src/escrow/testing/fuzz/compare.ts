import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import { invariant } from '@orien/protocol'
import { type Address, decodeFunctionResult, encodeFunctionData } from 'viem'
import type { World } from '../world.ts'
import type { Cast } from './cast.ts'
import { readMany } from './crowd.ts'
import { countOwed } from './ghost.ts'

/** Compares everybody's balance and credit with the ghost's. */
export async function compareMoney(world: World, cast: Cast, crowd: Address): Promise<void> {
  const { ghost, actors, signers, usdc } = cast
  const { platform, reserve, escrow } = ghost
  const people = [...actors, ...signers.map(({ address }) => address), platform, reserve, escrow]
  const balanceOf = { abi: fiatTokenAbi, functionName: 'balanceOf' } as const
  const held = await readMany(
    world,
    crowd,
    usdc,
    people.map((account) => encodeFunctionData({ ...balanceOf, args: [account] })),
  )
  const credits = { abi: orienEscrowAbi, functionName: 'credits' } as const
  const waiting = await readMany(
    world,
    crowd,
    escrow,
    people.map((account) => encodeFunctionData({ ...credits, args: [account] })),
  )
  for (const [index, account] of people.entries()) {
    const [holds, expected] = [BigInt(held[index] ?? 0), ghost.balances.get(account) ?? 0n]
    invariant(holds === expected, `${account} holds ${holds}, expected ${expected}`)
    const [credit, owed] = [BigInt(waiting[index] ?? 0), ghost.credits.get(account) ?? 0n]
    invariant(credit === owed, `the credit of ${account} is ${credit}, expected ${owed}`)
  }
  invariant(countOwed(ghost) === ghost.owed, 'channels and credits sum up to what is owed')
}

/** Compares every channel that there ever was with the ghost's. */
export async function compareChannels(world: World, { ghost }: Cast, crowd: Address): Promise<void> {
  const getChannel = { abi: orienEscrowAbi, functionName: 'getChannel' } as const
  const expected = [...ghost.channels.values()]
  const calls = expected.map(({ id }) => encodeFunctionData({ ...getChannel, args: [id] }))
  const answers = await readMany(world, crowd, ghost.escrow, calls)
  for (const [index, channel] of expected.entries()) {
    const found = decodeFunctionResult({ ...getChannel, data: answers[index] ?? '0x' })
    const { deposit, settled, finalized, payer, payee } = channel
    const isSame = found.deposit === deposit && found.settled === settled && found.finalized === finalized
    invariant(isSame && settled <= deposit, `channel ${channel.id} is as the ghost has it`)
    const parties = `${found.payer} ${found.payee}`.toLowerCase()
    invariant(parties === `${payer} ${payee}`, `channel ${channel.id} has its parties`)
  }
}
