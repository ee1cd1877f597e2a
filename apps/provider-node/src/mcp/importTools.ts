import { access, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type ArgumentSpec,
  type ArgvPart,
  argumentSpec,
  OrienError,
  type ToolManifest,
  toolManifest,
} from '@orien/protocol'
import { stringify } from 'yaml'
import { findExecutable } from '../manifest/resolveTools.ts'
import { type McpTool, startMcpServer } from './client.ts'

const BRIDGE_DIR = fileURLToPath(new URL('./', import.meta.url))

/** Generous; an owner tightens them in the file. */
const IMPORTED_LIMITS = {
  timeMs: 600_000,
  memoryBytes: 1_073_741_824,
  processes: 64,
  diskBytes: 268_435_456,
  outputBytes: 4_194_304,
}

/** The tools of an MCP server as a manifest's entries. */
export type ImportedTools = {
  server: { name: string; version: string }
  tools: string[]
  /** What could not be taken over: a whole tool, or an optional argument of one. */
  skipped: { name: string; why: string }[]
  /** Entries of `tools:` in `orien.tools.yaml`; empty when there are none. */
  entries: string
}

/** How a server is imported. */
export type ImportOptions = {
  /** The server's command line, as its documentation says; it is started once, here, to ask for its tools. */
  command: readonly string[]
  /** In front of every tool's name. */
  prefix?: string
  /** Further host paths that the server reads. */
  readOnlyPaths?: readonly string[]
  /** Directories in which the command is looked for, joined as in PATH. */
  searchPath: string
}

/**
 * Asks an MCP server for its tools and writes a manifest in which each becomes a tool with checked arguments. At run
 * time the server starts anew inside the sandbox for every call: without network, secrets or state of its own.
 *
 * @throws OrienError `setup_failed` when the command is not there or does not speak the protocol
 */
export async function importMcpTools(options: ImportOptions): Promise<ImportedTools> {
  const command = await resolved(options)
  const paths = await runtimeOf(command, options.readOnlyPaths ?? [])
  const server = await startMcpServer(command, 'orien-import').catch((cause: unknown) => {
    throw new OrienError('setup_failed', `${options.command.join(' ')} is no MCP server`, {}, { cause })
  })
  try {
    const skipped: ImportedTools['skipped'] = []
    const manifests = (await server.listTools()).flatMap((tool) => {
      const made = manifestOf(tool, { command, paths, prefix: options.prefix ?? '' }, skipped)
      return made ? [made] : []
    })
    return {
      server: { name: server.name, version: server.version },
      tools: manifests.map(({ id }) => id),
      skipped,
      entries: manifests.length > 0 ? indent(stringify(manifests, { aliasDuplicateObjects: false })) : '',
    }
  } finally {
    await server.close()
  }
}

const indent = (text: string) => text.replaceAll(/^(?=.)/gm, '  ')

async function resolved({ command, searchPath }: ImportOptions): Promise<string[]> {
  const [name = '', ...args] = command
  const known = { node: process.execPath }
  const program = await findExecutable(name, { searchPath, known, manifestDir: '/' })
  if (!program) throw new OrienError('setup_failed', `there is no executable ${name}`)
  return [program.real, ...args]
}

/** The program, and of every file that its command line names the package that it belongs to. */
async function runtimeOf(command: readonly string[], more: readonly string[]): Promise<string[]> {
  const named = await Promise.all(command.slice(1).filter(isAbsolute).map(packageOf))
  return [...new Set([BRIDGE_DIR, command[0] ?? '', ...named.flat(), ...more])]
}

async function packageOf(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => null)
  if (real === null) return []
  for (let dir = dirname(real); dir !== '/'; dir = dirname(dir)) {
    const isPackage = await access(join(dir, 'package.json')).then(
      () => true,
      () => false,
    )
    if (isPackage) return [dir]
  }
  return [real]
}

type Place = { command: readonly string[]; paths: readonly string[]; prefix: string }

function manifestOf(tool: McpTool, place: Place, skipped: ImportedTools['skipped']): ToolManifest | null {
  const { properties = {}, required = [] } = tool.inputSchema as {
    properties?: Record<string, Record<string, unknown>>
    required?: string[]
  }
  const args: Record<string, ArgumentSpec> = {}
  const argv: ArgvPart[] = []
  for (const [name, schema] of Object.entries(properties)) {
    const made = argumentOf(schema)
    const isNamed = /^[a-z][a-zA-Z0-9_]{0,40}$/.test(name)
    if (made && isNamed) {
      args[name] = made
      argv.push(partOf(name, made))
      continue
    }
    const why = isNamed
      ? `its argument ${name} has a type that a tool cannot take`
      : `its argument ${name} has such a name`
    skipped.push({ name: required.includes(name) ? tool.name : `${tool.name}.${name}`, why })
    if (required.includes(name)) return null
  }
  const manifest = toolManifest.safeParse({
    id: idOf(place.prefix + tool.name),
    description: (tool.description ?? tool.name).slice(0, 1_000) || tool.name,
    arguments: { properties: args, required: required.filter((name) => Object.hasOwn(args, name)) },
    executable: 'node',
    argv: [
      { kind: 'literal', value: join(BRIDGE_DIR, 'call.ts') },
      { kind: 'literal', value: `--tool=${tool.name}` },
      ...argv,
      { kind: 'literal', value: '--' },
      ...place.command.map((value) => ({ kind: 'literal', value })),
    ],
    readOnlyPaths: place.paths,
    limits: IMPORTED_LIMITS,
    outputs: ['*'],
  })
  if (manifest.success) return manifest.data
  skipped.push({ name: tool.name, why: manifest.error.issues[0]?.message ?? 'it cannot be a tool' })
  return null
}

const idOf = (name: string) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_')
    .replace(/^[^a-z]+/, '')
    .slice(0, 64)

/** The one JSON type of a schema, or of the only alternative to null. */
function argumentOf(schema: Record<string, unknown>): ArgumentSpec | null {
  const { type, description, minimum, maximum, minLength, maxLength, minItems, maxItems } = schema
  const text = typeof description === 'string' ? { description: description.slice(0, 500) } : {}
  const values = Array.isArray(schema.enum) ? { enum: schema.enum } : {}
  const fallback = 'default' in schema ? { default: schema.default } : {}
  const items = schema.items as Record<string, unknown> | undefined
  const candidates: Record<string, object> = {
    string: { type, ...text, ...values, minLength, maxLength, ...fallback },
    integer: { type, ...text, minimum, maximum, ...fallback },
    number: { type, ...text, minimum, maximum, ...fallback },
    boolean: { type, ...text, ...fallback },
    array: {
      type,
      ...text,
      items: items && withoutText(items),
      minItems,
      ...(maxItems === undefined ? {} : { maxItems }),
    },
  }
  const parsed = argumentSpec.safeParse(candidates[String(type)])
  return parsed.success ? parsed.data : null
}

function withoutText({ type, enum: values, minimum, maximum, maxLength }: Record<string, unknown>) {
  const bounds = type === 'string' ? { enum: values, maxLength } : { minimum, maximum }
  return { type, ...bounds }
}

function partOf(name: string, spec: ArgumentSpec): ArgvPart {
  const types: Readonly<Record<string, string>> = {
    integer: 'num',
    number: 'num',
    string: 'str',
    boolean: 'bool',
  }
  const type = spec.type === 'array' ? `${types[spec.items.type] ?? 'str'}s` : types[spec.type]
  return { kind: 'option', name, prefix: `--${type}.${name}=` }
}
