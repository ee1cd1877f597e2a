import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChannelTerms, channelId, type Hex, OrienError, parseBill, sessionId } from '@orien/protocol'
import { findChannels } from '@orien/rails'
import { keptChannelsOf, parseKept, readKeptChannel, readKeptChannels } from '../agent/keptChannels.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { type ExitChain, unavailable } from './connectExit.ts'

/** A channel to leave, and its session as far as it is known. */
export type Exit = { sessionId: string | null; channel: ChannelTerms }

/** What says which channels are meant. */
export type ExitQuery = {
  /** A session's id, or a file: a kept channel or a bill. */
  target: string | undefined
  keyFile: string
  escrow: string | undefined
  chain: ExitChain
  /** Of the wallet, read only when the chain has to be searched. */
  wallet: () => Promise<Hex>
}

/**
 * Finds the channels that are meant: by a file, by what `orien` kept beside the wallet's key, or, when nothing is left
 * but the key, by the events of the escrow.
 *
 * @throws OrienError `not_found` when there is none, `unreadable`, `chain_unavailable`
 */
export async function findExits(query: ExitQuery): Promise<Exit[]> {
  const { target, keyFile, escrow } = query
  const dir = keptChannelsOf(keyFile)
  if (target === undefined) return escrow === undefined ? allKept(dir) : searchChain(query, escrow)
  if (!sessionId.safeParse(target).success) return [await readExitFile(target)]
  const kept = await readKeptChannel(join(dir, `${target}.json`)).catch((cause: unknown) => {
    throw new OrienError(
      'not_found',
      `Nothing is kept of ${target} in ${dir}`,
      { hint: OTHER_WAYS },
      { cause },
    )
  })
  return [kept]
}

const OTHER_WAYS =
  'Name a bill (`orien exit bill.json`), or have the chain searched for this wallet: orien exit --escrow ADDRESS'

async function allKept(dir: string): Promise<Exit[]> {
  const kept = await readKeptChannels(dir)
  if (kept.length === 0) throw new OrienError('not_found', `Nothing is kept in ${dir}`, { hint: OTHER_WAYS })
  return kept
}

async function readExitFile(path: string): Promise<Exit> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new OrienError('unreadable', `The file ${path} cannot be read`, { hint: OTHER_WAYS }, { cause })
  })
  const kept = parseKept(text)
  if (kept) return kept
  const parsed = parseBill(text)
  if (parsed.ok) return { sessionId: parsed.bill.sessionId, channel: parsed.bill.channel }
  throw new OrienError('unreadable', `The file ${path} holds neither a bill nor a kept channel`)
}

async function searchChain({ chain, wallet }: ExitQuery, escrowText: string): Promise<Exit[]> {
  if (!/^0x[0-9a-fA-F]{40}$/.test(escrowText))
    throw wrongUse('--escrow is not an address', 'It is 0x and 40 digits.')
  const escrow = escrowText.toLowerCase() as Hex
  const payer = await wallet()
  const { client, profile } = chain
  const found = await findChannels(client, escrow, payer)
  if (found.status === 'unreachable') throw unavailable(found.detail)
  const chainId = profile.chain.id
  const exits = found.channels.map(({ channelId: id, ...terms }) => {
    const channel = lowerCase({ ...terms, chainId, escrow })
    // What the contract says of itself is believed only as far as its ids follow from it.
    if (channelId(channel) !== id) throw new OrienError('unreadable', `${escrow} is no escrow of this kind`)
    return { sessionId: null, channel }
  })
  if (exits.length > 0) return exits
  throw new OrienError('not_found', `${payer} has paid into no channel of ${escrow} on chain ${chainId}`, {
    hint: found.isWhole
      ? 'Check wallet, contract and endpoint.'
      : 'Only the newest blocks could be searched.',
  })
}

function lowerCase({ chainId, ...terms }: ChannelTerms): ChannelTerms {
  const lowered = Object.entries(terms).map(([name, hex]) => [name, hex.toLowerCase()])
  return { chainId, ...(Object.fromEntries(lowered) as Omit<ChannelTerms, 'chainId'>) }
}
