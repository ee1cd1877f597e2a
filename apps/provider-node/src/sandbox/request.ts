import type { HelperRequest } from './channel.ts'
import type { RunSpec } from './driver.ts'
import { SANDBOX_LIMITS } from './limits.ts'

const NS_PER_MS = 1_000_000

export const toNs = (ms: number): bigint => BigInt(Math.round(ms * NS_PER_MS))

/** What the helper is told of one run: the command line, its environment, and every limit that the helper enforces. */
export function requestOf(
  { limits, argv, env, stdin }: RunSpec,
  deadlineMs: number,
  hasCgroups: boolean,
): HelperRequest {
  return {
    limitNs: toNs(limits.timeMs),
    deadlineNs: toNs(deadlineMs),
    outputBytes: limits.outputBytes,
    // The helper counts as one of the sandbox's processes.
    processes: limits.processes + 1,
    openFiles: SANDBOX_LIMITS.openFiles,
    fileBytes: limits.diskBytes ?? SANDBOX_LIMITS.diskBytes,
    memoryBytes: hasCgroups ? 0 : limits.memoryBytes,
    hasInput: stdin !== undefined && stdin.length > 0,
    argv,
    env,
  }
}
