import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OrienError } from '@orien/protocol'
import { type ImportedTools, importMcpTools } from '@orien/provider-node'
import type { Handler, Shell } from '../commands/bind.ts'
import { ownCoordinator, writeToolsFile } from './proposeTools.ts'
import { offeredTools, TOOLS_FILE } from './tools.ts'

type Options = { dataDir: string; prefix: string; readOnly?: string[]; write?: boolean }

/** `orien provider import --mcp` */
export const importTools: Handler<Options> = async (shell, options, command) => {
  const { terminal, settings } = shell
  const imported = await importMcpTools({
    command,
    prefix: options.prefix,
    readOnlyPaths: options.readOnly ?? [],
    searchPath: settings.childEnvironment.PATH ?? '',
  })
  for (const { name, why } of imported.skipped) terminal.say(`not taken over: ${name}, because ${why}`)
  if (imported.tools.length === 0) {
    throw new OrienError('validation_failed', `${imported.server.name} has no tool that could be offered`)
  }
  if (options.write === true) {
    const path = await addEntries(shell, options.dataDir, imported)
    terminal.say(`${imported.tools.length} tools of ${imported.server.name} are in ${path}`)
  } else if (!terminal.isJson) terminal.print(`tools:\n${imported.entries}`.trimEnd())
  if (terminal.isJson) terminal.printJson(imported)
  return 0
}

/** Behind the tools that are there already, with everything that an owner has written; a file that broke is not kept. */
async function addEntries(shell: Shell, dataDir: string, { entries }: ImportedTools): Promise<string> {
  const path = join(dataDir, TOOLS_FILE)
  if (!existsSync(path)) {
    const choice = { builtin: true, software: [{ software: 'mcp', tools: [], entries }] }
    return writeToolsFile(dataDir, choice, await ownCoordinator(shell, { dataDir }))
  }
  const text = await readFile(path, 'utf8')
  const head = /^tools:\s*$/m.test(text) ? '' : 'tools:\n'
  const draft = `${path}.draft`
  try {
    await writeFile(draft, `${text}${text.endsWith('\n') ? '' : '\n'}${head}${entries}`)
    await offeredTools(shell, draft)
    await rename(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
  return path
}
