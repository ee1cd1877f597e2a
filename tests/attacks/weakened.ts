import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { invariant } from '@orien/protocol'
import type { RunContext } from '../../apps/provider-node/src/sandbox/context.ts'
import {
  compileProgram,
  NATIVE_DIR,
  type NativeProgram,
} from '../../apps/provider-node/src/sandbox/native.ts'
import { seccompFilter } from '../../apps/provider-node/src/sandbox/seccomp/filter.ts'
import { RULES } from '../../apps/provider-node/src/sandbox/seccomp/rules.ts'
import { Spawner } from '../../apps/provider-node/src/sandbox/spawner.ts'
import { type Weakening, weakeningOf } from './defences.ts'

type Texts = NonNullable<Weakening['init']>

/** A native program with parts of its source taken out. */
async function compileWithout(program: NativeProgram, texts: Texts, dir: string): Promise<string> {
  const read = (name: string) => readFileSync(join(NATIVE_DIR, name), 'utf8')
  // What starts a tool lies beside the program; it may have parts to take out as well.
  let source = read(`${program}.c`).replace('#include "launch.h"\n', () => read('launch.h'))
  for (const [from, to] of texts) {
    invariant(source.split(from).length === 2, `${program} says once: ${from}`)
    source = source.replace(from, () => to)
  }
  const [changed, target] = [join(dir, `${program}.c`), join(dir, program)]
  writeFileSync(changed, source)
  invariant(await compileProgram('gcc', program, target, changed), `${program} can still be compiled`)
  return target
}

function writeFilter(weakenings: readonly Weakening[], dir: string): string {
  const processor = process.arch === 'arm64' ? 'arm64' : 'x64'
  const rules = weakenings.reduce((left, one) => one.rules?.(left) ?? left, RULES)
  const bytes = seccompFilter(processor, rules)
  for (const { words } of weakenings) words?.(new Uint32Array(bytes.buffer))
  const path = join(dir, 'seccomp.bpf')
  writeFileSync(path, bytes)
  return path
}

/** Makes what a driver is to be opened with so that the named defences are missing. */
export async function weaken(
  names: readonly string[],
  dir: string,
): Promise<(context: RunContext) => RunContext> {
  const weakenings = names.map(weakeningOf)
  const init = weakenings.flatMap((one) => one.init ?? [])
  const spawner = weakenings.flatMap((one) => one.spawner ?? [])
  const helper = init.length > 0 ? await compileWithout('orien-init', init, dir) : undefined
  const starter = spawner.length > 0 ? await compileWithout('orien-spawn', spawner, dir) : undefined
  const seccomp = writeFilter(weakenings, dir)
  return (given) => {
    const files = { ...given.files, seccomp, ...(helper ? { helper } : {}) }
    let context: RunContext = {
      ...given,
      files,
      ...(starter ? { spawner: new Spawner(starter, join(dir, 'spawner')) } : {}),
    }
    for (const { context: change } of weakenings) context = { ...context, ...change?.(context) }
    const { optionsOf } = context
    return {
      ...context,
      optionsOf: (...shape) => [
        ...weakenings.reduce<readonly string[]>(
          (left, one) => one.options?.(left) ?? left,
          optionsOf(...shape),
        ),
      ],
    }
  }
}
