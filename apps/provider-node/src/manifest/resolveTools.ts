import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { type Issue, OrienError, type ToolManifest } from '@orien/protocol'
import { makeTool, type Tool, type ToolSet } from './tools.ts'

/** Where names of a manifest are looked up. */
export type Machine = {
  /** Directories of a PATH, joined as usual. */
  searchPath: string
  /** Names with a fixed meaning, before any search: `node` is the very Node that runs this. */
  known: Readonly<Record<string, string>>
  /** Directory of the manifest, for `./names` and `{manifestDir}`. */
  manifestDir: string
}

/** Stands for the manifest's directory in literals, environment and paths, for scripts that lie beside it. */
const MANIFEST_DIR = '{manifestDir}'

/** A tool as somebody has declared it. */
type Declaration = {
  manifest: ToolManifest
  /** Directory of its file. */
  manifestDir: string
  /** Where a field of it stands, for whoever has to correct it. */
  at(field: readonly PropertyKey[]): string
}

/**
 * Finds each tool's executable, once: what is found now is what runs later, whatever PATH becomes.
 *
 * @throws OrienError `setup_failed` naming every executable and path that is not there, each with its place
 */
export async function resolveTools(
  declarations: readonly Declaration[],
  machine: Omit<Machine, 'manifestDir'>,
): Promise<ToolSet> {
  const resolved = await Promise.all(declarations.map((one) => resolveTool(one, machine)))
  const issues = resolved.flatMap((one) => (Array.isArray(one) ? one : []))
  const [first] = issues
  const hint = 'Install the program, or take the tool out of the file.'
  if (first) throw new OrienError('setup_failed', first.message, { issues, hint })
  const tools = resolved.filter((one): one is Tool => !Array.isArray(one))
  return new Map(tools.map((tool) => [tool.manifest.id, tool]))
}

async function resolveTool(
  { manifest, manifestDir, at }: Declaration,
  searched: Omit<Machine, 'manifestDir'>,
): Promise<Tool | Issue[]> {
  const machine = { ...searched, manifestDir }
  const inPlace = (text: string) => text.replaceAll(MANIFEST_DIR, manifestDir)
  const absent = (field: readonly PropertyKey[], what: string): Issue => ({
    path: at(field),
    message: `tool ${manifest.id}: there is no ${what}`,
  })
  const found = await findExecutable(inPlace(manifest.executable), machine)
  const readOnlyPaths = manifest.readOnlyPaths.map((path) => resolve(manifestDir, inPlace(path)))
  const areThere = await Promise.all(readOnlyPaths.map(exists))
  const gone = manifest.readOnlyPaths.flatMap((path, index) =>
    areThere[index] ? [] : [absent(['readOnlyPaths', index], path)],
  )
  if (!found) return [absent(['executable'], `executable ${manifest.executable}`), ...gone]
  if (gone.length > 0) return gone
  const argv = manifest.argv.map((part) =>
    part.kind === 'literal' ? { ...part, value: inPlace(part.value) } : part,
  )
  const env = Object.fromEntries(Object.entries(manifest.env).map(([name, value]) => [name, inPlace(value)]))
  return makeTool({ ...manifest, argv, env }, { executable: found.real, readOnlyPaths })
}

/** An executable: where its name was found, and what lies there when links are followed. */
export type Found = { path: string; real: string }

/** Looks an executable's name up as a manifest means it. */
export async function findExecutable(name: string, machine: Machine): Promise<Found | null> {
  const known = Object.hasOwn(machine.known, name) ? machine.known[name] : undefined
  if (known !== undefined) return executableAt(known)
  if (isAbsolute(name)) return executableAt(name)
  if (name.includes('/')) return executableAt(resolve(machine.manifestDir, name))
  for (const dir of machine.searchPath.split(delimiter)) {
    // A relative directory on PATH would make the tool depend on where the node was started.
    const found = isAbsolute(dir) ? await executableAt(join(dir, name)) : null
    if (found) return found
  }
  return null
}

/** Links are followed now, so that nobody turns one elsewhere later. */
async function executableAt(path: string): Promise<Found | null> {
  try {
    const real = await realpath(path)
    await access(real, constants.X_OK)
    return (await stat(real)).isFile() ? { path, real } : null
  } catch {
    return null
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
