import { openAsBlob } from 'node:fs'
import { type ExecutionView, type ProviderView, sessionId, type UsdcMicros } from '@orien/protocol'
import type { Orien, Session } from '@orien/sdk'
import type { AgentOptions, Handler, Shell } from '../commands/bind.ts'
import { interruptible } from '../commands/interrupt.ts'
import { outcomeLine } from '../terminal/outcome.ts'
import { printable } from '../terminal/terminal.ts'
import { wrongUse } from '../terminal/wrongUse.ts'
import { readUsdc } from './amount.ts'
import { awaitSettlement } from './awaitSettlement.ts'
import { connectAgent } from './connect.ts'
import { findProvider, readSessionId } from './find.ts'
import { type LocalFile, parseFile, readLocalText } from './localFiles.ts'
import { parseArguments } from './parseArguments.ts'
import { outputsOf, saveOutputs } from './saveOutputs.ts'
import { streamRun } from './streamRun.ts'

type Options = AgentOptions & {
  arg?: string[]
  argsJson?: string
  file?: string[]
  out?: string
  budget?: string
  maxCost?: string
}

/** `orien run` */
export const runTool: Handler<Options> = async (shell, options, [target = '', tool = '']) => {
  const budgetMicros = readUsdc('--budget', options.budget)
  const maxCostMicros = readUsdc('--max-cost', options.maxCost)
  checkTarget(target, budgetMicros)
  const files = await openFiles(options.file ?? [])
  const { orien } = await connectAgent(shell, options)
  const place = await findPlace(orien, target, budgetMicros)
  const args = argumentsOf(place.provider, tool, options)
  return interruptible(async (signal) => {
    const session = await place.open(signal)
    try {
      for (const { name, content } of files) await session.upload(name, content, { signal })
      const execution = await execute(shell, session, { tool, args, maxCostMicros }, signal)
      const saved = await bringHome(shell, session, execution, options.out)
      const final = place.isOurs
        ? await awaitSettlement(session, (line) => shell.terminal.say(line))
        : undefined
      const { settlement } = final ?? {}
      if (shell.terminal.isJson)
        shell.terminal.printJson({ sessionId: session.id, execution, saved, settlement })
      return execution.status === 'completed' ? 0 : 1
    } catch (error) {
      if (place.isOurs) await session.end().catch(() => undefined)
      throw error
    }
  })
}

function checkTarget(target: string, budgetMicros: UsdcMicros | undefined): void {
  const isSession = sessionId.safeParse(target).success
  if (isSession && budgetMicros !== undefined)
    throw wrongUse('A session has its budget already', 'Leave --budget out.')
  if (!isSession && budgetMicros === undefined) {
    throw wrongUse('A run on a provider needs a --budget', 'Add --budget 0.10, or name a session instead.')
  }
}

/** Files are opened before anything is paid: a wrong name must not cost a session. */
function openFiles(texts: readonly string[]) {
  const open = async ({ path, name }: LocalFile) => {
    try {
      return { name, content: await openAsBlob(path) }
    } catch {
      throw wrongUse(`The file ${path} cannot be read`)
    }
  }
  return Promise.all(texts.map((text) => open(parseFile(text))))
}

/** Where a run takes place: in a session that is there, or in one of its own. */
type Place = { provider: ProviderView; isOurs: boolean; open: (signal: AbortSignal) => Promise<Session> }

async function findPlace(orien: Orien, target: string, budgetMicros: UsdcMicros | undefined): Promise<Place> {
  if (budgetMicros === undefined) {
    const session = await orien.session(readSessionId(target))
    return { provider: await orien.provider(session.providerId), isOurs: false, open: async () => session }
  }
  const provider = await findProvider(orien, target)
  const open = (signal: AbortSignal) => orien.openSession({ providerId: provider.id, budgetMicros, signal })
  return { provider, isOurs: true, open }
}

function argumentsOf(provider: ProviderView, toolId: string, options: Options): Record<string, unknown> {
  const tool = provider.tools.find(({ id }) => id === toolId)
  if (!tool) {
    const offered = provider.tools.map(({ id }) => id).join(', ')
    throw wrongUse(`${provider.name} does not offer a tool "${toolId}"`, `It offers ${offered}.`)
  }
  const given = { pairs: options.arg ?? [], argsJson: options.argsJson }
  return parseArguments(tool.arguments, given, readLocalText)
}

async function execute(
  { terminal }: Shell,
  session: Session,
  request: { tool: string; args: Record<string, unknown>; maxCostMicros: UsdcMicros | undefined },
  signal: AbortSignal,
) {
  // With --json the result carries the output; stdout stays one line for a program.
  const output = ({ stream, bytes }: { stream: 'stdout' | 'stderr'; bytes: Uint8Array }) => {
    if (!terminal.isJson) terminal.write(bytes, stream)
  }
  const execution = await streamRun(session, request, { output }, signal)
  terminal.say(terminal.err.dim(outcomeLine(execution)))
  return execution
}

/** Saves what the run wrote where the person wants it, or says that there is something to be had. */
async function bringHome(
  { terminal }: Shell,
  session: Session,
  execution: ExecutionView,
  dir: string | undefined,
): Promise<string[]> {
  if (dir === undefined) {
    const names = outputsOf(execution).map(({ name }) => printable(name))
    if (names.length > 0)
      terminal.say(terminal.err.dim(`wrote ${names.join(', ')}; --out DIR brings it home`))
    return []
  }
  const saved = await saveOutputs(session, execution, dir)
  for (const path of saved) terminal.say(`saved ${path}`)
  return saved
}
