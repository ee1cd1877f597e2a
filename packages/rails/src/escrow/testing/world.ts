import { fiatTokenAbi, orienEscrowAbi } from '@orien/contracts'
import { invariant } from '@orien/protocol'
import {
  type Address,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  type Log,
  type PrivateKeyAccount,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { chains } from '../../chain/chains.ts'
import { connectChain } from '../../chain/connect.ts'
import { CHAIN_LIMITS } from '../../chain/limits.ts'
import { localAccounts } from '../../localChain/accounts.ts'
import { localFees } from '../../localChain/limits.ts'
import { type LocalChainOptions, startLocalChain } from '../../localChain/localChain.ts'
import { type LocalClients, localClients } from '../../localChain/rpc.ts'
import { type CallError, simulateCall } from '../simulateCall.ts'

type EscrowAbi = typeof orienEscrowAbi
type Writing = ContractFunctionName<EscrowAbi, 'nonpayable'>

/** What came of a transaction: its logs and gas, or the error it was refused with before it was sent. */
export type Outcome =
  | { status: 'ok'; hash: Hex; gasUsed: bigint; logs: Log[]; blockNumber: bigint }
  | { status: 'reverted'; error: CallError; detail: string }

/** A local chain with the real USDC and the escrow, and ways for accounts to act on it. */
export type World = Awaited<ReturnType<typeof openWorld>>

/** Call data of an escrow function. */
export function encodeEscrow<Name extends Writing>(
  functionName: Name,
  args: ContractFunctionArgs<EscrowAbi, 'nonpayable', Name>,
): Hex {
  return encodeFunctionData({ abi: orienEscrowAbi, functionName, args } as EncodeFunctionDataParameters)
}

/** Starts a world; close it after the tests. */
export async function openWorld(options: LocalChainOptions = {}) {
  const chain = await startLocalChain(options)
  const clients = localClients(chain.rpcUrl)
  const client = connectChain(chains.local, chain.rpcUrl)

  const send = async (from: PrivateKeyAccount, to: Address, data: Hex): Promise<Outcome> => {
    const simulation = await simulateCall(client, { to, data }, from.address)
    if (simulation.status === 'reverted') return simulation
    invariant(simulation.status === 'ok', `the local chain answers: ${simulation.status}`)
    return mine(clients, from, to, data, simulation.gas)
  }

  return {
    chain,
    client,
    node: clients.node,
    /** A new account with native coin, and with micro-USDC if asked. */
    actor: async (micros = 0n): Promise<PrivateKeyAccount> => {
      const account = privateKeyToAccount(generatePrivateKey())
      await clients.node.setBalance({ address: account.address, value: 10n ** 20n })
      if (micros > 0n) await chain.mint(account.address, micros)
      return account
    },
    send,
    /** Deploys a contract. */
    deploy: async (from: PrivateKeyAccount, code: Hex): Promise<Address> => {
      const nonce = await clients.reader.getTransactionCount({ address: from.address })
      await mine(clients, from, null, code)
      return getContractAddress({ from: from.address, nonce: BigInt(nonce) })
    },
    /** Makes an account's address run other code, by an EIP-7702 authorisation of its key. */
    delegate: async (account: PrivateKeyAccount, contractAddress: Address) => {
      const nonce = await clients.reader.getTransactionCount({ address: account.address })
      const authorization = await account.signAuthorization({ chainId: 31337, contractAddress, nonce })
      const transaction = { authorizationList: [authorization], to: account.address, gas: 200_000n }
      const from = localAccounts.deployer
      const hash = await clients.sender.sendTransaction({ account: from, ...transaction, ...localFees })
      await clients.reader.waitForTransactionReceipt({ hash })
    },
    /** Sends with a gas limit of one's choice, mined whether it reverts or not. */
    sendWithGas: (from: PrivateKeyAccount, data: Hex, gas: bigint) =>
      mineAny(clients, from, chain.escrow, data, gas),
    /** Calls a function of the escrow. */
    act: <Name extends Writing>(
      from: PrivateKeyAccount,
      functionName: Name,
      args: ContractFunctionArgs<EscrowAbi, 'nonpayable', Name>,
    ) => send(from, chain.escrow, encodeEscrow(functionName, args)),
    balance: (account: Address) =>
      client.readContract({
        address: chain.usdc,
        abi: fiatTokenAbi,
        functionName: 'balanceOf',
        args: [account],
      }),
    /** Chain time, Unix seconds. */
    now: async () => Number((await client.getBlock({ blockTag: 'latest' })).timestamp),
    /** Lets chain time pass. */
    pass: async (seconds: number) => {
      await clients.node.increaseTime({ seconds })
      await clients.node.mine({ blocks: 1 })
    },
    /** As USDC's owner. */
    tokenOwner: async (
      functionName: 'blacklist' | 'unBlacklist' | 'pause' | 'unpause',
      args: Address[] = [],
    ) => {
      const data = encodeFunctionData({
        abi: fiatTokenAbi,
        functionName,
        args,
      } as EncodeFunctionDataParameters)
      const transaction = { account: localAccounts.deployer, to: chain.usdc, data, gas: 200_000n }
      const hash = await clients.sender.sendTransaction({ ...transaction, ...localFees })
      await clients.reader.waitForTransactionReceipt({ hash })
    },
    close: () => chain.stop(),
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
