import { fileURLToPath } from 'node:url'
import { loadTools } from '@orien/provider-node'
import { describeArguments } from '../agent/parseArguments.ts'
import type { Handler } from '../commands/bind.ts'
import { shortBytes, shortTime } from '../terminal/amounts.ts'

/** `orien provider tools`: says what is wrong in a manifest, by line, or what it offers on this machine. */
export const checkTools: Handler<object> = async ({ terminal, settings }, _options, [manifest]) => {
  const searchPath = settings.childEnvironment.PATH ?? ''
  const tools = await loadTools(manifest ?? defaultManifest(), {
    searchPath,
    known: { node: process.execPath },
  })
  const items = [...tools.values()].map(({ published, hash, executable }) => {
    return { ...published, manifestHash: hash, executable }
  })
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

/** The tools that come with the node. */
function defaultManifest(): string {
  return fileURLToPath(new URL('../tools/orien.tools.yaml', import.meta.resolve('@orien/provider-node')))
}
