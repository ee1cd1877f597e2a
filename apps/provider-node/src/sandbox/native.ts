import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import { randomName, SYSTEM_PATH } from './names.ts'

const run = promisify(execFile)

/** Programs of native/ that run inside a sandbox. */
export type NativeProgram = 'orien-init' | 'orien-canary'

/** Where a program came from: compiled here now, compiled here before, or shipped ready. */
export type BuiltProgram = { path: string; source: 'compiled' | 'cached' | 'prebuilt'; sha256: string }

const NATIVE_DIR = new URL('../../native/', import.meta.url).pathname
const COMPILERS = ['cc', 'gcc', 'clang']
/** No C library: a few kilobytes that start at once and depend on nothing that the sandbox would have to show. */
const FLAGS = [
  ...['-std=gnu11', '-O2', '-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector'],
  ...['-fno-asynchronous-unwind-tables', '-fno-pic', '-no-pie'],
  ...['-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro', '-s'],
]

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function compile(source: string, target: string): Promise<boolean> {
  for (const compiler of COMPILERS) {
    const done = await run(compiler, [...FLAGS, '-o', target, source], {
      env: { PATH: SYSTEM_PATH },
    }).then(
      () => true,
      () => false,
    )
    if (done) return true
  }
  return false
}

/**
 * A program of native/, compiled into `cacheDir` under the hash of its source, or the prebuilt one where there is
 * no compiler. Safe to call from several processes at once.
 *
 * @throws OrienError `sandbox_unavailable` where there is neither a compiler nor a prebuilt program
 */
export async function buildHelper(
  cacheDir: string,
  program: NativeProgram = 'orien-init',
): Promise<BuiltProgram> {
  const source = join(NATIVE_DIR, `${program}.c`)
  const headers = (await readdir(NATIVE_DIR)).filter((name) => name.endsWith('.h')).sort()
  const texts = await Promise.all(
    [source, ...headers.map((name) => join(NATIVE_DIR, name))].map((file) => readFile(file)),
  )
  const identity = sha256(Buffer.concat([...texts, Buffer.from(`${process.arch} ${FLAGS.join(' ')}`)]))
  const path = join(cacheDir, `${program}-${identity.slice(0, 32)}`)
  if (await exists(path)) return { path, source: 'cached', sha256: sha256(await readFile(path)) }
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${randomName()}`
  try {
    const compiled = await compile(source, unfinished)
    if (!compiled) await copyPrebuilt(program, unfinished)
    await chmod(unfinished, 0o555)
    await rename(unfinished, path)
    return { path, source: compiled ? 'compiled' : 'prebuilt', sha256: sha256(await readFile(path)) }
  } finally {
    await rm(unfinished, { force: true })
  }
}

async function copyPrebuilt(program: NativeProgram, target: string): Promise<void> {
  const prebuilt = join(NATIVE_DIR, 'prebuilt', `${process.platform}-${process.arch}`, program)
  await copyFile(prebuilt, target).catch((cause: unknown) => {
    throw new OrienError(
      'sandbox_unavailable',
      `no compiler here and no prebuilt ${program} for ${process.arch}`,
      {},
      { cause },
    )
  })
}
