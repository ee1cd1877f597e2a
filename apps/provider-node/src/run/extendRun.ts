import type { Extension, UsdcMicros } from '@orien/protocol'
import { type Judge, judgeExtension } from '../admission/admit.ts'
import { isRefusal, type Refusal } from '../admission/checkDispatch.ts'
import type { Journal } from '../journal/journal.ts'
import type { OpenRun } from './openRun.ts'

/**
 * Raises the grant of a run while its tool goes on: judged as a new run would be, written down, and only then given to
 * the tool. What is said twice, or is lower than what is known, changes nothing.
 *
 * @param heldMicros of the session's other runs
 */
export async function extendRun(
  { judge, journal }: { judge: Judge; journal: Journal },
  run: OpenRun,
  extension: Extension,
  heldMicros: UsdcMicros,
): Promise<Refusal | null> {
  const { holdMicros, deadlineMs, voucher } = extension
  if (!run.isReserved || holdMicros <= run.work.holdMicros) return null
  const refusal = await judgeExtension(judge, run.work, extension, heldMicros)
  if (isRefusal(refusal)) return refusal
  await journal.append({ t: 'extended', ...extension })
  // Its receipt may have been signed while the chain and the disk were asked: then the voucher alone is kept.
  if (!run.isReserved) return null
  run.askAtMs = Math.ceil((run.work.deadlineMs + deadlineMs) / 2)
  run.work = { ...run.work, holdMicros, deadlineMs, voucher }
  run.subject = { ...run.subject, holdMicros, deadlineMs }
  run.extend?.(deadlineMs)
  return null
}
