import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OrienError } from '@orien/protocol'
import { randomName, SYSTEM_PATH } from './names.ts'

const run = promisify(execFile)

/** Programs of native/: two that run inside a sandbox, and the one that starts sandboxes. */
export const NATIVE_PROGRAMS = ['orien-init', 'orien-canary', 'orien-spawn'] as const
/** See {@link NATIVE_PROGRAMS}. */
export type NativeProgram = (typeof NATIVE_PROGRAMS)[number]

/** Where a program came from: compiled here now, compiled here before, or shipped ready. */
export type BuiltProgram = { path: string; source: 'compiled' | 'cached' | 'prebuilt'; sha256: string }

/** The sources, and below `prebuilt/` what was made of them. */
export const NATIVE_DIR = new URL('../../native/', import.meta.url).pathname

const COMPILERS = ['cc', 'gcc', 'clang']
/** No C library: a few kilobytes that start at once and depend on nothing that the sandbox would have to show. */
const FLAGS = [
  ...['-std=gnu11', '-O2', '-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector'],
  ...['-fno-asynchronous-unwind-tables', '-fno-pic', '-no-pie'],
  ...['-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro', '-Wl,-z,noseparate-code', '-s'],
]

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** SHA-256, hex, over a program's source, the headers and the compiler's flags. */
export async function sourceHash(program: NativeProgram): Promise<string> {
  const headers = (await readdir(NATIVE_DIR)).filter((name) => name.endsWith('.h')).sort()
  const texts = await Promise.all(
    [`${program}.c`, ...headers].map((name) => readFile(join(NATIVE_DIR, name))),
  )
  return sha256(Buffer.concat([...texts, Buffer.from(FLAGS.join(' '))]))
}

/**
 * @param source the program's own unless told
 * @returns whether the compiler is there and made the program
 */
export function compileProgram(
  compiler: string,
  program: NativeProgram,
  target: string,
  source = join(NATIVE_DIR, `${program}.c`),
): Promise<boolean> {
  const include = `-I${NATIVE_DIR}`
  return run(compiler, [...FLAGS, include, '-o', target, source], { env: { PATH: SYSTEM_PATH } }).then(
    () => true,
    () => false,
  )
}

async function compileWithAny(
  compilers: readonly string[],
  program: NativeProgram,
  target: string,
): Promise<boolean> {
  for (const compiler of compilers) if (await compileProgram(compiler, program, target)) return true
  return false
}

/** Where programs are had from. */
export type ProgramSources = {
  /** Tried in turn. */
  compilers?: readonly string[]
  /** Holds `<platform>-<processor>/<program>`. */
  prebuiltDir?: string
}

async function copyPrebuilt(prebuiltDir: string, program: NativeProgram, target: string): Promise<void> {
  const prebuilt = join(prebuiltDir, `${process.platform}-${process.arch}`, program)
  await copyFile(prebuilt, target).catch((cause: unknown) => {
    const detail = `no compiler here and no prebuilt ${program} for ${process.arch}`
    throw new OrienError('sandbox_unavailable', detail, {}, { cause })
  })
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
  { compilers = COMPILERS, prebuiltDir = join(NATIVE_DIR, 'prebuilt') }: ProgramSources = {},
): Promise<BuiltProgram> {
  const path = join(cacheDir, `${program}-${process.arch}-${(await sourceHash(program)).slice(0, 32)}`)
  const isCached = await access(path).then(
    () => true,
    () => false,
  )
  if (isCached) return { path, source: 'cached', sha256: sha256(await readFile(path)) }
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${randomName()}`
  try {
    const isCompiled = await compileWithAny(compilers, program, unfinished)
    if (!isCompiled) await copyPrebuilt(prebuiltDir, program, unfinished)
    await chmod(unfinished, 0o555)
    await rename(unfinished, path)
    return { path, source: isCompiled ? 'compiled' : 'prebuilt', sha256: sha256(await readFile(path)) }
  } finally {
    await rm(unfinished, { force: true })
  }
}
