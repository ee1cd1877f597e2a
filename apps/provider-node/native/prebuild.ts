/**
 * Makes the programs of prebuilt/ again and writes down what they were made of. Run it after every change of a source:
 *
 *     node apps/provider-node/native/prebuild.ts
 *
 * It needs gcc for both processors (on Debian: gcc, gcc-aarch64-linux-gnu and linux-libc-dev-arm64-cross on x86-64).
 */
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compileProgram, NATIVE_DIR, NATIVE_PROGRAMS, sourceHash } from '../src/sandbox/native.ts'

const COMPILERS = { 'linux-x64': 'x86_64-linux-gnu-gcc', 'linux-arm64': 'aarch64-linux-gnu-gcc' }

const sums: string[] = []
for (const [machine, compiler] of Object.entries(COMPILERS)) {
  await mkdir(join(NATIVE_DIR, 'prebuilt', machine), { recursive: true })
  for (const program of NATIVE_PROGRAMS) {
    const path = join(NATIVE_DIR, 'prebuilt', machine, program)
    if (!(await compileProgram(compiler, program, path))) {
      process.stderr.write(`${compiler} could not make ${program} for ${machine}\n`)
      process.exitCode = 1
      continue
    }
    await chmod(path, 0o755)
    sums.push(
      `${createHash('sha256')
        .update(await readFile(path))
        .digest('hex')}  ${machine}/${program}`,
    )
  }
}
for (const program of NATIVE_PROGRAMS) sums.push(`${await sourceHash(program)}  source of ${program}`)
await writeFile(join(NATIVE_DIR, 'prebuilt', 'SHA256SUMS'), `${sums.join('\n')}\n`)
