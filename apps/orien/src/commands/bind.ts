import type { Command } from 'commander'
import type { Settings } from '../config.ts'
import type { Terminal } from '../terminal/terminal.ts'

/** What a command works with. */
export type Shell = { terminal: Terminal; settings: Settings }

/** A command's work; what it returns is the exit code, 0 when it returns nothing. */
export type Handler<Options> = (
  shell: Shell,
  options: Options,
  args: readonly string[],
) => Promise<number | undefined>

/** Connects a command with its work, which is loaded when the command is called and not before. */
export type Bind = <Options>(command: Command, load: () => Promise<Handler<Options>>) => void

/** Every command has an example in its help, and an answer for programs. */
export function withExample(command: Command, example: string): Command {
  return command
    .option('--json', 'print the result as JSON')
    .addHelpText('after', `\nExample:\n  ${example.split('\n').join('\n  ')}`)
}

/** Options of commands that act as an agent. */
export function withAgent(command: Command): Command {
  return command
    .option('--coordinator <url>', 'the coordinator (default: ORIEN_URL or http://localhost:3000)')
    .option('--key-file <file>', "the agent's wallet (default: ORIEN_KEY_FILE or ~/.orien/agent.key)")
}

/** What {@link withAgent} gives. */
export type AgentOptions = { coordinator?: string; keyFile?: string }
