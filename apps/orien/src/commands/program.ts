import { Command, CommanderError } from 'commander'
import { readSettings } from '../config.ts'
import { describeFailure, failureLines, isWrongUse } from '../terminal/failure.ts'
import { createTerminal, type Sink, toJson } from '../terminal/terminal.ts'
import { defineAgentCommands } from './agent.ts'
import type { Bind, Shell } from './bind.ts'
import { defineChainCommands } from './chain.ts'
import { defineExitCommands } from './exits.ts'

import { defineProviderCommands } from './provider.ts'
import { defineStackCommands } from './stack.ts'
import { VERSION } from './version.ts'

const WRONG_USE = 2
const FAILED = 1

const INTRODUCTION = `ORIEN: agents rent execution time on machines that other people own.

Exit codes: 0 done, 1 failed, 2 used wrongly. Progress goes to stderr, results to stdout.`

/**
 * Runs one command line.
 *
 * @param argv without the program's own name
 * @returns the exit code
 */
export async function runCommand(
  argv: readonly string[],
  streams: { stdout: Sink; stderr: Sink } = process,
): Promise<number> {
  const settings = readSettings()
  let exitCode = 0
  const bind: Bind = (command, load) => {
    command.action(async () => {
      const options = command.opts()
      const shell: Shell = { settings, terminal: createTerminal(streams, settings, options.json === true) }
      try {
        const handle = await load()
        exitCode = (await handle(shell, options as Parameters<typeof handle>[1], command.args)) ?? 0
      } catch (error) {
        exitCode = await fail(shell, error)
      }
    })
  }
  const program = defineProgram(bind, streams)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : WRONG_USE
  }
  return exitCode
}

function defineProgram(bind: Bind, { stdout, stderr }: { stdout: Sink; stderr: Sink }): Command {
  const program = new Command('orien')
    .description(INTRODUCTION)
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .showHelpAfterError('(see --help)')
    .addHelpText('after', '\nExample:\n  orien up --mission')
  defineStackCommands(program, bind)
  defineAgentCommands(program, bind)
  defineExitCommands(program, bind)
  defineProviderCommands(program, bind)
  defineChainCommands(program, bind)
  return program
}

async function fail({ terminal, settings }: Shell, error: unknown): Promise<number> {
  if (error instanceof Error && error.name === 'AbortError') {
    terminal.status(null)
    terminal.say('interrupted')
    return FAILED
  }
  const failure = await describeFailure(error)
  terminal.status(null)
  if (terminal.isJson) terminal.say(toJson({ error: failure }))
  else for (const line of failureLines(failure, terminal.err)) terminal.say(line)
  if (settings.isDebug && error instanceof Error) terminal.say(stackOf(error))
  return isWrongUse(error) ? WRONG_USE : FAILED
}

/** Says what nobody has caught, in the form of every other failure. */
export function reportCrash(error: unknown): Promise<number> {
  const settings = readSettings()
  return fail({ settings, terminal: createTerminal(process, settings, false) }, error)
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
