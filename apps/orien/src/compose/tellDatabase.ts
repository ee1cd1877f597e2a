import type { EmbeddedPostgresEvent } from '@orien/coordinator'
import { OrienError } from '@orien/protocol'
import type { Report } from './report.ts'

/** Tells a person what happens to the database while the stack runs; the rest is for its log. */
export function tellDatabase(report: Report): (seen: EmbeddedPostgresEvent) => void {
  let hasFailed = false
  return (seen) => {
    if (seen.event === 'postgres.died') {
      const { signal, exitCode } = seen
      report.warn(`the database has ended (${signal ?? `exit code ${exitCode}`}) and is started again`)
    }
    if (seen.event === 'postgres.restart_failed' && !hasFailed)
      report.warn(`the database does not start: ${sentence(seen.error)}; it is tried again`)
    if (seen.event === 'postgres.restarted') report.part('database', 'back again')
    if (seen.event === 'postgres.gave_up') report.warn(`the database stays down: ${sentence(seen.error)}`)
    hasFailed = seen.event === 'postgres.restart_failed' || (hasFailed && seen.event !== 'postgres.restarted')
  }
}

function sentence(error: unknown): string {
  if (!(error instanceof OrienError)) return 'the reason is in its log'
  const { hint } = error.facts
  return typeof hint === 'string' ? `${error.message} (${hint})` : error.message
}
