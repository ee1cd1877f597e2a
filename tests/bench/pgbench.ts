import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** TPC-B-like transactions of PostgreSQL's own benchmark: the reference for what this machine can commit. */
type PgbenchFigures = {
  tps: number
  p50Ms: number
  p99Ms: number
  transactions: number
  version: string
}

export type PgbenchOptions = {
  /** A database to scribble in: `pgbench_*` tables are made in it. */
  url: string
  clients: number
  protocol: 'simple' | 'extended' | 'prepared'
  /** 100,000 accounts each; below the number of clients they wait for one another's branch row. */
  scale?: number
}

/** Its tables are filled; each call measures for so long. */
export type Pgbench = { measure: (seconds: number) => Promise<PgbenchFigures> }

/**
 * Measures with pgbench, which is no part of the embedded PostgreSQL. A pgbench of 15 against a server of 18 is
 * fine: it speaks SQL only.
 */
export async function openPgbench(options: PgbenchOptions): Promise<Pgbench | { unavailable: string }> {
  const program = findPgbench()
  if (program === null)
    return { unavailable: 'pgbench is not installed; on Debian it comes with the package postgresql' }
  const { address, env } = connectionOf(options.url)
  const scale = options.scale ?? Math.max(options.clients, 16)
  await run(program, ['--initialize', '--quiet', `--scale=${scale}`, address], { env })
  const measure = async (seconds: number) => {
    const logDir = mkdtempSync(join(tmpdir(), 'orien-pgbench-'))
    try {
      const { stdout } = await run(
        program,
        [
          `--client=${options.clients}`,
          `--jobs=${Math.min(options.clients, availableParallelism())}`,
          `--time=${seconds}`,
          `--protocol=${options.protocol}`,
          '--log',
          `--log-prefix=${join(logDir, 'transactions')}`,
          address,
        ],
        { env },
      )
      return { ...summaryOf(stdout), ...latenciesIn(logDir) }
    } finally {
      rmSync(logDir, { recursive: true })
    }
  }
  return { measure }
}

// Debian's /usr/bin/pgbench is a wrapper that chooses a version by the clusters of the system; the programs lie
// beside each other under their versions.
function findPgbench(): string | null {
  const installed = globSync('/usr/lib/postgresql/*/bin/pgbench')
  const versionOf = (path: string) => Number(path.split('/')[4])
  const newest = installed.toSorted((left, right) => versionOf(right) - versionOf(left))[0]
  return newest ?? globSync('/usr{/local,}/bin/pgbench')[0] ?? null
}

/** The password goes by the environment: arguments can be read by every process of the machine. */
function connectionOf(url: string): { address: string; env: NodeJS.ProcessEnv } {
  const address = new URL(url)
  const env = { PATH: '/usr/bin:/bin', PGPASSWORD: decodeURIComponent(address.password) }
  address.password = ''
  return { address: address.href, env }
}

function summaryOf(output: string): Pick<PgbenchFigures, 'tps' | 'version'> {
  const tps = Number(/^tps = ([\d.]+) \(without/m.exec(output)?.[1])
  const version = /^(pgbench .*)$/m.exec(output)?.[1] ?? 'pgbench'
  if (Number.isNaN(tps)) throw new Error(`pgbench printed no tps:\n${output}`)
  return { tps, version }
}

/** One line a transaction: client, number, duration in µs, script, seconds, µs. */
function latenciesIn(logDir: string): Pick<PgbenchFigures, 'p50Ms' | 'p99Ms' | 'transactions'> {
  const lines = readdirSync(logDir).flatMap((name) =>
    readFileSync(join(logDir, name), 'utf8').trim().split('\n'),
  )
  const durationsMs = lines
    .map((line) => Number(line.split(' ')[2]) / 1000)
    .sort((left, right) => left - right)
  const at = (share: number) => durationsMs[Math.floor(durationsMs.length * share)] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), transactions: durationsMs.length }
}
