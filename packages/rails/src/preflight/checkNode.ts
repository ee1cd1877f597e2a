import { type Address, zeroHash } from 'viem'
import { type Answer, ask } from '../chain/ask.ts'
import type { ChainProfile } from '../chain/chains.ts'
import type { ChainClient } from '../chain/connect.ts'
import { CHAIN_LIMITS } from '../chain/limits.ts'
import { readChainId } from '../chain/readGas.ts'
import { type ChainFinding, fault, ok, warning } from './finding.ts'

const CHECK = 'node'
const METHOD_NOT_FOUND = -32601
/** Endpoints that put another code to it; there are many words and no rule. */
const NOT_OFFERED =
  /method .*(not (found|supported|available|allowed|exist)|is not whitelisted)|unsupported method|does not exist\/is not available/i

/** Returns the word at transient storage 0: PUSH0 TLOAD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN. https://eips.ethereum.org/EIPS/eip-1153 */
const READ_TRANSIENT = '0x5f5c5f5260205ff3'

/** Whether the endpoint serves the chain that is meant; nothing else is worth asking when it does not. */
export async function checkChainId(client: ChainClient, profile: ChainProfile): Promise<ChainFinding> {
  const { id } = profile.chain
  const reading = await readChainId(client)
  if (reading.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', reading.detail)
  if (reading.chainId === id) return ok(CHECK, `serves chain ${id}`)
  return fault(CHECK, 'wrong_chain', `it serves chain ${reading.chainId}, and ${profile.name} is ${id}`)
}

/** What a node of this chain has to be able to do. */
export async function checkNode(
  client: ChainClient,
  profile: ChainProfile,
  nowSeconds: number,
): Promise<ChainFinding[]> {
  const checks = [
    checkMethods(client, profile),
    checkHead(client, profile, nowSeconds),
    checkFinality(client, profile),
    checkLogs(client),
    checkInstructions(client),
  ]
  return (await Promise.all(checks)).flat()
}

type Request = { method: string; params: readonly unknown[] }
const send = (client: ChainClient, request: Request): Promise<Answer<unknown>> =>
  ask((client.request as (request: Request) => Promise<unknown>)(request))

/** Everything that is asked of a node anywhere in ORIEN, with parameters that change nothing. */
function methodsUsed({ fees }: ChainProfile): Request[] {
  const nobody: Address = '0x0000000000000000000000000000000000000001'
  const call = { from: nobody, to: nobody, data: '0x' }
  return [
    { method: 'eth_call', params: [call, 'latest'] },
    { method: 'eth_estimateGas', params: [call] },
    { method: 'eth_getCode', params: [nobody, 'latest'] },
    { method: 'eth_getBalance', params: [nobody, 'latest'] },
    { method: 'eth_getTransactionCount', params: [nobody, 'pending'] },
    { method: 'eth_getTransactionReceipt', params: [zeroHash] },
    { method: 'eth_getTransactionByHash', params: [zeroHash] },
    // No transaction: a node that takes some refuses it for what it is.
    { method: 'eth_sendRawTransaction', params: ['0x'] },
    ...(fees.kind === 'market' ? [{ method: 'eth_maxPriorityFeePerGas', params: [] }] : []),
  ]
}

async function checkMethods(client: ChainClient, profile: ChainProfile): Promise<ChainFinding> {
  const used = methodsUsed(profile)
  const answers = await Promise.all(used.map((request) => send(client, request)))
  const missing = used.filter((_, index) => isMissing(answers[index])).map(({ method }) => method)
  if (missing.length > 0) return fault(CHECK, 'method_missing', `it does not offer ${missing.join(', ')}`)
  const cut = answers.find((answer) => answer.status === 'unreachable')
  if (cut?.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', cut.detail)
  return ok(CHECK, `offers the ${used.length} methods that are used`)
}

const isMissing = (answer: Answer<unknown> | undefined) =>
  answer?.status === 'refused' && (answer.code === METHOD_NOT_FOUND || NOT_OFFERED.test(answer.message))

async function checkHead(
  client: ChainClient,
  profile: ChainProfile,
  nowSeconds: number,
): Promise<ChainFinding[]> {
  const answer = await ask(client.getBlock({ blockTag: 'latest' }))
  if (answer.status === 'unreachable') return [fault(CHECK, 'rpc_unreachable', answer.detail)]
  if (answer.status === 'refused') {
    return [fault(CHECK, 'method_missing', `eth_getBlockByNumber: ${answer.message}`)]
  }
  const { number, timestamp, gasLimit, baseFeePerGas } = answer.value
  const ageSeconds = nowSeconds - Number(timestamp)
  const isOld = ageSeconds > (profile.staleAfterSeconds ?? Number.POSITIVE_INFINITY)
  const at = `its newest block is ${number}`
  return [
    isOld ? warning(CHECK, 'head_old', `${at}, ${Math.round(ageSeconds)} s old`) : ok(CHECK, at),
    ...(baseFeePerGas === null || baseFeePerGas === undefined
      ? [fault(CHECK, 'fees_missing', `block ${number} has no base fee`)]
      : []),
    ...(gasLimit < CHAIN_LIMITS.transactionGas
      ? [
          warning(
            CHECK,
            'block_gas_low',
            `a block takes ${gasLimit} gas, a full batch ${CHAIN_LIMITS.transactionGas}`,
          ),
        ]
      : []),
  ]
}

async function checkFinality(client: ChainClient, { finality }: ChainProfile): Promise<ChainFinding> {
  if (finality.kind === 'depth')
    return ok('finality', `a transaction is final with ${finality.blocks} blocks from its own on`)
  const answer = await send(client, { method: 'eth_getBlockByNumber', params: ['finalized', false] })
  if (answer.status === 'unreachable') return fault('finality', 'rpc_unreachable', answer.detail)
  // A node that does not know the tag answers null, or with an error.
  const isServed = answer.status === 'answered' && answer.value !== null
  if (isServed) return ok('finality', 'the node says which blocks are final')
  const words = answer.status === 'refused' ? answer.message : 'no block'
  return fault('finality', 'finality_missing', `asked for the finalized block it answered: ${words}`)
}

async function checkLogs(client: ChainClient): Promise<ChainFinding> {
  const head = await ask(client.getBlockNumber())
  if (head.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', head.detail)
  if (head.status === 'refused') return fault(CHECK, 'method_missing', `eth_blockNumber: ${head.message}`)
  const first = head.value - CHAIN_LIMITS.logRangeBlocks
  const fromBlock = first > 0n ? first : 0n
  // Of an address without logs: what is asked for is whether the range is allowed.
  const address: Address = '0x0000000000000000000000000000000000000001'
  const answer = await ask(client.getLogs({ address, fromBlock, toBlock: head.value }))
  if (answer.status === 'answered') return ok(CHECK, 'gives logs')
  if (answer.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', answer.detail)
  return fault(CHECK, 'logs_refused', `logs of blocks ${fromBlock} to ${head.value}: ${answer.message}`)
}

async function checkInstructions(client: ChainClient): Promise<ChainFinding> {
  const answer = await ask(client.call({ data: READ_TRANSIENT }))
  if (answer.status === 'unreachable') return fault(CHECK, 'rpc_unreachable', answer.detail)
  if (answer.status === 'answered' && answer.value.data === zeroHash) {
    return ok(CHECK, 'runs the instructions of the escrow')
  }
  const words = answer.status === 'refused' ? answer.message : 'another value'
  return fault(CHECK, 'evm_too_old', `transient storage cannot be read: ${words}`)
}
