import { chains, connectChain, readChannel } from '@orien/rails'
import { createWalletClient, http, parseAbi, parseGwei } from 'viem'
import { foundry } from 'viem/chains'
import { type Agent, createAgent } from './agent.ts'
import { bank } from './custodial.ts'
import { until } from './until.ts'
import type { World } from './world.ts'

/**
 * What happens in a round. `one session`: everything from an opening to its settlement. `three sessions` end together,
 * and are closed by one transaction. `forced exit`: the agent asks the contract for its money, and the node answers with
 * its claim. `provider gone`: nobody answers, and the coordinator brings the money back. `custodial balance`: a deposit
 * into it, a session on it, and a withdrawal of the rest.
 */
export type Story = 'one session' | 'three sessions' | 'forced exit' | 'provider gone' | 'custodial balance'

const ABI = parseAbi(['function requestClose(bytes32 channelId)'])
/** Whatever the base fee has come to. */
const FEES = { gas: 300_000n, maxFeePerGas: parseGwei('5000'), maxPriorityFeePerGas: parseGwei('1') }

/** @param begin called where the passages of the point are counted from */
type Play = (world: World, name: string, begin: () => void) => Promise<Agent[]>

const PLAYS: Readonly<Record<Story, Play>> = {
  'one session': async (world, name, begin) => {
    const agent = await createAgent(world)
    begin()
    await agent.work(name)
    return [agent]
  },
  'three sessions': async (world, name, begin) => {
    const agents = await Promise.all([createAgent(world), createAgent(world), createAgent(world)])
    await Promise.all(agents.map((agent, index) => agent.runOnce(`${name}${'abc'[index]}`)))
    begin()
    await Promise.all(agents.map((agent) => agent.end()))
    return agents
  },
  'forced exit': async (world, name, begin) => {
    const agent = await createAgent(world)
    await agent.runOnce(name)
    begin()
    await forceClose(world, agent)
    return [agent]
  },
  'provider gone': async (world, name, begin) => {
    const agent = await createAgent(world)
    await agent.runOnce(name)
    const comeBack = await world.leaveNode()
    begin()
    try {
      await until('the agent has its money back', 600, async () => {
        const session = await agent.orien.session(sessionOf(agent))
        return (await session.state()).status === 'settled' ? true : null
      })
    } finally {
      comeBack()
    }
    return [agent]
  },
  'custodial balance': async (world, name, begin) => {
    const agent = await createAgent(world)
    begin()
    await bank(world, agent, name)
    return [agent]
  },
}

export const play = (story: Story, ...given: Parameters<Play>): Promise<Agent[]> => PLAYS[story](...given)

/** By the agent's own transaction, repeated until the session is settled: a reorganisation may take it away. */
async function forceClose(world: World, agent: Agent): Promise<void> {
  const { account, orien } = agent
  const session = await orien.session(sessionOf(agent))
  const { channelId = '0x' } = await session.state()
  const { rpcUrl, escrow } = world.chain
  await world.chain.fund(account.address)
  const client = connectChain(chains.local, rpcUrl)
  const wallet = createWalletClient({ account, chain: foundry, transport: http(rpcUrl) })
  await until('the session is settled', 600, async () => {
    const reading = await readChannel(client, escrow, channelId)
    if (reading.status === 'found' && reading.channel.phase === 'open')
      await wallet.writeContract({
        address: escrow,
        abi: ABI,
        functionName: 'requestClose',
        args: [channelId],
        ...FEES,
      })
    return (await session.state()).status === 'settled' ? true : null
  })
}

function sessionOf({ acknowledged }: Agent) {
  if (acknowledged.sessionId === null) throw new TypeError('the session was opened')
  return acknowledged.sessionId
}
