import { readdirSync, readFileSync } from 'node:fs'

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
