import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What the kernel says of a process. */
export type ProcessFigures = { rssMebibytes: number; descriptors: number }

/** @returns null for a process that is not there */
export function readProcess(pid: number): ProcessFigures | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kibibytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0)
    return { rssMebibytes: kibibytes / 1_024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return null
  }
}

/** What a process that is to be weighed needs in its environment. @param dir where it puts its weight */
export function weighable(dir: string): Record<string, string> {
  const program = fileURLToPath(new URL('./weigh.ts', import.meta.url))
  return { NODE_OPTIONS: `--import ${program}`, ORIEN_SOAK_DIR: dir }
}

const WEIGHING_LOOKS = 100
const LOOK_EVERY_MS = 50

/** Megabytes (2^20) of objects that are alive after a full collection. @returns null when it does not say so */
export async function weigh(pid: number, dir: string): Promise<number | null> {
  const path = `${dir}/${pid}`
  rmSync(path, { force: true })
  try {
    process.kill(pid, 'SIGUSR2')
    for (let look = 0; look < WEIGHING_LOOKS; look += 1) {
      await pause(LOOK_EVERY_MS)
      const bytes = readdirSync(dir).includes(`${pid}`) ? Number(readFileSync(path, 'utf8')) : 0
      if (bytes > 0) return bytes / 1_048_576
    }
  } catch {
    // It is gone; its next one is weighed in the next minute.
  }
  return null
}

/** The samples of a Prometheus page by name and labels. */
export async function readPage(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    samples.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}
