import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BenchRow } from './row.ts'
import { samplePair } from './sample.ts'

const launcher = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url))

function run(...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit code ${code}`))))
  })
}

export const rows: BenchRow[] = [
  {
    name: 'launcher with nothing to install, p50',
    reference: 'the same command without the launcher, p50',
    better: 'lower',
    async run() {
      const { subject, reference } = await samplePair({
        subject: () => run(launcher, 'node', '-e', '0'),
        reference: () => run('-e', '0'),
        rounds: 20,
      })
      return { value: subject.p50Ms, referenceValue: reference.p50Ms, unit: 'ms' }
    },
  },
]
