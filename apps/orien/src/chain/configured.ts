import { mkdir } from 'node:fs/promises'
import { readEnvironment } from '@orien/coordinator'
import type { Hex } from '@orien/protocol'
import {
  type ChainProfile,
  type ConfiguredChain,
  chains,
  localAccounts,
  localUsdc,
  openSigner,
  type Signer,
} from '@orien/rails'
import { systemClock } from '../clock.ts'
import type { Shell } from '../commands/bind.ts'
import { type PublicChain, readAddress, readPublicChain } from '../compose/chainProfile.ts'
import { type DataDir, pathsIn, readRunning } from '../compose/dataDir.ts'
import { findEscrow } from '../compose/escrowOf.ts'
import { wrongUse } from '../terminal/wrongUse.ts'

/** What every command about a chain can be told. */
export type ChainOptions = { dataDir: string; rpcUrl?: string }

/** A chain that is not local, with the wallet that pays gas there. */
export type Workplace = PublicChain & { dir: DataDir; signer: Signer }

/**
 * The chain that the environment names, and its relayer, whose key is made when there is none.
 *
 * @throws OrienError `setup_failed`, `unreadable`
 */
export async function openWorkplace({ settings }: Shell, options: ChainOptions): Promise<Workplace> {
  const chain = readPublicChain(readEnvironment(), settings, options.rpcUrl)
  const dir = pathsIn(options.dataDir)
  await mkdir(dir.root, { recursive: true })
  return { ...chain, dir, signer: await openSigner(settings.relayerKeyFile ?? dir.relayerKey) }
}

type Configured = { rpcUrl: string; configured: ConfiguredChain }

/** All that a coordinator would work with here. */
export async function readConfigured(shell: Shell, options: ChainOptions): Promise<Configured> {
  if (readEnvironment().ORIEN_CHAIN === 'local') return readLocal(shell, options)
  const { profile, rpcUrl, token, dir, signer } = await openWorkplace(shell, options)
  const found = await findEscrow(shell.settings, dir, profile)
  const escrow = found?.escrow ?? null
  return at(rpcUrl, { profile, token, escrow, relayer: signer.address, terms: found?.escrowTerms })
}

async function readLocal({ settings }: Shell, options: ChainOptions): Promise<Configured> {
  const running = await readRunning(pathsIn(options.dataDir))
  const rpcUrl = options.rpcUrl ?? running?.rpcUrl ?? settings.rpcUrl
  const escrow = settings.escrow ?? running?.escrow
  if (rpcUrl === undefined) {
    throw wrongUse('No local chain runs here', 'Start one: orien up; or name another chain: ORIEN_CHAIN.')
  }
  return at(rpcUrl, {
    profile: chains.local,
    token: localUsdc,
    escrow: escrow === undefined ? null : readAddress('ORIEN_ESCROW', escrow),
    relayer: localAccounts.relayer,
  })
}

type Facts = { profile: ChainProfile; token: Hex; escrow: Hex | null; relayer: Hex }

function at(rpcUrl: string, facts: Facts & Pick<ConfiguredChain, 'terms'>): Configured {
  return { rpcUrl, configured: { ...facts, nowSeconds: systemClock.now().getTime() / 1_000 } }
}
