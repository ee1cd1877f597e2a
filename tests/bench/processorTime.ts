import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts in ticks of this length: https://www.man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const TICK_MS = 10

type Process = { parent: number; ownMs: number; withDeadChildrenMs: number }

function readProcess(pid: string): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything, brackets included; what is counted comes after it.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const sum = (from: number, count: number) =>
      fields.slice(from, from + count).reduce((total, ticks) => total + ticks, 0) * TICK_MS
    return { parent: fields[1] ?? 0, ownMs: sum(11, 2), withDeadChildrenMs: sum(11, 4) }
  } catch {
    // It ended between the listing and this line.
    return null
  }
}

/** Processor time that a PostgreSQL has used, living and ended backends alike: what a busy machine does not distort much. */
export function postgresCpuMs(postmaster: number): number {
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const backends = others.flatMap((pid) => {
    const process = readProcess(pid)
    return process?.parent === postmaster ? [process.ownMs] : []
  })
  const own = readProcess(String(postmaster))?.withDeadChildrenMs ?? Number.NaN
  return backends.reduce((total, ms) => total + ms, own)
}

/** The process that a backend was started by. */
export const postmasterOf = (backend: number): number => readProcess(String(backend))?.parent ?? 0
