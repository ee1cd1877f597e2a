import { listExecutions, type SessionView } from '@orien/protocol'
import type { AgentOptions, Handler, Shell } from '../commands/bind.ts'
import { exactUsdc } from '../terminal/amounts.ts'
import { billTable } from '../terminal/bill.ts'
import { outcomeOf } from '../terminal/outcome.ts'
import { layTable } from '../terminal/table.ts'
import { readUsdc } from './amount.ts'
import { connectAgent } from './connect.ts'
import { findProvider, readSessionId } from './find.ts'
import { sessionLines, settlementLine } from './sessionLines.ts'

type OpenOptions = AgentOptions & { budget: string; maxRate?: string; step?: string; mission?: string }

/** `orien session open` */
export const openSession: Handler<OpenOptions> = async (shell, options, [target = '']) => {
  const budgetMicros = readUsdc('--budget', options.budget)
  const maxRateMicros = readUsdc('--max-rate', options.maxRate)
  const { orien } = await connectAgent(shell, options)
  const provider = await findProvider(orien, target)
  const { mission } = options
  const stepMicros = readUsdc('--step', options.step)
  const asked = { providerId: provider.id, budgetMicros, maxRateMicros, stepMicros, mission }
  const session = await orien.openSession(asked)
  show(shell, await session.state())
  return 0
}

/** `orien session show` */
export const showSession: Handler<AgentOptions> = async (shell, options, [id]) => {
  const { terminal } = shell
  const { orien } = await connectAgent(shell, options)
  if (id === undefined) {
    const { items } = await orien.sessions()
    if (terminal.isJson) terminal.printJson({ items })
    else for (const line of sessionsTable(items)) terminal.print(line)
    return 0
  }
  const session = await orien.session(readSessionId(id))
  const view = await session.state()
  const { items } = await orien.call(listExecutions, { params: { id: session.id }, query: { limit: 100 } })
  if (terminal.isJson) terminal.printJson({ ...view, runs: items })
  else {
    for (const line of sessionLines(view, terminal.out)) terminal.print(line)
    const runs = items.toReversed().map((run) => ({ ...run, outcome: outcomeOf(run) }))
    if (runs.length > 0) for (const line of ['', ...billTable(runs, terminal.out)]) terminal.print(line)
  }
  return 0
}

/** `orien session end` */
export const endSession: Handler<AgentOptions & { wait: boolean }> = async (shell, options, [id = '']) => {
  const sessionId = readSessionId(id)
  const { orien } = await connectAgent(shell, options)
  const session = await orien.session(sessionId)
  const ended = await session.end()
  if (!options.wait) {
    show(shell, ended)
    return 0
  }
  shell.terminal.say('waiting for the chain …')
  const final = await session.settled()
  show(shell, final)
  return final.status === 'settled' ? 0 : 1
}

function show({ terminal }: Shell, view: SessionView): void {
  if (terminal.isJson) terminal.printJson(view)
  else for (const line of sessionLines(view, terminal.out)) terminal.print(line)
  const settlement = settlementLine(view)
  if (settlement !== null) terminal.say(settlement)
}

function sessionsTable(sessions: readonly SessionView[]): string[] {
  const { head, rows } = layTable(
    [
      { title: 'session', align: 'left' },
      { title: 'status', align: 'left' },
      { title: 'provider', align: 'left' },
      { title: 'runs', align: 'right' },
      { title: 'consumed', align: 'right' },
      { title: 'budget', align: 'right' },
    ],
    sessions.map(({ id, status, providerId, executions, consumedMicros, budgetMicros }) => [
      id,
      status,
      providerId,
      String(executions),
      exactUsdc(consumedMicros),
      exactUsdc(budgetMicros),
    ]),
  )
  return [head, ...rows]
}
