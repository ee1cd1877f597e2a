import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BUILTIN_MANIFEST, loadTools } from '@orien/provider-node'
import { describeArguments } from '../agent/parseArguments.ts'
import type { Handler, Shell } from '../commands/bind.ts'
import { shortBytes, shortTime } from '../terminal/amounts.ts'

/** The name of the file in which an owner declares tools. */
export const TOOLS_FILE = 'orien.tools.yaml'

/** `orien provider tools`: what the manifest offers on this machine. */
export const listTools: Handler<{ dataDir: string }> = async (shell, { dataDir }, [manifest]) => {
  const { terminal } = shell
  const items = await offeredTools(shell, manifest ?? manifestOf(dataDir))
  if (terminal.isJson) {
    terminal.printJson({ items })
    return 0
  }
  for (const { id, description, limits, executable, arguments: spec } of items) {
    const { timeMs, memoryBytes, diskBytes } = limits
    terminal.print(`${terminal.out.bold(id)}  ${description}`)
    terminal.print(`  runs ${executable}`)
    terminal.print(
      `  at most ${shortTime(timeMs)}, ${shortBytes(memoryBytes)} memory, ${shortBytes(diskBytes)} disk`,
    )
    terminal.print(`  ${describeArguments(spec)}`)
  }
  return 0
}

/** The manifest that a node in this directory offers: its owner's, or the one that comes with the node. */
export function manifestOf(dataDir: string): string {
  const own = join(dataDir, TOOLS_FILE)
  return existsSync(own) ? own : BUILTIN_MANIFEST
}

/** Loads a manifest as the node would. */
export async function offeredTools({ settings }: Shell, manifest: string) {
  const machine = { searchPath: settings.childEnvironment.PATH ?? '', known: { node: process.execPath } }
  const tools = await loadTools(manifest, machine)
  return [...tools.values()].map(({ published, hash, executable }) => {
    return { ...published, manifestHash: hash, executable }
  })
}
