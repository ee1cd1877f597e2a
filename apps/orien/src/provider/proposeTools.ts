import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError, TOOLS_SCHEMA_PATH } from '@orien/protocol'
import {
  BUILTIN_MANIFEST,
  composeToolsFile,
  loadProvider,
  loadTools,
  type Proposal,
  proposeTools,
} from '@orien/provider-node'
import type { Handler, Shell } from '../commands/bind.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { TOOLS_FILE } from './tools.ts'

const BUILTIN = 'builtin'

/** Software whose tools are ready to be offered. */
export type Found = Extract<Proposal, { entries: string }>

/** `orien provider tools propose`: which known software is here, and a manifest for it. */
export const proposeManifest: Handler<{ dataDir: string; write?: string }> = async (shell, options) => {
  const { terminal } = shell
  const proposals = await proposeTools()
  const found = foundIn(proposals)
  if (options.write !== undefined) {
    const choice = chosenOf(found, options.write)
    const path = await writeToolsFile(options.dataDir, choice, await ownCoordinator(shell, options))
    terminal.say(`Written to ${path}. Take away what you do not want to offer.`)
  }
  if (terminal.isJson) terminal.printJson({ items: proposals.map(withoutText) })
  else showProposals(shell, proposals)
  return 0
}

/** The coordinator of the node in a directory; of the environment where there is no node yet. */
export async function ownCoordinator({ settings }: Shell, { dataDir }: { dataDir: string }): Promise<string> {
  const node = await loadProvider(dataDir).catch(() => null)
  return node?.coordinatorUrl ?? settings.coordinatorUrl
}

/** The known software that is on this machine. */
export const foundIn = (proposals: readonly Proposal[]): Found[] =>
  proposals.flatMap((proposal) => ('entries' in proposal ? [proposal] : []))

const withoutText = (proposal: Proposal) =>
  'missing' in proposal ? proposal : { software: proposal.software, tools: proposal.tools }

/** One line for each known software. */
export function showProposals({ terminal }: Shell, proposals: readonly Proposal[]): void {
  for (const proposal of proposals) {
    const isHere = !('missing' in proposal)
    const name = proposal.software.padEnd(12)
    const rest = isHere ? proposal.tools.join(', ') : terminal.out.dim(proposal.missing)
    terminal.print(`${isHere ? terminal.out.green('found') : terminal.out.dim('  -  ')}  ${name}  ${rest}`)
  }
}

/** What an owner chose. */
export type Choice = { builtin: boolean; software: Found[] }

/**
 * Reads a choice: `all`, `none`, or names separated by commas; `builtin` is the tools that come with the node.
 *
 * @throws OrienError `validation_failed` for a name that is not there
 */
export function chosenOf(found: readonly Found[], text: string): Choice {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (text.trim() === 'all') return { builtin: true, software: [...found] }
  if (text.trim() === 'none') return { builtin: false, software: [] }
  const unknown = names.filter((name) => name !== BUILTIN && !found.some(({ software }) => software === name))
  if (unknown.length > 0) {
    const known = [BUILTIN, ...found.map(({ software }) => software)].join(', ')
    throw wrongUse(`Not found on this machine: ${unknown.join(', ')}`, `Here are: ${known}`)
  }
  const software = found.filter((candidate) => names.includes(candidate.software))
  return { builtin: names.includes(BUILTIN), software }
}

/**
 * Writes the manifest of a choice into the node's directory. Its first line names the coordinator's schema, for editors.
 *
 * @returns the manifest's path
 * @throws OrienError `setup_failed` when there is one already
 */
export async function writeToolsFile(
  dataDir: string,
  { builtin, software }: Choice,
  coordinatorUrl: string,
): Promise<string> {
  const path = join(dataDir, TOOLS_FILE)
  if (existsSync(path)) {
    throw new OrienError('setup_failed', `There is a manifest ${path} already`, {
      hint: 'Move it away first; nothing is written over it.',
    })
  }
  const entries = software.map((one) => one.entries)
  const schema = new URL(TOOLS_SCHEMA_PATH, coordinatorUrl).href
  const text = composeToolsFile(builtin ? await builtinIds() : [], entries, schema)
  await mkdir(dataDir, { recursive: true, mode: 0o711 })
  await writeFile(path, text, { flag: 'wx' })
  return path
}

async function builtinIds(): Promise<string[]> {
  const tools = await loadTools(BUILTIN_MANIFEST, { searchPath: '', known: { node: process.execPath } })
  return [...tools.keys()]
}
