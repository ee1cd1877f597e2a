import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../fixtures/nodeProcess.ts', import.meta.url))
// Most of a start is compiling, which other work on the machine stretches most.
const COMPILED_DIR = fileURLToPath(new URL('../../node_modules/.cache/orien-compiled', import.meta.url))

/** A node in its own process, live. */
export async function startChildNode(dataDir: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [PROGRAM, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: '/usr/bin:/bin', NODE_COMPILE_CACHE: COMPILED_DIR },
  })
  for await (const line of createInterface({ input: child.stdout })) if (line === 'live') return child
  throw new TypeError('the node ended before it was live')
}

/** As a power cut would, for this process alone. */
export async function killNode(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
