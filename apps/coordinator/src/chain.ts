import { gasToUsdc, gasWei, type Hex, OrienError } from '@orien/protocol'
import {
  type ChainClient,
  type ChainProfile,
  checkChain,
  checkEndpoints,
  connectChain,
  type EscrowTerms,
  readArrival,
  readBalance,
  readCloseGrace,
  readEscrowTerms,
  readGasPrice,
  readHead,
  readHoldings,
  readOperator,
  readPayouts,
  readTokenDomain,
  readTransfer,
  rpcUrls,
  type Signer,
  simulateCall,
} from '@orien/rails'
import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { ChainTerms, Rail } from './context.ts'

/** What the operator configures about the chain. */
export type ChainSettings = {
  profile: ChainProfile
  rpcUrl: string
  escrow: Hex
  token: Hex
  signer: Signer
  /** What the escrow was deployed with, where that was recorded. */
  escrowTerms?: EscrowTerms | undefined
}

/** Nodes of the chain bound how many blocks can be asked for at once. */
const LOOK_BACK_BLOCKS = 1_000n

function unavailable(detail: string): OrienError {
  return new OrienError('chain_unavailable', `The chain did not answer: ${detail}`)
}

/**
 * Connects, looks whether money may be handled on this chain, and reads once what agents will sign for.
 *
 * @throws OrienError `chain_unavailable`, `setup_failed` with the first fault's code as its reason
 */
export async function openChain(
  settings: ChainSettings,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<{ client: ChainClient; terms: ChainTerms; rail: Rail }> {
  const { profile, rpcUrl, escrow, token, signer } = settings
  const client = connectChain(profile, rpcUrl, (refusal) =>
    log.error({ event: 'chain.endpoint_refused', ...refusal }),
  )
  await requireSound(client, settings, { clock, log })
  const domain = await readTokenDomain(client, token)
  if (domain.status === 'unreachable') throw unavailable(domain.detail)
  if (domain.status === 'unusual')
    throw new OrienError('setup_failed', 'The token’s signing domain is not one that wallets can sign for')
  const grace = await readCloseGrace(client, escrow)
  if (grace.status === 'unreachable') throw unavailable(grace.detail)
  const terms: ChainTerms = {
    chainId: profile.chain.id,
    escrow: escrow.toLowerCase() as Hex,
    token: token.toLowerCase() as Hex,
    tokenName: domain.name,
    tokenVersion: domain.version,
    closeGraceMs: Number(grace.seconds) * 1_000,
    // What others are shown is one address.
    rpcUrl: rpcUrls(rpcUrl)[0] ?? rpcUrl,
  }
  return { client, terms, rail: createRail(client, profile, terms, signer) }
}

/** A fault refuses the start; a warning is told, since sessions that are under way have to be ended even then. */
async function requireSound(
  client: ChainClient,
  { profile, rpcUrl, escrow, token, signer, escrowTerms }: ChainSettings,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<void> {
  const nowSeconds = clock.now().getTime() / 1_000
  const configured = { profile, escrow, token, relayer: signer.address, terms: escrowTerms, nowSeconds }
  const findings = [...(await checkEndpoints(profile, rpcUrl)), ...(await checkChain(client, configured))]
  const faults = findings.flatMap((finding) => {
    if (finding.state === 'ok') return []
    const { state, check, code, detail, fix } = finding
    log.error({ event: 'chain.finding', state, check, code, detail, fix })
    return state === 'fault' ? [finding] : []
  })
  const [first] = faults
  if (first === undefined) return
  if (first.code === 'rpc_unreachable') throw unavailable(first.detail)
  const detail = `Money cannot be handled on this chain: ${faults.map((each) => `${each.code}: ${each.detail}`).join('; ')}`
  throw new OrienError('setup_failed', detail, { reason: first.code, hint: first.fix, findings: faults })
}

function createRail(client: ChainClient, profile: ChainProfile, terms: ChainTerms, signer: Signer): Rail {
  return {
    isOperator: async (owner, operator) => {
      const reading = await readOperator(client, terms.escrow, owner, operator)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return reading.status === 'allowed'
    },
    balanceOf: async (wallet) => {
      const reading = await readBalance(client, terms.token, wallet)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return reading.micros
    },
    isTransferred: async (holder, nonce) => {
      const reading = await readTransfer(client, terms.token, holder, nonce)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return reading.status === 'used'
    },
    gasMicros: async (gas) => {
      if (!profile.gasIsUsdc) return null
      const reading = await readGasPrice(client)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return gasToUsdc(gasWei(gas * reading.wei))
    },
    reserve: async () => {
      const reading = await readEscrowTerms(client, terms.escrow)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return reading.terms.reserve
    },
    simulate: async (call) => {
      const trial = await simulateCall(client, call, signer.address)
      if (trial.status === 'unreachable' || trial.status === 'refused') throw unavailable(trial.detail)
      if (trial.status === 'ok') return { ok: true }
      return { ok: false, error: trial.status === 'reverted' ? trial.error : 'TooMuchGas' }
    },
    now: async () => {
      const head = await readHead(client, profile)
      if (head.status === 'unreachable') throw unavailable(head.detail)
      return head.latestSeconds
    },
    findArrival: async (transfer) => {
      const reading = await readArrival(client, profile, terms.token, transfer)
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      return reading
    },
    holdings: async (wallet) => {
      const reading = await readHoldings(client, profile, terms.escrow, [wallet])
      if (reading.status === 'unreachable') throw unavailable(reading.detail)
      const { blockNumber, escrowMicros, reserveMicros, othersMicros } = reading
      return { blockNumber, escrowMicros, reserveMicros, walletMicros: othersMicros[0] ?? 0n }
    },
    payouts: () => newestPayouts(client, profile, terms.escrow),
  }
}

async function newestPayouts(client: ChainClient, profile: ChainProfile, escrow: Hex) {
  const head = await readHead(client, profile)
  if (head.status === 'unreachable') throw unavailable(head.detail)
  const toBlock = head.finalBlock < 0n ? 0n : head.finalBlock
  const fromBlock = toBlock > LOOK_BACK_BLOCKS ? toBlock - LOOK_BACK_BLOCKS : 0n
  const reading = await readPayouts(client, escrow, { fromBlock, toBlock })
  if (reading.status === 'unreachable') throw unavailable(reading.detail)
  return reading.payouts
}
