import { crowdAbi, crowdBytecode } from '@orien/contracts/testing'
import { invariant } from '@orien/protocol'
import {
  type Address,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  keccak256,
  type PrivateKeyAccount,
  parseAbi,
  parseEventLogs,
  toHex,
} from 'viem'
import { localAccounts } from '../../../localChain/accounts.ts'
import type { World } from '../world.ts'
import type { Cast, Step } from './cast.ts'
import type { Chance } from './chance.ts'
import { newGhost } from './ghost.ts'
import { quickSigner } from './quickSigner.ts'

const actorCount = 7
const signerCount = 6
/** What everybody starts with. */
const startMicros = 1_000_000_000n

const lower = (address: Address) => address.toLowerCase() as Address

const roles = parseAbi(['function updateBlacklister(address)', 'function updatePauser(address)'])

/** Deploys the crowd, and gives everybody money and duties. */
export async function gather(world: World, sender: PrivateKeyAccount, chance: Chance) {
  const { usdc, escrow, platform, reserve, chainId, usdcDomain } = world.chain
  const code = encodeDeployData({ abi: crowdAbi, bytecode: crowdBytecode, args: [BigInt(actorCount)] })
  const crowd = await world.deploy(sender, code)
  const call = { address: crowd, abi: crowdAbi, functionName: 'actors' } as const
  const indices = Array.from({ length: actorCount }, (_, index) => BigInt(index))
  const actors = await Promise.all(
    indices.map(async (index) => lower(await world.client.readContract({ ...call, args: [index] }))),
  )
  const signers = Array.from({ length: signerCount }, (_, index) => {
    return quickSigner(keccak256(toHex(`fuzz ${index}`)))
  })
  const keeper = actors.at(-1) ?? '0x'
  for (const functionName of ['updateBlacklister', 'updatePauser'] as const) {
    const data = encodeFunctionData({ abi: roles, functionName, args: [keeper] })
    await world.client.request({
      method: 'eth_sendTransaction',
      params: [{ from: localAccounts.deployer, to: usdc, data }],
    } as never)
  }
  const people = [...actors, ...signers.map(({ address }) => address)]
  await world.fillUp(people, startMicros)
  await approveAll(world, sender, crowd)
  const ghost = newGhost(lower(escrow), lower(platform), lower(reserve))
  for (const person of people) ghost.balances.set(person, startMicros)
  const place = { chainId, escrow: lower(escrow) }
  const cast: Cast = {
    ...{ chance, ghost, actors, signers, ids: [], salts: new Map(), place },
    usdc: lower(usdc),
    usdcDomain,
  }
  return { cast, crowd }
}

async function approveAll(world: World, sender: PrivateKeyAccount, crowd: Address): Promise<void> {
  const { usdc, escrow } = world.chain
  const abi = parseAbi(['function approve(address,uint256)'])
  const data = encodeFunctionData({ abi, functionName: 'approve', args: [escrow, 2n ** 255n] })
  const steps = Array.from({ length: actorCount }, (_, index) => ({
    actor: BigInt(index),
    target: usdc,
    data,
  }))
  const run = encodeFunctionData({ abi: crowdAbi, functionName: 'run', args: [usdc, escrow, steps] })
  const approved = await world.send(sender, crowd, run)
  invariant(approved.status === 'ok', 'the crowd approves')
}

/** Sends steps as one transaction, not waiting for it. */
export async function submit(
  world: World,
  crowd: Address,
  steps: readonly Step[],
  seconds: bigint,
): Promise<Hex> {
  const { usdc, escrow } = world.chain
  const calls = steps.map(({ actor, target, data }) => ({ actor: BigInt(actor), target, data }))
  const data = encodeFunctionData({ abi: crowdAbi, functionName: 'run', args: [usdc, escrow, calls] })
  await world.node.setNextBlockTimestamp({ timestamp: seconds })
  const transaction = { from: localAccounts.deployer, to: crowd, data, gas: '0x1000000' }
  return world.client.request({ method: 'eth_sendTransaction', params: [transaction] } as never)
}

/** What came of each step. */
export async function outcomesOf(world: World, hash: Hex) {
  const { status, logs } = await world.mined(hash)
  invariant(status === 'success', 'the crowd’s transaction fits its gas')
  const [ran] = parseEventLogs({ abi: crowdAbi, logs, eventName: 'Ran' })
  invariant(ran !== undefined, 'the crowd tells what happened')
  return ran.args.outcomes
}

/** Many readings of one contract by one question. */
export async function readMany(world: World, crowd: Address, target: Address, calls: readonly Hex[]) {
  const call = { address: crowd, abi: crowdAbi, functionName: 'read' } as const
  const answers: Hex[] = []
  for (let start = 0; start < calls.length; start += 200) {
    const args = [target, calls.slice(start, start + 200)] as const
    answers.push(...(await world.client.readContract({ ...call, args })))
  }
  return answers
}
