import { constants } from 'node:os'
import type { CgroupReading } from './cgroup.ts'
import type { HelperReport } from './channel.ts'
import type { RunFacts, Stop } from './driver.ts'

/** What the node itself saw of a run, beside the helper's report. */
export type Evidence = {
  report?: HelperReport
  cgroup?: CgroupReading
  /** Why the node killed the sandbox from outside; wins where no report came. */
  nodeStop?: Stop
  /** Effective time as the node measured it up to its kill, for a sandbox that could not report. */
  elapsedMicros: number
  limitMs: number
  deadlineMs: number
  detail?: string
}

type Ending = Pick<RunFacts, 'stop' | 'exitCode' | 'signal'>

const SIGNALS = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
)

/** The two halves of a wait(2) status. */
export function decodeWaitStatus(status: number): { exitCode: number | null; signal: string | null } {
  const signal = status & 0x7f
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, signal: null }
  return { exitCode: null, signal: SIGNALS.get(signal) ?? `SIG${signal}` }
}

function ending(evidence: Evidence): Ending {
  const { report, cgroup, nodeStop } = evidence
  if (!report) {
    const stop = nodeStop ?? (cgroup && cgroup.oomKills > 0 ? 'out_of_memory' : 'sandbox_error')
    return { stop, exitCode: null, signal: evidence.elapsedMicros > 0 ? 'SIGKILL' : null }
  }
  const { exitCode, signal } = decodeWaitStatus(report.waitStatus)
  if (report.stop !== 'none') return { stop: report.stop, exitCode, signal }
  if (exitCode === 0) return { stop: 'exit', exitCode, signal }
  if (cgroup && cgroup.oomKills > 0) return { stop: 'out_of_memory', exitCode, signal }
  if (signal === 'SIGXFSZ' || report.diskFull) return { stop: 'disk_limit', exitCode, signal }
  return { stop: 'exit', exitCode, signal }
}

/** The time between the decision to kill and the last death is the driver's, not the tool's: it is not counted. */
function effectiveMicros({ report, elapsedMicros, limitMs, deadlineMs }: Evidence, stop: Stop): number {
  if (stop === 'sandbox_error') return 0
  const cut = Math.floor(Math.min(limitMs, deadlineMs) * 1_000)
  if (!report) return Math.min(elapsedMicros, cut)
  const endNs = report.stopNs > 0n && report.stopNs < report.endNs ? report.stopNs : report.endNs
  return Math.min(Number((endNs - report.startNs) / 1_000n), cut)
}

/** Everything known about a finished run but its output; pure, so that each stop reason can be tested by table. */
export function concludeRun(evidence: Evidence): Omit<RunFacts, 'outputBytes' | 'outputSha256'> {
  const { report, cgroup } = evidence
  const end = ending(evidence)
  const groupMicros = cgroup?.cpuMicros ?? null
  const groupBytes = cgroup?.peakBytes ?? null
  return {
    ...end,
    effectiveMicros: effectiveMicros(evidence, end.stop),
    lifeMs: Math.ceil(report ? Number(report.endNs - report.startNs) / 1e6 : evidence.elapsedMicros / 1e3),
    cpuMicros:
      groupMicros === null
        ? (report?.cpuMicros ?? 0)
        : Math.max(0, groupMicros - (report?.ownCpuMicros ?? 0)),
    maxRssBytes: groupBytes ?? report?.maxRssBytes ?? 0,
    ...(report?.io ? { io: report.io } : {}),
    sources: {
      wall: report ? 'helper' : 'node',
      cpu: groupMicros !== null ? 'cgroup' : report ? 'helper' : 'node',
      memory: groupBytes !== null ? 'cgroup' : report ? 'helper' : 'node',
      // A cgroup counts what reached a device, which is another figure.
      ...(report?.io ? { io: 'helper' as const } : {}),
    },
    ...(end.stop === 'sandbox_error'
      ? { detail: evidence.detail ?? 'the sandbox ended without a report' }
      : {}),
  }
}
