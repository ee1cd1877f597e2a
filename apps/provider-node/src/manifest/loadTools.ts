import { readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { OrienError } from '@orien/protocol'
import { NODE_LIMITS } from '../limits.ts'
import { readManifest } from './readManifest.ts'
import { type Machine, resolveTools } from './resolveTools.ts'
import type { ToolSet } from './tools.ts'

/**
 * Loads a tool manifest and finds its executables on this machine.
 *
 * @throws OrienError `setup_failed` when a file is missing, `validation_failed` with line numbers for mistakes in it
 */
export async function loadTools(path: string, machine: Omit<Machine, 'manifestDir'>): Promise<ToolSet> {
  const name = basename(path)
  const missing = (cause: unknown) => {
    throw new OrienError('setup_failed', `the tool manifest ${name} cannot be read`, {}, { cause })
  }
  const real = await realpath(path).catch(missing)
  const { size } = await stat(real).catch(missing)
  if (size > NODE_LIMITS.manifestBytes)
    throw new OrienError('setup_failed', `${name} is larger than a manifest`)
  const manifests = readManifest(await readFile(real, 'utf8').catch(missing), name)
  return resolveTools(manifests, { ...machine, manifestDir: dirname(real) })
}
