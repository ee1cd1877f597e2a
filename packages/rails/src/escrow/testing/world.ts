import { fiatTokenAbi, orienEscrowAbi, orienEscrowBytecode } from '@orien/contracts'
import { invariant } from '@orien/protocol'
import {
  type Address,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type EncodeFunctionDataParameters,
  encodeDeployData,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  type Log,
  type PrivateKeyAccount,
  type SignedAuthorizationList,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { chains } from '../../chain/chains.ts'
import { type ChainClient, connectChain } from '../../chain/connect.ts'
import { CHAIN_LIMITS } from '../../chain/limits.ts'
import { localAccounts } from '../../localChain/accounts.ts'
import { localFees } from '../../localChain/limits.ts'
import { type LocalChain, type LocalChainOptions, startLocalChain } from '../../localChain/localChain.ts'
import { type LocalClients, localClients, sendFrom } from '../../localChain/rpc.ts'
import { type CallError, simulateCall } from '../simulateCall.ts'

type EscrowAbi = typeof orienEscrowAbi
type Writing = ContractFunctionName<EscrowAbi, 'nonpayable'>

/** What came of a transaction: its logs and gas, or the error it was refused with before it was sent. */
type Outcome =
  | { status: 'ok'; hash: Hex; gasUsed: bigint; logs: Log[]; blockNumber: bigint }
  | { status: 'reverted'; error: CallError; detail: string }

/** A local chain with the real USDC and the escrow, and ways for accounts to act on it. */
export type World = ReturnType<typeof worldOf>

/** Call data of an escrow function. */
export function encodeEscrow<Name extends Writing>(
  functionName: Name,
  args: ContractFunctionArgs<EscrowAbi, 'nonpayable', Name>,
): Hex {
  return encodeFunctionData({ abi: orienEscrowAbi, functionName, args } as EncodeFunctionDataParameters)
}

/** Starts a world; close it after the tests. */
export async function openWorld(options: LocalChainOptions = {}) {
  return worldOf(await startLocalChain(options))
}

/** The same chain with another escrow, deployed for another token by an account. */
export async function worldWithToken(world: World, deployer: PrivateKeyAccount, token: Address) {
  const { platform, reserve } = world.chain
  const args = [token, platform, reserve, 900n] as const
  const code = encodeDeployData({ abi: orienEscrowAbi, bytecode: orienEscrowBytecode, args })
  const escrow = await world.deploy(deployer, code)
  return worldOf({ ...world.chain, usdc: token, escrow })
}

function worldOf(chain: LocalChain) {
  const clients = localClients(chain.rpcUrl)
  const client = connectChain(chains.local, chain.rpcUrl)
  const facts = { chain, client, node: clients.node, close: () => chain.stop() }
  return {
    ...facts,
    ...peopleOf(chain, clients),
    ...callsOf(chain, clients, client),
    ...timeOf(client, clients),
  }
}

function peopleOf(chain: LocalChain, clients: LocalClients) {
  return {
    /** A new account with native coin, and with micro-USDC if asked. */
    actor: async (micros = 0n): Promise<PrivateKeyAccount> => {
      const account = privateKeyToAccount(generatePrivateKey())
      await clients.node.setBalance({ address: account.address, value: 10n ** 20n })
      if (micros > 0n) await chain.mint(account.address, micros)
      return account
    },
    /** Gives many accounts micro-USDC, much faster than one by one. */
    fillUp: async (accounts: readonly Address[], micros: bigint): Promise<void> => {
      const from = localAccounts.deployer
      let nonce = await clients.reader.getTransactionCount({ address: from })
      let hash: Hex | undefined
      for (const account of accounts) {
        const args = [account, micros] as const
        const data = encodeFunctionData({ abi: fiatTokenAbi, functionName: 'transfer', args })
        hash = await sendFrom(clients, from, nonce++, { to: chain.usdc, data, gas: 200_000n })
      }
      if (hash) await clients.reader.waitForTransactionReceipt({ hash })
    },
    /** Micro-USDC that an account holds. */
    balance: (account: Address) => {
      const call = { address: chain.usdc, abi: fiatTokenAbi, functionName: 'balanceOf' } as const
      return clients.reader.readContract({ ...call, args: [account] })
    },
    /** Makes an account's address run other code, by an EIP-7702 authorisation of its key. */
    delegate: async (account: PrivateKeyAccount, contractAddress: Address) => {
      const nonce = await clients.reader.getTransactionCount({ address: account.address })
      const authorization = await account.signAuthorization({ chainId: 31337, contractAddress, nonce })
      await asDeployer(clients, { authorizationList: [authorization], to: account.address })
    },
    /** As USDC's owner. */
    tokenOwner: async (functionName: TokenDuty, args: Address[] = []) => {
      const call = { abi: fiatTokenAbi, functionName, args } as EncodeFunctionDataParameters
      await asDeployer(clients, { to: chain.usdc, data: encodeFunctionData(call) })
    },
  }
}

type TokenDuty = 'blacklist' | 'unBlacklist' | 'pause' | 'unpause'

async function asDeployer(
  { sender, reader }: LocalClients,
  transaction: { to: Address; data?: Hex; authorizationList?: SignedAuthorizationList },
): Promise<void> {
  const account = localAccounts.deployer
  const hash = await sender.sendTransaction({ account, gas: 200_000n, ...localFees, ...transaction })
  await reader.waitForTransactionReceipt({ hash })
}

function callsOf(chain: LocalChain, clients: LocalClients, client: ChainClient) {
  const send = async (from: PrivateKeyAccount, to: Address, data: Hex): Promise<Outcome> => {
    const simulation = await simulateCall(client, { to, data }, from.address)
    if (simulation.status === 'reverted') return simulation
    invariant(simulation.status === 'ok', `the local chain answers: ${simulation.status}`)
    return mine(clients, from, to, data, simulation.gas)
  }
  return {
    send,
    /** Calls a function of the escrow. */
    act: <Name extends Writing>(
      from: PrivateKeyAccount,
      functionName: Name,
      args: ContractFunctionArgs<EscrowAbi, 'nonpayable', Name>,
    ) => send(from, chain.escrow, encodeEscrow(functionName, args)),
    /** Sends with a gas limit of one's choice, mined whether it reverts or not. */
    sendWithGas: (from: PrivateKeyAccount, data: Hex, gas: bigint) =>
      mineAny(clients, from, chain.escrow, data, gas),
    /** Deploys a contract. */
    deploy: async (from: PrivateKeyAccount, code: Hex): Promise<Address> => {
      const nonce = await clients.reader.getTransactionCount({ address: from.address })
      await mine(clients, from, null, code)
      return getContractAddress({ from: from.address, nonce: BigInt(nonce) })
    },
  }
}

function timeOf(client: ChainClient, { node, reader }: LocalClients) {
  return {
    /** Waits for a transaction's block: the node answers before it has mined. */
    mined: (hash: Hex) => reader.waitForTransactionReceipt({ hash }),
    /** Chain time, Unix seconds. */
    now: async () => Number((await client.getBlock({ blockTag: 'latest' })).timestamp),
    /** Lets chain time pass. */
    pass: async (seconds: number) => {
      await node.increaseTime({ seconds })
      await node.mine({ blocks: 1 })
    },
  }
}

async function mine(
  clients: LocalClients,
  from: PrivateKeyAccount,
  to: Address | null,
  data: Hex,
  gas: bigint = CHAIN_LIMITS.transactionGas,
): Promise<Extract<Outcome, { status: 'ok' }>> {
  const { status, ...facts } = await mineAny(clients, from, to, data, gas)
  invariant(status === 'success', `mined with success: ${facts.hash}`)
  return { status: 'ok', ...facts }
}

async function mineAny(
  { reader, sender }: LocalClients,
  from: PrivateKeyAccount,
  to: Address | null,
  data: Hex,
  gas: bigint,
) {
  const nonce = await reader.getTransactionCount({ address: from.address })
  const fields = { type: 'eip1559', chainId: 31337, nonce, gas, data, ...localFees } as const
  const serializedTransaction = await from.signTransaction({ ...fields, to })
  const hash = await sender.sendRawTransaction({ serializedTransaction })
  const { status, gasUsed, logs, blockNumber } = await reader.waitForTransactionReceipt({ hash })
  return { status, hash, gasUsed, logs, blockNumber }
}
