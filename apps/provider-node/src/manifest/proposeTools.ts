import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OrienError, type ToolsFile } from '@orien/protocol'
import { SYSTEM_PATH } from '../sandbox/names.ts'
import { readManifest } from './readManifest.ts'
import { findExecutable, resolveTools } from './resolveTools.ts'

const CATALOG_DIR = fileURLToPath(new URL('../../tools/catalog/', import.meta.url))
const EXTENSION = '.yaml'
const FIRST_LINE = 'tools:\n'

/** Software that a ready manifest exists for. */
export type Proposal =
  | {
      software: string
      /** Ids of the tools that it makes. */
      tools: string[]
      /** Its entries of `tools:` in `orien.tools.yaml`, with the executables of this machine. */
      entries: string
    }
  | { software: string; missing: string }

/**
 * Looks which of the known software is installed here, where the system keeps its programs: what lies in somebody's home
 * directory is not shown to strangers.
 *
 * @param searchPath directories joined as in PATH; the system's unless told
 */
export async function proposeTools(searchPath: string = SYSTEM_PATH): Promise<Proposal[]> {
  const names = (await readdir(CATALOG_DIR)).filter((name) => name.endsWith(EXTENSION)).sort()
  return Promise.all(names.map((name) => propose(name, searchPath)))
}

async function propose(name: string, searchPath: string): Promise<Proposal> {
  const software = basename(name, EXTENSION)
  const text = await readFile(join(CATALOG_DIR, name), 'utf8')
  const { tools } = readManifest(text, name)
  const declared = tools.map((manifest) => ({ manifest, manifestDir: CATALOG_DIR, at: () => name }))
  try {
    await resolveTools(declared, { searchPath, known: { node: process.execPath } })
  } catch (error) {
    if (error instanceof OrienError && error.code === 'setup_failed') {
      return { software, missing: error.message.replace(/^tool \S+: /, '') }
    }
    throw error
  }
  return { software, tools: tools.map(({ id }) => id), entries: await placed(text, tools, searchPath) }
}

/** Written down where the program was found, so that a PATH of later days changes nothing. */
async function placed(text: string, tools: ToolsFile['tools'], searchPath: string): Promise<string> {
  let entries = text.slice(text.indexOf(FIRST_LINE) + FIRST_LINE.length)
  for (const executable of new Set(tools.map((tool) => tool.executable))) {
    // The node's own Node: a known name, not a place.
    if (executable === 'node') continue
    const found = await findExecutable(executable, { searchPath, known: {}, manifestDir: CATALOG_DIR })
    if (found) entries = entries.replaceAll(`executable: ${executable}\n`, `executable: ${found.path}\n`)
  }
  return entries
}

/**
 * The text of an `orien.tools.yaml` that offers these.
 *
 * @param schema where editors find the schema: a URL, or a path from the file
 */
export function composeToolsFile(
  builtin: readonly string[],
  entries: readonly string[],
  schema: string,
): string {
  const head = [
    `# yaml-language-server: $schema=${schema}`,
    '# What this machine offers. Take away what you do not want to offer; `orien provider tools check` explains mistakes.',
    `builtin: [${builtin.join(', ')}]`,
  ]
  return `${head.join('\n')}\n${entries.length > 0 ? `tools:\n${entries.join('\n')}` : ''}`
}
