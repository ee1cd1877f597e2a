import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { OrienError, type ToolManifest } from '@orien/protocol'
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

/**
 * Finds each tool's executable, once: what is found now is what runs later, whatever PATH becomes.
 *
 * @throws OrienError `setup_failed` naming the tool whose executable or path is not there
 */
export async function resolveTools(manifests: readonly ToolManifest[], machine: Machine): Promise<ToolSet> {
  const tools = await Promise.all(manifests.map((manifest) => resolveTool(manifest, machine)))
  return new Map(tools.map((tool) => [tool.manifest.id, tool]))
}

async function resolveTool(manifest: ToolManifest, machine: Machine): Promise<Tool> {
  const inPlace = (text: string) => text.replaceAll(MANIFEST_DIR, machine.manifestDir)
  const found = await findExecutable(inPlace(manifest.executable), machine)
  if (!found)
    throw new OrienError('setup_failed', `tool ${manifest.id}: there is no executable ${manifest.executable}`)
  const readOnlyPaths = await Promise.all(
    manifest.readOnlyPaths.map(async (path) => {
      const shown = resolve(machine.manifestDir, inPlace(path))
      if (await exists(shown)) return shown
      throw new OrienError('setup_failed', `tool ${manifest.id}: there is no ${path}`)
    }),
  )
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
