import { assertNever, type ToNode } from '@orien/protocol'
import { answerClaim, type Claimant } from '../claims/answerClaim.ts'
import type { FileDesk } from '../files/fileDesk.ts'
import type { FileMessage } from '../files/mailbox.ts'
import type { Transfers } from '../files/transfers.ts'
import type { Journal } from '../journal/journal.ts'
import type { Log } from '../log.ts'
import type { Spools } from '../output/spool.ts'
import { acknowledgeReceipt, refuseReceipt } from '../receipts/acknowledge.ts'
import type { Runs } from '../run/runs.ts'
import type { Workspaces } from '../run/workspaces.ts'
import type { Connection } from './connection.ts'
import type { Delivery } from './delivery.ts'

/** Who does what a message asks for. */
export type Takers = {
  runs: Runs
  journal: Journal
  delivery: Delivery
  spools: Spools
  workspaces: Workspaces
  desk: FileDesk
  claimant: Claimant
  /** Called when a session is called settled. */
  onForgotten(): void
  log: Log
}

type Of<T extends ToNode['type']> = Extract<ToNode, { type: T }>
type Work = Exclude<ToNode, FileMessage | { type: 'challenge' | 'welcome' | 'refused' }>

/** Whether a message belongs to a file transfer. */
function isFileMessage(message: ToNode): message is FileMessage {
  return message.type.startsWith('file')
}

/** What belongs to the opening of a connection has no meaning after it. */
function isWork(message: Exclude<ToNode, FileMessage>): message is Work {
  return message.type !== 'challenge' && message.type !== 'welcome' && message.type !== 'refused'
}

/** Does what the coordinator asks for, as far as the node's own rules allow. */
export function takeMessage(
  takers: Takers,
  message: ToNode,
  { connection, transfers }: { connection: Connection; transfers: Transfers },
): void {
  if (isFileMessage(message)) transfers.handle(message)
  else if (isWork(message)) takeWork(takers, message, connection)
}

function takeWork(takers: Takers, message: Work, connection: Connection): void {
  switch (message.type) {
    case 'dispatch':
      takers.runs.dispatch(message.work, message.traceparent)
      return
    case 'extend':
      takers.runs.extend(message.extension)
      return
    case 'cancel':
      takers.runs.stopRun(message.executionId, 'cancelled')
      return
    case 'endSession':
      endSession(takers, message)
      return
    case 'forgetSession':
      forgetSession(takers, message)
      return
    case 'receiptAck':
      takeAcknowledgement(takers, message)
      return
    case 'receiptRefused':
      takeRefusal(takers, message)
      return
    case 'claimRequest':
      claim(takers, message, connection)
      return
    default:
      assertNever(message)
  }
}

function endSession(takers: Takers, { sessionId }: Of<'endSession'>): void {
  const { journal, runs } = takers
  if (journal.state.sessions.has(sessionId)) journal.note({ t: 'ended', sessionId })
  runs.stopSession(sessionId, 'cancelled')
  clearWorkspace(takers, sessionId)
}

function forgetSession(takers: Takers, { sessionId }: Of<'forgetSession'>): void {
  const { journal, runs } = takers
  runs.stopSession(sessionId, 'cancelled')
  if (journal.state.sessions.has(sessionId)) journal.note({ t: 'forgotten', sessionId })
  for (const pending of [...journal.state.pendingReceipts.values()])
    if (pending.sessionId === sessionId) finish(takers, pending.executionId)
  clearWorkspace(takers, sessionId)
  takers.onForgotten()
}

/** Nobody reads or writes its files from now on; they are removed when the last run has been accounted for. */
function clearWorkspace(
  { desk, runs, workspaces, log }: Takers,
  sessionId: Of<'endSession'>['sessionId'],
): void {
  const clear = async () => {
    await desk.endSession(sessionId)
    await runs.closed(sessionId)
    await workspaces.destroy(sessionId)
  }
  clear().catch((error: unknown) => log.error({ event: 'workspace.undestroyed', sessionId, err: error }))
}

function takeAcknowledgement(takers: Takers, { executionId, countersignature }: Of<'receiptAck'>): void {
  if (acknowledgeReceipt(takers.journal, executionId, countersignature)) finish(takers, executionId)
  else takers.log.warn({ event: 'receipt.wrongly_acknowledged', executionId })
}

function takeRefusal(takers: Takers, { executionId, code, detail }: Of<'receiptRefused'>): void {
  const { journal, log } = takers
  const refused = refuseReceipt(journal, executionId, { code, detail })
  log.error({ event: 'receipt.refused', executionId, code, detail, refused })
  if (refused === 'final') finish(takers, executionId)
}

function finish({ delivery, spools, log }: Takers, executionId: string): void {
  delivery.done(executionId)
  spools.remove(executionId).catch((error: unknown) => log.warn({ event: 'output.unremoved', err: error }))
}

function claim({ claimant, log }: Takers, request: Of<'claimRequest'>, connection: Connection): void {
  const { requestId, claims } = request
  answerClaim(claimant, request).then(
    (answer) => {
      log.info({ event: 'claim.answered', claims: claims.length, refused: answer.refused })
      connection.send({ type: 'claim', requestId, ...answer })
    },
    (error: unknown) => log.error({ event: 'claim.broken', claims: claims.length, err: error }),
  )
}
