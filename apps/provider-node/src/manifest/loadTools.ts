import { readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { OrienError } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import { type ReadManifest, readManifest } from './readManifest.ts'
import { type Machine, resolveTools } from './resolveTools.ts'
import type { ToolSet } from './tools.ts'

/** Declares the tools that come with the node. */
export const BUILTIN_MANIFEST = fileURLToPath(new URL('../../tools/orien.tools.yaml', import.meta.url))

type SearchedMachine = Omit<Machine, 'manifestDir'>

/**
 * Loads a tool manifest and finds its executables on this machine.
 *
 * @throws OrienError `setup_failed` when a file is missing, or, with line numbers, programs that it names;
 * `validation_failed` with line numbers for mistakes in it
 */
export async function loadTools(path: string, machine: SearchedMachine): Promise<ToolSet> {
  const { file: shipped, dir: manifestDir } = await readToolsFile(BUILTIN_MANIFEST, [])
  const { file, dir } = await readToolsFile(
    path,
    shipped.tools.map(({ id }) => id),
  )
  // Whoever offers a tool that comes with the node has to look at his own line of it.
  const chosen = file.builtin.flatMap((id, index) =>
    shipped.tools
      .filter((candidate) => candidate.id === id)
      .map((manifest) => ({ manifest, manifestDir, at: () => file.at(['builtin', index]) })),
  )
  const own = file.tools.map((manifest, index) => ({
    manifest,
    manifestDir: dir,
    at: (field: readonly PropertyKey[]) => file.at(['tools', index, ...field]),
  }))
  return resolveTools([...chosen, ...own], machine)
}

async function readToolsFile(
  path: string,
  shipped: readonly string[],
): Promise<{ file: ReadManifest; dir: string }> {
  const name = basename(path)
  const missing = (cause: unknown) => {
    throw new OrienError('setup_failed', `the tool manifest ${name} cannot be read`, {}, { cause })
  }
  const real = await realpath(path).catch(missing)
  const { size } = await stat(real).catch(missing)
  if (size > NODE_LIMITS.manifestBytes)
    throw new OrienError('setup_failed', `${name} is larger than a manifest`)
  return {
    file: readManifest(await readFile(real, 'utf8').catch(missing), name, shipped),
    dir: dirname(real),
  }
}
