import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** How to run anvil: a program and the arguments that come before anvil's own. */
export type AnvilCommand = { program: string; leadingArguments: string[] }

/**
 * Anvil from the npm packages. The platform's package holds the executable itself, which starts at once and is
 * one process; the wrapper's Node script is used where there is no such package.
 */
export function anvilCommand(): AnvilCommand {
  const wrapper = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  // An optional dependency of the wrapper: under pnpm it can be found from there only.
  const folders = createRequire(wrapper).resolve.paths('@foundry-rs/anvil') ?? []
  const executables = folders.map((folder) =>
    join(folder, '@foundry-rs', `anvil-${process.platform}-${architecture}`, 'bin', 'anvil'),
  )
  const executable = executables.find((file) => existsSync(file))
  if (executable !== undefined) return { program: executable, leadingArguments: [] }
  return { program: process.execPath, leadingArguments: [join(dirname(wrapper), 'bin.mjs')] }
}
